"""What apply and revert share: the review, the question, and who carries it out."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from iommutui.apply.elevation import Applying, own_program, root_program
from iommutui.apply.events import Event, EventStream, Finished, tell
from iommutui.apply.executor import execute
from iommutui.apply.journal.directory import journal_dir, may_write
from iommutui.apply.real_kernel import RealKernel
from iommutui.apply.recovery import RETENTION, Retention
from iommutui.apply.request import Request, check_seconds, refuse_dangers, request_of
from iommutui.cli.event_printer import EventPrinter, listen
from iommutui.cli.options import parse_accepted
from iommutui.cli.output import clean, complain, write_lines
from iommutui.cli.parser import Options
from iommutui.cli.review import plan_lines
from iommutui.core.errors import Exit, IommutuiError, NotPermittedError, UsageError
from iommutui.core.hazards import Acceptance, cuts_a_lifeline
from iommutui.core.host import Host
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import Plan
from iommutui.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Collection


def add_terms(parser: argparse.ArgumentParser) -> None:
    """``--accept CODE:DEVICE``, ``--keep-within SECONDS``, ``--yes`` and ``--json``."""
    parser.add_argument(
        "--accept",
        action="append",
        default=[],
        metavar="CODE:DEVICE",
        help="accept one danger of the review, for one device; each has to be accepted by itself",
    )
    parser.add_argument(
        "--keep-within",
        type=_seconds,
        metavar="SECONDS",
        help="take everything back unless it is kept in so many seconds: here, or by 'iommutui keep' elsewhere",
    )
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask; dangers have to be accepted all the same")
    parser.add_argument("--json", action="store_true", help="print what happens as JSON events, one a line")


def carry_out(
    host: Host, plan: Plan, options: Options, intents: Sequence[Intent] = (), reverts: str | None = None
) -> int:
    """Reviews the plan, asks, and applies it. Returns the exit code."""
    accepted = parse_accepted(host, options.accept)
    if options.keep_within is not None:
        _check_seconds(options.keep_within)
    _review(host, plan, as_json=options.json)
    if not plan.permitted:
        return Exit.REFUSED
    refuse_dangers(plan.hazards, accepted)
    _warn_of_needless(plan, accepted)
    if not plan.steps and not plan.modules and reverts is None:
        EventPrinter(as_json=options.json).show(
            Finished(Exit.DONE, "Nothing to do: every device is where it should be.")
        )
        return Exit.DONE
    if cuts_a_lifeline(plan.hazards) and options.keep_within is None:
        complain("You may lose sight of this machine: --keep-within 30 would take everything back unless you keep it.")
    writer = _writer(plan)
    if plan.steps and not options.yes and not _confirmed(len(plan.steps)):
        complain("Nothing was written.")
        return Exit.REFUSED
    request = request_of(plan, intents, accepted=accepted, keep_within=options.keep_within, reverts=reverts)
    if writer == "" and request.keep_within is None:
        events = execute(plan, RealKernel(), journal_dir(), reverts=reverts, accepted=accepted, retention=retention())
        sys.stdout.flush()
        stream, printer = (
            EventStream(sys.stdout.fileno()),
            EventPrinter(as_json=options.json, goes_back=reverts is None),
        )

        def send(event: Event) -> None:
            stream.write(printer.text(event).encode(sys.stdout.encoding), event)

        return tell(events, send)
    return _by_another_process(request, writer, as_json=options.json)


def retention() -> Retention:
    """How long journals are kept, by the settings of who writes them."""
    return RETENTION._replace(**read_settings().journal)


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds, such as 30") from None


def _check_seconds(seconds: float) -> None:
    try:
        check_seconds(seconds)
    except IommutuiError as error:
        raise UsageError(error.what, "For example --keep-within 30.") from None


def _review(host: Host, plan: Plan, *, as_json: bool) -> None:
    lines = [clean(line) for line in plan_lines(host, plan, ())]
    if not as_json:
        write_lines(lines)
        sys.stdout.flush()
    elif not plan.permitted:
        for line in lines:
            complain(line)


def _warn_of_needless(plan: Plan, accepted: "Collection[Acceptance]") -> None:
    known = {hazard.acceptance for hazard in plan.hazards}
    for acceptance in accepted:
        if acceptance not in known:
            complain(f"--accept {acceptance} was not needed: this plan has no such danger.")


def _writer(plan: Plan) -> str | None:
    """What makes the applying process root; empty where this process may write."""
    try:
        RealKernel().check(plan.steps)
    except NotPermittedError:
        if os.geteuid() == 0:
            raise
    else:
        if os.geteuid() == 0 or (plan.steps and may_write(journal_dir())):
            return ""
    found = root_program()
    if found is None:
        raise NotPermittedError(
            "Writing needs root, and none of sudo, pkexec and run0 is installed.", "Run the same as root."
        )
    return found


def _confirmed(writes: int) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("There is no terminal to ask on.", "--yes applies without asking.")
    complain("")
    print(f"Make {writes} write{'' if writes == 1 else 's'}? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _by_another_process(request: Request, writer: str | None, *, as_json: bool) -> int:
    """Hands the request to a process that is root, and in a session of its own where somebody has to keep it."""
    printer = EventPrinter(as_json=as_json, goes_back=request.reverts is None)
    return listen(Applying(own_program(), writer), request, printer)
