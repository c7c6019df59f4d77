"""Keep within: what was carried out is taken back unless somebody says in time that it may stay.

The countdown lives in the process that applies, so that it goes on when the screen, the terminal or the connection that
asked for it has gone. Who has lost them cannot keep anything, and so has the machine back at the end of it.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from iommutui.apply.clock import Clock
from iommutui.apply.events import Counting, Event, Kept
from iommutui.apply.interrupts import Stop
from iommutui.apply.lines import Awaiting
from iommutui.apply.lines import Kept as KeptLine
from iommutui.apply.record import Record

TICK = 1.0
"""Seconds between two events of a countdown."""


class Word(NamedTuple):
    """What somebody has said."""

    keep: bool
    """False: take it back at once."""
    by: str
    """Who, in words that continue *kept by*."""


class Voices(Protocol):
    """Whoever may keep what was applied."""

    def begin(self, journal_id: str) -> None:
        """The countdown begins: what was said before it was about something else."""
        ...

    def wait(self, seconds: float) -> Word | None:
        """Waits at most so long for a word; None where none came."""
        ...

    def end(self) -> None:
        """The countdown is over, whichever way."""
        ...


class Keeping(NamedTuple):
    """Take it back after so many seconds, unless one of the voices keeps it."""

    within: float
    voices: Voices


class NotKeptError(Exception):
    """Everything is to be taken back; the text says why."""


def count_down(keeping: Keeping, record: Record, clock: Clock, stop: Stop) -> Iterator[Event]:
    """Counts down until it is kept. NotKeptError where it is not, or somebody asks for it to be taken back.

    The beginning and the word that keeps it are in the journal before anybody is told of them.
    """
    record.append(Awaiting(keeping.within))
    voices = keeping.voices
    end = clock.monotonic() + keeping.within
    voices.begin(record.id)
    try:
        while True:
            left = end - clock.monotonic()
            yield Counting(max(left, 0.0), keeping.within)
            word = voices.wait(min(max(left, 0.0), TICK))
            if stop.why is not None:
                raise NotKeptError(stop.why)
            if word is not None:
                break
            if left <= 0:
                raise NotKeptError(f"nobody kept it within {keeping.within:g} seconds")
        if not word.keep:
            raise NotKeptError(f"it was taken back by {word.by}")
        record.append(KeptLine(word.by))
    finally:
        voices.end()
    yield Kept(word.by)
