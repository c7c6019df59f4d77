"""Handing a reviewed plan to the process that may write, which decides for itself whether it does."""

import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

from iommutui.core.errors import IommutuiError
from iommutui.tui.machine import Job

if TYPE_CHECKING:
    from iommutui.apply.events import Event


class ProcessApplier:
    """Starts ``iommutui apply --stdin`` or ``revert`` as root, sends it intents and their basis, reads what it says."""

    def __init__(self, program: Sequence[str], writer: str | None) -> None:
        self._program = list(program)
        self._writer = writer
        self._process: subprocess.Popen[bytes] | None = None
        self._first = b""
        self._talk: IO[bytes] | None = None

    @property
    def needs_terminal(self) -> bool:
        """sudo, pkexec and run0 may ask for a password."""
        return bool(self._writer)

    def command(self, job: Job) -> list[str]:
        """What is started. No device and no driver is named in it: they are in the request, or in the journal."""
        prefix = [self._writer] if self._writer else []
        what = ["revert", job.journal, "--yes", "--json"] if job.revert else ["apply", "--stdin"]
        return [*prefix, *self._program, *what]

    def begin(self, job: Job) -> None:
        """Starts the process; where a password may be asked for, waits for its first word, which comes after it."""
        if self._writer is None:
            raise IommutuiError("Writing needs root, and none of sudo, pkexec and run0 is installed.")
        # A file, because a pipe that nobody empties would hold the process up, and the screen is no place for it.
        self._talk = tempfile.TemporaryFile()  # noqa: SIM115 - open until the process has ended
        try:
            self._process = subprocess.Popen(
                self.command(job),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._talk,
            )
        except OSError as error:
            raise IommutuiError(f"The applying process does not start: {error.strerror}.") from None
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.write(request(job).encode())
            self._process.stdin.close()
        self._first = b""
        if self.needs_terminal:
            with _interrupts_for_others():
                self._first = self._process.stdout.readline()

    def events(self, job: Job) -> "Iterator[Event]":
        """Its events, until it ends."""
        from iommutui.apply.events import Finished, from_line

        process = self._process
        assert process is not None
        assert process.stdout is not None
        seen = finished = False
        for text in _lines(self._first, process):
            event = from_line(text)
            seen, finished = True, isinstance(event, Finished)
            yield event
        code = process.wait()
        said = self._said()
        self._process = None
        if not finished:
            said = (
                said.removeprefix("iommutui: ")
                or f"The applying process ended with code {code}, before it had finished."
            )
            raise IommutuiError(said, "'iommutui journal' tells what was written." if seen else "Nothing was written.")

    def _said(self) -> str:
        if self._talk is None:
            return ""
        with self._talk as talk:
            talk.seek(0)
            return talk.read(4000).decode(errors="replace").strip()


@contextmanager
def _interrupts_for_others() -> Iterator[None]:
    """Ctrl+C at the password is for the program that asks, which ends; this one goes on and says so."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _lines(first: bytes, process: "subprocess.Popen[bytes]") -> Iterator[bytes]:
    if first.strip():
        yield first
    assert process.stdout is not None
    for text in process.stdout:
        if text.strip():
            yield text


def request(job: Job) -> str:
    """The request as ``--stdin`` reads it; a revert takes everything from its journal."""
    from iommutui.apply.session import Request, request_to_json

    if job.revert:
        return ""
    return request_to_json(Request(job.intents, job.plan.basis, job.model.name)) + "\n"
