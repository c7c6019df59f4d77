"""An open device directory of sysfs and its attributes, read as values; what cannot be read becomes a `Gap`."""

import os
import re
from typing import TypeVar

from iommutui.core.address import Address, is_pci
from iommutui.core.host import Gap
from iommutui.sources.tree import Unreadable, bytes_at, link_at, names_at, text_at

MALFORMED = "malformed"
"""The gap of an attribute that does not hold what a kernel writes there."""

_T = TypeVar("_T")

_HEX = re.compile(r"0x([0-9a-f]{1,8})", re.IGNORECASE)


class Node:
    """A directory is listed once, so that nothing is looked for that is not there; None stands for an absent attribute."""

    __slots__ = ("at", "gaps", "present")

    def __init__(self, directory: int) -> None:
        """Takes an open descriptor, which stays the caller's. Raises OSError where the directory cannot be listed."""
        self.at = directory
        self.present = set(os.listdir(directory))
        self.gaps: list[Gap] = []

    def miss(self, name: str, why: str) -> None:
        """Records that an attribute is not known."""
        self.gaps.append(Gap(name, why))

    def text(self, name: str) -> str | None:
        """Without the newline that ends it."""
        return self._known(name, text_at(self.at, name)) if name in self.present else None

    def bytes(self, name: str, size: int) -> bytes | None:
        """The first bytes of a binary attribute."""
        return self._known(name, bytes_at(self.at, name, size)) if name in self.present else None

    def link(self, name: str) -> str | None:
        """The base name of a link's target."""
        return self._known(name, link_at(self.at, name)) if name in self.present else None

    def names(self, name: str) -> tuple[str, ...] | None:
        """The sorted names in a directory."""
        found = self._known(name, names_at(self.at, name)) if name in self.present else None
        return None if found is None else tuple(sorted(found))

    def hex(self, name: str, digits: int) -> str | None:
        """``0x8086`` -> ``8086``, in lower case and at this width."""
        text = self.text(name)
        if text is None:
            return None
        match = _HEX.fullmatch(text)
        if match is None or len(match[1]) > digits:
            return self.miss(name, MALFORMED)
        return match[1].lower().zfill(digits)

    def number(self, name: str) -> int | None:
        """A decimal number."""
        text = self.text(name)
        if text is None:
            return None
        if len(text) > 20 or not text.removeprefix("-").isdecimal():
            return self.miss(name, MALFORMED)
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
            return self.miss("iommu_group", MALFORMED)
        return int(name)

    def _known(self, name: str, value: _T | Unreadable | None) -> _T | None:
        if isinstance(value, Unreadable):
            return self.miss(name, value.why)
        return value
