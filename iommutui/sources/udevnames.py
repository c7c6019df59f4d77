"""Names from udev's hardware database, through pyudev and the system's libudev.

The database is asked by modalias. A udev device would have these properties too, but to get them libudev reads the
device's ``uevent``, and that blocks while an unbind of the device waits.
"""

from typing import Any

from iommutui.sources.names import Known, Names


class UdevNames(Names):
    """Asks udev first, and another source for what udev does not know."""

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
