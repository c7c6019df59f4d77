"""What the user wants: intents (a device and its target), and the targets that a device may have.

A plan accepts no other target. An override makes a driver accept a device that it does not know, which has crashed
real kernels; so a target is a VFIO driver that fits, ``pci-stub``, ``none``, ``default``, or a kernel driver whose own
table or aliases match.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.chipset import chipset_part, is_of_use
from iommutui.core.drivers import STUB, VFIO_PCI, underscored
from iommutui.core.engine.matching import candidates
from iommutui.core.host import Device, Host, is_vfio, serves_host
from iommutui.core.reasons import Code, Reason
from iommutui.core.topology import controller_of

NONE = "none"
"""Keep the device free: an override that names no driver."""

DEFAULT = "default"
"""Clear the override and let the kernel choose."""


class TargetKind(StrEnum):
    VFIO = "vfio"
    STUB = "stub"
    NONE = "none"
    DEFAULT = "default"
    KERNEL = "kernel"


class Target(NamedTuple):
    name: str
    kind: TargetKind
    module: str | None = None
    loaded: bool = True


def targets_of(host: Host, device: Device) -> list[Target]:
    """Every target that fits the device, variant VFIO drivers first, in the order in which they are offered."""
    found: list[Target] = []
    if device.bus != "pci":
        return found
    if is_of_use(host, device):
        variants = [f for f in device.fits or () if f.vfio and f.driver != VFIO_PCI]
        found += [Target(f.driver, TargetKind.VFIO, f.module, f.loaded) for f in variants]
        found.append(Target(VFIO_PCI, TargetKind.VFIO, "vfio-pci", host.has_driver(VFIO_PCI)))
    if not chipset_part(device):
        found.append(Target(STUB, TargetKind.STUB, "pci-stub", host.has_driver(STUB)))
    found = [target for target in found if target.loaded or target.name not in host.lacks]
    found.append(Target(NONE, TargetKind.NONE))
    found.append(Target(DEFAULT, TargetKind.DEFAULT))
    fits = [fit for fit in device.fits or () if not fit.vfio]
    kernel = {f.driver: Target(f.driver, TargetKind.KERNEL, f.module, f.loaded) for f in fits}
    if device.driver is not None and serves_host(host, device, device.driver):
        kernel.setdefault(device.driver, Target(device.driver, TargetKind.KERNEL))
    found += [target for target in kernel.values() if target.name not in (STUB, VFIO_PCI)]
    return found


def find_target(host: Host, device: Device, name: str) -> Target | None:
    """The device's target of this name; ``vfio_pci`` and ``vfio-pci`` mean the same."""
    return next((t for t in targets_of(host, device) if underscored(t.name) == underscored(name)), None)


def vfio_target(host: Host, device: Device) -> str:
    """The VFIO driver to choose for a device: the one that it is on, else the variant that fits it, else vfio-pci."""
    if device.driver is not None and is_vfio(host, device, device.driver):
        return device.driver
    return next((target.name for target in targets_of(host, device) if target.kind is TargetKind.VFIO), VFIO_PCI)


class Intent(NamedTuple):
    """``DEVICE=TARGET``."""

    device: Address
    target: str

    def __str__(self) -> str:
        return f"{self.device}={self.target}"


class Goal(NamedTuple):
    """A device's destination, and the override that takes it there."""

    device: Address
    driver: str | None
    """The driver to be on at the end; None: free. With ``any_driver``, what is predicted."""
    aim: str | None
    """The override while the device is unbound and probed."""
    override: str | None
    """The override that is left behind."""
    any_driver: bool = False
    """The kernel chooses: success is whatever it binds."""
    seen: bool = False
    """The device has been on this driver before, so that it fits whatever its tables say."""


def goal_of(host: Host, intent: Intent) -> Goal | Reason:
    """The goal of an intent, or the reason why it is refused under any model."""
    device = host.devices.get(intent.device)
    if device is None:
        return Reason(Code.NO_DEVICE, device=intent.device)
    if device.bus != "pci":
        return Reason(Code.NOT_PCI, device.group, device.address, facts=(("bus", device.bus),))
    target = find_target(host, device, intent.target)
    if target is None:
        return _why_no_target(host, device, intent.target)
    if target.kind is TargetKind.NONE:
        return Goal(device.address, None, NONE, NONE)
    if target.kind is TargetKind.DEFAULT:
        return Goal(device.address, default_driver(host, device), None, None, any_driver=True)
    return Goal(device.address, target.name, target.name, target.name)


def goals_of(host: Host, intents: Iterable[Intent]) -> list[Goal]:
    """The goals of those intents that are not refused."""
    return [goal for intent in intents if isinstance(goal := goal_of(host, intent), Goal)]


def refusal_of(host: Host, intent: Intent) -> Reason | None:
    """Why an intent is refused under any model; None if it is not."""
    found = goal_of(host, intent)
    return found if isinstance(found, Reason) else None


def _why_no_target(host: Host, device: Device, name: str) -> Reason:
    plain = name.replace("_", "-")
    if device.is_bridge and "vfio" in name:
        return Reason(Code.BRIDGE, device.group, device.address, name)
    if (what := chipset_part(device)) and ("vfio" in name or plain == STUB):
        return Reason(Code.OF_THE_BOARD, device.group, device.address, name, (("what", what),))
    if "vfio" in name and (controller := controller_of(host, device)) is not None:
        return Reason(Code.BEHIND_VMD, device.group, device.address, name, (("controller", controller.address),))
    if plain in host.lacks:
        return Reason(Code.NO_MODULE, device.group, device.address, plain)
    # A wrong name and a driver that does not fit are told apart.
    known = {driver.name for driver in host.drivers or ()} | host.driver_table.keys()
    for each in host.devices.values():
        known |= {each.driver or "", *(fit.driver for fit in each.fits or ())}
    exists = underscored(name) in map(underscored, known)
    return Reason(Code.UNFIT_DRIVER if exists else Code.NO_DRIVER, device.group, device.address, name)


def default_driver(host: Host, device: Device) -> str | None:
    """The driver that the kernel is expected to choose without an override."""
    if serves_host(host, device, device.driver):
        return device.driver
    refused = {fit.driver for fit in device.fits or () if fit.refused}
    found = candidates(host, device._replace(driver_override=None))
    return next((name for name in found if name not in refused), None)


def restoring(device: Address, driver: str | None, override: str | None) -> Goal:
    """The goal that puts a device back exactly: aimed at its old driver, with its old override left behind."""
    return Goal(device, driver, driver if driver is not None else override, override, seen=driver is not None)
