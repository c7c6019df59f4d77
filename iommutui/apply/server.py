"""``iommutui apply --stdin``: the process that writes for an unprivileged program.

Its standard input brings a request, then the decision during a countdown.
"""

import os
import select
import stat
import sys
import time
from pathlib import Path

from iommutui import debug
from iommutui.apply.child import in_own_session
from iommutui.apply.confirmation import KEEP, REQUEST_LIMIT, UNDO, Decision, Timeout, note_of
from iommutui.apply.events import EventStream, Refused, tell
from iommutui.apply.executor import execute
from iommutui.apply.journal import journal_dir
from iommutui.apply.real_kernel import RealKernel
from iommutui.apply.recovery import Retention
from iommutui.apply.request import Request, parse_request, plan_request
from iommutui.core.errors import Exit, IommutuiError
from iommutui.core.printable import printable
from iommutui.sources import load
from iommutui.sources.processes import session_address

_LOOK = 0.2
"""Seconds between two checks for a note."""


def serve(retention: Retention) -> int:
    """Reads one request, applies it, and writes events; returns the exit code.

    An error before anything was written is an event as well as a message, so that no program has to parse messages.
    """
    program = AskingProgram(sys.stdin.fileno(), journal_dir())
    stream = EventStream(sys.stdout.fileno())
    try:
        text = program.request()
        debug.log("request: %s", text)
        request = parse_request(text)
    except IommutuiError as error:
        return _refuse(stream, error)
    if request.keep_within is None:
        return _carry_out(request, stream, None, retention)
    timeout = Timeout(request.keep_within, program)
    return in_own_session(lambda: _carry_out(request, stream, timeout, retention))


def _carry_out(request: Request, stream: EventStream, timeout: Timeout | None, retention: Retention) -> int:
    kernel = RealKernel()
    try:
        plan = plan_request(request, load(session=session_address()), kernel.boot())
        debug.log("request: planned, %s steps, refusals %s", len(plan.steps), plan.refusals)
        events = execute(
            plan,
            kernel,
            journal_dir(),
            reverts=request.reverts,
            accepted=request.accepted,
            timeout=timeout,
            retention=retention,
        )
        return tell(events, stream.send, alone=timeout is not None)
    except IommutuiError as error:
        return _refuse(stream, error)


def _refuse(stream: EventStream, error: IommutuiError) -> Exit:
    for line in (f"iommutui: {error.what}", error.remedy):
        if line:
            print(printable(line), file=sys.stderr)
    stream.send(Refused(error.exit_code, error.what, error.remedy))
    return error.exit_code


class AskingProgram:
    """The program that asked, on standard input: its first line is a request, each further one a word.

    Implements `Confirmer`; a note in the journal directory confirms too.
    """

    _note: Path

    def __init__(self, descriptor: int, directory: Path) -> None:
        self._directory = directory
        self._open = [descriptor]
        """Empty once the end of the input was read."""
        self._held = b""

    def request(self) -> str:
        """The first line, or the part of it that came, up to the limit of a request."""
        while b"\n" not in self._held and len(self._held) <= REQUEST_LIMIT and self._open:
            self._read()
        line, _, self._held = self._held.partition(b"\n")
        return line.decode(errors="replace")

    def begin(self, journal_id: str) -> None:
        self._note = note_of(self._directory, journal_id)
        for _ in range(64):  # more than any pipe holds: a caller that keeps writing must not hold this up
            if select.select(self._open, [], [], 0)[0]:
                self._read()
        self._held = b""

    def wait(self, seconds: float) -> Decision | None:
        """Looks for a note several times while it waits for a word."""
        end = time.monotonic() + seconds
        while True:
            if self._is_confirmed():
                return Decision(keep=True, by="'iommutui keep'")
            left = end - time.monotonic()
            if left <= 0:
                return None
            word = self._word(min(left, _LOOK))
            if word in (KEEP, UNDO):
                return Decision(keep=word == KEEP, by="the program that asked for it")

    def end(self) -> None:
        """The note has been read, or came too late."""
        self._note.unlink(missing_ok=True)

    def _is_confirmed(self) -> bool:
        """Whether there is a note of root or of the user who applies."""
        try:
            facts = os.lstat(self._note)
        except OSError:
            return False
        return stat.S_ISREG(facts.st_mode) and facts.st_uid in (0, os.geteuid())

    def _word(self, seconds: float) -> bytes | None:
        """A line within this many seconds, or None if no complete one came."""
        if b"\n" not in self._held and select.select(self._open, [], [], seconds)[0]:
            self._read()
        line, newline, rest = self._held.partition(b"\n")
        self._held = rest if newline else line[-REQUEST_LIMIT:]
        return line.strip() if newline else None

    def _read(self) -> None:
        """Reads the available input, and waits for some if need be."""
        try:
            part = os.read(self._open[0], 1 << 16)
        except OSError:
            part = b""
        self._held += part
        if not part:
            self._open = []
