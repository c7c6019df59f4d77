"""Names of vendors, devices and classes: ``pci.ids``, or udev's hardware database on a live machine that has none."""

import re
from functools import cache
from typing import Any, NamedTuple

from iommutui.sources.tree import Tree, read_file

PLACES = (
    "usr/share/misc/pci.ids",
    "usr/share/hwdata/pci.ids",
    "usr/share/pci.ids",
    "var/lib/pciutils/pci.ids",
)

_NEXT_HEADING = re.compile(rb"\n[^\t#\n]")


class Known(NamedTuple):
    """Names, each None if no database has it."""

    vendor: str | None = None
    device: str | None = None
    class_: str | None = None


class Names:
    """A source of names; this one has none."""

    def of(self, modalias: str | None, vendor: str | None, device: str | None, class_code: str | None) -> Known:
        """The names of a function with these ids."""
        return Known()


class PciIds(Names):
    """The content of a ``pci.ids``, in any encoding; only requested sections are parsed.

    The format: ``8086  Intel Corporation``, below it ``<tab>1533  I210 Gigabit Network Connection``, below that
    subsystems with two tabs; ``C 03  Display controller`` with its sub-classes likewise. Comments start with ``#``.
    Ids are lower-case hex.
    """

    def __init__(self, data: bytes) -> None:
        self._data = b"\n" + data
        self._sections: dict[bytes, bytes] = {}
        self._known: dict[tuple[str | None, str | None, str | None], Known] = {}

    def of(self, modalias: str | None, vendor: str | None, device: str | None, class_code: str | None) -> Known:
        """``10de``, ``2204`` -> ``NVIDIA Corporation``, ``GA102 [GeForce RTX 3090]``.

        ``030000`` -> ``VGA compatible controller``; the base class where the sub-class has no name.
        """
        key = (vendor, device, class_code)
        if key not in self._known:
            maker, code = (vendor or "").encode(), (class_code or "").encode()
            kind = self._name(b"C " + code[:2], code[2:4]) or self._name(b"C " + code[:2])
            self._known[key] = Known(self._name(maker), self._name(maker, (device or "").encode()), kind)
        return self._known[key]

    def _name(self, key: bytes, entry: bytes | None = None) -> str | None:
        """The name of a heading, or of an entry below it."""
        start = b"\n" + key if entry is None else b"\n\t" + entry
        _, found, rest = self._section(key).partition(start + b"  ")
        return rest.partition(b"\n")[0].decode("utf-8", "backslashreplace").strip() if found else None

    def _section(self, key: bytes) -> bytes:
        """A heading with everything below it; empty if there is no such heading."""
        if key not in self._sections:
            start = self._data.rfind(b"\n" + key + b"  ")  # from the end, where the classes are
            following = _NEXT_HEADING.search(self._data, start + 1)
            end = following.start() if following else len(self._data)
            self._sections[key] = self._data[start:end] if start >= 0 else b""
        return self._sections[key]


class UdevNames(Names):
    """udev's hardware database, asked by modalias through pyudev and libudev.

    A udev device would have these properties too, but for them libudev reads the device's ``uevent``, which blocks
    while an unbind of the device waits.
    """

    def __init__(self, lib: Any, database: Any) -> None:
        self._lib = lib
        self._database = database

    def of(self, modalias: str | None, vendor: str | None, device: str | None, class_code: str | None) -> Known:
        found = self._properties(modalias) if modalias else {}
        return Known(
            found.get("ID_VENDOR_FROM_DATABASE"),
            found.get("ID_MODEL_FROM_DATABASE"),
            found.get("ID_PCI_SUBCLASS_FROM_DATABASE") or found.get("ID_PCI_CLASS_FROM_DATABASE"),
        )

    def _properties(self, modalias: str) -> dict[str, str]:
        found = {}
        entry = self._lib.udev_hwdb_get_properties_list_entry(self._database, modalias.encode(), 0)
        while entry:
            name = self._lib.udev_list_entry_get_name(entry)
            value = self._lib.udev_list_entry_get_value(entry)
            if name and value:
                found[name.decode()] = value.decode("utf-8", "backslashreplace")
            entry = self._lib.udev_list_entry_get_next(entry)
        return found


@cache
def hardware_database() -> UdevNames | None:
    """The database of this system; None without pyudev, libudev or a database."""
    try:
        from pyudev import Context

        context = Context()
    except ImportError:
        return None
    lib = context._libudev  # pyudev has no other access to the database
    try:
        database = lib.udev_hwdb_new(context)
    except (AttributeError, OSError):
        return None
    return UdevNames(lib, database) if database else None


def names_for(tree: Tree) -> Names:
    """The names for a tree: from a ``pci.ids`` below its own root, then from that of this machine, then from udev."""
    for root in dict.fromkeys((tree.root, "")):
        for place in PLACES:
            data = read_file(f"{root}/{place}")
            if isinstance(data, bytes) and data:
                return PciIds(data)
    return (hardware_database() if tree.live else None) or Names()
