"""The kernel's own primitive events: a rebind, a plan and a recorded trace are sequences of them.

Dataclasses, not named tuples: an unbind and a probe of the same device must not be equal.
"""

from dataclasses import dataclass

from iommutui.core.address import Address


@dataclass(frozen=True, slots=True)
class Override:
    """A write to ``driver_override``; None clears it."""

    device: Address
    driver: str | None


@dataclass(frozen=True, slots=True)
class Unbind:
    """A write to the ``unbind`` file of the driver that the device is on."""

    device: Address


@dataclass(frozen=True, slots=True)
class Bind:
    """A write to ``/sys/bus/pci/drivers/DRIVER/bind``."""

    device: Address
    driver: str


@dataclass(frozen=True, slots=True)
class Probe:
    """A write to ``/sys/bus/pci/drivers_probe``."""

    device: Address


@dataclass(frozen=True, slots=True)
class ClaimGroup:
    """``VFIO_GROUP_SET_CONTAINER`` with an IOMMU set; with ``devices``, every member on a VFIO driver is opened too."""

    group: int
    owner: str
    devices: bool = True


@dataclass(frozen=True, slots=True)
class ClaimDevice:
    """``VFIO_GROUP_GET_DEVICE_FD``, or with ``cdev`` the bind of a device file to an iommufd."""

    device: Address
    owner: str
    cdev: bool = False


@dataclass(frozen=True, slots=True)
class ReleaseGroup:
    """The owner closes every file of the group."""

    group: int
    owner: str


@dataclass(frozen=True, slots=True)
class ReleaseDevice:
    """The owner closes one device."""

    device: Address
    owner: str


@dataclass(frozen=True, slots=True)
class Remove:
    """A write to the device's ``remove``; everything below a bridge goes with it."""

    device: Address


@dataclass(frozen=True, slots=True)
class Rescan:
    """A write to ``/sys/bus/pci/rescan``."""


DelayedWrite = Override | Bind
"""Writes that need the lock of the device, which an unbind that waits has."""

Event = Override | Unbind | Bind | Probe | ClaimGroup | ClaimDevice | ReleaseGroup | ReleaseDevice | Remove | Rescan
