"""The root directory of a machine: ``/``, or a recorded copy of parts of it.

Every read gives a value and never raises ``OSError``: the content, None if there is no such file, or an
`Unreadable` with the name of the errno. Names and texts are made printable: bytes that are not UTF-8 become ``\\xNN``.
"""

import errno
import os
import stat
from enum import Enum
from typing import NamedTuple, TypeVar

from iommutui.core.address import Address, is_pci
from iommutui.core.host import Gap

_FILE = os.O_RDONLY | os.O_NONBLOCK
"""Not blocking, because a recorded tree may hold a FIFO under the name of an attribute."""
ATTRIBUTE = _FILE | os.O_NOFOLLOW
"""No attribute is a link: in a recorded tree, one would lead to files of this machine."""
PAGE = 4096
"""No attribute is longer."""

_LIMIT, _CHUNK = 1 << 26, 1 << 21
"""Bytes that are read of a file, and at a time."""


class Depth(Enum):
    """How much of a machine is read: ``FULL`` adds what fits a device, details, and facts of groups to ``LISTING``."""

    LISTING = "listing"
    FULL = "full"


class Unreadable(NamedTuple):
    """A file exists, but could not be read; ``why`` is the errno's name."""

    why: str


def failure(error: OSError) -> Unreadable | None:
    """The value of a failed read: None if the file does not exist."""
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
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


def functions_in(path: str) -> list[Address]:
    """The PCI functions that a path of sysfs leads through, the innermost last.

    ``devices/pci0000:00/0000:00:0e.0/pci10000:e0/10000:e0:06.0``: a VMD's domain hangs below it.
    """
    return [Address(part) for part in path.split("/") if ":" in part and is_pci(part)]


Value = TypeVar("Value")


def known(value: Value | Unreadable | None, attribute: str, gaps: list[Gap]) -> Value | None:
    """The value, or None if there is none; one that could not be read becomes a gap."""
    if isinstance(value, Unreadable):
        gaps.append(Gap(attribute, value.why))
        return None
    return value


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
        return read_text(f"{self.root}/{path}")

    def bytes(self, path: str, limit: int = _LIMIT) -> bytes | Unreadable | None:
        """At most ``limit`` bytes of a file below the root."""
        return read_file(f"{self.root}/{path}", limit)

    def attribute(self, path: str) -> str:
        """The text of an attribute below sysfs; empty if there is none or it cannot be read."""
        text = read_text(f"{self.sys}/{path}")
        return text.strip() if isinstance(text, str) else ""

    def listed(self, path: str, prefix: str = "") -> list[str]:
        """The sorted names in a directory below sysfs that begin with the prefix; none if it cannot be listed."""
        names = names_in(f"{self.sys}/{path}")
        return sorted(name for name in names if name.startswith(prefix)) if isinstance(names, list) else []


def read_text(path: str) -> str | Unreadable | None:
    """An attribute as text, without its last newline."""
    data = read_file(path, PAGE, ATTRIBUTE)
    return to_text(data) if isinstance(data, bytes) else data


def read_file(path: str, limit: int = _LIMIT, flags: int = _FILE) -> bytes | Unreadable | None:
    """At most ``limit`` bytes of a file."""
    parts = []
    try:
        file = os.open(path, flags)
        try:
            while limit > 0 and (part := os.read(file, min(limit, _CHUNK))):
                parts.append(part)
                limit -= len(part)
        finally:
            os.close(file)
    except OSError as error:
        return failure(error)
    return b"".join(parts)


def read_link(path: str) -> str:
    """A link's target; empty if there is no link, or it cannot be read."""
    try:
        return printable(os.readlink(path))
    except (OSError, ValueError):
        return ""


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


MALFORMED = "malformed"
"""The gap of an attribute that does not hold what a kernel writes there."""

_HEX = "0123456789abcdef"


class Node:
    """An open device directory of sysfs: listed once, so no missing attribute is ever opened.

    Its attributes are read as values relative to its descriptor. None stands for an absent one, and an unreadable one
    becomes a `Gap`.
    """

    __slots__ = ("at", "gaps", "present")

    def __init__(self, path: str) -> None:
        """Raises OSError if the directory cannot be listed."""
        self.at = os.open(path, os.O_DIRECTORY)
        try:
            self.present = set(os.listdir(self.at))
        except OSError:
            os.close(self.at)
            raise
        self.gaps: list[Gap] = []

    def __enter__(self) -> "Node":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.at)

    def miss(self, name: str, why: str) -> None:
        """Records that an attribute is not known."""
        self.gaps.append(Gap(name, why))

    def leave(self, name: str, why: str) -> None:
        """Records that an attribute is left unread."""
        if name in self.present:
            self.present.discard(name)
            self.miss(name, why)

    def bytes(self, name: str, size: int = PAGE, offset: int = 0) -> bytes | None:
        """The first bytes of an attribute, usually all of it; one that is gone by now is absent."""
        if name not in self.present:
            return None
        try:
            file = os.open(name, ATTRIBUTE, dir_fd=self.at)
            try:
                return os.pread(file, size, offset)  # the kernel gives an attribute in one piece
            finally:
                os.close(file)
        except OSError as error:
            return known(failure(error), name, self.gaps)

    def text(self, name: str) -> str | None:
        """Without the newline that ends it."""
        data = self.bytes(name)
        return None if data is None else to_text(data)

    def link(self, name: str, *, or_directory: bool = False) -> str | None:
        """The base name of a link's target; None for a directory that may stand in its place."""
        if name not in self.present:
            return None
        try:
            return base_name(os.readlink(name, dir_fd=self.at))
        except OSError as error:
            no_link = or_directory and error.errno == errno.EINVAL
            is_directory = no_link and stat.S_ISDIR(os.stat(name, dir_fd=self.at).st_mode)
            return None if is_directory else known(failure(error), name, self.gaps)

    def names(self, name: str) -> tuple[str, ...] | None:
        """The sorted names in a directory below this one."""
        if name.partition("/")[0] not in self.present:
            return None
        try:
            directory = os.open(name, os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=self.at)
            try:
                return tuple(sorted(printable(found) for found in os.listdir(directory)))
            finally:
                os.close(directory)
        except OSError as error:
            return known(failure(error), name, self.gaps)

    def hex(self, name: str, digits: int) -> str | None:
        """``0x8086`` -> ``8086``, in lower case and at this width."""
        text = self.text(name)
        if text is None:
            return None
        number = text[2:].lower()
        if text[:2].lower() != "0x" or not 0 < len(number) <= digits or number.strip(_HEX):
            self.miss(name, MALFORMED)
            return None
        return number.zfill(digits)

    def number(self, name: str) -> int | None:
        """A decimal number."""
        text = self.text(name)
        if text is None:
            return None
        if len(text) > 20 or not text.removeprefix("-").isdecimal():
            self.miss(name, MALFORMED)
            return None
        return int(text)

    def flag(self, name: str) -> bool | None:
        """``1`` or ``0``."""
        number = self.number(name)
        return None if number is None else number != 0

    def function(self, name: str) -> Address | None:
        """The PCI function that a link leads to."""
        target = self.link(name)
        return Address(target) if target is not None and is_pci(target) else None

    def group(self) -> int | None:
        """The number of the IOMMU group; the group's own directory need not be there."""
        name = self.link("iommu_group")
        if name is None:
            return None
        if not name.isdecimal() or len(name) > 9:
            self.miss("iommu_group", MALFORMED)
            return None
        return int(name)
