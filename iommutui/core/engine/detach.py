"""What a driver leaves behind: on its device, in the group, and to who has the device open."""

from iommutui.core.address import sort_key
from iommutui.core.drivers import STUB, VFIO_PCI
from iommutui.core.engine.noiommu import without_group
from iommutui.core.host import Device, Fit, Gap, Group, Host
from iommutui.core.models.base import Model, vfio_devices
from iommutui.core.roles import is_vfio


def driverless(host: Host, device: Device) -> Device:
    """The device after an unbind; what it was bound to, it can be bound to again."""
    driver, fits = device.driver, device.fits
    gaps = tuple(gap for gap in device.gaps if gap.attribute != "driver")
    if driver is not None and driver not in (STUB, VFIO_PCI):
        if fits is None:
            gaps = (*gaps, Gap("fits", "not-recorded"))
        seen = [fit for fit in fits or () if fit.driver == driver]
        if seen:
            fits = tuple(fit._replace(loaded=True, proven=True) if fit.driver == driver else fit for fit in fits or ())
        elif device.driver_override != driver or is_vfio(host, device, driver):
            # Through an override a driver may take what it does not know: it would not do so without.
            fits = (*(fits or ()), Fit(driver, None, True, is_vfio(host, device, driver), proven=True))
    return device._replace(driver=None, vfio_dev=None, fits=fits, gaps=gaps)


def driver_left(host: Host, group: Group, model: Model) -> Host:
    """The Host after a driver has left a member of the group.

    The last VFIO device takes ``/dev/vfio/N`` with it, and that the container (``vfio_device_remove_group``); the last
    driver takes with it the domain that it had attached.
    """
    if group.foreign and all(device.driver is None for device in host.members(group)):
        group = group._replace(foreign=False)
    if model.through_vfio and not model.container_waits and group.claim is not None and not vfio_devices(host, group):
        group = group._replace(claim=None)
    return without_group(host if group is host.groups.get(group.id) else host.with_group(group), group)


def holding(host: Host, group: Group, device: Device) -> Host:
    """The Host on which the owner of the group is what an unbind of this device waits for."""
    if group.claim is None or device.address in group.claim.opened:
        return host
    opened_too = tuple(sorted((*group.claim.opened, device.address), key=sort_key))
    return host.with_group(group._replace(claim=group.claim._replace(opened=opened_too)))
