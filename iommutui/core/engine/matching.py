"""Which drivers match a device (``pci_match_device``, ``driver_match_device``)."""

from iommutui.core.drivers import PCIEPORT, PORT_CLASSES, SHPCHP, STUB
from iommutui.core.engine.parameters import taken_by_ids
from iommutui.core.host import Device, Fit, Host
from iommutui.core.models.base import since
from iommutui.core.roles import is_vfio


def is_iommu(host: Host, device: Device) -> bool:
    """Whether an active IOMMU is this function, as AMD's are: no driver gets it.

    Up to 6.15 nothing matches it (``match_driver = false`` in ``iommu_init_pci``, commit cbbc00be2ce3; seen on 5.10 and
    6.1, and in the source of 6.12.118). Commit 3be5fa236649 reverted that for 6.16, where ``really_probe`` refuses a
    device with resources before it is probed, here those of the IOMMU's driver (seen on 7.2).
    """
    return any(iommu.function == device.address for iommu in host.iommus or ())


def candidates(host: Host, device: Device) -> list[str]:
    """The drivers that ``drivers_probe`` tries, in order (``driver_match_device``)."""
    if is_iommu(host, device) and not since(host, (6, 16)):
        return []
    override = device.driver_override
    if override is not None:
        known = host.has_driver(override) if host.drivers is not None else _named(host, override)
        return [override] if known else []
    found = [fit.driver for fit in device.fits or () if fit.loaded and not fit.vfio and host.has_driver(fit.driver)]
    # Their tables are of classes, and no alias of a module shows them. Built in, they are registered before the others.
    registered = found if host.drivers is None else [driver.name for driver in host.drivers]
    ports = [name for name in (PCIEPORT, SHPCHP) if name in registered and matches_class(device, name)]
    # Who gives ids to them has them loaded before the driver that would take the device otherwise.
    aside = [name for name in taken_by_ids(host, device) if host.has_driver(name)]
    return [*ports, *aside, *(name for name in found if name not in ports)]


def matches_by_id(host: Host, device: Device, driver: str) -> bool:
    """Whether the driver's table matches; those of VFIO drivers and pci-stub hold only what ``ids`` gave them."""
    if driver == STUB or is_vfio(host, device, driver):
        return driver in taken_by_ids(host, device)
    if driver in (PCIEPORT, SHPCHP):
        return matches_class(device, driver)
    if takes_any(host, driver):
        return fit_of(device, driver) is not None
    return fit_of(device, driver) is not None or not fits_known(host, device)


def matches_class(device: Device, driver: str) -> bool:
    """Whether the table of ``pcieport`` or ``shpchp`` has the device's class."""
    classes = PORT_CLASSES if driver == PCIEPORT else PORT_CLASSES[:1]
    return (
        device.bus == "pci"
        and device.is_bridge
        and any(each.startswith(device.class_code or PORT_CLASSES[0]) for each in classes)
    )


def takes_any(host: Host, driver: str) -> bool:
    """Whether the driver's probe accepts every device that an override brings."""
    row = host.driver_table.get(driver)
    return row is not None and row.any_device


def fit_of(device: Device, driver: str) -> Fit | None:
    return next((fit for fit in device.fits or () if fit.driver == driver), None)


def fits_known(host: Host, device: Device) -> bool:
    """Whether a driver that is not among ``fits`` is known not to fit."""
    partly = device.gap("fits") or any(gap.attribute == "modules.alias" for gap in host.gaps)
    return device.fits is not None and not partly


def _named(host: Host, driver: str) -> bool:
    """Whether a driver of this very name is seen anywhere, for a Host that does not say which are registered."""
    if host.driver_table.get(driver) is not None:
        return True
    return any(d.driver == driver or any(fit.driver == driver for fit in d.fits or ()) for d in host.devices.values())
