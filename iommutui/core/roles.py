"""Roles: for whom a driver does DMA with a device, by the Host's table of drivers and by what the device shows."""

from typing import NamedTuple

from iommutui.core.drivers import STUB, Role
from iommutui.core.host import Device, Host


class KnownRole(NamedTuple):
    """A role, and whether it is a guess from the driver's name."""

    role: Role
    assumed: bool = False


_VFIO = KnownRole(Role.USER)


def vfio_role(host: Host, device: Device, driver: str) -> KnownRole | None:
    """USER where the driver registers a VFIO device, by the table, by ``vfio-dev``, or (assumed) by its name.

    ``vfio-dev`` exists from 6.1 while a VFIO driver is bound, whatever the driver is called.
    """
    row = host.driver_table.get(driver)
    if row is not None:
        return _VFIO if row.vfio else None
    if device.driver == driver and device.vfio_dev is not None:
        return _VFIO
    if any(fit.driver == driver and fit.vfio for fit in device.fits or ()):
        return _VFIO
    return KnownRole(Role.USER, assumed=True) if "vfio" in driver else None


def is_vfio(host: Host, device: Device, driver: str | None) -> bool:
    """Whether a driver hands the device to virtual machines; None is no driver."""
    return driver is not None and vfio_role(host, device, driver) is not None


def serves_host(host: Host, device: Device, driver: str | None) -> bool:
    """Whether a driver uses the device for the host: any except those of VFIO and ``pci-stub``."""
    return driver is not None and driver != STUB and not is_vfio(host, device, driver)
