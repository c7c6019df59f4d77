"""``iommutui preview``: what a rebind would do."""

import argparse

from iommutui.cli.documents import plan_document
from iommutui.cli.options import parse_intents, read_machine
from iommutui.cli.output import write_json, write_lines
from iommutui.cli.parser import Options
from iommutui.cli.review import plan_lines
from iommutui.core.errors import Exit
from iommutui.core.plan.fix import smallest_fix
from iommutui.core.plan.planner import plan_intents


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``preview DEVICE=TARGET... [--json]``."""
    parser.add_argument(
        "intents",
        nargs="+",
        metavar="DEVICE=TARGET",
        help="a target is vfio-pci, pci-stub, none (keep it free), default, or a driver that fits",
    )


def run(options: Options) -> int:
    """Prints the plan; REFUSED where it is not permitted."""
    host, model = read_machine(options)
    intents = parse_intents(host, options.intents)
    plan = plan_intents(host, intents, model)
    if options.json:
        write_json(plan_document(host, intents, plan, model))
    else:
        fix = smallest_fix(host, intents, [host.groups[change.group] for change in plan.groups], model)
        write_lines(plan_lines(host, plan, fix))
    return Exit.DONE if plan.permitted else Exit.REFUSED
