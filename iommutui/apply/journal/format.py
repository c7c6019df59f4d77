"""The format of a journal, and writing it: on disk before the first write, then line by line.

Each line is a JSON object whose ``line`` names its kind. The first is a `Header`, the last `Finished`; lines that are
shown as well are events.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Literal

from iommutui.apply.events import LINE_LIMIT, Compensating, Counting, Finished, Kept
from iommutui.apply.journal import SUFFIX, prepare, sync_directory
from iommutui.apply.validation import IGNORE_UNKNOWN, Message, tagged, to_line
from iommutui.core.address import Address
from iommutui.core.errors import IommutuiError
from iommutui.core.hazards import Acceptance
from iommutui.core.plan.drift import DeviceFacts
from iommutui.core.plan.intents import Goal

SCHEMA: Final = 1

BLOCKED = "blocked"
"""The result of a write that was given up; a `Late` line may say how it ended after all."""


class Planned(Message):
    """A step as it was planned. Further fields in a plan file are for human readers."""

    __pydantic_config__ = IGNORE_UNKNOWN
    op: str
    device: Address
    value: str | None


class Header(Message):
    """The first line, on disk before anything is written to the system."""

    schema: Literal[1]
    id: str
    started: str
    """Date and time, ISO 8601."""
    kernel: str | None
    model: str
    goals: tuple[Goal, ...]
    modules: tuple[str, ...]
    steps: tuple[Planned, ...]
    before: tuple[DeviceFacts, ...]
    """Every device to be changed, in its state before."""
    reverts: str | None = None
    accepted: tuple[Acceptance, ...] = ()
    boot: str | None = None
    """``boot_id`` of the kernel that was running; None if it could not be read."""


class Module(Message):
    """A module is about to be loaded."""

    name: str


class Begin(Message):
    """A write is about to be made; ``restoring`` during a rollback."""

    number: int
    op: str
    device: Address
    value: str | None
    restoring: bool = False


class Result(Message):
    """A write has returned."""

    number: int
    result: str
    seconds: float
    note: str = ""


class Late(Message):
    """A write has returned after it was given up, or after the waiting process was gone."""

    number: int
    result: str
    seconds: float


Line = Header | Module | Begin | Result | Late | Counting | Kept | Compensating | Finished


class JournalWriter:
    """An open journal. Every line is on disk when its call returns."""

    def __init__(self, path: Path, descriptor: int | None) -> None:
        """Without a descriptor every line is discarded: a simulated kernel needs no journal."""
        self.id = path.name.removesuffix(SUFFIX)
        self.path = path
        self.muted = False
        """Set during a rollback, which a full disk must not stop."""
        self.broken = False
        """A line is missing."""
        self._descriptor = descriptor

    @classmethod
    @contextmanager
    def open_new(cls, directory: Path, header: Header) -> Iterator["JournalWriter"]:
        """Begins the journal ``header.id``, under the lock. Raises IommutuiError if it cannot be stored safely."""
        prepare(directory)
        path = directory / f"{header.id}{SUFFIX}"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(path, flags, mode=0o600)
            if os.geteuid() == 0:
                # A journal is not secret, and the unprivileged screen shows it.
                os.fchmod(descriptor, 0o644)
            sync_directory(directory)
        except OSError as error:
            raise IommutuiError(f"The journal {path} cannot be made: {error.strerror}.") from None
        try:
            journal = cls(path, descriptor)
            journal.append(header)
            yield journal
        finally:
            os.close(descriptor)  # a stuck child keeps its own descriptor

    @classmethod
    @contextmanager
    def reopen(cls, directory: Path, journal_id: str) -> Iterator["JournalWriter"]:
        """An interrupted journal, to be ended under the lock. Raises IommutuiError if it cannot be opened."""
        path = directory / f"{journal_id}{SUFFIX}"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
            size = os.fstat(descriptor).st_size
            tail = os.pread(descriptor, LINE_LIMIT, max(size - LINE_LIMIT, 0))
            # Text after the last newline was being written when the process died.
            os.ftruncate(descriptor, size - (len(tail) - tail.rfind(b"\n") - 1))
        except OSError as error:
            raise IommutuiError(f"The journal {path} cannot be written: {error.strerror}.") from None
        try:
            yield cls(path, descriptor)
        finally:
            os.close(descriptor)

    def append(self, line: Line) -> None:
        """Writes a line. Raises IommutuiError if that fails and the journal is not muted."""
        if self._descriptor is None:
            return
        data = to_line(tagged("line", line))
        whole = os.fstat(self._descriptor).st_size
        try:
            if os.write(self._descriptor, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._descriptor)
        except OSError as error:
            self.broken = True
            # Half a line would make the next one unreadable too.
            with suppress(OSError):
                os.ftruncate(self._descriptor, whole)
            if not self.muted:
                raise IommutuiError(f"The journal {self.path} cannot be written: {error.strerror}.") from None

    def late(self, number: int, result: str, seconds: float) -> None:
        """For the child that makes the write: how it ended after the wait for it was given up."""
        self.muted = True
        self.append(Late(number, result, seconds))
