"""Finds a device in sysfs, and the PCI functions that it depends on.

Only the text of links is used: their targets need not be in a recorded tree.
"""

import os
from typing import NamedTuple

from iommutui.core.address import Address, domain_of
from iommutui.sources.tree import Tree, Unreadable, functions_in, names_in, read_link

SHORT = 1 << 16
"""Bytes; no file written by hand is longer."""
TABLE = 1 << 22
"""Bytes of a kernel table; the mounts of a host with thousands of containers stay below this."""


class ClassDevice(NamedTuple):
    """A device in a class directory of sysfs. ``path`` is the target of its link, below the root of sysfs."""

    name: str
    path: str


class Survey(Tree):
    """Collects the uses of a tree's devices, and the gaps in them.

    A file missing on a running machine does not exist. A file missing in a recording may not have been recorded, unless
    it is ``optional``: many machines lack it.
    """

    __slots__ = ("gaps",)

    def __init__(self, root: str) -> None:
        super().__init__(root)
        self.gaps: dict[str, str] = {}
        """Why each field of `Uses` may be incomplete: the first reason found."""

    def miss(self, field: str, why: str) -> None:
        """Notes that the field may be incomplete."""
        self.gaps.setdefault(field, why)

    def check(self, field: str, value: object, optional: bool = False) -> None:
        """Notes where a file or directory that the field depends on could not be read, or was not recorded."""
        if isinstance(value, Unreadable):
            self.miss(field, value.why)
        elif value is None and self.root and not optional:
            self.miss(field, "not-recorded")

    def devices(self, place: str, field: str, optional: bool = False) -> list[ClassDevice]:
        """The devices in a directory such as ``class/net``, by name."""
        names = names_in(f"{self.sys}/{place}")
        self.check(field, names, optional)
        every = sorted(names) if isinstance(names, list) else []
        return [ClassDevice(name, self.resolve(f"{place}/{name}")) for name in every]

    def table(self, path: str, field: str, optional: bool = False) -> bytes:
        """A file of ``/proc`` or ``/etc``."""
        data = self.bytes(path, TABLE)
        self.check(field, data, optional)
        return data if isinstance(data, bytes) else b""

    def resolve(self, place: str) -> str:
        """The target of a link below sysfs, below sysfs; the path itself if it is not a link, or leads outside."""
        target = read_link(f"{self.sys}/{place}")
        path = os.path.normpath(f"{place.rpartition('/')[0]}/{target}")
        return place if not target or path.startswith(("../", "/")) else path


def functions_above(path: str) -> tuple[Address, ...]:
    """The PCI functions that the device at this path needs, nearest first.

    The nearest one, and a controller with its own PCI domain below it, such as a VMD.
    """
    domains = {domain_of(address): address for address in functions_in(path)}
    return tuple(reversed(domains.values()))
