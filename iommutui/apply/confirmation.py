"""Timeout and confirmation: an apply reverts unless it is confirmed in time.

The countdown runs in the applying process, so it goes on when the screen, the terminal or the connection is gone.
Without them nobody can confirm, so the machine is restored when it ends. Two may confirm: the program that asked, on
the standard input of the applying process, and root with ``iommutui keep``, which leaves a note in the journal
directory.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from iommutui import debug
from iommutui.apply.child import Stop
from iommutui.apply.events import Counting, Kept
from iommutui.apply.journal.format import JournalWriter
from iommutui.apply.kernel import Clock
from iommutui.apply.steps import FailedError

KEEP, UNDO = b"keep", b"undo"
"""The words of the asking program, each on its own line."""

REQUEST_LIMIT = 1 << 20
"""No request is longer, in bytes."""

TICK = 1.0
"""Seconds between two events of a countdown."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to a countdown."""

    keep: bool
    """False: revert it at once."""
    by: str
    """Who decided, in words that continue *confirmed by*."""


class Confirmer(Protocol):
    """A channel that can confirm an apply."""

    def begin(self, journal_id: str) -> None:
        """The countdown begins: earlier answers do not count."""

    def wait(self, seconds: float) -> Decision | None:
        """Waits at most this long for a decision; None if none came."""

    def end(self) -> None:
        """The countdown is over, confirmed or not."""


@dataclass(frozen=True, slots=True)
class Timeout:
    """Revert after this many seconds unless confirmed."""

    within: float
    confirmer: Confirmer


def count_down(timeout: Timeout, journal: JournalWriter, clock: Clock, stop: Stop) -> Iterator[Counting | Kept]:
    """Counts down until it is confirmed. Raises FailedError if it is not confirmed, or is reverted at once.

    The start and the confirmation are in the journal before their events are sent.
    """
    journal.append(Counting(timeout.within, timeout.within))
    confirmer = timeout.confirmer
    end = clock.monotonic() + timeout.within
    confirmer.begin(journal.id)
    try:
        while True:
            left = end - clock.monotonic()
            yield Counting(max(left, 0.0), timeout.within)
            decision = confirmer.wait(min(max(left, 0.0), TICK))
            if stop.why is not None:
                raise FailedError(stop.why)
            if decision is not None:
                break
            if left <= 0:
                raise FailedError(f"it was not confirmed within {timeout.within:g} seconds")
        if not decision.keep:
            raise FailedError("reverted on request")
        kept = Kept(decision.by)
        journal.append(kept)
    finally:
        confirmer.end()
    debug.log("apply: confirmed by %s", decision.by)
    yield kept


def note_of(directory: Path, journal_id: str) -> Path:
    """The file whose presence keeps the journal. No one else may write to its directory."""
    return directory / f"{journal_id}.keep"


def leave_note(directory: Path, journal_id: str) -> None:
    """Confirms a running countdown. Raises FileExistsError if the note exists, OSError if it cannot be left."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    os.close(os.open(note_of(directory, journal_id), flags, mode=0o600))
