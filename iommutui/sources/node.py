"""An open device directory of sysfs and its attributes, read as values; what cannot be read becomes a `Gap`."""

import errno
import os
import stat

from iommutui.core.address import Address, is_pci
from iommutui.core.host import Gap
from iommutui.sources.tree import PAGE, base_name, failure, printable, to_text

MALFORMED = "malformed"
"""The gap of an attribute that does not hold what a kernel writes there."""

ATTRIBUTE = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW
"""A recorded tree may hold a FIFO, which must not block, or a link that leads to files of this machine."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_HEX = "0123456789abcdef"


class Node:
    """A directory, listed once so that nothing is looked for that is not there, and read relative to its descriptor.

    None stands for an absent attribute.
    """

    __slots__ = ("at", "gaps", "present")

    def __init__(self, directory: int) -> None:
        """Takes an open descriptor, which stays the caller's. Raises OSError where the directory cannot be listed."""
        self.at = directory
        self.present = set(os.listdir(directory))
        self.gaps: list[Gap] = []

    def miss(self, name: str, why: str) -> None:
        """Records that an attribute is not known."""
        self.gaps.append(Gap(name, why))

    def leave(self, name: str, why: str) -> None:
        """Gives an attribute up without reading it."""
        if name in self.present:
            self.present.discard(name)
            self.miss(name, why)

    def _failed(self, name: str, error: OSError) -> None:
        """An attribute that was listed and is gone by now is absent; with any other error it is not known."""
        value = failure(error)
        if value is not None:
            self.miss(name, value.why)

    def bytes(self, name: str, size: int = PAGE) -> bytes | None:
        """The first bytes of an attribute."""
        if name not in self.present:
            return None
        try:
            file = os.open(name, ATTRIBUTE, dir_fd=self.at)
            try:
                return os.read(file, size)
            finally:
                os.close(file)
        except OSError as error:
            self._failed(name, error)
            return None

    def text(self, name: str) -> str | None:
        """Without the newline that ends it."""
        data = self.bytes(name)
        return None if data is None else to_text(data)

    def link(self, name: str) -> str | None:
        """The base name of a link's target."""
        if name not in self.present:
            return None
        try:
            return base_name(os.readlink(name, dir_fd=self.at))
        except OSError as error:
            self._failed(name, error)
            return None

    def link_or_directory(self, name: str) -> str | None:
        """The base name of a link's target; None for a directory, which ``iommu`` of an IOMMU's own function is."""
        if name not in self.present:
            return None
        try:
            return base_name(os.readlink(name, dir_fd=self.at))
        except OSError as error:
            if error.errno != errno.EINVAL or not stat.S_ISDIR(os.stat(name, dir_fd=self.at).st_mode):
                self._failed(name, error)
            return None

    def names(self, name: str) -> tuple[str, ...] | None:
        """The sorted names in a directory below this one."""
        if name.partition("/")[0] not in self.present:
            return None
        try:
            directory = os.open(name, _DIRECTORY, dir_fd=self.at)
            try:
                return tuple(sorted(printable(found) for found in os.listdir(directory)))
            finally:
                os.close(directory)
        except OSError as error:
            self._failed(name, error)
            return None

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
