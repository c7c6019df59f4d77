"""Writing the journal of an apply: on disk before the first write, then line by line, so that a crash can be undone."""

import errno
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from iommutui.apply.journal.directory import SUFFIX, prepare, sync_directory
from iommutui.apply.journal.format import Header, Late, Line
from iommutui.apply.kernel import Late as TellLate
from iommutui.apply.validation import tagged, to_line
from iommutui.core.errors import IommutuiError

LINE_LIMIT = 1 << 20
"""No line is longer, in bytes."""


class JournalWriter:
    """An open journal. Every line is on disk when its call returns."""

    def __init__(self, path: Path, descriptor: int | None) -> None:
        self.id = path.name.removesuffix(SUFFIX)
        self.path = path
        self.muted = False
        """Set during a rollback: a full disk must not keep that from happening."""
        self.broken = False
        """A line is missing."""
        self._descriptor = descriptor

    @classmethod
    def nowhere(cls) -> "JournalWriter":
        """For a kernel that is simulated: every line is forgotten."""
        return cls(Path(), None)

    @classmethod
    def open_new(cls, directory: Path, header: Header) -> "JournalWriter":
        """Begins the journal ``header.id``. The caller holds the lock. IommutuiError where it cannot be made safe."""
        prepare(directory)
        path = directory / f"{header.id}{SUFFIX}"
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(path, flags, mode=0o600)
            if os.geteuid() == 0:
                # What root did to the machine is no secret, and the unprivileged screen shows it.
                os.fchmod(descriptor, 0o644)
        except OSError as error:
            raise IommutuiError(f"The journal {path} cannot be made: {error.strerror}.") from None
        journal = cls(path, descriptor)
        try:
            journal.append(header)
            sync_directory(directory)
        except OSError as error:
            journal.close()
            raise IommutuiError(f"The journal {path} cannot be made safe: {error.strerror}.") from None
        except IommutuiError:
            journal.close()
            raise
        return journal

    @classmethod
    def reopen(cls, directory: Path, journal_id: str) -> "JournalWriter":
        """A journal that was cut off, to be ended. The caller holds the lock.

        IommutuiError where it cannot be opened.
        """
        path = directory / f"{journal_id}{SUFFIX}"
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
            size = os.fstat(descriptor).st_size
            tail = os.pread(descriptor, LINE_LIMIT, max(size - LINE_LIMIT, 0))
            # What follows the last newline was being written when the process died.
            os.ftruncate(descriptor, size - (len(tail) - tail.rfind(b"\n") - 1))
        except OSError as error:
            raise IommutuiError(f"The journal {path} cannot be written: {error.strerror}.") from None
        return cls(path, descriptor)

    def append(self, line: Line) -> None:
        """Writes a line. IommutuiError where that fails and the journal is not muted."""
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
            # Half a line would make the one that follows unreadable as well.
            with suppress(OSError):
                os.ftruncate(self._descriptor, whole)
            if not self.muted:
                raise IommutuiError(f"The journal {self.path} cannot be written: {error.strerror}.") from None

    def late_teller(self, number: int) -> TellLate:
        """For the child that makes the write: appends how it ended after nobody waited for it any more."""

        def tell(result: str, seconds: float) -> None:
            self.muted = True
            self.append(Late(number, result, seconds))

        return tell

    def close(self) -> None:
        """Closes the file; a child that is stuck keeps its own descriptor."""
        if self._descriptor is not None:
            os.close(self._descriptor)

    def __enter__(self) -> "JournalWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
