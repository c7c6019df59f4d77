"""The uses of PCI devices, one module per topic; here is what they share.

Only the text of links in sysfs is used: their targets need not be in a recorded tree.
"""

import os
from collections.abc import Callable, Iterable

from iommutui.core.address import Address, domain_of
from iommutui.sources.tree import Tree, Unreadable, functions_in, names_in, read_link


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

    def devices(self, place: str, field: str, optional: bool = False) -> dict[str, str]:
        """The devices in a directory such as ``class/net``, by name: the targets of their links, below sysfs."""
        names = names_in(f"{self.sys}/{place}")
        self.check(field, names, optional)
        return {name: self.resolve(f"{place}/{name}") for name in sorted(names)} if isinstance(names, list) else {}

    def owned(self, place: str, field: str, optional: bool = False) -> list[tuple[Address, str, str]]:
        """Each PCI function that a device in such a directory needs, with the device's name and path."""
        found = self.devices(place, field, optional)
        return [(owner, name, path) for name, path in found.items() for owner in functions_above(path)]

    def table(self, path: str, field: str, optional: bool = False) -> str:
        """A file of ``/proc`` or ``/etc``; empty if it cannot be read."""
        data = self.bytes(path)
        self.check(field, data, optional)
        return data.decode("utf-8", "backslashreplace") if isinstance(data, bytes) else ""

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


def chains(top: str, lower: Callable[[str], Iterable[str]]) -> list[tuple[str, ...]]:
    """The way from ``top`` down to each device below it, the nearest first; each device is reached once."""
    found: list[tuple[str, ...]] = [(top,)]
    seen = {top}
    for chain in found:  # grows meanwhile
        below = [name for name in lower(chain[-1]) if name not in seen]
        seen.update(below)
        found += [(*chain, name) for name in below]
    return found
