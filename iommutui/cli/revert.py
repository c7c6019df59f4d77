"""``iommutui revert``: takes an apply back."""

import argparse

from iommutui.cli.options import chosen_model, read_host
from iommutui.cli.parser import add_source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``revert [ID] [--yes] [--json]``."""
    parser.add_argument("id", nargs="?", help="a journal's id or its beginning (default: the newest still in effect)")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="print what happens as JSON events, one a line")
    add_source(parser)


def run(options: argparse.Namespace) -> int:
    """Puts every device of the journal back on its driver, with its override."""
    from iommutui.apply.entries import load as load_entry
    from iommutui.apply.revert import plan_revert
    from iommutui.apply.state import journal_dir
    from iommutui.cli.carry_out import carry_out, refuse_recorded

    refuse_recorded(options, "revert")
    entry = load_entry(journal_dir(), options.id)
    host = read_host(options)
    plan = plan_revert(entry, host, chosen_model(options, host))
    return carry_out(host, plan, options, reverts=entry.id)
