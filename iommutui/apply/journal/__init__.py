"""The directory of journals: its path, whether it can be trusted, and its lock.

A revert writes the contents of a journal to the system, so no one else may be able to change a journal.
"""

import fcntl
import os
import re
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from iommutui.core.errors import IommutuiError, NotPermittedError, RefusedError

LOCK = "lock"
"""The file in the directory that the apply at work holds."""
SUFFIX = ".jsonl"
ID = re.compile(r"\d{8}T\d{6}-[0-9a-f]{4}")
"""When a journal was begun, in UTC, and the beginning of the `boot_id` of the kernel that was running."""

_TAIL = 1 << 17
"""The last lines of a journal are no longer, in bytes."""
_FLOCK = "hhqqi4x"
"""``struct flock`` of fcntl(2): type, whence, start, length, process."""


def journal_dir() -> Path:
    """The path where every apply to this machine writes its journal and every command reads them.

    ``/var/lib/iommutui/journal``, or below ``$IOMMUTUI_STATE_DIR``.
    """
    return Path(os.path.abspath(os.environ.get("IOMMUTUI_STATE_DIR") or "/var/lib/iommutui"), "journal")


def new_id(directory: Path, now: datetime, boot: str | None) -> str:
    """An id that sorts after every earlier one, even if the clock was set back or two begin in the same second."""
    form = "%Y%m%dT%H%M%S"
    last = max((name.partition("-")[0] for name in names(directory)), default="")
    started = now.astimezone(UTC).strftime(form)
    if started <= last:
        started = (datetime.strptime(last, form) + timedelta(seconds=1)).strftime(form)
    return f"{started}-{_mark(boot) or '0000'}"


def names(directory: Path) -> list[str]:
    """The ids of the journals in a directory, the oldest first. Raises OSError if it cannot be read."""
    found = (name.removesuffix(SUFFIX) for name in os.listdir(directory) if name.endswith(SUFFIX))
    return sorted(name for name in found if ID.fullmatch(name))


def of_boot(journal_id: str, boot: str | None) -> bool:
    """Whether a journal of this id may be of this boot: its file need not be readable for that."""
    return _mark(boot) in ("", journal_id.rpartition("-")[2])


def _mark(boot: str | None) -> str:
    mark = (boot or "")[:4]
    return mark if re.fullmatch(r"[0-9a-f]{4}", mark) else ""


def is_ended(content: bytes) -> bool:
    """Whether the content of a journal, or the end of it, holds a whole `Finished` line, newline included.

    A `Late` line may follow it.
    """
    start = content.rfind(b'\n{"line":"finished",')
    return start >= 0 and b"\n" in content[start + 1 :]


def may_be_open(directory: Path, boot: str | None) -> bool:
    """Whether a journal of this boot has no end: its apply is running, or was interrupted.

    Only the ends of files that may be of this boot are read, and nothing is parsed.
    """
    try:
        found = names(directory)
    except OSError:
        return False
    return any(not _has_end(directory / f"{name}{SUFFIX}") for name in found if of_boot(name, boot))


def _has_end(path: Path) -> bool:
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - _TAIL, 0))
            return is_ended(file.read(_TAIL))
    except OSError:
        return True


def prepare(directory: Path) -> None:
    """Creates the journal directory and the state directory above it if they are missing, and checks both.

    Raises NotPermittedError if it cannot be created, or if somebody else could change what is in it.
    """
    mode = 0o755 if os.geteuid() == 0 else 0o700
    try:
        directory.parent.parent.mkdir(parents=True, exist_ok=True)
        for path in (directory.parent, directory):
            try:
                path.mkdir(mode=mode)
            except FileExistsError:
                continue
            path.chmod(mode)  # the umask may have removed more bits
            sync_directory(path.parent)
    except OSError as error:
        raise NotPermittedError(
            f"The journal directory {directory} cannot be created: {error.strerror}.",
            "Nothing is applied without a journal: apply as root, for example with sudo.",
        ) from None
    check_trusted(directory)


def check_trusted(directory: Path) -> None:
    """Raises NotPermittedError if another user could change or replace the directory."""
    for path in (directory.parent, directory):
        facts = os.lstat(path)
        # In a sticky directory that root owns, such as /tmp, no one else can replace our files.
        sticky = path == directory.parent and facts.st_mode & stat.S_ISVTX
        shared = facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not sticky
        if shared or not stat.S_ISDIR(facts.st_mode) or facts.st_uid not in (0, os.geteuid()):
            raise NotPermittedError(
                f"{path} is not used for the journal: it has to be a directory, not a link, that belongs to root or "
                "to you, and to which no one else may write.",
                f"'ls -ld {path}' shows what it is; 'chmod go-w {path}' keeps others from writing to it.",
            )


def may_write(directory: Path) -> bool:
    """Whether this user may write journals to the directory, or create it if it is missing."""
    while not os.path.lexists(directory):
        directory = directory.parent
    return os.access(directory, os.W_OK)


@contextmanager
def lock(directory: Path) -> Iterator[None]:
    """Holds the journals for one apply. Raises RefusedError if another has them."""
    prepare(directory)
    path = directory / LOCK
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode=0o600)
    except OSError as error:
        raise IommutuiError(f"The lock {path} cannot be opened: {error.strerror}.") from None
    with holding(descriptor):
        yield


@contextmanager
def holding(descriptor: int) -> Iterator[None]:
    """Holds a file that is open for writing, and closes it. Raises RefusedError if another apply holds it.

    The lock is one of the open file (``F_OFD_SETLK``): a child whose write is stuck in the kernel keeps it while it
    lives, and others can query it without taking it.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    except (BlockingIOError, PermissionError):
        os.close(descriptor)
        raise RefusedError(
            "Another apply is running on this machine, or one of its writes has not returned yet.",
            "Wait until it ends; 'iommutui journal' shows its progress.",
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)


def at_work(directory: Path) -> bool:
    """Whether an apply holds the journals now. Nothing is created or locked, so a query never hinders an apply."""
    path = directory / LOCK
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind: int = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_OFD_GETLK, asked))[0]
            return kind != fcntl.F_UNLCK
    except FileNotFoundError:
        return False
    except OSError:
        return _listed(path)


def _listed(path: Path) -> bool:
    """Whether the kernel lists a lock on the file: for a user who may not open it."""
    try:
        inode = str(os.lstat(path).st_ino)
        with open("/proc/locks", encoding="ascii", errors="replace") as file:
            rows = [row.split() for row in file]
    except OSError:
        return False
    # 1: OFDLCK ADVISORY  WRITE -1 08:01:131 0 EOF; the device is not compared, because btrfs lists another one.
    return any(row[1:2] == ["OFDLCK"] and any(part.rpartition(":")[2] == inode for part in row[4:6]) for row in rows)


def sync_directory(directory: Path) -> None:
    """Syncs the directory, so that a new name in it survives a crash."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
