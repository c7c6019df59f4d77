"""Timeout and confirmation: what was carried out is reverted unless somebody says in time that it may stay.

The countdown lives in the process that applies, so that it goes on when the screen, the terminal or the connection that
asked for it has gone. Whoever has lost them cannot confirm anything, and so has the machine back at the end of it. Two
may confirm: the program that asked, on the standard input of the applying process, and root with ``iommutui keep``,
which leaves a note in the journal directory.
"""

import os
import select
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from iommutui import debug
from iommutui.apply.child import Stop
from iommutui.apply.events import Counting, Event, Kept
from iommutui.apply.journal.format import Awaiting
from iommutui.apply.journal.format import Kept as KeptLine
from iommutui.apply.journal.writer import JournalWriter
from iommutui.apply.kernel import Clock

KEEP, UNDO = b"keep", b"undo"
"""The words of the program that asked, each on a line of its own."""

REQUEST_LIMIT = 1 << 20
"""No request is longer, in bytes."""

TICK = 1.0
"""Seconds between two events of a countdown."""

_LOOK = 0.2
"""Seconds between two looks for a note."""


class Decision(NamedTuple):
    """What somebody has said."""

    keep: bool
    """False: revert it at once."""
    by: str
    """Who, in words that continue *confirmed by*."""


class Confirmer(Protocol):
    """Whoever may confirm what was applied."""

    def begin(self, journal_id: str) -> None:
        """The countdown begins: what was said before it was about something else."""

    def wait(self, seconds: float) -> Decision | None:
        """Waits at most so long for a decision; None where none came."""

    def end(self) -> None:
        """The countdown is over, whichever way."""


class Timeout(NamedTuple):
    """Revert after so many seconds, unless it is confirmed."""

    within: float
    confirmer: Confirmer


class NotConfirmedError(Exception):
    """Everything is to be rolled back; the text says why."""


def count_down(timeout: Timeout, journal: JournalWriter, clock: Clock, stop: Stop) -> Iterator[Event]:
    """Counts down until it is confirmed. NotConfirmedError where it is not, or somebody wants it reverted at once.

    The beginning and the confirmation are in the journal before anybody is informed.
    """
    journal.append(Awaiting(timeout.within))
    confirmer = timeout.confirmer
    end = clock.monotonic() + timeout.within
    confirmer.begin(journal.id)
    try:
        while True:
            left = end - clock.monotonic()
            yield Counting(max(left, 0.0), timeout.within)
            decision = confirmer.wait(min(max(left, 0.0), TICK))
            if stop.why is not None:
                raise NotConfirmedError(stop.why)
            if decision is not None:
                break
            if left <= 0:
                raise NotConfirmedError(f"nobody confirmed it within {timeout.within:g} seconds")
        if not decision.keep:
            raise NotConfirmedError(f"it was reverted by {decision.by}")
        journal.append(KeptLine(decision.by))
    finally:
        confirmer.end()
    debug.log("apply: confirmed by %s", decision.by)
    yield Kept(decision.by)


class RequestChannel:
    """The standard input of the applying process: a request, and a word while a countdown goes on."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor
        self._held = b""

    def request(self) -> str:
        """The first line if it is a whole object, else everything up to the end, as far as a request may go."""
        while b"\n" not in self._held and len(self._held) <= REQUEST_LIMIT and self._read():
            pass
        line, newline, rest = self._held.partition(b"\n")
        if newline and line.strip().endswith(b"}"):
            self._held = rest
            return line.decode(errors="replace")
        while len(self._held) <= REQUEST_LIMIT and self._read():
            pass
        text, self._held = self._held, b""
        return text.decode(errors="replace")

    def forget(self) -> None:
        """Whatever has been said so far was not about what comes now."""
        for _ in range(64):  # more than any pipe holds: who goes on writing must not hold this up
            if self._descriptor is None or not select.select([self._descriptor], [], [], 0)[0] or not self._read():
                break
        self._held = b""

    def wait(self, seconds: float) -> bytes | None:
        """Waits at most so long; a line, or None where no whole one has come."""
        if b"\n" not in self._held:
            if self._descriptor is None:
                time.sleep(seconds)
                return None
            if select.select([self._descriptor], [], [], seconds)[0]:
                self._read()
        line, newline, rest = self._held.partition(b"\n")
        if not newline:
            self._held = self._held[-REQUEST_LIMIT:]
            return None
        self._held = rest
        return line.strip()

    def _read(self) -> bool:
        """Reads what there is, and waits for something if need be; False at the end."""
        try:
            part = os.read(self._descriptor, 1 << 16) if self._descriptor is not None else b""
        except OSError:
            part = b""
        self._held += part
        if not part:
            self._descriptor = None
        return bool(part)


class ConfirmationListener:
    """Implements `Confirmer`: the program that asked, and notes in the journal directory."""

    def __init__(self, directory: Path, channel: RequestChannel) -> None:
        self._directory = directory
        self._channel = channel
        self._note: Path | None = None

    def begin(self, journal_id: str) -> None:
        """From here on what is said counts."""
        self._note = note_of(self._directory, journal_id)
        self._channel.forget()

    def wait(self, seconds: float) -> Decision | None:
        """Looks for a note several times while it waits for the program that asked."""
        end = time.monotonic() + seconds
        while True:
            if self._note is not None and _is_note(self._note):
                return Decision(keep=True, by="'iommutui keep'")
            left = end - time.monotonic()
            if left <= 0:
                return None
            said = self._channel.wait(min(left, _LOOK))
            if said in (KEEP, UNDO):
                return Decision(keep=said == KEEP, by="the program that asked for it")

    def end(self) -> None:
        """The note has been read, or came too late."""
        if self._note is not None:
            self._note.unlink(missing_ok=True)


def note_of(directory: Path, journal_id: str) -> Path:
    """The file whose being there keeps the journal. The directory is one that nobody else may write to."""
    return directory / f"{journal_id}.keep"


def leave_note(directory: Path, journal_id: str) -> None:
    """Keeps what a countdown is about to take back. FileExistsError is as good; OSError says why it cannot be left."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    os.close(os.open(note_of(directory, journal_id), flags, mode=0o600))


def take_note_back(directory: Path, journal_id: str) -> None:
    """What nobody has taken notice of does not stay behind."""
    note_of(directory, journal_id).unlink(missing_ok=True)


def _is_note(path: Path) -> bool:
    try:
        facts = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(facts.st_mode) and facts.st_uid in (0, os.geteuid())
