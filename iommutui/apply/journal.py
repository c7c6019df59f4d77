"""The journal of an apply: on disk before the first write, and then line by line, so that a crash can be taken back."""

import errno
import os
import secrets
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType

from iommutui.apply.entries import ID, Done, Entry, list_entries, load
from iommutui.apply.kernel import Late as TellLate
from iommutui.apply.lines import NAMES, End, Header, Kept, Late, Line
from iommutui.apply.plain import to_line, to_plain
from iommutui.apply.state import check_writable, journal_dir, lock, prepare, state_dir, sync_directory
from iommutui.apply.traces import SUFFIX
from iommutui.core.errors import Exit, IommutuiError, RefusedError

__all__ = ["Done", "Entry", "Journal", "journal_dir", "list_entries", "load", "lock", "new_id", "state_dir"]

LINE_LIMIT = 1 << 20
"""No line is longer, in bytes."""

_STAMP = "%Y%m%dT%H%M%S"


def new_id(directory: Path, now: datetime) -> str:
    """An id that sorts after every earlier one, also where the clock went back or two begin in one second."""
    stamps = [name[: name.index("-")] for name in os.listdir(directory) if ID.fullmatch(name.removesuffix(SUFFIX))]
    stamp = now.astimezone(UTC)
    if stamps and stamp.strftime(_STAMP) <= max(stamps):
        stamp = datetime.strptime(max(stamps), _STAMP) + timedelta(seconds=1)
    return f"{stamp.strftime(_STAMP)}-{secrets.token_hex(2)}"


class Journal:
    """An open journal. Every line is on disk when its call returns."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.id = path.name.removesuffix(SUFFIX)
        self.path = path
        self.muted = False
        """Set while everything is taken back: a full disk must not keep that from happening."""
        self.broken = False
        """A line is missing."""
        self._descriptor = descriptor

    @classmethod
    def open_new(cls, directory: Path, header: Header) -> "Journal":
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
    def reopen(cls, directory: Path, journal_id: str) -> "Journal":
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
        fields = to_plain(line)
        assert isinstance(fields, dict)
        data = to_line({"line": NAMES[type(line)], **fields})
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
        os.close(self._descriptor)

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def leave_as_it_is(directory: Path, journal_id: str, by: str) -> None:
    """Ends the journal of a process that is gone without a write to the system, so that the next apply may begin.

    PermissionError where this user may not; RefusedError where it has an end by now.
    """
    check_writable(directory)
    with lock(directory):
        entry = load(directory, journal_id)
        if not entry.open:
            raise RefusedError(f"The apply {entry.id} has ended meanwhile.", "'iommutui journal' says how.")
        whole = entry.within is not None and entry.why is None
        with Journal.reopen(directory, entry.id) as journal:
            journal.append(Kept(by))
            code = Exit.DONE if whole else Exit.NOT_ROLLED_BACK
            journal.append(End(code, "It was cut off, and everything was left as it was."))
