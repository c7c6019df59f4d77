"""The kernel's own primitive events: a rebind, a plan and a recorded trace are sequences of them."""

from typing import NamedTuple

from iommutui.core.address import Address


class Override(NamedTuple):
    """A write to ``driver_override``; None clears it."""

    device: Address
    driver: str | None


class Unbind(NamedTuple):
    """A write to the ``unbind`` file of the driver that the device is on."""

    device: Address


class Bind(NamedTuple):
    """A write to ``/sys/bus/pci/drivers/DRIVER/bind``."""

    device: Address
    driver: str


class Probe(NamedTuple):
    """A write to ``/sys/bus/pci/drivers_probe``."""

    device: Address


class ClaimGroup(NamedTuple):
    """``VFIO_GROUP_SET_CONTAINER`` with an IOMMU set; with ``devices``, every member on a VFIO driver is opened too."""

    group: int
    owner: str
    devices: bool = True


class ClaimDevice(NamedTuple):
    """``VFIO_GROUP_GET_DEVICE_FD``, or with ``cdev`` the bind of a device file to an iommufd."""

    device: Address
    owner: str
    cdev: bool = False


class ReleaseGroup(NamedTuple):
    """The owner closes everything it holds of the group."""

    group: int
    owner: str


class ReleaseDevice(NamedTuple):
    """The owner closes one device."""

    device: Address
    owner: str


class Remove(NamedTuple):
    """A write to the device's ``remove``; what is below a bridge goes with it."""

    device: Address


class Rescan(NamedTuple):
    """A write to ``/sys/bus/pci/rescan``."""


DelayedWrite = Override | Bind
"""Writes that need the lock of the device, which an unbind that waits has."""

Event = Override | Unbind | Bind | Probe | ClaimGroup | ClaimDevice | ReleaseGroup | ReleaseDevice | Remove | Rescan
