"""Appliers for the tests."""

import threading
from collections.abc import Iterator, Sequence

from iommutui.apply.events import Event
from iommutui.core.errors import IommutuiError
from iommutui.tui.machines.base import Job


class Refusing:
    """Refuses every job."""

    needs_terminal = False

    def __init__(self, why: str) -> None:
        self.why = why

    def begin(self, job: Job) -> None:
        """Refuses."""
        raise IommutuiError(self.why)

    def events(self, job: Job) -> Iterator[Event]:
        """Is not reached."""
        yield from ()

    def keep(self) -> None:
        """Is not reached."""

    def undo(self) -> None:
        """Is not reached."""


class Scripted:
    """Yields the test's events; waits at None until the test sets ``go_on``."""

    needs_terminal = False

    def __init__(self, said: Sequence[Event | None]) -> None:
        self.said = said
        self.jobs: list[Job] = []
        self.go_on = threading.Event()
        self.words: list[str] = []

    def begin(self, job: Job) -> None:
        """Keeps the job."""
        self.jobs.append(job)

    def events(self, job: Job) -> Iterator[Event]:
        """The scripted events."""
        for event in self.said:
            if event is None:
                self.go_on.wait(10)
            else:
                yield event

    def keep(self) -> None:
        """Records the word, and continues."""
        self.words.append("keep")
        self.go_on.set()

    def undo(self) -> None:
        """Records the word, and continues."""
        self.words.append("undo")
        self.go_on.set()
