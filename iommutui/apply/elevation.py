"""The asking side of the applying process: starts it as root, hands it a request, reads its events.

The interpreter is the one that runs now, isolated (``-I``): neither the environment nor the directory that it is
started in decides which code runs as root.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import IO

from iommutui import debug
from iommutui.apply.child import handled
from iommutui.apply.confirmation import KEEP, UNDO
from iommutui.apply.events import LINE_LIMIT, Event, Finished, Refused, from_line
from iommutui.apply.validation import to_line
from iommutui.core.errors import IommutuiError, NotPermittedError

PROGRAMS = ("sudo", "pkexec", "run0")
"""Programs that make a process root, in order of preference. Each asks for the password on the terminal itself."""


def root_program() -> str | None:
    """The program that makes the applying process root: empty if this is root already, None if there is none."""
    if os.geteuid() == 0:
        return ""
    from shutil import which

    return next((found for name in PROGRAMS if (found := which(name))), None)


def own_program() -> list[str]:
    """The command that starts this program so that only its own files determine what it does."""
    return [sys.executable, "-I", "-m", "iommutui"]


def as_root(words: Sequence[str], program: Sequence[str], writer: str | None) -> list[str]:
    """The command line that runs the program with these words as root. Raises NotPermittedError if none can."""
    if writer is None:
        raise NotPermittedError(
            f"Writing needs root, and none of {', '.join(PROGRAMS[:-1])} and {PROGRAMS[-1]} is installed.",
            "Log in as root, and run the same command there.",
        )
    if writer and os.environ.get("IOMMUTUI_STATE_DIR"):
        raise NotPermittedError(
            "IOMMUTUI_STATE_DIR is set here, and a process started as root would not see it.",
            "Unset it, or run the same command as root with the variable set there.",
        )
    return [*([writer] if writer else []), *program, *words]


class Applying:
    """One applying process, from its start. No device and no driver is on its command line: they are in the request."""

    def __init__(
        self,
        request: object,
        program: Sequence[str],
        writer: str | None,
        talk: IO[bytes] | None = None,
        *,
        command: str = "apply",
        answered: bool = False,
    ) -> None:
        """Hands over the request. If a password may be asked for, waits for the first output after it.

        ``answered``: `keep` or `undo` will answer a countdown. The process's other messages go to ``talk``, or to this
        program's standard error.
        """
        self.command = as_root([command, "--stdin", *(["--debug"] if debug.is_on() else [])], program, writer)
        debug.log("request: to %s", self.command)
        pipe, talk = subprocess.PIPE, debug.file() or talk
        try:
            self._process = subprocess.Popen(self.command, stdin=pipe, stdout=pipe, stderr=talk)
        except OSError as error:
            raise IommutuiError(f"The applying process does not start: {error.strerror}.") from None
        self._say(to_line(request))
        if not answered:
            self._hang_up()
        self._first = b""
        if writer:
            # Ctrl+C at the password prompt ends the program that asks; this process continues and reports it.
            with handled([signal.SIGINT], lambda *_: None):
                self._first = self._line()

    def keep(self) -> None:
        """Confirms what was applied."""
        self._say(KEEP + b"\n")

    def undo(self) -> None:
        """Reverts what was applied at once."""
        self._say(UNDO + b"\n")

    def events(self) -> Iterator[Event]:
        """Its events. Raises NotPermittedError if it never became root, IommutuiError if they end early."""
        last: Event | None = None
        for line in chain([self._first], iter(self._line, b"")):
            if line.strip():
                debug.log("event: %s", line)
                last = from_line(line)
                yield last
        self._hang_up()
        code = self._process.wait()
        if last is None:
            raise NotPermittedError(
                f"The applying process ended with code {code} and printed nothing: it did not become root, or did "
                "not start.",
                "Nothing was written.",
            )
        if not isinstance(last, Finished | Refused):
            raise IommutuiError(
                f"The applying process ended with code {code}, before it had finished.",
                "'iommutui journal' shows what was written.",
            )

    def _line(self) -> bytes:
        assert self._process.stdout is not None
        return self._process.stdout.readline(LINE_LIMIT + 1)

    def _say(self, line: bytes) -> None:
        assert self._process.stdin is not None
        if not self._process.stdin.closed:
            with suppress(BrokenPipeError):
                self._process.stdin.write(line)
                self._process.stdin.flush()

    def _hang_up(self) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
