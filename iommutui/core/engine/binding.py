"""Writes to ``driver_override``, ``unbind``, ``bind`` and ``drivers_probe`` (``drivers/base``, ``drivers/pci``).

Also what a driver leaves behind: on its device, in the group, and for a process that has the device open.
"""

from iommutui.core.engine.matching import candidates, fit_of, is_iommu, matches_by_id, own_probe, proven
from iommutui.core.events import Bind, Override, Probe, Unbind
from iommutui.core.host import NO_IOMMU, Device, Group, Host, by_number, is_vfio
from iommutui.core.models import Check, Model, since, turned_down, unbind_pending, vfio_devices
from iommutui.core.reasons import OK, Code, Outcome, Reason, in_use, missing, refused, unknown_driver

OVERRIDE_LIMIT = 4095
"""``driver_override`` refuses a write of PAGE_SIZE - 1 bytes or more with EINVAL."""


def override(host: Host, event: Override, model: Model) -> Outcome:
    """``driver_override_store``: only the length is checked, and nothing is bound or unbound."""
    device = host.devices.get(event.device)
    if device is None:
        return missing(host, event.device, "ENOENT")
    text = event.driver
    if text is not None and len(text.encode("utf-8", "surrogatepass")) + 1 >= OVERRIDE_LIMIT:
        return refused(host, "EINVAL", Reason(Code.OVERRIDE_TOO_LONG, device=device.address))
    if text == "":
        return Outcome(OK, host)  # A zero-length write does not reach the kernel.
    value = None if text is None else text.partition("\n")[0].partition("\0")[0] or None
    group = host.group_of(device.address)
    if unbind_pending(group, device) and not since(host, (6, 12)):
        # The write waits for the device lock, which the blocked unbind holds.
        return _behind(host, event, in_use(group, device))
    gaps = tuple(gap for gap in device.gaps if gap.attribute != "driver_override")  # the override is known from now on
    return Outcome(OK, host.with_device(device._replace(driver_override=value, gaps=gaps)))


def unbind(host: Host, event: Unbind, model: Model) -> Outcome:
    """``unbind_store``; a VFIO driver waits for the user of the device (``vfio_unregister_group_dev``)."""
    device = host.devices.get(event.device)
    if device is None:
        return missing(host, event.device)
    group = host.group_of(device.address)
    if unbind_pending(group, device):
        return Outcome(OK, host, in_use(group, device), blocks=True)
    if device.driver is None:
        why = unknown_driver(device) or Reason(Code.NOT_BOUND, device.group, device.address)
        return refused(host, "ENODEV", why)
    after, waiting = let_go(host, device, model)
    return Outcome(OK, after, waiting, blocks=bool(waiting))


def let_go(host: Host, device: Device, model: Model) -> tuple[Host, tuple[Reason, ...]]:
    """The Host without the device's driver, and why the driver waits before it has released the device, if it does."""
    after = host.with_device(driverless(host, device))
    group = host.group_of(device.address)
    if group is None:
        return after, ()
    if group.claim is None or not model.unbind_blocks(host, group, device):
        return driver_left(after, group, model), ()
    opened = tuple(dict.fromkeys((*group.claim.opened, device.address)))
    return after.with_group(group._replace(claim=group.claim._replace(opened=opened))), in_use(group, device)


def bind(host: Host, event: Bind, model: Model) -> Outcome:
    """``bind_store``: a driver that matches, a free device, then the driver core's check, then the driver's probe."""
    device = host.devices.get(event.device)
    driver = event.driver
    if not host.has_driver(driver):
        return refused(host, "ENOENT", Reason(Code.NO_DRIVER, device=event.device, driver=driver))
    if device is None:
        return missing(host, event.device)
    if device.driver_override is not None and device.driver_override != driver:
        facts = (("override", device.driver_override),)
        return refused(host, "ENODEV", Reason(Code.OVERRIDE_DIFFERS, device.group, device.address, driver, facts))
    if device.driver_override is None and not matches_by_id(host, device, driver):
        return refused(host, "ENODEV", Reason(Code.NO_MATCH, device.group, device.address, driver))
    if is_iommu(host, device) and not since(host, (6, 16)):
        return refused(host, "ENODEV", Reason(Code.IOMMU_FUNCTION, device.group, device.address, driver))
    modern = since(host, (5, 15))
    if device.driver is not None:
        why = Reason(Code.ALREADY_BOUND, device.group, device.address, device.driver)
        return refused(host, "EBUSY" if modern else "ENODEV", why)
    group = host.group_of(device.address)
    if unbind_pending(group, device):
        # Inside the kernel the driver is still set: ``bind`` sees that at once, or once the device lock is free.
        held = in_use(group, device)
        return _behind(host, event, held) if modern else refused(host, "ENODEV", *held)
    check = _core_check(host, device, driver, model)
    if check.errno != OK:
        deferred = check.errno == "EPROBE_DEFER"
        return refused(host, ("EAGAIN" if modern else "ENODEV") if deferred else check.errno, *check.reasons)
    own = own_probe(host, device, driver)
    if own.errno != OK:
        return refused(host, own.errno if modern else "ENODEV", *own.reasons)
    outcome = _attach(host, device, driver, model)
    return outcome._replace(reasons=(*check.reasons, *outcome.reasons))


def probe(host: Host, event: Probe, model: Model) -> Outcome:
    """``drivers_probe_store``: succeeds unless the driver core itself refuses, whether anything is bound or not."""
    device = host.devices.get(event.device)
    if device is None:
        return missing(host, event.device)
    if device.driver is not None:
        return Outcome(OK, host, (Reason(Code.ALREADY_BOUND, device.group, device.address, device.driver),))
    group = host.group_of(device.address)
    if unbind_pending(group, device):
        return Outcome(OK, host, in_use(group, device))
    reasons: tuple[Reason, ...] = ()
    for driver in candidates(host, device):
        check = _core_check(host, device, driver, model)
        if check.errno != OK:
            # A negative error from the driver core ends the walk over drivers, and drivers_probe says EINVAL for any.
            return refused(host, "EINVAL", *reasons, *check.reasons)
        own = own_probe(host, device, driver)
        reasons = (*reasons, *check.reasons, *own.reasons)
        if own.errno == OK:
            outcome = _attach(host, device, driver, model)
            return outcome._replace(reasons=(*reasons, *outcome.reasons))
    code = Code.IOMMU_FUNCTION if is_iommu(host, device) else Code.NO_DRIVER
    return Outcome(OK, host, reasons or (Reason(code, device.group, device.address, device.driver_override),))


def _behind(host: Host, event: Bind | Override, why: tuple[Reason, ...]) -> Outcome:
    """The write waits behind an unbind, and takes effect once that has ended (`core.engine.claims`)."""
    return Outcome(OK, host._replace(waiting=(*host.waiting, event)), why, blocks=True)


def _core_check(host: Host, device: Device, driver: str, model: Model) -> Check:
    """``really_probe`` up to the driver's own probe."""
    if is_iommu(host, device):
        return turned_down("EBUSY", Code.IOMMU_FUNCTION, device, driver)
    group = host.group_of(device.address)
    return Check() if group is None else model.check_probe(host, group, device, driver)


def _attach(host: Host, device: Device, driver: str, model: Model) -> Outcome:
    bound = device._replace(driver=driver)
    after = _with_noiommu_group(host.with_device(bound), bound)
    group = after.group_of(device.address)
    crash = model.crash_of(after, group, bound, driver) if group is not None else None
    return Outcome(OK, after) if crash is None else Outcome(OK, after, crash[1], crash=crash[0])


def driverless(host: Host, device: Device) -> Device:
    """The device after an unbind; it can be bound to the same driver again."""
    driver = device.driver
    # An override may have bound a driver that does not know the device and would not bind to it without one.
    forced = device.driver_override == driver and not is_vfio(host, device, driver)
    if driver is not None and (not forced or fit_of(device, driver) is not None):
        device = proven(host, device, driver)
    gaps = tuple(gap for gap in device.gaps if gap.attribute != "driver")
    return device._replace(driver=None, vfio_dev=None, gaps=gaps)


def driver_left(host: Host, group: Group, model: Model) -> Host:
    """The Host after a driver was unbound from a member of the group, whatever the Host says about the group.

    The last VFIO device takes ``/dev/vfio/N`` with it, and that the container (``vfio_device_remove_group``); the last
    driver takes with it the domain that it had attached.
    """
    if group.foreign and all(device.driver is None for device in host.members(group)):
        group = group._replace(foreign=False)
    if model.through_vfio and not model.container_waits and group.claim is not None and not vfio_devices(host, group):
        group = group._replace(claim=None)
    return _without_noiommu_group(host.with_group(group), group)


def _with_noiommu_group(host: Host, device: Device) -> Host:
    """The Host after a driver was bound, with the group that VFIO has made (``vfio_noiommu_group_alloc``).

    In no-IOMMU mode it makes one for a device that has none, of the lowest free number; its node is
    ``/dev/vfio/noiommu-N``, there is no file of the device, and it goes with the driver. Seen on 6.12.
    """
    if device.group is not None or not is_vfio(host, device, device.driver):
        return host
    number = next(n for n in range(len(host.groups) + 1) if n not in host.groups)
    group = Group(number, (device.address,), "unknown", NO_IOMMU, ())
    return host.with_device(device._replace(group=number))._replace(groups=by_number((*host.groups.values(), group)))


def _without_noiommu_group(host: Host, group: Group) -> Host:
    """The Host without a group of this mode whose device has been let go (``vfio_group_remove``)."""
    if group.name != NO_IOMMU or any(d.driver is not None or unbind_pending(group, d) for d in host.members(group)):
        return host
    for device in host.members(group):
        host = host.with_device(device._replace(group=None))
    return host.without_group(group.id)
