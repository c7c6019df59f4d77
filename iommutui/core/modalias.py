"""Which modules know a device: patterns of ``modules.alias`` against the device's modalias.

A modalias is ``pci:v000010DEd00002204sv...sd...bc03sc00i00``; a pattern is a shell glob over it. An alias that begins
with ``vfio_pci:`` (``scripts/mod/file2alias.c``) is of an ``override_only`` id: it matches through ``driver_override``.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple

PCI = "pci:"
VFIO = "vfio_pci:"

_DEVICE = len("pci:v000010DEd00002204")
_VENDOR = len("pci:v000010DE")


class Alias(NamedTuple):
    """A line of ``modules.alias``: the pattern, always as ``pci:...``, and the module that has it."""

    pattern: str
    module: str
    vfio: bool = False
    built_in: bool = False


def parse_alias(pattern: str, module: str, built_in: bool = False) -> Alias | None:
    """An alias of a PCI driver, or None for any other bus and for an ``override_only`` id that takes every device."""
    if pattern.startswith(PCI):
        return Alias(pattern, module, built_in=built_in)
    if pattern.startswith(VFIO) and specificity(pattern) > 0:
        return Alias(PCI + pattern[len(VFIO) :], module, vfio=True, built_in=built_in)
    return None


def specificity(pattern: str) -> int:
    """How many digits of the ids a pattern fixes; libvirt picks a variant driver by the fewest wildcards, too."""
    return sum(character in "0123456789ABCDEF" for character in pattern.partition(":")[2])


class Index:
    """Aliases by the ids that they begin with, so that of tens of thousands a device is compared with a few."""

    def __init__(self, aliases: Iterable[Alias]) -> None:
        self._by_start: dict[str, list[Alias]] = {}
        for alias in aliases:
            self._by_start.setdefault(_start(alias.pattern), []).append(alias)

    def matches(self, modalias: str) -> list[Alias]:
        """Every alias that matches the modalias, in no particular order."""
        starts = (modalias[:_DEVICE], modalias[:_VENDOR], "")
        return [
            alias for start in starts for alias in self._by_start.get(start, ()) if fnmatchcase(modalias, alias.pattern)
        ]


def _start(pattern: str) -> str:
    """The pattern's fixed vendor and device, its fixed vendor, or nothing."""
    for length in (_DEVICE, _VENDOR):
        start = pattern[:length]
        if len(start) == length and not any(wildcard in start for wildcard in "*?["):
            return start
    return ""
