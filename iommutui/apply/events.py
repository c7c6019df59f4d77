"""The events of an apply, as values and as lines of JSON.

They are written so that no reader can block the applying process, whether slow, stopped or dead.
"""

import json
import os
import select
import stat
import time
from collections.abc import Callable, Generator
from contextlib import closing
from typing import get_args

from iommutui.apply.validation import Json, Message, parse_tagged, tagged
from iommutui.core.errors import Exit, IommutuiError
from iommutui.core.plan.drift import Change, DeviceFacts
from iommutui.core.plan.planner import Step


class Started(Message):
    """The journal is on disk; nothing has been written to the system yet."""

    journal_id: str
    """Empty if there is no journal (a simulated kernel)."""
    steps: int


class Notice(Message):
    """Something to report, such as what became of an earlier apply."""

    what: str


class ModuleLoaded(Message):
    """A module that a target needs is loaded."""

    module: str


class StepBegun(Message):
    """The write is about to be made. Numbers count from 1, and go on during a rollback."""

    number: int
    step: Step


class StepDone(Message):
    """The write has returned; ``result`` is ``ok`` or the name of an errno."""

    number: int
    step: Step
    result: str
    seconds: float
    note: str = ""
    """Facts that read back differently, or the driver that the kernel chose."""


class StepWaiting(Message):
    """The write has not returned after this many seconds; the operation ``modprobe``, number 0, loads a module."""

    number: int
    step: Step
    seconds: float
    holders: tuple[str, ...] = ()
    """Visible processes that may be the cause."""


class Counting(Message):
    """Everything is in effect, and reverts unless it is confirmed. Sent about once a second.

    ``keep`` and a newline on the standard input of the applying process confirm it, ``undo`` reverts it at once;
    ``iommutui keep`` confirms it from any other terminal.
    """

    seconds: float
    """The remaining seconds of ``within``."""
    within: float


class Kept(Message):
    """It was confirmed in time, by someone named in words: nothing is reverted."""

    by: str


class Compensating(Message):
    """Something failed, and every change is rolled back now."""

    why: str


class Finished(Message):
    """The last event, and the last line of a journal."""

    exit: Exit
    summary: str
    left: tuple[Change, ...] = ()
    """If the rollback was incomplete: each difference from the state before."""
    after: tuple[DeviceFacts, ...] = ()
    """The moved devices as the apply left them; empty if they were not read."""


class Refused(Message):
    """The last event if nothing was applied: the error, for programs that read events only."""

    exit: Exit
    what: str
    remedy: str


StepEvent = StepBegun | StepDone | StepWaiting
Event = Started | Notice | ModuleLoaded | StepEvent | Counting | Kept | Compensating | Refused | Finished

LINE_LIMIT = 1 << 20
"""No event, and no line of a journal, is longer, in bytes."""


def to_json(event: Event) -> dict[str, Json]:
    """``{"event": "step-done", ...fields}``."""
    return tagged("event", event)


def from_line(line: str | bytes) -> Event:
    """The event in a line of JSON. Raises IommutuiError for anything else."""
    if len(line) > LINE_LIMIT:
        raise IommutuiError("The output of the applying process is too long for an event.")
    event: Event = parse_tagged("event", get_args(Event), line, "The output of the applying process")
    return event


# -- writing them

ROOM_SECONDS = 3.0
"""How long an event waits for room in the pipe. An event dropped after that is still in the journal."""


class ReaderGoneError(Exception):
    """Thrown into the events when they can no longer be passed on: everything is rolled back."""


class EventStream:
    """Events as lines of JSON, or as text, on a descriptor whose reader may be gone."""

    def __init__(self, descriptor: int, patience: float = ROOM_SECONDS) -> None:
        self._descriptor = _own(descriptor)
        self._patience = patience
        self._rest = b""
        """The rest of a partly written line, which has to come before any other."""
        self._slow = False
        """An event has timed out; the next one does not wait until the reader reads again."""

    def send(self, event: Event) -> None:
        """Writes an event as JSON."""
        self.write((json.dumps(to_json(event)) + "\n").encode(), event)

    def write(self, data: bytes, event: Event) -> None:
        """Writes the text of an event, or drops it. Raises OSError if no one can ever read it."""
        waits = isinstance(event, Finished) or not (self._slow or isinstance(event, Counting))
        end = time.monotonic() + (self._patience if waits else 0.0)
        self._rest = self._put(self._rest, end)
        left = data if self._rest else self._put(data, end)
        self._slow = bool(left)
        if left != data:
            self._rest = left

    def _put(self, data: bytes, end: float) -> bytes:
        """Writes in parts that do not block, until a deadline; returns the rest."""
        while data and select.select([], [self._descriptor], [], max(end - time.monotonic(), 0.0))[1]:
            try:
                data = data[os.write(self._descriptor, data[: select.PIPE_BUF]) :]
            except BlockingIOError:
                return data  # a terminal with room for less
        return data


def _own(descriptor: int) -> int:
    """The same pipe or terminal, reopened so that it does not block here and is unchanged for every other program.

    Files do not block, and neither does a socket that has room, for as little as one part.
    """
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        try:
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            pass  # another user's terminal: it is polled for room before each part
    return descriptor


def tell(events: Generator[Event, None, None], send: Callable[[Event], None], *, alone: bool = False) -> int:
    """Passes every event on as it comes; the exit code.

    If nobody can read them any more, everything is rolled back; ``alone``: it goes on without a reader.
    """
    code = Exit.ERROR
    listening = True
    with closing(events):
        for event in events:
            if isinstance(event, Finished | Refused):
                code = event.exit
            if not listening:
                continue
            try:
                send(event)
            except OSError:
                listening = False
                if not alone and not isinstance(event, Finished):
                    following = events.throw(ReaderGoneError())
                    code = following.exit if isinstance(following, Finished) else code
    return code
