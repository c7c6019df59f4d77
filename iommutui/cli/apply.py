"""``iommutui apply``: rebinds devices on this machine."""

import argparse

from iommutui.cli.options import chosen_model, parse_intents, read_host
from iommutui.cli.parser import Options, add_source
from iommutui.core.errors import UsageError
from iommutui.core.models import model_for
from iommutui.core.plan.planner import plan_intents


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``apply DEVICE=TARGET...``, ``apply FILE``, or ``apply --stdin``."""
    from iommutui.cli.carry_out import add_terms

    parser.add_argument(
        "intents",
        nargs="*",
        metavar="DEVICE=TARGET",
        help="as for preview; or the file that 'iommutui plan' has written",
    )
    parser.add_argument("--plan", metavar="FILE", help="carry out a plan file, whatever its name looks like")
    add_terms(parser)
    parser.add_argument(
        "--stdin",
        action="store_true",
        help="read intents and the facts they were decided on as JSON (what the screen does); implies --yes --json",
    )
    parser.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    add_source(parser)


def run(options: Options) -> int:
    """Reviews, asks, writes; the exit code says how it ended."""
    from iommutui.cli.carry_out import carry_out, retention
    from iommutui.cli.offline import refuse_recorded

    refuse_recorded(options, "apply")
    if options.debug:
        from iommutui import debug

        debug.turn_on()
    if options.stdin:
        from iommutui.apply.server import serve

        return serve(retention())
    path = _plan_file(options)
    if path is not None:
        return _from_file(options, path)
    if not options.intents:
        raise UsageError("Say what to apply.", "For example: iommutui apply 01:00.0=vfio-pci 01:00.1=vfio-pci")
    host = read_host(options)
    intents = parse_intents(host, options.intents)
    own, model = model_for(host.kernel), chosen_model(options, host)
    plan = plan_intents(host, intents, model)
    if plan.permitted and model is not own:
        from iommutui.apply.request import refuse_by_kernel

        refuse_by_kernel(lambda: plan_intents(host, intents, own))
    return carry_out(host, plan, options, intents)


def _plan_file(options: Options) -> str | None:
    """The plan file: ``--plan``, or a single word that is no intent because it holds no ``=``."""
    words: list[str] = options.intents
    path: str | None = options.plan
    if path is None and len(words) == 1 and "=" not in words[0]:
        path = words.pop()
    if path is not None and (words or options.model):
        raise UsageError("A plan file says by itself what to apply, and by which model.", "Give nothing beside it.")
    return path


def _from_file(options: Options, path: str) -> int:
    import os

    from iommutui.apply.request import plan_request, read_plan
    from iommutui.cli.carry_out import carry_out

    if not os.path.lexists(path):
        raise UsageError(
            f"{path!r} is neither DEVICE=TARGET nor a plan file.", "'iommutui plan ... -o FILE' makes one."
        )
    request = read_plan(path)
    host = read_host(options)
    plan = plan_request(request, host)
    return carry_out(host, plan, options, request.intents)
