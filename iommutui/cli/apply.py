"""``iommutui apply`` and ``iommutui revert``: a review, a question, and the dialogue with the process that writes."""

import argparse
import json
import os
import select
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from iommutui import debug, sources
from iommutui.apply import events
from iommutui.apply.boots import boot_id
from iommutui.apply.child import handled
from iommutui.apply.elevation import Applying, as_root, own_program, root_program
from iommutui.apply.events import Event, EventStream, tell, to_json
from iommutui.apply.executor import execute
from iommutui.apply.journal import journal_dir, may_write
from iommutui.apply.real_kernel import RealKernel
from iommutui.apply.recovery import RETENTION, Retention, find_revert
from iommutui.apply.request import (
    Request,
    check_seconds,
    plan_request,
    read_plan,
    refuse_by_kernel,
    refuse_dangers,
    request_of,
)
from iommutui.apply.server import serve
from iommutui.cli.options import add_consent, parse_accepted, parse_intents, read_host, read_machine, refuse_recorded
from iommutui.cli.output import ask, clean, complain, text_of, write_lines
from iommutui.cli.parser import Options
from iommutui.cli.review import plan_lines
from iommutui.core.errors import Exit, IommutuiError, NotPermittedError, UsageError
from iommutui.core.hazards import cuts_a_lifeline
from iommutui.core.host import Host
from iommutui.core.models import model_for
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import Plan, plan_intents, shell_line
from iommutui.core.reasons import OK
from iommutui.core.wording import change_words, count
from iommutui.settings import read_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    words = "a target for one device, as for preview; or a file written by 'iommutui plan'"
    parser.add_argument("intents", nargs="*", metavar="DEVICE=TARGET", help=words)
    _add_terms(parser)
    for option in ("--stdin", "--debug"):  # for the process that this program starts as root
        parser.add_argument(option, action="store_true", help=argparse.SUPPRESS)


def add_arguments_revert(parser: argparse.ArgumentParser) -> None:
    words = "a journal's id, or the beginning of one (default: the newest still in effect)"
    parser.add_argument("id", nargs="?", metavar="ID", help=words)
    _add_terms(parser)


def _add_terms(parser: argparse.ArgumentParser) -> None:
    add_consent(parser)
    words = "revert automatically unless confirmed in time, here or with 'iommutui keep'"
    parser.add_argument("--keep-within", type=_seconds, metavar="SECONDS", help=words)


def _seconds(text: str) -> float:
    try:
        return check_seconds(float(text))
    except (ValueError, IommutuiError) as error:
        raise argparse.ArgumentTypeError(str(error).removesuffix(".")) from None


def run(options: Options) -> int:
    """Reviews, asks, writes; the exit code says how it ended."""
    refuse_recorded(options, "apply")
    if options.debug:
        debug.turn_on()
    if options.stdin:
        return serve(_retention())
    words: list[str] = options.intents
    if not words:
        raise UsageError("Name the devices and their targets.", "For example: iommutui apply 01:00.0=vfio-pci")
    if len(words) == 1 and "=" not in words[0]:
        if not os.path.lexists(words[0]):
            what = f"{words[0]!r} is neither DEVICE=TARGET nor a plan file."
            raise UsageError(what, "'iommutui plan ... -o FILE' makes one.")
        if options.model:
            raise UsageError("A plan file already names a model.", "Leave --model out.")
        request = read_plan(words[0])
        host = read_host(options)
        return _carry_out(host, plan_request(request, host), options, request.intents)
    host, model = read_machine(options)
    intents = parse_intents(host, words)
    plan = plan_intents(host, intents, model)
    own = model_for(host.kernel)
    if plan.permitted and model is not own:
        refuse_by_kernel(plan_intents(host, intents, own))
    return _carry_out(host, plan, options, intents)


def run_revert(options: Options) -> int:
    """Puts every device of the journal back on its driver, with its override."""
    refuse_recorded(options, "revert")
    host, model = read_machine(options)
    found = find_revert(journal_dir(), options.id, host, model, boot_id(sources.HERE))
    if found.left_alone:
        complain(found.left_alone_words)
    return _carry_out(host, found.plan, options, reverts=found.journal.id)


def _carry_out(
    host: Host, plan: Plan, options: Options, intents: Sequence[Intent] = (), reverts: str | None = None
) -> int:
    """Reviews the plan, asks, and applies it. Returns the exit code."""
    accepted = parse_accepted(host, options.accept)
    lines = plan_lines(host, plan, ())
    if not options.json:
        write_lines(lines)
        sys.stdout.flush()
    elif not plan.permitted:
        for line in lines:
            complain(line)
    if not plan.permitted:
        return Exit.REFUSED
    refuse_dangers(plan.hazards, accepted)
    printer = _Printer(as_json=options.json, reverts=reverts)
    if not plan.steps and not plan.modules and reverts is None:
        printer.show(events.Finished(Exit.DONE, "Nothing to do: every device is where it should be."))
        return Exit.DONE
    if cuts_a_lifeline(plan.hazards) and options.keep_within is None:
        complain("You may lose access to this machine: with --keep-within 30 it reverts unless you confirm in time.")
    elevation = _elevation(plan)
    as_root([], own_program(), elevation)  # refuses before the question if nothing can make it root
    if plan.steps and not options.yes:
        ask(f"Make {count(len(plan.steps), 'write')}?", "--yes applies without asking.")
    if elevation == "" and options.keep_within is None:
        performed = execute(
            plan, RealKernel(), journal_dir(), reverts=reverts, accepted=accepted, retention=_retention()
        )
        sys.stdout.flush()
        stream = EventStream(sys.stdout.fileno())
        return tell(performed, lambda event: stream.write(printer.text(event).encode(sys.stdout.encoding), event))
    # As root, and in a session of its own where somebody has to confirm.
    request = request_of(plan, intents, accepted=accepted, keep_within=options.keep_within, reverts=reverts)
    return _listen(request, elevation, printer)


def _retention() -> Retention:
    """How long journals are kept, by the settings of the user who writes them."""
    return replace(RETENTION, **read_settings().journal)


def _elevation(plan: Plan) -> str | None:
    """The program that makes the applying process root: empty if this process may write, None without one."""
    try:
        RealKernel().check(plan.steps)
    except NotPermittedError:
        if os.geteuid() == 0:
            raise
        return root_program()
    return "" if plan.steps and may_write(journal_dir()) else root_program()


class _Printer:
    """Events as lines of text or JSON."""

    def __init__(self, *, as_json: bool, reverts: str | None) -> None:
        self._as_json = as_json
        self._reverts = reverts
        self._journal = ""

    def show(self, event: Event) -> None:
        """Prints an event, and waits until that is done. Raises OSError if nobody can read it any more."""
        sys.stdout.write(self.text(event))
        sys.stdout.flush()

    def text(self, event: Event) -> str:
        """What is printed of an event."""
        if isinstance(event, events.Started):
            self._journal = event.journal_id
        if self._as_json:
            return json.dumps(to_json(event)) + "\n"
        return text_of(map(clean, self._lines(event)))

    def _lines(self, event: Event) -> list[str]:
        match event:
            case events.Started():
                return ["", f"Journal {event.journal_id}."]
            case events.Notice():
                return [f"Note: {event.what}"]
            case events.ModuleLoaded():
                return [f"Loaded {event.module}."]
            case events.StepDone(result=result, note=note):
                answer = "ok" if result == OK else f"FAILED with {result}"
                return [f"  {event.number}. {shell_line(event.step)}   {answer}{f' ({note})' if note else ''}"]
            case events.StepWaiting(step=step, holders=holders):
                held = f"; held by {'; '.join(holders)}" if holders else ""
                return [f"     waiting for {step.device or step.value} since {event.seconds:.0f} s{held}"]
            case events.Counting():
                return self._countdown(event)
            case events.Kept():
                return [f"Confirmed by {event.by}."]
            case events.Compensating():
                return [f"Rolling back: {event.why}"]
            case events.Finished(exit=Exit.DONE) if self._journal and self._reverts is None:
                return [event.summary, f"'iommutui revert {self._journal}' reverts it."]
            case events.Finished():
                return [event.summary, *(f"  {change_words(change)}" for change in event.left)]
            case events.StepBegun() | events.Refused():
                return []

    def _countdown(self, event: events.Counting) -> list[str]:
        """At the beginning, every ten seconds, and each of the last five."""
        left = round(event.seconds)
        if event.seconds >= event.within - 0.5:
            return [
                "",
                f"Done. Reverts automatically in {left} s unless you confirm:",
                f"  type 'keep' and Enter here, or run 'iommutui keep {self._journal}' at any other terminal.",
                "  'undo' reverts now.",
            ]
        return [f"  {left} s left"] if left <= 5 or left % 10 == 0 else []


def _listen(request: Request, elevation: str | None, printer: _Printer) -> int:
    """Starts the applying process, prints its events, and returns how it ended.

    Ctrl+C is for that process, which reverts; this one goes on printing its events.
    """
    code = Exit.ERROR
    counting = False
    with handled([signal.SIGINT], lambda *_: None):
        applying = Applying(request, own_program(), elevation, answered=request.keep_within is not None)
        for event in applying.events():
            if isinstance(event, events.Counting):
                if not counting:
                    _forget_typed()
                    counting = True
                _pass_on(applying)
            if isinstance(event, events.Finished | events.Refused):
                code = event.exit
            printer.show(event)
    return code


def _forget_typed() -> None:
    """Drops what was typed before there was anything to confirm."""
    if sys.stdin.isatty():
        import termios

        with suppress(termios.error):
            termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


def _pass_on(applying: Applying) -> None:
    """Passes on a word that was typed. Enter alone means nothing, so nobody confirms by accident."""
    if not sys.stdin.isatty() or not select.select([sys.stdin], [], [], 0)[0]:
        return
    with suppress(OSError):
        word = os.read(sys.stdin.fileno(), 1024).decode(errors="replace").strip().lower()
        if word in ("keep", "k", "yes", "y"):
            applying.keep()
        elif word in ("undo", "u", "no", "n"):
            applying.undo()
        elif word:
            complain("Type 'keep' to confirm, or 'undo' to revert now.")
