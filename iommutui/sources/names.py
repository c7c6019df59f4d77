"""Names of vendors, devices and classes: udev's hardware database on a live machine, ``pci.ids`` elsewhere."""

from typing import Any, NamedTuple

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


class UdevNames(Names):
    """Asks udev's hardware database first, through pyudev and libudev, and another source for what it does not know.

    The database is asked by modalias. A udev device would have these properties too, but to get them libudev reads the
    device's ``uevent``, and that blocks while an unbind of the device waits.
    """

    def __init__(self, lib: Any, database: Any, otherwise: Names) -> None:
        self._lib = lib
        self._database = database
        self._otherwise = otherwise
        self._known: dict[str, dict[str, str]] = {}

    @classmethod
    def connect(cls, otherwise: Names) -> "UdevNames | None":
        """The database of this system; None without pyudev, libudev or a database."""
        try:
            from pyudev import Context

            context = Context()
        except ImportError:
            return None
        lib = context._libudev  # the database has no other door in pyudev
        try:
            database = lib.udev_hwdb_new(context)
        except (AttributeError, OSError):
            return None
        return cls(lib, database, otherwise) if database else None

    def of(self, modalias: str | None, vendor: str | None, device: str | None, class_code: str | None) -> Known:
        found = self._properties(modalias) if modalias else {}
        names = Known(
            found.get("ID_VENDOR_FROM_DATABASE"),
            found.get("ID_MODEL_FROM_DATABASE"),
            found.get("ID_PCI_SUBCLASS_FROM_DATABASE") or found.get("ID_PCI_CLASS_FROM_DATABASE"),
        )
        if None not in names:
            return names
        other = self._otherwise.of(modalias, vendor, device, class_code)
        return Known(*(mine or theirs for mine, theirs in zip(names, other, strict=True)))

    def close(self) -> None:
        self._lib.udev_hwdb_unref(self._database)

    def _properties(self, modalias: str) -> dict[str, str]:
        found = self._known.get(modalias)
        if found is None:
            found = self._known[modalias] = {}
            entry = self._lib.udev_hwdb_get_properties_list_entry(self._database, modalias.encode(), 0)
            while entry:
                name = self._lib.udev_list_entry_get_name(entry)
                value = self._lib.udev_list_entry_get_value(entry)
                if name and value:
                    found[name.decode()] = value.decode("utf-8", "backslashreplace")
                entry = self._lib.udev_list_entry_get_next(entry)
        return found


def names_for(tree: Tree, depth: Depth) -> Names:
    """The names for a tree: from files below its own root first, then from those of this machine.

    udev needs libudev and tens of milliseconds to start: the plain listing asks it only where there is no ``pci.ids``.
    """
    from_file = _from_file(tree)
    if not tree.live or (depth is Depth.LISTING and from_file is not None):
        return from_file or Names()
    otherwise = from_file or Names()
    return UdevNames.connect(otherwise) or otherwise


def has_hardware_database() -> bool:
    """Whether udev's hardware database answers on this system."""
    names = UdevNames.connect(Names())
    if names is not None:
        names.close()
    return names is not None


def local_names() -> Names:
    """The names of this machine's ``pci.ids``, for what is not a tree."""
    return _from_file(Tree("/")) or Names()


def _from_file(tree: Tree) -> FileNames | None:
    roots = ["/"] if tree.root == "" else [f"{tree.root}/", "/"]
    for root in roots:
        for place in PLACES:
            data = map_file(root + place)
            if data is not None:
                return FileNames(PciIds(data))
    return None
