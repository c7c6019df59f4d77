"""``pci.ids``: the database of names, in which only the lines that are asked for are looked at.

The format: ``8086  Intel Corporation``, below it ``<tab>1533  I210 Gigabit Network Connection``, below that subsystems
with two tabs; ``C 03  Display controller`` with its sub-classes likewise. Comments start with ``#``.
"""

import re

_NEXT_ENTRY = re.compile(rb"\n[^\t#\n]")


class PciIds:
    """The content of a file, in whatever encoding; ids are lower-case hex."""

    def __init__(self, data: bytes) -> None:
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
            line = self._data.rfind(b"\n" + key + b"  ")  # from the end, where the classes are
            if line < 0 and not self._data.startswith(key + b"  "):
                found = (-1, -1)
            else:
                start = line + len(key) + 3
                following = _NEXT_ENTRY.search(self._data, start)
                found = (start, following.start() if following else len(self._data))
            self._sections[key] = found
        return found

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
