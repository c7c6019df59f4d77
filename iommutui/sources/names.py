"""Names of vendors, devices and classes: from udev's database on a running machine, from ``pci.ids`` elsewhere."""

from typing import NamedTuple

from iommutui.sources.pciids import PciIds
from iommutui.sources.tree import Depth, Tree, map_file

PLACES = (
    "usr/share/misc/pci.ids",
    "usr/share/hwdata/pci.ids",
    "usr/share/pci.ids",
    "var/lib/pciutils/pci.ids",
)


class Known(NamedTuple):
    """Names, each None where no database has it."""

    vendor: str | None = None
    device: str | None = None
    class_: str | None = None


class Names:
    """A source of names; this one knows none."""

    def of(self, modalias: str | None, vendor: str | None, device: str | None, class_code: str | None) -> Known:
        """The names of a function with these ids."""
        return Known()

    def close(self) -> None:
        """Gives back what the source holds."""


class FileNames(Names):
    """Names from a ``pci.ids``."""

    def __init__(self, ids: PciIds) -> None:
        self._ids = ids
        self._known: dict[tuple[str | None, str | None, str | None], Known] = {}

    def of(self, modalias: str | None, vendor: str | None, device: str | None, class_code: str | None) -> Known:
        key = (vendor, device, class_code)
        names = self._known.get(key)
        if names is None:
            names = self._known[key] = Known(
                self._ids.vendor(vendor) if vendor else None,
                self._ids.device(vendor, device) if vendor and device else None,
                self._ids.class_name(class_code) if class_code else None,
            )
        return names


def names_for(tree: Tree, depth: Depth) -> Names:
    """The names for a tree: from files below its own root first, then from those of this machine.

    udev needs libudev and tens of milliseconds to start: the plain listing asks it only where there is no ``pci.ids``.
    """
    from_file = _from_file(tree)
    if not tree.live or (depth is Depth.LISTING and from_file is not None):
        return from_file or Names()
    from iommutui.sources.names import UdevNames  # only where it is used: it imports pyudev

    otherwise = from_file or Names()
    return UdevNames.connect(otherwise) or otherwise


def _from_file(tree: Tree) -> FileNames | None:
    roots = ["/"] if tree.root == "" else [f"{tree.root}/", "/"]
    for root in roots:
        for place in PLACES:
            data = map_file(root + place)
            if data is not None:
                return FileNames(PciIds(data))
    return None
