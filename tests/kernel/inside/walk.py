"""A random walk of primitive operations on this guest's own kernel, compared with the engine at each step.

The walk chooses operations at random, but never binds a driver to a device that the driver does not know, and skips
what is known to crash old kernels. A difference is shrunk to the shortest sequence that still shows one.
"""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from iommutui.core.address import Address, sort_key
from iommutui.core.drivers import PCIEPORT, PORT_TYPES, SHPCHP, STUB, VFIO_PCI
from iommutui.core.engine import transition
from iommutui.core.engine.hotplug import below
from iommutui.core.engine.matching import is_iommu
from iommutui.core.events import (
    Bind,
    ClaimDevice,
    ClaimGroup,
    Event,
    Probe,
    ReleaseDevice,
    ReleaseGroup,
    Remove,
    Rescan,
    Unbind,
)
from iommutui.core.host import Claim, Device, Host, settled
from iommutui.core.models import has_node, model_for, since
from iommutui.core.reasons import Outcome
from iommutui.sources import load

from .. import vfio
from . import pci
from .owner import OWNER, DeviceFiles, Files
from .writes import Write, write_of

SOON, SETTLING, LATE = 1.5, 15.0, 60.0
"""Seconds: a write that should block has not returned by the first, drivers are bound by the second, and a write that
should not block has returned by the third."""

PORT = "own probe of pcieport: it failed on a port that pcieport had just left"
SHPC = "own probe of shpchp: whether it takes a bridge is up to the bridge's hot-plug controller"
BACK = "own probe on a device that a rescan brought back: its memory may be where no bridge forwards it"
RULES = (PORT, SHPC, BACK)
"""Reasons to set a difference aside; everything else has to agree."""

State = dict[Address, tuple[str | None, str | None, int | None]]
"""Driver, override and group of every device."""


class Difference(NamedTuple):
    """One fact on which kernel and engine differ."""

    what: str
    kernel: object
    engine: object


def seen() -> State:
    """Every device as sysfs shows it."""
    found: State = {}
    for path in pci.DEVICES.iterdir():
        link = path / "iommu_group"
        number = int(link.readlink().name) if link.is_symlink() else None
        found[Address(path.name)] = (pci.driver(path.name), pci.override(path.name), number)
    return found


def predicted(host: Host) -> State:
    """Every device as the engine predicts it."""
    return {a: (d.driver, d.driver_override, d.group) for a, d in host.devices.items()}


class Walk:
    """Kernel and engine side by side; the walk ends at the first of ``differences``."""

    def __init__(self, infrastructure: frozenset[str], log: Callable[[str], object] = lambda _: None) -> None:
        self.infrastructure = infrastructure
        self.log = log
        """Called with each event before it is done: if the kernel dies of it, that is the last line."""
        self.files = Files()
        self.device_files = DeviceFiles()
        self.has_iommufd = Path("/dev/iommu").exists()
        self.host = settled(load())
        self.model = model_for(self.host.kernel)
        self.old = not since(self.host, (5, 19))
        self.facts = 0
        self.kinds: Counter[str] = Counter()
        self.aside: Counter[str] = Counter()
        self.differences: list[Difference] = []

    # -- one step

    def step(self, event: Event) -> bool:
        """Do the event on both and compare; return False if it is not safe or has nothing to act on."""
        device = None if isinstance(event, ClaimGroup | ReleaseGroup | Rescan) else self.host.devices.get(event.device)
        outcome = transition(self.host, event, self.model)
        if not self._sensible(event, device, outcome):
            return False
        self.kinds[type(event).__name__ + (" (blocks)" if outcome.blocks else "")] += 1
        self.log(str(event))
        before = self.host
        self.host = outcome.host
        write = None
        if isinstance(event, ClaimGroup | ClaimDevice | ReleaseGroup | ReleaseDevice):
            self._compare(f"{event}", self._vfio(event, before), outcome.result)
        else:
            write = write_of(event, device.driver if device is not None else None)
            answer = write.wait(SOON if outcome.blocks else LATE)
            self._compare(f"{event}", answer, "blocks" if outcome.blocks else outcome.result)
        if outcome.blocks and write is not None and isinstance(event, Unbind | Remove) and device is not None:
            self._let_go(event, device, write)
        if self.differences:
            return True
        if isinstance(event, Rescan | Probe | Bind | Remove):
            # Drivers finish in their own time.
            pci.wait_for(lambda: seen() == predicted(self.host), SETTLING)
        self._compare_all(event, before)
        return True

    def _let_go(self, event: Event, device: Device, write: Write) -> None:
        """Check what a waiting write shows meanwhile, then end it: nothing else may be done while it waits.

        Only links are read: while an unbind waits, reads of the device's other files block.
        """
        for address in below(self.host, device.address):
            expected = self.host.devices[address].driver
            self._compare(f"driver of {address} while {event} waits", pci.driver(address), expected)
        for number in list(self.files.claims):
            self.files.release(number)
            self.host = transition(self.host, ReleaseGroup(number, OWNER), self.model).host
        for address, owner in list(self.device_files.owners.items()):
            self.device_files.release(address)
            self.host = transition(self.host, ReleaseDevice(address, owner), self.model).host
        self._compare(f"{event} after the release", write.wait(LATE), "ok")

    def _vfio(self, event: ClaimGroup | ClaimDevice | ReleaseGroup | ReleaseDevice, before: Host) -> str:
        if isinstance(event, ClaimGroup):
            members = before.members(before.groups[event.group])
            return self.files.claim(event.group, (d.address for d in members) if event.devices else ())
        if isinstance(event, ReleaseGroup):
            self.files.release(event.group)
        elif isinstance(event, ClaimDevice) and event.cdev:
            return self.device_files.claim(event)
        elif isinstance(event, ReleaseDevice) and event.device in self.device_files.owners:
            return self.device_files.release(event.device)
        else:
            number = before.devices[event.device].group
            assert number is not None
            if isinstance(event, ClaimDevice):
                return self.files.open(number, event.device)
            self.files.close(number, event.device)
        return "ok"

    def _sensible(self, event: Event, device: Device | None, outcome: Outcome) -> bool:
        """Whether the event is safe on this kernel and acts on something that exists."""
        if outcome.crash is not None or any(r.code == "unfit-driver" for r in outcome.reasons):
            return False
        if isinstance(event, Probe | Bind) and device is not None and _turned_down(device):
            return False
        if isinstance(event, Bind) and device is not None and _may_fail(device, event.driver):
            return False  # The errno would depend on where the driver fails.
        claims = self.files.claims
        if isinstance(event, ClaimGroup):
            group = self.host.groups.get(event.group)
            if group is None or not has_node(self.host, group) or event.group in claims:
                return False
            # Old kernels attach a domain under the host drivers of a group that is not viable: unbinding them oopses.
            return not self.old or bool(self.model.verdict(self.host, group).viable)
        if isinstance(event, ReleaseGroup):
            return event.group in claims
        if isinstance(event, Rescan):
            return not (self.old and claims)
        if device is None or device.address in self.infrastructure:
            return False
        if isinstance(event, ClaimDevice):
            return device.group in claims or event.cdev
        if isinstance(event, ReleaseDevice):
            return device.address in self.device_files.owners or device.address in claims.get(
                -1 if device.group is None else device.group, ()
            )
        if isinstance(event, Unbind):
            return device.driver is not None
        if isinstance(event, Bind):
            return self.host.has_driver(event.driver)
        return not isinstance(event, Remove) or self._removable(device)

    def _removable(self, device: Device) -> bool:
        if device.address.startswith(("0000:00:00", "0000:00:1f")):
            return False
        for address in below(self.host, device.address):
            if is_iommu(self.host, self.host.devices[address]):
                return False  # Its driver cannot handle a removal.
            several = self.host.same_slot(address) or not address.endswith(".0")
            if address in self.infrastructure or (self.old and several):
                return False  # On old kernels, one of several functions returns without a group, and an oops follows.
            if self._is_conventional(address) and not since(self.host, (6, 12)):
                return False  # The IOMMU driver of 6.1 crashes on its device list when the group is claimed later.
        return True

    def _is_conventional(self, address: Address) -> bool:
        """Whether the device is on a conventional PCI bus, where all devices use the bridge's requester ID for DMA."""
        parent = self.host.devices[address].parent
        above = self.host.devices.get(parent) if parent is not None else None
        return above is not None and above.pcie_type not in PORT_TYPES

    # -- what is compared

    def _compare(self, what: str, kernel: object, engine: object) -> None:
        self.facts += 1
        if kernel != engine:
            self.differences.append(Difference(what, kernel, engine))

    def _compare_all(self, event: Event, before: Host) -> None:
        kernel, engine = seen(), predicted(self.host)
        for address in sorted({*kernel, *engine}, key=sort_key):
            here, there = kernel.get(address), engine.get(address)
            rule = self._rule(event, before, address, here, there)
            if rule is not None:
                self.aside[rule] += 1
                self.log(f"# set aside, {rule}: {address}: kernel {here}, engine {there}")
                self._start_again()
                if rule == BACK and there is not None:
                    self.host = self.host.with_device(_refusing(self.host.devices[address], there[0]))
                return
            self._compare(f"{address} after {event}", here, there)
        nodes = {int(path.name) for path in vfio.NODES.iterdir() if path.name.isdigit()}
        with_node = {number for number, group in self.host.groups.items() if has_node(self.host, group)}
        self._compare(f"nodes after {event}", nodes, with_node)
        dead = self.files.claims.keys() - nodes
        for number in dead:
            # The last VFIO device is gone, and the claim with it; the file still has to be closed.
            self.files.release(number)
        claimed = self.files.claims
        for address in self.device_files.owners:
            claimed.setdefault(self.host.devices[address].group or 0, set()).add(address)
        owned = {number: set(g.claim.opened) for number, g in self.host.groups.items() if g.claim is not None}
        self._compare(f"claims after {event}", claimed, owned)
        for number in sorted(nodes & with_node):
            status = self.files.status(number)
            group = self.host.groups[number]
            if group.claim is not None and group.claim.via == "cdev":
                self._compare(f"file of {number} after {event}", status["open"], "EBUSY")
                continue
            verdict = self.model.verdict(self.host, group)
            self._compare(f"viability of {number} after {event}", status["viable"], verdict.viable)
            self._compare(f"container of {number} after {event}", status["container"], group.claim is not None)

    def _rule(self, event: Event, before: Host, address: Address, here: object, there: object) -> str | None:
        if here == there or not isinstance(here, tuple) or not isinstance(there, tuple):
            return None
        if SHPCHP in (here[0], there[0]) and {here[0], there[0]} <= {None, SHPCHP}:
            return SHPC
        if isinstance(event, Probe | Bind) and (here[0], there[0], here[1:]) == (None, PCIEPORT, there[1:]):
            return PORT
        if here == (None, *there[1:]) and _may_fail(self.host.devices[address], there[0]):
            return BACK
        return None

    # -- start again from the kernel's state

    def _start_again(self) -> None:
        """Scan the Host again, and add what this process owns."""
        removed = self.host.removed
        self.host = self._kept(load())._replace(removed=removed)
        for number, devices in self.files.claims.items():
            group = self.host.groups[number]
            claim = Claim(OWNER, opened=tuple(sorted(devices, key=sort_key)))
            self.host = self.host.with_group(group._replace(claim=claim))
        for address, owner in self.device_files.owners.items():
            held = self.host.group_of(address)
            if held is not None:
                before = held.claim.opened if held.claim is not None and held.claim.owner == owner else ()
                claim = Claim(owner, len(before) + 1, "cdev", tuple(sorted((*before, address), key=sort_key)))
                self.host = self.host.with_group(held._replace(claim=claim))

    def _kept(self, host: Host) -> Host:
        """The Host, with what is known about each device and one scan does not show."""
        devices = dict(host.devices)
        for address, known in self.host.devices.items():
            if address in devices:
                devices[address] = devices[address]._replace(fits=known.fits, not_isolated_from=known.not_isolated_from)
        return host._replace(devices=devices)

    def reset(self) -> None:
        """Return every device to its host driver, as far as possible."""
        self.files.release_all()
        self.device_files.close()
        Write(pci.SYSFS / "bus/pci/rescan", "1").wait(LATE)
        for name in pci.devices():
            if name in self.infrastructure:
                continue
            if pci.override(name) is not None:
                Write(pci.DEVICES / name / "driver_override", "\n").wait(LATE)
            if pci.driver(name) in (VFIO_PCI, STUB):
                Write(pci.DRIVERS / str(pci.driver(name)) / "unbind", name).wait(LATE)
            if pci.driver(name) is None:
                Write(pci.SYSFS / "bus/pci/drivers_probe", name).wait(LATE)
        time.sleep(1)
        self.differences = []
        self.host = settled(load())

    def checked_against_sources(self) -> list[Difference]:
        """The differences between a scan of this machine and the engine's Host."""
        found, known = load(), predicted(self.host)
        fresh = predicted(found)
        return [
            Difference(f"{a} as scanned", fresh.get(a), known.get(a))
            for a in sorted({*fresh, *known}, key=sort_key)
            if fresh.get(a) != known.get(a)
        ]


def _may_fail(device: Device, driver: object) -> bool:
    """Whether the device was removed before, and the driver accesses it in its probe."""
    return device.not_isolated_from is not None and driver not in (VFIO_PCI, STUB, PCIEPORT)


def _refusing(device: Device, driver: str | None) -> Device:
    """The device, marked as one that this driver has refused."""
    fits = (fit._replace(refused=True, proven=False) if fit.driver == driver else fit for fit in device.fits or ())
    return device._replace(fits=tuple(fits))


def _turned_down(device: Device) -> bool:
    """Whether the override names a driver that has refused the device before: its next answer cannot be predicted."""
    return any(fit.refused for fit in device.fits or () if fit.driver == device.driver_override)
