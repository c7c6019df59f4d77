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
    from iommutui.apply.entries import load as load_entry
    from iommutui.apply.revert import plan_revert
    from iommutui.apply.state import machine_journal_dir
    from iommutui.cli.carry_out import carry_out
    from iommutui.cli.recorded import refuse_recorded

    refuse_recorded(options, "revert")
    entry = load_entry(machine_journal_dir(), options.id)
    host = read_host(options, judges=False)
    plan = plan_revert(entry, host, chosen_model(options, host))
    return carry_out(host, plan, options, reverts=entry.id)
