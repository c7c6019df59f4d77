"""Whether an apply may have been cut off: a look that is cheap enough for every command."""

import os

SYSTEM_STATE = "/var/lib/iommutui"
"""The state directory of root, which has the journals of every apply to the machine."""
SUFFIX = ".jsonl"

_TAIL = 1 << 16
"""An end is no longer, in bytes."""


def journals_of_machine() -> str:
    """The directory with the journals of every apply to this machine, which root's process keeps, whoever looks."""
    return os.path.join(os.path.abspath(os.environ.get("IOMMUTUI_STATE_DIR") or SYSTEM_STATE), "journal")


def may_be_open(directory: str | os.PathLike[str]) -> bool:
    """Whether a journal lacks its last line; only the ends of the files are looked at, and nothing is parsed."""
    try:
        names = os.listdir(directory)
    except OSError:
        return False
    return any(not _has_end(os.path.join(directory, name)) for name in names if name.endswith(SUFFIX))


def _has_end(path: str) -> bool:
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            tail = os.pread(file, _TAIL, max(os.fstat(file).st_size - _TAIL, 0))
        finally:
            os.close(file)
    except OSError:
        return True
    return b'\n{"line":"end",' in tail
