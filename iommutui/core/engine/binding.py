"""Writes to ``driver_override``, ``unbind``, ``bind`` and ``drivers_probe`` (``drivers/base``, ``drivers/pci``)."""

from iommutui.core.engine.detach import driver_left, driverless, holding
from iommutui.core.engine.driver_probe import own_probe
from iommutui.core.engine.matching import candidates, is_iommu, matches_by_id
from iommutui.core.engine.noiommu import with_group
from iommutui.core.events import Bind, Override, Probe, Unbind
from iommutui.core.host import Device, Host
from iommutui.core.models.base import Check, Model, since, unbind_pending
from iommutui.core.outcome import OK, Outcome, in_use, missing, refused
from iommutui.core.reasons import Code, Reason

OVERRIDE_LIMIT = 4095
"""``driver_override`` refuses a write of PAGE_SIZE - 1 bytes or more with EINVAL."""


def override(host: Host, event: Override, model: Model) -> Outcome:
    """``driver_override_store``: nothing is checked but the length, and nothing is bound or unbound by it."""
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
        # The write waits for the lock of the device, which the blocked unbind has.
        return _behind(host, event, in_use(group, device))
    return Outcome(OK, host.with_device(device._replace(driver_override=value)))


def unbind(host: Host, event: Unbind, model: Model) -> Outcome:
    """``unbind_store``; a VFIO driver waits for the user of the device (``vfio_unregister_group_dev``)."""
    device = host.devices.get(event.device)
    if device is None:
        return missing(host, event.device)
    group = host.group_of(device.address)
    if unbind_pending(group, device):
        return Outcome(OK, host, in_use(group, device), blocks=True)
    if device.driver is None:
        gap = device.gap("driver")
        facts = (("why", gap.why),) if gap is not None else ()
        code = Code.UNKNOWN_DRIVER if gap is not None else Code.NOT_BOUND
        return refused(host, "ENODEV", Reason(code, device.group, device.address, facts=facts))
    after = host.with_device(driverless(host, device))
    if group is None:
        return Outcome(OK, after)
    if model.unbind_blocks(host, group, device):
        return Outcome(OK, holding(after, group, device), in_use(group, device), blocks=True)
    return Outcome(OK, driver_left(after, group, model))


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
        reason = Reason(Code.ALREADY_BOUND, device.group, device.address, device.driver)
        return refused(host, "EBUSY" if modern else "ENODEV", reason)
    group = host.group_of(device.address)
    if unbind_pending(group, device):
        # Inside the kernel the driver is still set: that is seen at once, or once the lock of the device is free.
        why = in_use(group, device)
        return _behind(host, event, why) if modern else refused(host, "ENODEV", *why)
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
    """``drivers_probe_store``: says ok unless the driver core itself refuses, whether anything is bound or not."""
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
    if not reasons and is_iommu(host, device):
        reasons = (Reason(Code.IOMMU_FUNCTION, device.group, device.address, device.driver_override),)
    elif not reasons:
        facts = (("override", device.driver_override or ""),)
        reasons = (Reason(Code.NO_DRIVER, device.group, device.address, device.driver_override, facts),)
    return Outcome(OK, host, reasons)


def _behind(host: Host, event: Bind | Override, why: tuple[Reason, ...]) -> Outcome:
    """The write waits behind an unbind, and is carried out when that has ended (`core.engine.claims`)."""
    return Outcome(OK, host._replace(waiting=(*host.waiting, event)), why, blocks=True)


def _core_check(host: Host, device: Device, driver: str, model: Model) -> Check:
    """``really_probe`` up to the driver's own probe."""
    if is_iommu(host, device):
        return Check("EBUSY", (Reason(Code.IOMMU_FUNCTION, device.group, device.address, driver),))
    return model.check_probe(host, device, driver)


def _attach(host: Host, device: Device, driver: str, model: Model) -> Outcome:
    bound = device._replace(driver=driver)
    after = with_group(host.with_device(bound), bound)
    crash = model.crash_of(after, bound, driver)
    if crash is not None:
        return Outcome(OK, after, crash[1], crash=crash[0])
    return Outcome(OK, after)
