"""``iommutui revert``: reverts an apply."""

import argparse

from iommutui import sources
from iommutui.apply.boots import boot_id
from iommutui.apply.journal.directory import journal_dir
from iommutui.apply.revert import find_revert
from iommutui.cli.apply_client import add_terms, carry_out
from iommutui.cli.options import read_machine, refuse_recorded
from iommutui.cli.output import complain
from iommutui.cli.parser import Options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``revert [ID] [--accept CODE:DEVICE] [--keep-within SECONDS] [--yes] [--json]``."""
    parser.add_argument(
        "id", nargs="?", metavar="ID", help="a journal's id or its beginning (default: the newest still in effect)"
    )
    add_terms(parser)


def run(options: Options) -> int:
    """Puts every device of the journal back on its driver, with its override."""
    refuse_recorded(options, "revert")
    host, model = read_machine(options)
    found = find_revert(journal_dir(), options.id, host, model, boot_id(sources.HERE))
    if found.left_alone:
        complain(found.left_alone_words)
    return carry_out(host, found.plan, options, reverts=found.journal.id)
