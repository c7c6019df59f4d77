"""Where the journal is, and whether it can be trusted: what stands in it is written to the system by a revert."""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from iommutui.apply import traces
from iommutui.core.errors import IommutuiError, NotPermittedError, RefusedError

LOCK = "lock"
"""The file in the journal directory that the apply at work holds."""


def state_dir() -> Path:
    """``$IOMMUTUI_STATE_DIR``; else ``/var/lib/iommutui`` for root, and ``$XDG_STATE_HOME/iommutui`` for others."""
    chosen = os.environ.get("IOMMUTUI_STATE_DIR")
    if chosen:
        return Path(os.path.abspath(chosen))
    if os.geteuid() == 0:
        return Path(traces.SYSTEM_STATE)
    home = os.environ.get("XDG_STATE_HOME", "")
    # The specification says that a relative path is to be ignored.
    base = Path(home) if os.path.isabs(home) else Path.home() / ".local/state"
    return base / "iommutui"


def journal_dir() -> Path:
    """The directory that holds the journals."""
    return state_dir() / "journal"


def machine_journal_dir() -> Path:
    """The directory with the journals of every apply to this machine, which root's process keeps, whoever looks."""
    return Path(traces.journals_of_machine())


def prepare(directory: Path) -> None:
    """Creates the journal directory and the state directory above it where they are not there, and checks both.

    NotPermittedError where it cannot be created, or where somebody else could change what is in it.
    """
    mode = 0o755 if os.geteuid() == 0 else 0o700
    try:
        directory.parent.parent.mkdir(parents=True, exist_ok=True)
        for path in (directory.parent, directory):
            try:
                path.mkdir(mode=mode)
            except FileExistsError:
                continue
            path.chmod(mode)  # the umask may have taken more away
            sync_directory(path.parent)
    except OSError as error:
        raise NotPermittedError(
            f"The journal directory {directory} cannot be created: {error.strerror}.",
            "Nothing is applied without a journal. Set IOMMUTUI_STATE_DIR to a directory of yours.",
        ) from None
    check_trusted(directory)


def check_trusted(directory: Path) -> None:
    """NotPermittedError where somebody else could change what is in the directory, or put another one in its place."""
    for path in (directory.parent, directory):
        facts = os.lstat(path)
        shared = facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if stat.S_ISLNK(facts.st_mode):
            raise _distrusted(path, "it is a symbolic link", "Put a directory in its place.")
        if not stat.S_ISDIR(facts.st_mode):
            raise _distrusted(path, "it is not a directory", "Move it out of the way.")
        if facts.st_uid not in (0, os.geteuid()):
            raise _distrusted(path, f"it belongs to user {facts.st_uid}", "Only root and you may own it.")
        # In a sticky directory of root's, such as /tmp, nobody else can replace what is ours.
        if shared and not (path == directory.parent and facts.st_mode & stat.S_ISVTX):
            raise _distrusted(path, "others may write to it", f"Run: chmod go-w {path}")


def check_writable(directory: Path) -> None:
    """PermissionError where this user may not add to the directory."""
    if not os.access(directory, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(directory))


def _distrusted(path: Path, why: str, remedy: str) -> NotPermittedError:
    return NotPermittedError(f"The directory {path} is not used for the journal: {why}.", remedy)


@contextmanager
def lock(directory: Path) -> Iterator[None]:
    """Holds the machine for one apply; RefusedError where another has it.

    A child whose write is still stuck in the kernel keeps the lock for as long as it lives.
    """
    prepare(directory)
    try:
        descriptor = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, mode=0o600)
    except OSError as error:
        raise IommutuiError(f"The lock {directory / LOCK} cannot be opened: {error.strerror}.") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise RefusedError(
            "Another apply is at work on this machine, or a write of it has not returned yet.",
            "Wait until it has ended; 'iommutui journal' shows how far it is.",
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)


def sync_directory(directory: Path) -> None:
    """Makes a new name in the directory survive a crash."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
