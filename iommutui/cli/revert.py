"""``iommutui revert``: takes an apply back."""

import argparse

from iommutui.cli.options import chosen_model, read_host
from iommutui.cli.parser import Options, add_source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``revert [ID] [--accept CODE:DEVICE] [--keep-within SECONDS] [--yes] [--json]``."""
    from iommutui.cli.carry_out import add_terms

    parser.add_argument(
        "id", nargs="?", metavar="ID", help="a journal's id or its beginning (default: the newest still in effect)"
    )
    add_terms(parser)
    add_source(parser)


def run(options: Options) -> int:
    """Puts every device of the journal back on its driver, with its override."""
    from iommutui.apply.journal.directory import journal_dir
    from iommutui.apply.revert import find_revert
    from iommutui.cli.carry_out import carry_out
    from iommutui.cli.offline import refuse_recorded
    from iommutui.cli.output import complain
    from iommutui.sources import HERE
    from iommutui.sources.boots import boot_id

    refuse_recorded(options, "revert")
    host = read_host(options)
    found = find_revert(journal_dir(), options.id, host, chosen_model(options, host), boot_id(HERE))
    if found.left_alone:
        complain(found.left_alone_words)
    return carry_out(host, found.plan, options, reverts=found.journal.id)
