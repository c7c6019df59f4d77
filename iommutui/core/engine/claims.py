"""Claims of a group's DMA and their release (``drivers/vfio``, ``drivers/iommu/iommu.c``)."""

from iommutui.core.address import Address, sort_key
from iommutui.core.engine.binding import bind, driver_left, override
from iommutui.core.engine.hotplug import finish_removal
from iommutui.core.events import ClaimDevice, ClaimGroup, Override, ReleaseDevice, ReleaseGroup
from iommutui.core.host import NO_IOMMU, Claim, Device, Group, Host, is_vfio
from iommutui.core.models import Check, Model, first_error, has_node, not_vfio, owned, unbind_pending, vfio_devices
from iommutui.core.reasons import OK, Code, Outcome, Reason, groupless, missing, refused


def claim_group(host: Host, event: ClaimGroup, model: Model) -> Outcome:
    group = host.groups.get(event.group)
    if group is None:
        return refused(host, "ENOENT", Reason(Code.NO_NODE, event.group))
    check = first_error(_open_group(host, group, model), model.check_claim(host, group, event.owner))
    if check.errno != OK:
        return refused(host, check.errno, *check.reasons)
    opening = event.devices and model.opens_devices(host, group)
    if group.claim is not None:
        claim = group.claim._replace(uses=group.claim.uses + 1)
    else:
        opened = (d.address for d in host.members(group) if opening and is_vfio(host, d, d.driver))
        claim = Claim(event.owner, 1, "group", tuple(opened))
    return Outcome(OK, host.with_group(group._replace(claim=claim)), check.reasons)


def claim_device(host: Host, event: ClaimDevice, model: Model) -> Outcome:
    device = host.devices.get(event.device)
    unknown = "ENOENT" if event.cdev and model.through_vfio else "ENODEV"
    if device is None:
        return missing(host, event.device, unknown)
    group = host.group_of(device.address)
    if group is None:
        return refused(host, unknown, groupless(device))
    check = first_error(
        _open_for_device(host, group, device, event, model),
        model.check_device_claim(host, group, device, event.owner, event.cdev),
    )
    if check.errno != OK:
        return refused(host, check.errno, *check.reasons)
    claim = group.claim
    if claim is None:
        claim = Claim(event.owner, 1, "cdev" if event.cdev else "device", (device.address,))
    else:
        counted = not model.through_vfio or (claim.via != "group" and device.address not in claim.opened)
        now_open = tuple(sorted({*claim.opened, device.address}, key=sort_key))
        claim = claim._replace(opened=now_open, uses=claim.uses + (1 if counted else 0))
    return Outcome(OK, host.with_group(group._replace(claim=claim)), check.reasons)


def _open_group(host: Host, group: Group, model: Model) -> Check:
    """``open`` of ``/dev/vfio/N`` (``vfio_group_fops_open``): it has one opener at a time (all versions).

    While a device's own file is bound to an iommufd there is none (``vfio_device_block_group``, 6.6).
    """
    if not model.through_vfio:
        return Check()
    if not has_node(host, group):
        return Check("ENOENT", (Reason(Code.NO_NODE, group.id),))
    return Check("EBUSY", (owned(group),)) if group.claim is not None else Check()


def _open_for_device(host: Host, group: Group, device: Device, event: ClaimDevice, model: Model) -> Check:
    """``open`` of the file for the claim: the device's own, or the group's unless the owner has it open already.

    The device's own is there while a VFIO driver is bound and no unbind waits (``vfio_device_add``, 6.6), and never in
    no-IOMMU mode.
    """
    if not model.through_vfio:
        return Check()
    if event.cdev and group.name == NO_IOMMU:
        return Check("ENOENT", (Reason(Code.NO_IOMMU, group.id),))
    if event.cdev:
        return not_vfio(host, device, "ENOENT")
    claim = group.claim
    if claim is not None and claim.owner == event.owner and claim.via != "cdev":
        return Check()
    return _open_group(host, group, model)


def release_group(host: Host, event: ReleaseGroup, model: Model) -> Outcome:
    """The owner's files are closed; without VFIO's files, one ``exit_user_dma`` for one ``init_user_dma`` (S-14)."""
    group = host.groups.get(event.group)
    if group is None or group.claim is None or group.claim.owner != event.owner:
        return _not_owner(host, group, event.group, event.owner)
    left = 0 if model.through_vfio else group.claim.uses - 1
    group = group._replace(claim=group.claim._replace(uses=left) if left else None)
    return Outcome(OK, _go_on(driver_left(host, group, model), model))


def release_device(host: Host, event: ReleaseDevice, model: Model) -> Outcome:
    """``iommu_device_release_dma_owner``; what was claimed as a group stays claimed until the group is released."""
    device = host.devices.get(event.device)
    if device is None:
        return missing(host, event.device)
    group = host.group_of(device.address)
    claim = group.claim if group is not None else None
    closed = model.through_vfio and claim is not None and device.address not in claim.opened
    if group is None or claim is None or claim.owner != event.owner or closed:
        return _not_owner(host, group, device.group, event.owner, device.address)
    now_open = tuple(address for address in claim.opened if address != device.address)
    if model.container_waits and unbind_pending(group, device) and vfio_devices(host, group) == [device]:
        now_open = claim.opened
    uses = claim.uses - 1
    if claim.via == "group":
        uses = claim.uses if model.through_vfio else max(1, uses)
    left = group._replace(claim=claim._replace(uses=uses, opened=now_open) if uses else None)
    return Outcome(OK, _go_on(driver_left(host, left, model), model))


def _go_on(host: Host, model: Model) -> Host:
    """Continues what waited behind an unbind: a ``remove``, then writes to devices whose unbind has ended.

    ``bind`` waits since 5.15 (seen on 6.1 and 6.12; before, ``bind_store`` says ENODEV), an override up to 6.11 (seen
    on 5.10 and 6.1; later ``driver_override_store`` does not take the lock of the device).

    They get the lock of the device in their order, and are judged only then: a driver that matched when ``bind`` was
    written has to match still (``__pci_device_probe``), and the group may be another owner's (6.12: EBUSY).
    """
    host = finish_removal(host, model)
    for event in host.waiting:
        device = host.devices.get(event.device)
        if device is not None and unbind_pending(host.group_of(event.device), device):
            continue
        host = host._replace(waiting=tuple(other for other in host.waiting if other is not event))
        host = (override(host, event, model) if isinstance(event, Override) else bind(host, event, model)).host
    return host


def _not_owner(
    host: Host, group: Group | None, number: int | None, owner: str, device: Address | None = None
) -> Outcome:
    other = group.owner if group is not None and group.owner != owner else None
    facts = (("asked", owner), ("owner", other or ""))
    return refused(host, "EINVAL", Reason(Code.NOT_OWNER, number, device, facts=facts))
