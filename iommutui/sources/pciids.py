"""``pci.ids``: the database of names, in which only the lines that are asked for are looked at.

The format: ``8086  Intel Corporation``, below it ``<tab>1533  I210 Gigabit Network Connection``, below that subsystems
with two tabs; ``C 03  Display controller`` with its sub-classes likewise. Comments start with ``#``.
"""

import re
from mmap import mmap

_NEXT_ENTRY = re.compile(rb"\n[^\t#\n]")

_GLANCE = 1 << 10
"""Bytes that are looked at to find a heading near a place."""
_NARROW = 1 << 15
"""Bytes in which a heading is searched for without more ado."""


class PciIds:
    """The content of a file, in whatever encoding; ids are lower-case hex."""

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
