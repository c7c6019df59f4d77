"""A directory that stands for the file system of a machine: ``/``, or a recorded copy of parts of one.

Every read gives a value and never raises ``OSError``: the content, None where there is no such file, or an
`Unreadable` with the name of the errno. Names and texts are made printable: bytes that are not UTF-8 become ``\\xNN``.
"""

import errno
import os
from enum import Enum
from mmap import ACCESS_READ, mmap
from typing import NamedTuple

ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR})

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_FILE = os.O_RDONLY | os.O_NONBLOCK
"""Not blocking, because a recorded tree may hold a FIFO under the name of an attribute."""
PAGE = 4096
"""No attribute is longer."""

_CHUNK = 1 << 21


class Depth(Enum):
    """How much of a machine is read: ``FULL`` adds what fits a device, details, and facts of groups to ``LISTING``."""

    LISTING = "listing"
    FULL = "full"


class Unreadable(NamedTuple):
    """Something is there, but could not be read; ``why`` is the errno's name."""

    why: str


def failure(error: OSError) -> Unreadable | None:
    """The value of a failed read: None for what does not exist."""
    if error.errno in ABSENT:
        return None
    return Unreadable(errno.errorcode.get(error.errno or 0, "EIO"))


def printable(name: str) -> str:
    """A file's name in characters that can be encoded: the bytes that are not UTF-8 as ``\\xNN``."""
    return name if name.isascii() else os.fsencode(name).decode("utf-8", "backslashreplace")


def to_text(data: bytes) -> str:
    """An attribute's content without the newline that ends it."""
    text = data.decode("utf-8", "backslashreplace")
    return text[:-1] if text.endswith("\n") else text


def base_name(target: str) -> str:
    """The last part of a link's target."""
    return printable(target.rpartition("/")[2])


def open_directory(path: str) -> int | Unreadable | None:
    """A descriptor of a directory, which the caller closes."""
    try:
        return os.open(path, _DIRECTORY)
    except OSError as error:
        return failure(error)


class Tree:
    """The file system of a machine below ``root``; ``sys`` is where its sysfs is."""

    __slots__ = ("live", "root", "sys")

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        bare = os.path.isdir(f"{self.root}/bus/pci") and not os.path.isdir(f"{self.root}/sys/bus")
        self.sys = self.root if bare else f"{self.root}/sys"
        self.live = _is_running_kernel(self.sys)
        """Whether this is the sysfs of the running kernel, wherever it is mounted: its attributes can block."""

    def text(self, path: str) -> str | Unreadable | None:
        """A file below the root as text, without its last newline."""
        data = self.bytes(path, PAGE)
        return to_text(data) if isinstance(data, bytes) else data

    def bytes(self, path: str, limit: int = 1 << 26) -> bytes | Unreadable | None:
        """At most ``limit`` bytes of a file below the root."""
        return read_file(f"{self.root}/{path}", limit)


def read_file(path: str, limit: int = 1 << 26) -> bytes | Unreadable | None:
    """At most ``limit`` bytes of a file."""
    parts = []
    try:
        file = os.open(path, _FILE)
        try:
            while limit > 0 and (part := os.read(file, min(limit, _CHUNK))):
                parts.append(part)
                limit -= len(part)
        finally:
            os.close(file)
    except OSError as error:
        return failure(error)
    return b"".join(parts)


def map_file(path: str) -> mmap | None:
    """A file of which only the parts that are looked at are read; None for one that is empty or cannot be read.

    For files that are replaced rather than written to: a page that is cut off while it is mapped ends the process.
    """
    try:
        file = os.open(path, _FILE)
        try:
            return mmap(file, 0, access=ACCESS_READ)
        finally:
            os.close(file)
    except (OSError, ValueError):
        return None


def names_in(path: str) -> list[str] | Unreadable | None:
    """The names in a directory, in no order."""
    try:
        return [printable(name) for name in os.listdir(path)]
    except OSError as error:
        return failure(error)


def _is_running_kernel(sys: str) -> bool:
    try:
        device = os.stat("/sys").st_dev
        return device != os.stat("/").st_dev and os.stat(sys).st_dev == device
    except OSError:
        return False
