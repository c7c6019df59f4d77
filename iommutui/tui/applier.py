"""Handing a reviewed plan to the process that may write, which decides for itself whether it does."""

import contextlib
import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from typing import IO

from iommutui.apply.events import Event
from iommutui.core.errors import IommutuiError
from iommutui.tui.machine import Job


class ProcessApplier:
    """Starts ``iommutui apply --stdin`` as root, sends it intents and their basis, and reads what it says."""

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
        """What is started. There are no device names in it: everything is in the request."""
        prefix = [self._writer] if self._writer else []
        return [*prefix, *self._program, "revert" if job.revert else "apply", "--stdin"]

    def begin(self, job: Job) -> None:
        """Starts the process and waits for its first word, which comes after any password."""
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
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(request(job).encode())
            self._process.stdin.close()
        self._first = self._process.stdout.readline()

    def events(self, job: Job) -> Iterator[Event]:
        """Its events, until it ends."""
        from iommutui.apply.events import Finished, from_line

        process = self._process
        assert process is not None
        assert process.stdout is not None
        finished = False
        for text in _lines(self._first, process):
            event = from_line(text)
            finished = finished or isinstance(event, Finished)
            yield event
        code = process.wait()
        said = self._said()
        self._process = None
        if not finished:
            raise IommutuiError(
                said or f"The applying process ended with code {code} before it had begun.",
                "'iommutui journal' tells whether anything was written.",
            )

    def _said(self) -> str:
        if self._talk is None:
            return ""
        with self._talk as talk:
            talk.seek(0)
            return talk.read(4000).decode(errors="replace").strip()


def _lines(first: bytes, process: "subprocess.Popen[bytes]") -> Iterator[bytes]:
    if first.strip():
        yield first
    assert process.stdout is not None
    for text in process.stdout:
        if text.strip():
            yield text


def request(job: Job) -> str:
    """The request as ``--stdin`` reads it."""
    from iommutui.apply.session import Request, request_to_json

    if job.revert:
        return json.dumps({"schema": 1, "journal": job.journal}) + "\n"
    return request_to_json(Request(job.intents, job.plan.basis, job.model.name)) + "\n"
