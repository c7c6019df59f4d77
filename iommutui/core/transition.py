"""``transition(Host, event, model) -> Outcome``: what the kernel does with one write or ioctl.

The mechanics of binding are here (``drivers/base/bus.c`` and ``dd.c``, ``drivers/pci/pci-driver.c``,
``vfio_pci_core.c``), with the versions in which they changed; what a model decides is asked of the model.
"""

from collections.abc import Callable, Collection, Iterable

from iommutui.core.address import Address, sort_key
from iommutui.core.drivers import STUB, VFIO_PCI, facts_of, is_vfio
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
from iommutui.core.host import Claim, Device, Fit, Gap, Group, Host
from iommutui.core.models.base import Check, Model, has_node, held, since, vfio_devices
from iommutui.core.outcome import OK, Outcome
from iommutui.core.reasons import Code, Reason

OVERRIDE_LIMIT = 4095
"""``driver_override`` refuses a write of PAGE_SIZE - 1 bytes or more with EINVAL."""

PCIEPORT = "pcieport"
SHPCHP = "shpchp"

PORT_TYPES = frozenset({4, 5, 6, 10})
"""PCIe port types that ``pcieport`` takes: root port, upstream and downstream port, event collector."""

PORT_CLASSES = ("060400", "060401", "060700")
"""Classes in the table of ``pcieport``."""

DENYLIST = {
    ("8086", device): since
    for since, devices in (
        ((5, 9), ("0435", "0443", "19e2", "19e3", "37c8", "37c9")),  # QAT DH895xCC, C3xxx, C62x and their VFs
        ((6, 10), ("0b25", "0cfe")),  # DSA and IAX of Sapphire Rapids
    )
    for device in devices
}
"""What ``vfio-pci`` itself refuses with EINVAL (``vfio_pci_dev_in_denylist``), and since when."""


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


# -- driver_override, unbind, bind, drivers_probe


def _override(host: Host, event: Override, model: Model) -> Outcome:
    """``driver_override_store``: nothing is checked but the length, and nothing is bound or unbound by it."""
    device = host.devices.get(event.device)
    if device is None:
        return _missing(host, event.device)
    text = event.driver
    if text is not None and len(text.encode("utf-8", "surrogatepass")) + 1 >= OVERRIDE_LIMIT:
        return _refused(host, "EINVAL", Reason(Code.OVERRIDE_TOO_LONG, device=device.address))
    if text == "":
        return Outcome(OK, host)  # A zero-length write does not reach the kernel.
    value = None if text is None else text.split("\n", 1)[0].split("\0", 1)[0] or None
    after = host.with_device(device._replace(driver_override=value))
    group = host.group_of(device.address)
    if held(group, device) and not since(host, (6, 12)):
        # The write waits for the lock of the device, which the blocked unbind has.
        return Outcome(OK, after, _in_use(group, device), blocks=True)
    return Outcome(OK, after)


def _in_use(group: Group | None, device: Device) -> tuple[Reason, ...]:
    claim = group.claim if group is not None else None
    facts = (("owner", claim.owner),) if claim is not None else ()
    return (Reason(Code.IN_USE, device.group, device.address, device.driver, facts),)


def _unbind(host: Host, event: Unbind, model: Model) -> Outcome:
    """``unbind_store``; a VFIO driver waits for the user of the device (``vfio_unregister_group_dev``)."""
    device = host.devices.get(event.device)
    if device is None:
        return _missing(host, event.device)
    group = host.group_of(device.address)
    if held(group, device):
        return Outcome(OK, host, _in_use(group, device), blocks=True)
    if device.driver is None:
        gap = device.gap("driver")
        facts = (("why", gap.why),) if gap is not None else ()
        code = Code.UNKNOWN_DRIVER if gap is not None else Code.NOT_BOUND
        return _refused(host, "ENODEV", Reason(code, device.group, device.address, facts=facts))
    after = host.with_device(_driverless(device))
    if group is None:
        return Outcome(OK, after)
    if model.unbind_blocks(host, group, device):
        return Outcome(OK, _holding(after, group, device), _in_use(group, device), blocks=True)
    return Outcome(OK, _left(after, group, model))


def _holding(host: Host, group: Group, device: Device) -> Host:
    """The Host on which the owner of the group is what an unbind of this device waits for."""
    if group.claim is None or device.address in group.claim.opened:
        return host
    opened_too = tuple(sorted((*group.claim.opened, device.address), key=sort_key))
    return host.with_group(group._replace(claim=group.claim._replace(opened=opened_too)))


def _left(host: Host, group: Group, model: Model) -> Host:
    """The Host after a driver has left a member of the group.

    The last VFIO device takes ``/dev/vfio/N`` with it, and that the container (``vfio_device_remove_group``); the last
    driver takes with it the domain that it had attached.
    """
    if group.foreign and all(device.driver is None for device in host.members(group)):
        group = group._replace(foreign=False)
    if model.through_vfio and not model.container_waits and group.claim is not None and not vfio_devices(host, group):
        group = group._replace(claim=None)
    return host if group is host.groups.get(group.id) else host.with_group(group)


def _driverless(device: Device) -> Device:
    """The device after an unbind; what it was bound to, it can be bound to again."""
    driver, fits = device.driver, device.fits
    gaps = tuple(gap for gap in device.gaps if gap.attribute != "driver")
    if driver is not None and driver not in (STUB, VFIO_PCI):
        if fits is None:
            gaps = (*gaps, Gap("fits", "not-recorded"))
        seen = [fit for fit in fits or () if fit.driver == driver]
        if seen:
            fits = tuple(fit._replace(loaded=True, proven=True) if fit.driver == driver else fit for fit in fits or ())
        elif device.driver_override != driver or is_vfio(device, driver):
            # Through an override a driver may take what it does not know: it would not do so without.
            fits = (*(fits or ()), Fit(driver, None, True, is_vfio(device, driver) is not None, proven=True))
    return device._replace(driver=None, vfio_dev=None, fits=fits, gaps=gaps)


def candidates(host: Host, device: Device) -> list[str]:
    """The drivers that ``drivers_probe`` tries, in order (``driver_match_device``)."""
    override = device.driver_override
    if override is not None:
        known = host.has_driver(override) if host.drivers is not None else _named(host, override)
        return [override] if known else []
    found = [fit.driver for fit in device.fits or () if fit.loaded and not fit.vfio and host.has_driver(fit.driver)]
    # Their tables are of classes, and no alias of a module shows them. Built in, they are registered before the others.
    registered = found if host.drivers is None else [driver.name for driver in host.drivers]
    ports = [name for name in (PCIEPORT, SHPCHP) if name in registered and _matches_class(device, name)]
    return [*ports, *(name for name in found if name not in ports)]


def _named(host: Host, driver: str) -> bool:
    """Whether a driver of this very name is seen anywhere, for a Host that does not say which are registered."""
    if facts_of(driver) is not None:
        return True
    return any(d.driver == driver or any(fit.driver == driver for fit in d.fits or ()) for d in host.devices.values())


def _matches_class(device: Device, driver: str) -> bool:
    """Whether the table of ``pcieport`` or ``shpchp`` has the device's class."""
    classes = PORT_CLASSES if driver == PCIEPORT else PORT_CLASSES[:1]
    return device.bus == "pci" and device.is_bridge and (device.class_code or PORT_CLASSES[0]) in classes


def _fit(device: Device, driver: str) -> Fit | None:
    return next((fit for fit in device.fits or () if fit.driver == driver), None)


def _fits_known(host: Host, device: Device) -> bool:
    """Whether a driver that is not among ``fits`` is known not to fit."""
    partly = device.gap("fits") or any(gap.attribute == "modules.alias" for gap in host.gaps)
    return device.fits is not None and not partly


def _own_probe(host: Host, device: Device, driver: str) -> Check:
    """The driver's own probe function, as far as it is known."""
    fit = _fit(device, driver)
    if is_vfio(device, driver):
        return _vfio_probe(host, device, driver)
    if driver == STUB or (fit is not None and fit.proven):
        return Check()
    if driver == PCIEPORT:
        unknown = device.pcie_type is None and device.gap("pcie_type") is not None
        if _matches_class(device, PCIEPORT) and (unknown or device.pcie_type in PORT_TYPES):
            return Check()
        return Check("ENODEV", (Reason(Code.NOT_A_PORT, device.group, device.address, driver),))
    if driver == SHPCHP:
        return Check("ENODEV", (Reason(Code.NO_HOTPLUG_CONTROLLER, device.group, device.address, driver),))
    if fit is not None and fit.refused and device.driver_override is None:
        return Check("ENODEV", (Reason(Code.REFUSED_BEFORE, device.group, device.address, driver),))
    if fit is not None or not _fits_known(host, device):
        return Check()
    return Check("ENODEV", (Reason(Code.UNFIT_DRIVER, device.group, device.address, driver),))


def _vfio_probe(host: Host, device: Device, driver: str) -> Check:
    """``vfio_pci_probe`` and ``vfio_pci_core_register_device``, in their order."""

    def refuse(errno: str, code: Code, *facts: tuple[str, str]) -> Check:
        return Check(errno, (Reason(code, device.group, device.address, driver, facts),))

    ids = (device.vendor_id or "", device.device_id or "")
    if driver == VFIO_PCI and ids in DENYLIST and since(host, DENYLIST[ids]):
        return refuse("EINVAL", Code.DENYLISTED, ("ids", ":".join(ids)))
    if device.bus == "pci" and device.is_bridge:
        return refuse("EINVAL", Code.BRIDGE)
    if device.virtfns:
        return refuse("EBUSY", Code.VFS_ENABLED)
    if device.group is None:
        return refuse("EINVAL", Code.NO_GROUP)
    return Check()


def _attach(host: Host, device: Device, driver: str, model: Model) -> Outcome:
    bound = device._replace(driver=driver)
    after = host.with_device(bound)
    crash = model.crash_of(after, bound, driver)
    if crash is not None:
        return Outcome(OK, after, crash[1], crash=crash[0])
    return Outcome(OK, after)


def _bind(host: Host, event: Bind, model: Model) -> Outcome:
    """``bind_store``: a driver that matches, a free device, then the driver core's check, then the driver's probe."""
    device = host.devices.get(event.device)
    driver = event.driver
    if not host.has_driver(driver):
        return _refused(host, "ENOENT", Reason(Code.NO_DRIVER, device=event.device, driver=driver))
    if device is None:
        return _missing(host, event.device)
    if device.driver_override is not None and device.driver_override != driver:
        facts = (("override", device.driver_override),)
        return _refused(host, "ENODEV", Reason(Code.OVERRIDE_DIFFERS, device.group, device.address, driver, facts))
    if device.driver_override is None and not _matches_by_id(host, device, driver):
        return _refused(host, "ENODEV", Reason(Code.NO_MATCH, device.group, device.address, driver))
    modern = since(host, (5, 15))
    if device.driver is not None:
        reason = Reason(Code.ALREADY_BOUND, device.group, device.address, device.driver)
        return _refused(host, "EBUSY" if modern else "ENODEV", reason)
    group = host.group_of(device.address)
    if held(group, device):
        # Inside the kernel the driver is still set: that is seen at once, or once the lock of the device is free.
        return Outcome(OK if modern else "ENODEV", host, _in_use(group, device), blocks=modern)
    check = model.check_probe(host, device, driver)
    if check.errno != OK:
        deferred = check.errno == "EPROBE_DEFER"
        return _refused(host, ("EAGAIN" if modern else "ENODEV") if deferred else check.errno, *check.reasons)
    own = _own_probe(host, device, driver)
    if own.errno != OK:
        return _refused(host, own.errno if modern else "ENODEV", *own.reasons)
    outcome = _attach(host, device, driver, model)
    return outcome._replace(reasons=(*check.reasons, *outcome.reasons))


def _matches_by_id(host: Host, device: Device, driver: str) -> bool:
    """Whether the driver's own table matches; the tables of VFIO drivers and pci-stub match nothing by themselves."""
    if driver == STUB or is_vfio(device, driver):
        return False
    if driver in (PCIEPORT, SHPCHP):
        return _matches_class(device, driver)
    return _fit(device, driver) is not None or not _fits_known(host, device)


def _probe(host: Host, event: Probe, model: Model) -> Outcome:
    """``drivers_probe_store``: says ok unless the driver core itself refuses, whether anything is bound or not."""
    device = host.devices.get(event.device)
    if device is None:
        return _missing(host, event.device)
    if device.driver is not None:
        return Outcome(OK, host, (Reason(Code.ALREADY_BOUND, device.group, device.address, device.driver),))
    group = host.group_of(device.address)
    if held(group, device):
        return Outcome(OK, host, _in_use(group, device))
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
    check = model.check_device_claim(host, group, device, event.owner, event.cdev)
    if check.errno != OK:
        return _refused(host, check.errno, *check.reasons)
    claim = group.claim
    if claim is None:
        claim = Claim(event.owner, 1, "cdev" if event.cdev else "device", (device.address,))
    else:
        counted = not model.through_vfio or (claim.via != "group" and device.address not in claim.opened)
        now_open = tuple(sorted({*claim.opened, device.address}, key=sort_key))
        claim = claim._replace(opened=now_open, uses=claim.uses + (1 if counted else 0))
    return Outcome(OK, host.with_group(group._replace(claim=claim)), check.reasons)


def _not_owner(
    host: Host, group: Group | None, number: int | None, owner: str, device: Address | None = None
) -> Outcome:
    current = group.claim.owner if group and group.claim and group.claim.owner != owner else ""
    facts = (("asked", owner), ("owner", current))
    return _refused(host, "EINVAL", Reason(Code.NOT_OWNER, number, device, facts=facts))


def _release_group(host: Host, event: ReleaseGroup, model: Model) -> Outcome:
    """The owner's files are closed; without VFIO's files, one ``exit_user_dma`` for one ``init_user_dma`` (S-14)."""
    group = host.groups.get(event.group)
    if group is None or group.claim is None or group.claim.owner != event.owner:
        return _not_owner(host, group, event.group, event.owner)
    left = 0 if model.through_vfio else group.claim.uses - 1
    after = host.with_group(group._replace(claim=group.claim._replace(uses=left) if left else None))
    return Outcome(OK, _go_on(after, model))


def _release_device(host: Host, event: ReleaseDevice, model: Model) -> Outcome:
    """``iommu_device_release_dma_owner``; what was claimed as a group stays claimed until the group is released."""
    device = host.devices.get(event.device)
    if device is None:
        return _missing(host, event.device)
    group = host.group_of(device.address)
    if group is None or group.claim is None or group.claim.owner != event.owner:
        return _not_owner(host, group, device.group, event.owner, device.address)
    claim = group.claim
    if model.through_vfio and device.address not in claim.opened:
        return _not_owner(host, group, device.group, event.owner, device.address)
    now_open = tuple(address for address in claim.opened if address != device.address)
    if model.container_waits and held(group, device) and vfio_devices(host, group) == [device]:
        now_open = claim.opened
    uses = claim.uses - 1
    if claim.via == "group":
        uses = claim.uses if model.through_vfio else max(1, uses)
    left = group._replace(claim=claim._replace(uses=uses, opened=now_open) if uses else None)
    return Outcome(OK, _go_on(_left(host.with_group(left), left, model), model))


# -- remove and rescan


def below(host: Host, address: Address) -> list[Address]:
    """The device and everything behind it, parents first."""
    children: dict[Address, list[Address]] = {}
    for device in host.devices.values():
        if device.parent is not None:
            children.setdefault(device.parent, []).append(device.address)
    found = [address]
    for parent in found:
        found += sorted((child for child in children.get(parent, ()) if child not in found), key=sort_key)
    return found


def _remove(host: Host, event: Remove, model: Model) -> Outcome:
    """``remove_store``: unbinds, which may wait, and takes the device and what is below out of their groups.

    While it waits, the device is among those that are there and among those that are removed.
    """
    if event.device not in host.devices:
        return _missing(host, event.device)
    gone = below(host, event.device)
    touched = tuple(sorted({n for a in gone if (n := host.devices[a].group) is not None and n in host.groups}))
    marked = host._replace(removed={**host.removed, **{a: _driverless(host.devices[a]) for a in gone}})
    waiting = _first_in_use(host, gone, model)
    if waiting is None:
        return Outcome(OK, _take_away(marked, gone, model), groups=touched)
    group, device = waiting
    after = _holding(marked.with_device(_driverless(device)), group, device)
    return Outcome(OK, after, _in_use(group, device), blocks=True, groups=touched)


def _first_in_use(host: Host, addresses: Iterable[Address], model: Model) -> tuple[Group, Device] | None:
    for address in addresses:
        group, device = host.group_of(address), host.devices[address]
        if group is not None and (held(group, device) or model.unbind_blocks(host, group, device)):
            return group, device
    return None


def _go_on(host: Host, model: Model) -> Host:
    """The Host after a release: a ``remove`` that waited for it comes to its end."""
    leaving = [address for address in host.removed if address in host.devices]
    return _take_away(host, leaving, model) if leaving and _first_in_use(host, leaving, model) is None else host


def _take_away(host: Host, gone: Collection[Address], model: Model) -> Host:
    """The Host without these devices, in ``removed`` only what a scan finds: not virtual functions."""
    touched = {n for a in gone if (n := host.devices[a].group) is not None and n in host.groups}
    for number in touched:
        group = host.groups[number]
        group = group._replace(members=tuple(a for a in group.members if a not in gone))
        host = host.with_group(group)
        host = _left(host, group, model) if group.members else host.without_group(number)
    return host._replace(
        devices={a: d for a, d in host.devices.items() if a not in gone},
        removed={a: d for a, d in host.removed.items() if d.physfn is None},
    )


def _rescan(host: Host, event: Rescan, model: Model) -> Outcome:
    found = sorted((d for a, d in host.removed.items() if a not in host.devices), key=lambda d: sort_key(d.address))
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
    left = {device.address for device in again}
    after = host._replace(removed={a: d for a, d in host.removed.items() if a not in left})
    touched: list[int] = []
    was: dict[Address, int | None] = {}
    for device in again:
        after, number = _rediscover(after, device, was)
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


def _rediscover(host: Host, device: Device, was: dict[Address, int | None]) -> tuple[Host, int | None]:
    """Adds a device that ``rescan`` has found. Its override is gone. ``was`` holds old groups of what came back before.

    It joins those of its old group that ``pci_device_group`` looks at: a bridge above it, the other functions of its
    slot if it is function 0 (which says that there are others), or what came back in this slot in the same scan.
    Otherwise ``iommu_group_alloc`` hands out the lowest free number.
    """
    old = number = device.group
    if old is not None:
        slot = host.same_card(device.address)
        near = [other for other in slot if device.address.endswith(".0") or other.address in was]
        joined = (d.group for d in (*_ancestors(host, device), *near) if was.get(d.address, d.group) == old)
        number = next(joined, next(n for n in range(len(host.groups) + 1) if n not in host.groups))
    was[device.address] = old
    fresh = device._replace(driver_override=None, group=number)
    devices = {**host.devices, device.address: fresh}
    groups = dict(host.groups)
    if number is not None:
        group = groups.get(number, Group(number))
        groups[number] = group._replace(members=tuple(sorted((*group.members, device.address), key=sort_key)))
    ordered = {a: devices[a] for a in sorted(devices, key=sort_key)}
    return host._replace(devices=ordered, groups=dict(sorted(groups.items()))), number


def _ancestors(host: Host, device: Device) -> list[Device]:
    found: list[Device] = []
    above = device
    while above.parent is not None and above.parent in host.devices and len(found) <= len(host.devices):
        above = host.devices[above.parent]
        found.append(above)
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
