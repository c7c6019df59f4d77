"""Names of vendors, devices and classes: ``pci.ids``, or udev's hardware database on a live machine that has none."""

import re
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

    def close(self) -> None:
        """Releases the resources of the source."""


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
        key = (vendor, device, class_code)
        if key not in self._known:
            self._known[key] = Known(
                self.vendor(vendor) if vendor else None,
                self.device(vendor, device) if vendor and device else None,
                self.class_name(class_code) if class_code else None,
            )
        return self._known[key]

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

    def _heading(self, key: bytes) -> str | None:
        section = self._section(key)
        return _first_line(section[len(key) + 2 :]) if section else None

    def _entry(self, key: bytes, entry: bytes) -> str | None:
        _, found, rest = self._section(key).partition(b"\n\t" + entry + b"  ")
        return _first_line(rest) if found else None

    def _section(self, key: bytes) -> bytes:
        """A heading with everything below it; empty if there is no such heading."""
        if key not in self._sections:
            start = self._data.rfind(b"\n" + key + b"  ") + 1  # from the end, where the classes are
            following = _NEXT_HEADING.search(self._data, start)
            end = following.start() if following else len(self._data)
            self._sections[key] = self._data[start:end] if start else b""
        return self._sections[key]


def _first_line(data: bytes) -> str:
    return data.partition(b"\n")[0].decode("utf-8", "backslashreplace").strip()


class UdevNames(Names):
    """udev's hardware database, asked by modalias through pyudev and libudev.

    A udev device would have these properties too, but for them libudev reads the device's ``uevent``, which blocks
    while an unbind of the device waits.
    """

    def __init__(self, lib: Any, database: Any) -> None:
        self._lib = lib
        self._database = database

    @classmethod
    def connect(cls) -> "UdevNames | None":
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
        return cls(lib, database) if database else None

    def of(self, modalias: str | None, vendor: str | None, device: str | None, class_code: str | None) -> Known:
        found = self._properties(modalias) if modalias else {}
        return Known(
            found.get("ID_VENDOR_FROM_DATABASE"),
            found.get("ID_MODEL_FROM_DATABASE"),
            found.get("ID_PCI_SUBCLASS_FROM_DATABASE") or found.get("ID_PCI_CLASS_FROM_DATABASE"),
        )

    def close(self) -> None:
        self._lib.udev_hwdb_unref(self._database)

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


def names_for(tree: Tree) -> Names:
    """The names for a tree: from a ``pci.ids`` below its own root, then from that of this machine, then from udev."""
    for root in dict.fromkeys((tree.root, "")):
        for place in PLACES:
            data = read_file(f"{root}/{place}")
            if isinstance(data, bytes) and data:
                return PciIds(data)
    return (UdevNames.connect() if tree.live else None) or Names()


def has_hardware_database() -> bool:
    """Whether udev's hardware database answers on this system."""
    names = UdevNames.connect()
    if names is not None:
        names.close()
    return names is not None
