"""Names of vendors, devices and classes: from udev's database on a running machine, from ``pci.ids`` elsewhere."""

from iommutui.sources.depth import Depth
from iommutui.sources.pciids import PciIds
from iommutui.sources.tree import Tree

PLACES = (
    "usr/share/misc/pci.ids",
    "usr/share/hwdata/pci.ids",
    "usr/share/pci.ids",
    "var/lib/pciutils/pci.ids",
)


class Names:
    """Answers with (vendor, device, class), each None where no database knows it."""

    def of(
        self, address: str, vendor: str | None, device: str | None, class_code: str | None
    ) -> tuple[str | None, str | None, str | None]:
        """The names of a function at this address with these ids."""
        return (None, None, None)


class FileNames(Names):
    """Names from a ``pci.ids``."""

    def __init__(self, ids: PciIds) -> None:
        self._ids = ids
        self._known: dict[tuple[str | None, str | None, str | None], tuple[str | None, str | None, str | None]] = {}

    def of(
        self, address: str, vendor: str | None, device: str | None, class_code: str | None
    ) -> tuple[str | None, str | None, str | None]:
        key = (vendor, device, class_code)
        names = self._known.get(key)
        if names is None:
            names = self._known[key] = (
                self._ids.vendor(vendor) if vendor else None,
                self._ids.device(vendor, device) if vendor and device else None,
                self._ids.class_name(class_code) if class_code else None,
            )
        return names


def names_for(tree: Tree, depth: Depth) -> Names:
    """The names for a tree: those below its own root first, then those of this machine.

    udev needs libudev and tens of milliseconds to start: the plain listing asks it only where there is no ``pci.ids``.
    """
    from_file = _from_file(tree)
    if not tree.live or (depth is Depth.LISTING and from_file is not None):
        return from_file or Names()
    from iommutui.sources.udevnames import UdevNames  # only where it is used: it imports pyudev

    return UdevNames.connect(from_file or Names()) or from_file or Names()


def _from_file(tree: Tree) -> FileNames | None:
    for root in dict.fromkeys((tree, Tree("/"))) if tree.root else (tree,):
        for place in PLACES:
            data = root.bytes(place)
            if isinstance(data, bytes) and data:
                return FileNames(PciIds(data))
    return None
