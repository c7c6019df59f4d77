"""The shared part of apply and revert: the review, the question, and the dialogue with the applying process."""

import argparse
import json
import os
import select
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from iommutui.apply import events
from iommutui.apply.elevation import Applying, as_root, own_program, root_program
from iommutui.apply.events import Event, EventStream, tell, to_json
from iommutui.apply.executor import execute
from iommutui.apply.journal import journal_dir, may_write
from iommutui.apply.real_kernel import RealKernel
from iommutui.apply.recovery import RETENTION, Retention
from iommutui.apply.request import Request, check_seconds, refuse_dangers, request_of
from iommutui.cli.options import add_consent, parse_accepted
from iommutui.cli.output import ask, clean, complain, text_of, write_lines
from iommutui.cli.parser import Options
from iommutui.cli.review import plan_lines
from iommutui.core.errors import Exit, IommutuiError, NotPermittedError
from iommutui.core.hazards import cuts_a_lifeline
from iommutui.core.host import Host
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import Plan, shell_line
from iommutui.core.reasons import OK
from iommutui.core.wording import change_words, count
from iommutui.settings import read_settings


class EventPrinter:
    """Prints events."""

    def __init__(self, *, as_json: bool, goes_back: bool = False) -> None:
        """``goes_back``: the apply can be reverted, and the last line says how."""
        self._as_json = as_json
        self._goes_back = goes_back
        self._journal = ""

    def show(self, event: Event) -> None:
        """Prints an event, and waits until that is done. Raises OSError if nobody can read it any more."""
        sys.stdout.write(self.text(event))
        sys.stdout.flush()

    def text(self, event: Event) -> str:
        """The text of an event."""
        if isinstance(event, events.Started):
            self._journal = event.journal_id
        if self._as_json:
            return json.dumps(to_json(event)) + "\n"
        return text_of([clean(line) for line in self._lines(event)])

    def _lines(self, event: Event) -> list[str]:
        match event:
            case events.Started(journal_id=journal) if journal:
                return ["", f"Journal {journal}."]
            case events.Notice(what=what):
                return [f"Note: {what}"]
            case events.ModuleLoaded(module=module):
                return [f"Loaded {module}."]
            case events.StepDone(step=step, result=result, note=note):
                answer = "ok" if result == OK else f"FAILED with {result}"
                return [f"  {event.number}. {shell_line(step)}   {answer}{f' ({note})' if note else ''}"]
            case events.StepWaiting(step=step, seconds=seconds, holders=holders):
                held = f"; held by {'; '.join(holders)}" if holders else ""
                return [f"     waiting for {step.device or step.value} since {seconds:.0f} s{held}"]
            case events.Counting():
                return self._countdown(event)
            case events.Kept(by=by):
                return [f"Confirmed by {by}."]
            case events.Compensating(why=why):
                return [f"Rolling back: {why}"]
            case events.Finished(exit=Exit.DONE, summary=summary) if self._journal and self._goes_back:
                return [summary, f"'iommutui revert {self._journal}' reverts it."]
            case events.Finished(summary=summary, left=left):
                return [summary, *(f"  {change_words(change)}" for change in left)]
            case events.StepBegun() | events.Started() | events.Refused():
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


def add_terms(parser: argparse.ArgumentParser) -> None:
    add_consent(parser)
    parser.add_argument(
        "--keep-within",
        type=_seconds,
        metavar="SECONDS",
        help="revert automatically unless confirmed in time, here or with 'iommutui keep'",
    )


def _seconds(text: str) -> float:
    try:
        return check_seconds(float(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, such as 30") from None
    except IommutuiError as error:
        raise argparse.ArgumentTypeError(error.what[:1].lower() + error.what[1:].removesuffix(".")) from None


def carry_out(
    host: Host, plan: Plan, options: Options, intents: Sequence[Intent] = (), reverts: str | None = None
) -> int:
    """Reviews the plan, asks, and applies it. Returns the exit code."""
    accepted = parse_accepted(host, options.accept)
    _review(host, plan, as_json=options.json)
    if not plan.permitted:
        return Exit.REFUSED
    refuse_dangers(plan.hazards, accepted)
    dangers = {hazard.acceptance for hazard in plan.hazards}
    for acceptance in (each for each in accepted if each not in dangers):
        complain(f"--accept {acceptance} was not needed: this plan has no such danger.")
    printer = EventPrinter(as_json=options.json, goes_back=reverts is None)
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
            plan, RealKernel(), journal_dir(), reverts=reverts, accepted=accepted, retention=retention()
        )
        sys.stdout.flush()
        stream = EventStream(sys.stdout.fileno())
        return tell(performed, lambda event: stream.write(printer.text(event).encode(sys.stdout.encoding), event))
    # As root, and in a session of its own where somebody has to confirm.
    request = request_of(plan, intents, accepted=accepted, keep_within=options.keep_within, reverts=reverts)
    return _listen(request, elevation, printer)


def retention() -> Retention:
    """How long journals are kept, by the settings of the user who writes them."""
    return replace(RETENTION, **read_settings().journal)


def _review(host: Host, plan: Plan, *, as_json: bool) -> None:
    lines = plan_lines(host, plan, ())
    if not as_json:
        write_lines(lines)
        sys.stdout.flush()
    elif not plan.permitted:
        for line in lines:
            complain(line)


def _elevation(plan: Plan) -> str | None:
    """The program that makes the applying process root: empty if this process may write, None without one."""
    is_root = os.geteuid() == 0
    try:
        RealKernel().check(plan.steps)
    except NotPermittedError:
        if is_root:
            raise
        return root_program()
    return "" if is_root or (plan.steps and may_write(journal_dir())) else root_program()


def _listen(request: Request, elevation: str | None, printer: EventPrinter) -> int:
    """Starts the applying process, prints its events, and returns how it ended.

    Ctrl+C is for that process, which reverts; this one goes on printing its events.
    """
    before = signal.signal(signal.SIGINT, lambda *_: None)
    code = Exit.ERROR
    counting = False
    try:
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
    finally:
        signal.signal(signal.SIGINT, before)
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
