"""Names of vendors, devices and classes: udev's hardware database on a live machine, ``pci.ids`` elsewhere."""

import re
from mmap import mmap
from typing import Any, NamedTuple

from iommutui.sources.tree import Depth, Tree, map_file

_NEXT_ENTRY = re.compile(rb"\n[^\t#\n]")

_GLANCE = 1 << 10
"""Bytes that are looked at to find a heading near a place."""
_NARROW = 1 << 15
"""Bytes in which a heading is searched for without more ado."""


class PciIds:
    """The content of a ``pci.ids``, in whatever encoding, of which only the lines that are asked for are looked at.

    The format: ``8086  Intel Corporation``, below it ``<tab>1533  I210 Gigabit Network Connection``, below that
    subsystems with two tabs; ``C 03  Display controller`` with its sub-classes likewise. Comments start with ``#``.
    Ids are lower-case hex.
    """

    def __init__(self, data: bytes | mmap) -> None:
        self._data = data
        self._sections: dict[bytes, tuple[int, int]] = {}

    def vendor(self, vendor: str) -> str | None:
        """``10de`` -> ``NVIDIA Corporation``."""
        return self._heading(vendor.encode())

    def device(self, vendor: str, device: str) -> str | None:
        """``10de``, ``2204`` -> ``GA102 [GeForce RTX 3090]``."""
        return self._entry(vendor.encode(), device.encode())

    def class_name(self, code: str) -> str | None:
        """``030000`` -> ``VGA compatible controller``; the base class where the sub-class has no name."""
        base = b"C " + code[:2].encode()
        return self._entry(base, code[2:4].encode()) or self._heading(base)

    def _section(self, key: bytes) -> tuple[int, int]:
        """Where the heading's name begins and its entries end; (-1, -1) where there is no such heading."""
        found = self._sections.get(key)
        if found is None:
            line = self._heading_line(key)
            if line < 0 and self._data[: len(key) + 2] != key + b"  ":
                found = (-1, -1)
            else:
                start = line + len(key) + 3
                following = _NEXT_ENTRY.search(self._data, start)
                found = (start, following.start() if following else len(self._data))
            self._sections[key] = found
        return found

    def _heading_line(self, key: bytes) -> int:
        """Where the line before a heading ends. Vendors are in order, which spares searching most of a megabyte."""
        low, high = self._between(key) if len(key) == 4 else (0, len(self._data))
        line = self._data.rfind(b"\n" + key + b"  ", low, high)  # from the end, where the classes are
        return line if line >= 0 or (low, high) == (0, len(self._data)) else self._data.rfind(b"\n" + key + b"  ")

    def _between(self, key: bytes) -> tuple[int, int]:
        """The part that holds the heading of a vendor, if the file is in order."""
        low, high = 0, len(self._data)
        while high - low > _NARROW:
            for eighths in (4, 2, 6, 1, 3, 5):  # a place amid a vendor with many devices tells nothing
                place = low + (high - low) * eighths // 8
                near = self._heading_near(place)
                if near is not None:
                    break
            else:
                break
            if near <= key:
                low = place
            else:
                high = place + _GLANCE
        return low, high

    def _heading_near(self, place: int) -> bytes | None:
        for line in self._data[place : place + _GLANCE].split(b"\n")[1:-1]:
            if line and line[0] not in b"\t#":
                return b"g" if line.startswith(b"C ") else line[:4]  # the classes come behind the last vendor
        return None

    def _heading(self, key: bytes) -> str | None:
        start, end = self._section(key)
        return None if start < 0 else self._line(start, end)

    def _entry(self, key: bytes, entry: bytes) -> str | None:
        start, end = self._section(key)
        if start < 0:
            return None
        line = self._data.find(b"\n\t" + entry + b"  ", start, end)
        return None if line < 0 else self._line(line + len(entry) + 4, end)

    def _line(self, start: int, end: int) -> str:
        stop = self._data.find(b"\n", start, end)
        return self._data[start : end if stop < 0 else stop].decode("utf-8", "backslashreplace").strip()


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
