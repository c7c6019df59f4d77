"""The drivers that fit each device: aliases of modules, built-in drivers, and its bound driver.

A modalias is ``pci:v000010DEd00002204sv...sd...bc03sc00i00``; a pattern of ``modules.alias`` is a shell glob over it.
An alias that begins with ``vfio_pci:`` (``scripts/mod/file2alias.c``) belongs to an ``override_only`` id: it matches
through ``driver_override``.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from typing import NamedTuple

from iommutui.core.drivers import PCIEPORT, PORT_CLASSES, PORT_TYPES, STUB, TABLE, VFIO_PCI, underscored
from iommutui.core.host import Device, Driver, Fit, Gap, Host, is_vfio
from iommutui.sources.tree import Tree, Unreadable

_DEVICE = len("pci:v000010DEd00002204")
_VENDOR = len("pci:v000010DE")
_FIXED = re.compile("pci:v[0-9A-F]{8}(?:d[0-9A-F]{8})?")


class Alias(NamedTuple):
    """A line of ``modules.alias``: the pattern, always as ``pci:...``, and the module that has it."""

    pattern: str
    module: str
    vfio: bool = False
    built_in: bool = False


def specificity(pattern: str) -> int:
    """How many digits of the ids a pattern fixes; libvirt picks a variant driver by the fewest wildcards, too."""
    return sum(character in "0123456789ABCDEF" for character in pattern.partition(":")[2])


class Index:
    """Aliases by their leading ids, so a device is compared with a few of tens of thousands."""

    def __init__(self, aliases: Iterable[Alias]) -> None:
        self._by_start: dict[str, list[Alias]] = {}
        for alias in aliases:
            start = _FIXED.match(alias.pattern)
            self._by_start.setdefault(start[0] if start else "", []).append(alias)

    def matches(self, modalias: str) -> list[Alias]:
        """Every alias that matches the modalias, in no particular order."""
        starts = (modalias[:_DEVICE], modalias[:_VENDOR], "")
        found = (alias for start in starts for alias in self._by_start.get(start, ()))
        return [alias for alias in found if fnmatchcase(modalias, alias.pattern)]


PLACES = ("lib/modules", "usr/lib/modules", "run/booted-system/kernel-modules/lib/modules")
"""Where the modules of a release are; the last is NixOS's."""

_ALIAS = re.compile(rb"^alias ((?:vfio_)?pci:\S+) (\S+)", re.MULTILINE)
_FILE = re.compile(rb"^\S*?([^/\s]+)\.ko[.\w]*(?::|$)", re.MULTILINE)
_BUILT_IN = re.compile(rb"(?:^|\0)([^.\0]+)\.alias=((?:vfio_)?pci:[^\0]+)")


class Registered(NamedTuple):
    """The drivers that modules have registered."""

    modules: dict[str, str | None]
    """The module of each driver, as far as it shows."""
    by_module: dict[str, list[str]]
    """The drivers of each module, whose name is written with underscores."""
    loaded: frozenset[str]
    """Modules that are there, with or without a PCI driver."""


def with_fits(tree: Tree, host: Host) -> Host:
    """The Host with `Device.fits`; a gap ``modules.alias`` means that only some of them could be found."""
    index, gap = _index(tree, host.kernel)
    registered = _registered(tree, host.drivers or ())
    by_alias = cache(lambda modalias: list(_fits(index.matches(modalias), registered, host.drivers is not None)))
    devices = {}
    for address, device in host.devices.items():
        found = by_alias(device.modalias) if device.bus == "pci" and device.modalias is not None else []
        fits = _with_bound(host, device, found, registered) if device.bus == "pci" else ()
        devices[address] = device._replace(fits=fits)
    gaps = host.gaps if gap is None else (*host.gaps, gap)
    return host._replace(devices=devices, gaps=gaps, lacks=_lacks(tree, host))


def _lacks(tree: Tree, host: Host) -> tuple[str, ...]:
    """Those of ``vfio-pci`` and ``pci-stub`` that are neither registered, nor built in, nor among the modules.

    ``modules.dep`` lists every module of the release by its file, ``modules.builtin`` what is built in.
    """
    listed, built_in = (_module_file(tree, host.kernel, name) for name in ("modules.dep", "modules.builtin"))
    if not isinstance(listed, bytes) or not isinstance(built_in, bytes):
        return ()
    found = {underscored(_text(name)) for name in _FILE.findall(listed + built_in)}
    found |= {underscored(driver.name) for driver in host.drivers or ()}
    return tuple(name for name in (VFIO_PCI, STUB) if underscored(name) not in found)


def _index(tree: Tree, kernel: str | None) -> tuple[Index, Gap | None]:
    """The aliases of the modules of this release and of what is built into it."""
    data, built_in = (_module_file(tree, kernel, name) for name in ("modules.alias", "modules.builtin.modinfo"))
    if not isinstance(data, bytes):
        absent = "not-recorded" if tree.root or kernel is None else "ENOENT"
        return Index([]), Gap("modules.alias", data.why if isinstance(data, Unreadable) else absent)
    return _indexed(data, built_in if isinstance(built_in, bytes) else b""), None


def _module_file(tree: Tree, kernel: str | None, name: str) -> bytes | Unreadable | None:
    """A file beside the modules of a release, whose name is untrusted and must not lead elsewhere."""
    if kernel is None or "/" in kernel or kernel.startswith("."):
        return None
    found = (tree.bytes(f"{place}/{kernel}/{name}") for place in PLACES)
    return next((data for data in found if data is not None), None)


@lru_cache(maxsize=1)
def _indexed(loadable: bytes, built_in: bytes) -> Index:
    """Cached: a rescan has the same megabyte of aliases, and parsing them is most of its time."""
    found = [(pattern, module, True) for module, pattern in _BUILT_IN.findall(built_in)]
    found += [(pattern, module, False) for pattern, module in _ALIAS.findall(loadable)]
    aliases = (Alias(_text(p).removeprefix("vfio_"), _text(m), p.startswith(b"vfio_"), there) for p, m, there in found)
    return Index(alias for alias in aliases if not alias.vfio or specificity(alias.pattern))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def _registered(tree: Tree, drivers: Sequence[Driver]) -> Registered:
    by_module: dict[str, list[str]] = {}
    for driver in drivers:
        if driver.module is not None:
            by_module.setdefault(underscored(driver.module), []).append(driver.name)
    loaded = frozenset(map(underscored, tree.listed("module")))
    return Registered({driver.name: driver.module for driver in drivers}, by_module, loaded)


def _fits(aliases: list[Alias], registered: Registered, complete: bool) -> Iterator[Fit]:
    """A fit for every driver of every alias: built in, loaded, not loaded; then VFIO variants, the closest first.

    ``complete``: whether every registered driver is known.
    """

    def rank(alias: Alias) -> tuple[bool, int, int, str]:
        state = 0 if alias.built_in else 1 if underscored(alias.module) in registered.by_module else 2
        return alias.vfio, -specificity(alias.pattern) if alias.vfio else 0, state, alias.module

    seen = set()
    for alias in sorted(aliases, key=rank):
        for fit in _fits_of(alias, registered, complete):
            if fit.driver not in seen:
                seen.add(fit.driver)
                yield fit


def _fits_of(alias: Alias, registered: Registered, complete: bool) -> list[Fit]:
    """The drivers of the module. A registered module without a PCI driver has the alias for something else."""
    module = underscored(alias.module)
    if names := registered.by_module.get(module):
        return [Fit(name, alias.module, True, alias.vfio) for name in names]
    if alias.built_in:
        name = _spelled(module, registered.modules)
        return [Fit(name, None, True, alias.vfio)] if name in registered.modules or not complete else []
    if module in registered.loaded:
        return []
    return [Fit(_spelled(module, [row.name for row in TABLE]), alias.module, False, alias.vfio)]


def _spelled(module: str, names: Iterable[str]) -> str:
    """The driver named like the module, hyphens aside; else the module's own name."""
    return next((name for name in sorted(names) if underscored(name) == module), module)


def _with_bound(host: Host, device: Device, fits: list[Fit], registered: Registered) -> tuple[Fit, ...]:
    """The fits, with the driver that holds the device now and with ``pcieport``, which has no aliases."""
    more = []
    bound = device.driver
    if bound not in (None, STUB, device.driver_override) and not is_vfio(host, device, bound):
        more.append(bound)
    if PCIEPORT in registered.modules and _takes_port(device):
        more.append(PCIEPORT)
    names = {fit.driver for fit in fits}
    added = (Fit(name, registered.modules.get(name), True) for name in dict.fromkeys(more) if name not in names)
    return (*added, *fits)


def _takes_port(device: Device) -> bool:
    """``pcieport`` takes these classes, and only ports of PCI Express: its probe fails on a conventional bridge."""
    return device.class_code in PORT_CLASSES and (device.pcie_type is None or device.pcie_type in PORT_TYPES)
