"""``iommutui apply``: rebinds devices on this machine."""

import argparse
import sys

from iommutui.cli.options import chosen_model, parse_intents, read_host
from iommutui.cli.parser import add_source
from iommutui.core.errors import RefusedError, UsageError
from iommutui.core.models import model_for
from iommutui.core.planner import plan_intents
from iommutui.core.wording import sentence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``apply DEVICE=TARGET... [--yes] [--json]``, or ``apply --stdin``."""
    parser.add_argument("intents", nargs="*", metavar="DEVICE=TARGET", help="as for preview")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    parser.add_argument("--json", action="store_true", help="print what happens as JSON events, one a line")
    parser.add_argument(
        "--stdin",
        action="store_true",
        help="read intents and the facts they were decided on as JSON (what the screen does); implies --yes --json",
    )
    add_source(parser)


def run(options: argparse.Namespace) -> int:
    """Reviews, asks, writes; the exit code says how it ended."""
    from iommutui.cli.carry_out import carry_out, refuse_recorded

    refuse_recorded(options, "apply")
    if options.stdin:
        return _from_stdin()
    if not options.intents:
        raise UsageError("Say what to apply.", "For example: iommutui apply 01:00.0=vfio-pci 01:00.1=vfio-pci")
    host = read_host(options)
    intents = parse_intents(host, options.intents)
    own, model = model_for(host.kernel), chosen_model(options, host)
    plan = plan_intents(host, intents, model)
    if plan.permitted and model is not own:
        real = plan_intents(host, intents, own)
        if not real.permitted:
            raise RefusedError(
                f"{model.name} permits this, but the running kernel does not: "
                + " ".join(sentence(reason) for reason in real.refusals)
            )
    return carry_out(host, plan, options)


def _from_stdin() -> int:
    from iommutui.apply.session import SIZE_LIMIT, apply_request, plan_request
    from iommutui.cli.carry_out import tell
    from iommutui.sources import load
    from iommutui.sources.session import session_address

    request = apply_request(sys.stdin.read(SIZE_LIMIT + 1))
    return tell(plan_request(request, load(session=session_address())), as_json=True)
