"""``transition(Host, event, model) -> Outcome``: what the kernel does with one write or ioctl.

The mechanics of binding are here (``drivers/base/bus.c`` and ``dd.c``, ``drivers/pci/pci-driver.c``,
``vfio_pci_core.c``), with the versions in which they changed; what a model decides is asked of the model.
"""

from collections.abc import Callable

from iommutui.core.address import Address, sort_key
from iommutui.core.drivers import STUB, facts_of, is_vfio
from iommutui.core.events import (
    Bind,
    ClaimDevice,
    ClaimGroup,
    Event,
    Override,
    Probe,
    ReleaseDevice,
    ReleaseGroup,
    Remove,
    Rescan,
    Unbind,
)
from iommutui.core.host import Claim, Device, Fit, Group, Host
from iommutui.core.models.base import Check, Model, has_node, since
from iommutui.core.outcome import OK, Outcome
from iommutui.core.reasons import Code, Reason

OVERRIDE_LIMIT = 4095
"""``driver_override`` refuses a write of PAGE_SIZE - 1 bytes or more with EINVAL."""

PORT_TYPES = frozenset({4, 5, 6, 10})
"""PCIe port types that ``pcieport`` takes: root port, upstream and downstream port, event collector."""

PORT_CLASSES = ("060400", "060401", "060700")
"""Classes in the table of ``pcieport``."""


def transition(host: Host, event: Event, model: Model) -> Outcome:
    """What the kernel answers to the event under the model, and the Host that it leaves behind."""
    outcome = _HANDLERS[type(event)](host, event, model)
    if outcome.groups:
        return outcome
    return outcome._replace(groups=_concerned(host, event))


def _concerned(host: Host, event: Event) -> tuple[int, ...]:
    if isinstance(event, ClaimGroup | ReleaseGroup):
        return (event.group,) if event.group in host.groups else ()
    if isinstance(event, Rescan):
        return ()
    device = host.devices.get(event.device)
    return () if device is None or device.group is None else (device.group,)


def _refused(host: Host, errno: str, *reasons: Reason) -> Outcome:
    return Outcome(errno, host, reasons)


def _missing(host: Host, address: Address) -> Outcome:
    return _refused(host, "ENODEV", Reason(Code.NO_DEVICE, device=address))


def _held(host: Host, device: Device) -> bool:
    """An unbind of this device is still waiting for its user."""
    group = host.group_of(device.address)
    return (
        device.driver is None and group is not None and group.claim is not None and device.address in group.claim.opened
    )


# -- driver_override, unbind, bind, drivers_probe


def _override(host: Host, event: Override, model: Model) -> Outcome:
    device = host.devices.get(event.device)
    if device is None:
        return _missing(host, event.device)
    if event.driver is None:
        return Outcome(OK, host.with_device(device._replace(driver_override=None)))
    if len(event.driver.encode()) + 1 > OVERRIDE_LIMIT:
        return _refused(host, "EINVAL", Reason(Code.OVERRIDE_TOO_LONG, device=device.address))
    if event.driver == "":
        return Outcome(OK, host)
    value = event.driver.split("\n", 1)[0].split("\0", 1)[0]
    return Outcome(OK, host.with_device(device._replace(driver_override=value or None)))


def _unbind(host: Host, event: Unbind, model: Model) -> Outcome:
    device = host.devices.get(event.device)
    if device is None:
        return _missing(host, event.device)
    if device.driver is None:
        return _refused(host, "ENODEV", Reason(Code.NOT_BOUND, device.group, device.address))
    group = host.group_of(device.address)
    blocks = group is not None and model.unbind_blocks(host, group, device)
    after = host.with_device(_driverless(device))
    reasons: tuple[Reason, ...] = ()
    if blocks and group is not None and group.claim is not None:
        facts = (("owner", group.claim.owner),)
        reasons = (Reason(Code.IN_USE, group.id, device.address, device.driver, facts),)
    return Outcome(OK, after, reasons, blocks=blocks)


def _driverless(device: Device) -> Device:
    """The device after an unbind; what it was bound to by itself, it can be bound to again."""
    fits = device.fits
    own = device.driver is not None and is_vfio(device, device.driver) is None and device.driver != STUB
    if own and device.driver is not None and device.driver_override != device.driver:
        known = fits or ()
        if all(fit.driver != device.driver for fit in known):
            fits = (*known, Fit(device.driver, None, loaded=True))
    return device._replace(driver=None, vfio_dev=None, fits=fits)


def candidates(host: Host, device: Device) -> list[str]:
    """The drivers that ``drivers_probe`` tries, in order (``driver_match_device``)."""
    if device.driver_override is not None:
        return [device.driver_override] if host.has_driver(device.driver_override) else []
    return [fit.driver for fit in device.fits or () if fit.loaded and not fit.vfio and host.has_driver(fit.driver)]


def _own_probe(host: Host, device: Device, driver: str) -> Check:
    """The driver's own probe function, as far as it is known."""
    if is_vfio(device, driver):
        if device.bus == "pci" and device.is_bridge:
            return Check("EINVAL", (Reason(Code.BRIDGE, device.group, device.address, driver),))
        if device.group is None:
            return Check("EINVAL", (Reason(Code.NO_GROUP, device=device.address, driver=driver),))
        if device.virtfns:
            return Check("EBUSY", (Reason(Code.VFS_ENABLED, device.group, device.address, driver),))
        return Check()
    if driver == "pcieport":
        port = device.pcie_type in PORT_TYPES if device.pcie_type is not None else device.is_bridge
        if not (port and (device.class_code or PORT_CLASSES[0]) in PORT_CLASSES):
            return Check("ENODEV", (Reason(Code.NOT_A_PORT, device.group, device.address, driver),))
        return Check()
    if driver == STUB or device.fits is None or any(fit.driver == driver for fit in device.fits):
        return Check()
    return Check("ENODEV", (Reason(Code.UNFIT_DRIVER, device.group, device.address, driver),))


def _attach(host: Host, device: Device, driver: str, model: Model) -> Outcome:
    bound = device._replace(driver=driver)
    after = host.with_device(bound)
    crash = model.crash_of(after, bound, driver)
    if crash is not None:
        return Outcome(OK, after, crash[1], crash=crash[0])
    return Outcome(OK, after)


def _bind(host: Host, event: Bind, model: Model) -> Outcome:
    device = host.devices.get(event.device)
    driver = event.driver
    if not host.has_driver(driver):
        return _refused(host, "ENOENT", Reason(Code.NO_DRIVER, device=event.device, driver=driver))
    if device is None:
        return _missing(host, event.device)
    if device.driver_override is not None and device.driver_override != driver:
        facts = (("override", device.driver_override),)
        return _refused(host, "ENODEV", Reason(Code.OVERRIDE_DIFFERS, device.group, device.address, driver, facts))
    if device.driver_override is None and not _matches_by_id(device, driver):
        return _refused(host, "ENODEV", Reason(Code.NO_MATCH, device.group, device.address, driver))
    modern = since(host, (5, 15))
    if device.driver is not None:
        reason = Reason(Code.ALREADY_BOUND, device.group, device.address, device.driver)
        return _refused(host, "EBUSY" if modern else "ENODEV", reason)
    if _held(host, device):
        reason = Reason(Code.IN_USE, device.group, device.address, driver)
        return Outcome(OK, host, (reason,), blocks=True)
    check = model.check_probe(host, device, driver)
    if check.errno != OK:
        return _refused(host, check.errno, *check.reasons)
    own = _own_probe(host, device, driver)
    if own.errno != OK:
        return _refused(host, own.errno if modern else "ENODEV", *own.reasons)
    outcome = _attach(host, device, driver, model)
    return outcome._replace(reasons=(*check.reasons, *outcome.reasons))


def _matches_by_id(device: Device, driver: str) -> bool:
    """Whether the driver's own table matches; the tables of VFIO drivers and pci-stub match nothing by themselves."""
    if driver == STUB or is_vfio(device, driver):
        return False
    if device.fits is None:
        return facts_of(driver) is None
    return any(fit.driver == driver and not fit.vfio for fit in device.fits)


def _probe(host: Host, event: Probe, model: Model) -> Outcome:
    device = host.devices.get(event.device)
    if device is None:
        return _missing(host, event.device)
    if device.driver is not None:
        return Outcome(OK, host, (Reason(Code.ALREADY_BOUND, device.group, device.address, device.driver),))
    if _held(host, device):
        return Outcome(OK, host, (Reason(Code.IN_USE, device.group, device.address),))
    reasons: tuple[Reason, ...] = ()
    for driver in candidates(host, device):
        check = model.check_probe(host, device, driver)
        if check.errno != OK:
            # A negative error from the driver core ends the walk over drivers, and drivers_probe says EINVAL for any.
            return _refused(host, "EINVAL", *reasons, *check.reasons)
        own = _own_probe(host, device, driver)
        reasons = (*reasons, *check.reasons, *own.reasons)
        if own.errno == OK:
            outcome = _attach(host, device, driver, model)
            return outcome._replace(reasons=(*reasons, *outcome.reasons))
    if not reasons:
        facts = (("override", device.driver_override or ""),)
        reasons = (Reason(Code.NO_DRIVER, device.group, device.address, device.driver_override, facts),)
    return Outcome(OK, host, reasons)


# -- claims


def _claim_group(host: Host, event: ClaimGroup, model: Model) -> Outcome:
    group = host.groups.get(event.group)
    if group is None or (model.through_vfio and not has_node(host, group)):
        return _refused(host, "ENOENT", Reason(Code.NO_NODE, event.group))
    check = model.check_claim(host, group, event.owner)
    if check.errno != OK:
        return _refused(host, check.errno, *check.reasons)
    if group.claim is not None:
        claim = group.claim._replace(uses=group.claim.uses + 1)
        return Outcome(OK, host.with_group(group._replace(claim=claim)), check.reasons)
    opened: tuple[Address, ...] = ()
    if event.devices and model.opens_devices(host, group):
        opened = tuple(d.address for d in host.members(group) if d.driver is not None and is_vfio(d, d.driver))
    claim = Claim(event.owner, 1, "group", opened)
    return Outcome(OK, host.with_group(group._replace(claim=claim)), check.reasons)


def _claim_device(host: Host, event: ClaimDevice, model: Model) -> Outcome:
    device = host.devices.get(event.device)
    if device is None:
        return _missing(host, event.device)
    group = host.group_of(device.address)
    if group is None:
        return _refused(host, "ENODEV", Reason(Code.NO_GROUP, device=device.address))
    if model.through_vfio and (device.driver is None or not is_vfio(device, device.driver)):
        return _refused(host, "ENODEV", Reason(Code.NOT_VFIO, group.id, device.address, device.driver))
    contained = group.claim is not None and group.claim.via == "group" and group.claim.owner == event.owner
    check = (
        Check()
        if contained and not event.cdev and model.opens_devices(host, group)
        else model.check_device_claim(host, group, device, event.owner, event.cdev)
    )
    if check.errno != OK:
        return _refused(host, check.errno, *check.reasons)
    if group.claim is None:
        claim = Claim(event.owner, 1, "cdev" if event.cdev else "device", (device.address,))
    else:
        opened = tuple(sorted({*group.claim.opened, device.address}, key=sort_key))
        claim = group.claim._replace(opened=opened, uses=group.claim.uses + (0 if contained else 1))
    return Outcome(OK, host.with_group(group._replace(claim=claim)), check.reasons)


def _not_owner(host: Host, group: Group | None, number: int, owner: str) -> Outcome:
    current = group.claim.owner if group and group.claim else ""
    return _refused(host, "EINVAL", Reason(Code.NOT_OWNER, number, facts=(("asked", owner), ("owner", current))))


def _release_group(host: Host, event: ReleaseGroup, model: Model) -> Outcome:
    group = host.groups.get(event.group)
    if group is None or group.claim is None or group.claim.owner != event.owner:
        return _not_owner(host, group, event.group, event.owner)
    return Outcome(OK, host.with_group(group._replace(claim=None)))


def _release_device(host: Host, event: ReleaseDevice, model: Model) -> Outcome:
    device = host.devices.get(event.device)
    if device is None:
        return _missing(host, event.device)
    group = host.group_of(device.address)
    if group is None or group.claim is None or group.claim.owner != event.owner:
        return _not_owner(host, group, device.group or 0, event.owner)
    opened = tuple(address for address in group.claim.opened if address != device.address)
    if group.claim.via == "group":
        return Outcome(OK, host.with_group(group._replace(claim=group.claim._replace(opened=opened))))
    uses = group.claim.uses - 1
    claim = group.claim._replace(uses=uses, opened=opened) if uses else None
    return Outcome(OK, host.with_group(group._replace(claim=claim)))


# -- remove and rescan


def below(host: Host, address: Address) -> list[Address]:
    """The device and everything behind it, parents first."""
    children: dict[Address, list[Address]] = {}
    for device in host.devices.values():
        if device.parent is not None:
            children.setdefault(device.parent, []).append(device.address)
    found = [address]
    for parent in found:
        found += sorted(children.get(parent, ()), key=sort_key)
    return found


def _remove(host: Host, event: Remove, model: Model) -> Outcome:
    if event.device not in host.devices:
        return _missing(host, event.device)
    gone = below(host, event.device)
    touched = {n for a in gone if (n := host.devices[a].group) is not None}
    for address in gone:
        group = host.group_of(address)
        if group is not None and model.unbind_blocks(host, group, host.devices[address]):
            reason = Reason(Code.IN_USE, group.id, address, host.devices[address].driver)
            return Outcome(OK, host, (reason,), blocks=True, groups=tuple(sorted(touched)))
    devices = {a: d for a, d in host.devices.items() if a not in gone}
    groups = dict(host.groups)
    for number in touched:
        members = tuple(a for a in groups[number].members if a not in gone)
        if members:
            groups[number] = groups[number]._replace(members=members)
        else:
            del groups[number]
    removed = {**host.removed, **{a: _driverless(host.devices[a]) for a in gone}}
    after = host._replace(devices=devices, groups=groups, removed=removed)
    return Outcome(OK, after, groups=tuple(sorted(touched)))


def _rescan(host: Host, event: Rescan, model: Model) -> Outcome:
    found = sorted((d for d in host.removed.values()), key=lambda d: sort_key(d.address))
    again: list[Device] = []
    known = set(host.devices)
    waiting = found
    while True:
        ready = [d for d in waiting if d.parent is None or d.parent in known]
        if not ready:
            break
        again += ready
        known |= {d.address for d in ready}
        waiting = [d for d in waiting if d not in ready]
    after = host._replace(removed={d.address: d for d in waiting})
    touched: list[int] = []
    joined: dict[int, int] = {}
    for device in again:
        after, number = _rediscover(after, device, joined)
        if number is not None:
            touched.append(number)
    reasons: tuple[Reason, ...] = ()
    for device in again:
        outcome = _probe(after, Probe(device.address), model)
        after = outcome.host
        if outcome.crash is not None:
            return outcome._replace(groups=tuple(sorted(set(touched))))
        if after.devices[device.address].driver is None and outcome.result != OK:
            reasons = (*reasons, *outcome.reasons)
    return Outcome(OK, after, reasons, groups=tuple(sorted(set(touched))))


def _rediscover(host: Host, device: Device, joined: dict[int, int]) -> tuple[Host, int | None]:
    """Adds a device that ``rescan`` has found. Its override is gone.

    It joins its old group only through a bridge above it that is still a member, or together with others that came back
    in the same scan; otherwise ``iommu_group_alloc`` hands out the lowest free number.
    """
    old = device.group
    number = old
    if old is not None:
        above = _ancestors(host, device)
        group = host.groups.get(old)
        if old in joined:
            number = joined[old]
        elif group is not None and any(address in group.members for address in above):
            number = old
        else:
            number = next(n for n in range(len(host.groups) + 1) if n not in host.groups)
            joined[old] = number
    fresh = device._replace(driver_override=None, group=number)
    devices = {**host.devices, device.address: fresh}
    groups = dict(host.groups)
    if number is not None:
        group = groups.get(number, Group(number))
        groups[number] = group._replace(members=tuple(sorted((*group.members, device.address), key=sort_key)))
    ordered = {a: devices[a] for a in sorted(devices, key=sort_key)}
    return host._replace(devices=ordered, groups=dict(sorted(groups.items()))), number


def _ancestors(host: Host, device: Device) -> list[Address]:
    found = []
    parent = device.parent
    while parent is not None and parent in host.devices:
        found.append(parent)
        parent = host.devices[parent].parent
    return found


_HANDLERS: dict[type, Callable[..., Outcome]] = {
    Override: _override,
    Unbind: _unbind,
    Bind: _bind,
    Probe: _probe,
    ClaimGroup: _claim_group,
    ClaimDevice: _claim_device,
    ReleaseGroup: _release_group,
    ReleaseDevice: _release_device,
    Remove: _remove,
    Rescan: _rescan,
}
