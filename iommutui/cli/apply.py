"""``iommutui apply`` and ``iommutui revert``: rebind devices on this machine, and undo it."""

import argparse
import os

from iommutui import debug, sources
from iommutui.apply.boots import boot_id
from iommutui.apply.journal import journal_dir
from iommutui.apply.recovery import find_revert
from iommutui.apply.request import plan_request, read_plan, refuse_by_kernel
from iommutui.apply.server import serve
from iommutui.cli.apply_client import add_terms, carry_out, retention
from iommutui.cli.options import parse_intents, read_host, read_machine, refuse_recorded
from iommutui.cli.output import complain
from iommutui.cli.parser import Options
from iommutui.core.errors import UsageError
from iommutui.core.models import model_for
from iommutui.core.plan.planner import plan_intents


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "intents",
        nargs="*",
        metavar="DEVICE=TARGET",
        help="a target for one device, as for preview; or a file written by 'iommutui plan'",
    )
    parser.add_argument("--plan", metavar="FILE", help="apply a plan file (only needed if its name contains '=')")
    add_terms(parser)
    parser.add_argument(
        "--stdin",
        action="store_true",
        help="read a request as JSON from standard input, as the screen sends it; implies --yes --json",
    )
    parser.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)


def run(options: Options) -> int:
    """Reviews, asks, writes; the exit code says how it ended."""
    refuse_recorded(options, "apply")
    if options.debug:
        debug.turn_on()
    if options.stdin:
        return serve(retention())
    path = _plan_file(options)
    if path is not None:
        request = read_plan(path)
        host = read_host(options)
        return carry_out(host, plan_request(request, host), options, request.intents)
    if not options.intents:
        raise UsageError("Name the devices and their targets.", "For example: iommutui apply 01:00.0=vfio-pci")
    host, model = read_machine(options)
    intents = parse_intents(host, options.intents)
    plan = plan_intents(host, intents, model)
    own = model_for(host.kernel)
    if plan.permitted and model is not own:
        refuse_by_kernel(plan_intents(host, intents, own))
    return carry_out(host, plan, options, intents)


def _plan_file(options: Options) -> str | None:
    """The plan file: ``--plan``, or a single word that is no intent because it holds no ``=``."""
    words: list[str] = options.intents
    path: str | None = options.plan
    if path is None and len(words) == 1 and "=" not in words[0]:
        path = words.pop()
    if path is not None and (words or options.model):
        raise UsageError("A plan file already holds devices, targets and a model.", "Give nothing else.")
    if path is not None and not os.path.lexists(path):
        raise UsageError(
            f"{path!r} is neither DEVICE=TARGET nor a plan file.", "'iommutui plan ... -o FILE' makes one."
        )
    return path


def add_arguments_revert(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "id",
        nargs="?",
        metavar="ID",
        help="a journal's id, or the beginning of one (default: the newest still in effect)",
    )
    add_terms(parser)


def run_revert(options: Options) -> int:
    """Puts every device of the journal back on its driver, with its override."""
    refuse_recorded(options, "revert")
    host, model = read_machine(options)
    found = find_revert(journal_dir(), options.id, host, model, boot_id(sources.HERE))
    if found.left_alone:
        complain(found.left_alone_words)
    return carry_out(host, found.plan, options, reverts=found.journal.id)
