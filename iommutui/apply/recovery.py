"""Journals that have no end: their apply is going on, or was cut off and has left the machine half way."""

import fcntl
import os
from pathlib import Path

from iommutui.apply.entries import Entry, list_readable
from iommutui.apply.state import LOCK
from iommutui.apply.traces import may_be_open
from iommutui.core.errors import RefusedError


def open_journals(directory: Path) -> tuple[Entry, ...]:
    """The applies that were cut off, the oldest first, and that nobody has taken back or kept since.

    Empty while an apply is at work, because its journal has no end yet either. A journal of another user that cannot
    be read is left out.
    """
    if not may_be_open(directory) or at_work(directory):
        return ()
    return unfinished(directory)


def unfinished(directory: Path) -> tuple[Entry, ...]:
    """Journals without an end, for who holds the lock. One that takes another back is settled with that other one."""
    entries = list_readable(directory)
    settled = {entry.id for entry in entries if entry.reverted_by is not None}
    return tuple(e for e in entries if e.open and e.id not in settled and e.reverts not in settled)


def refuse_unfinished(directory: Path, reverts: str | None) -> None:
    """RefusedError while an earlier apply is left half way, unless this is what takes it back."""
    if not may_be_open(directory):
        return
    for entry in unfinished(directory):
        if reverts is None or reverts not in (entry.id, entry.reverts):
            raise RefusedError(f"Nothing is applied yet: {left_open_words(entry)}", way_out(entry))


def left_open_words(entry: Entry) -> str:
    """What happened to it."""
    if entry.kept_by is not None:
        return f"the apply {entry.id} was cut off after it had been kept."
    if entry.within is not None and entry.why is None:
        return f"the apply {entry.id} was cut off while it waited to be kept, and nobody has kept it."
    return f"the apply {entry.id} was cut off before it had ended."


def way_out(entry: Entry) -> str:
    """What to do about it."""
    back = entry.reverts or entry.id
    return f"'iommutui revert {back}' takes it back; 'iommutui keep {entry.id}' leaves everything as it is."


def at_work(directory: Path) -> bool:
    """Whether an apply holds the machine now. It can be seen by everybody, and nothing is created."""
    path = directory / LOCK
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            return False
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
    # 1: FLOCK  ADVISORY  WRITE 1234 08:01:131 0 EOF; the device is not compared, because btrfs lists another one.
    return any(row[1:2] == ["FLOCK"] and any(part.rpartition(":")[2] == inode for part in row[4:6]) for row in rows)
