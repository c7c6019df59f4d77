"""Handing a reviewed plan to the process that may write, which decides for itself whether it does."""

import tempfile
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING

from iommutui.core.errors import IommutuiError, NotPermittedError
from iommutui.tui.machine import Job

if TYPE_CHECKING:
    from iommutui.apply.elevation import Applying
    from iommutui.apply.events import Event
    from iommutui.apply.request import Request


class ProcessApplier:
    """Starts ``iommutui apply --stdin`` as root, sends it a request, reads what it says."""

    def __init__(self, program: Sequence[str], writer: str | None) -> None:
        self._program = list(program)
        self._writer = writer
        self._applying: Applying | None = None
        self._talk: IO[bytes] | None = None

    @property
    def needs_terminal(self) -> bool:
        """sudo, pkexec and run0 may ask for a password."""
        return bool(self._writer)

    def command(self) -> list[str]:
        """What is started. No device and no driver is named in it: they are in the request, or in the journal."""
        from iommutui.apply.elevation import Applying

        return Applying(self._program, self._writer).command

    def begin(self, job: Job) -> None:
        """Starts the process; where a password may be asked for, waits for its first word, which comes after it."""
        from iommutui.apply.elevation import Applying

        self._applying = Applying(self._program, self._writer)
        # A file, because a pipe that nobody empties would hold the process up, and the screen is no place for it.
        self._talk = tempfile.TemporaryFile()  # noqa: SIM115 - open until the process has ended
        self._applying.begin(request(job), self._talk)

    def keep(self) -> None:
        """While a countdown goes on: what was applied may stay."""
        if self._applying is not None:
            self._applying.keep()

    def undo(self) -> None:
        """While a countdown goes on: take it back at once."""
        if self._applying is not None:
            self._applying.undo()

    def events(self, job: Job) -> "Iterator[Event]":
        """Its events, until it ends. IommutuiError with its own words where it has refused, or said nothing at all."""
        from iommutui.apply.events import Refused

        assert self._applying is not None
        try:
            for event in self._applying.events():
                if isinstance(event, Refused):
                    raise IommutuiError(event.what, event.remedy)
                yield event
        except NotPermittedError as error:
            said = self._said().removeprefix("iommutui: ")
            raise IommutuiError(said or error.what, error.remedy) from None
        finally:
            self._applying = None

    def _said(self) -> str:
        if self._talk is None:
            return ""
        with self._talk as talk:
            talk.seek(0)
            return talk.read(4000).decode(errors="replace").strip()


def request(job: Job) -> "Request":
    """The request to carry out a job; what a revert takes back stands in its journal."""
    from iommutui.apply.request import request_of

    reverts = job.journal if job.revert else None
    return request_of(job.plan, job.intents, accepted=job.accepted, keep_within=job.keep_within, reverts=reverts)
