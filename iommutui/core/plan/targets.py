"""What a device may be bound to, and what it costs: the only targets that a plan accepts.

An override makes a driver take a device that it does not know, which has crashed real kernels; so a target is a VFIO
driver that fits, ``pci-stub``, ``none``, ``default``, or a kernel driver whose own table or aliases match.
"""

from enum import StrEnum
from typing import NamedTuple

from iommutui.core.board import is_of_use, of_the_board
from iommutui.core.drivers import STUB, VFIO_PCI, underscored
from iommutui.core.host import Device, Host
from iommutui.core.roles import is_vfio, serves_host

NONE = "none"
"""Keep the device free: an override that names no driver."""

DEFAULT = "default"
"""Clear the override and let the kernel choose."""


class TargetKind(StrEnum):
    """What a target means for the device."""

    VFIO = "vfio"
    STUB = "stub"
    NONE = "none"
    DEFAULT = "default"
    KERNEL = "kernel"


class Target(NamedTuple):
    """One possible target of a device."""

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
    if not of_the_board(device):
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
    """The device's target of this name; ``vfio_pci`` and ``vfio-pci`` are taken for the same."""
    plain = underscored(name)
    for target in targets_of(host, device):
        if target.name == name:
            return target
    for target in targets_of(host, device):
        if underscored(target.name) == plain:
            return target
    return None


def vfio_target(host: Host, device: Device) -> str:
    """The VFIO driver to choose for a device: the one that it is on, else the variant that fits it, else vfio-pci."""
    if device.driver is not None and is_vfio(host, device, device.driver):
        return device.driver
    return next((target.name for target in targets_of(host, device) if target.kind is TargetKind.VFIO), VFIO_PCI)


def exists_somewhere(host: Host, name: str) -> bool:
    """Whether the name is a driver's at all, so that a wrong name and a driver that does not fit are told apart."""
    plain = underscored(name)
    known = {underscored(driver.name) for driver in host.drivers or ()}
    known |= {underscored(fit.driver) for device in host.devices.values() for fit in device.fits or ()}
    known |= {underscored(device.driver) for device in host.devices.values() if device.driver}
    return plain in known or host.driver_table.get(name) is not None
