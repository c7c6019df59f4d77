"""Errors of the kernel's files: ``bind``, ``unbind``, ``drivers_probe``."""

from collections.abc import Iterator

from iommutui.core.diagnosis.base import Cause, Found, firmware_regions, groups_asked, missing_group
from iommutui.core.labels import owner_of
from iommutui.core.models.base import since
from iommutui.core.models.vfio_group import VFIO_GROUP


def busy(found: Found) -> Iterator[Cause]:
    """EBUSY of a write to ``bind`` (a device that is bound says so from 5.15), or of opening ``/dev/vfio/N``."""
    yield from missing_group(found)
    devices = [found.device] if found.device else list(found.host.devices.values())
    if found.device is not None and found.device.driver is not None and since(found.host, (5, 15)):
        yield Cause(
            "already-bound",
            f"{found.device.address} is bound to {found.device.driver} already; bind takes only a free device.",
            "Unbind it first, or let 'iommutui apply' do it in the right order.",
            found.device.group,
            found.device.address,
        )
    for device in devices:
        if device.virtfns:
            yield Cause(
                "vfs-enabled",
                f"{device.address} has {len(device.virtfns)} virtual functions enabled, and vfio-pci refuses it then.",
                f"Write 0 to /sys/bus/pci/devices/{device.address}/sriov_numvfs first.",
                device.group,
                device.address,
            )
    # Up to 5.18 nothing is refused at a bind: what does not belong there is a BUG_ON.
    refused = "" if found.model is VFIO_GROUP else "a kernel driver is refused in it, and "
    for group in groups_asked(found):
        if group.claim is not None:
            yield Cause(
                "group-owned",
                f"Group {group.id} is in use by {owner_of(group)}: {refused}nobody else can open it.",
                "Shut that virtual machine down, or leave the device to it.",
                group.id,
            )
        elif group.foreign:
            yield Cause("foreign-domain", f"A kernel driver has group {group.id} on a domain of its own.",
                        "Stop what uses it (vhost-vdpa).", group.id)  # fmt: skip
    if found.host.gaps and any(gap.attribute == "claims" for gap in found.host.gaps):
        yield Cause(
            "unknown-owner",
            "Which groups are in use can be seen by root only, so another process may have this one.",
            "Ask again with sudo.",
            found.group,
        )


def invalid(found: Found) -> Iterator[Cause]:
    """EINVAL of a write to ``drivers_probe`` or ``bind``, or of putting a group into a container (from 6.6)."""
    yield from missing_group(found)
    device = found.device
    devices = [device] if device else []
    yield from firmware_regions(groups_asked(found))
    for each in devices:
        group = found.host.group_of(each.address)
        if group is not None and group.claim is not None:
            yield Cause(
                "group-owned",
                f"Group {group.id} of {each.address} is in use by {owner_of(group)}; drivers_probe says EINVAL then.",
                "Shut that virtual machine down first.",
                group.id,
                each.address,
            )
        if each.is_bridge:
            yield Cause("bridge", f"{each.address} is a bridge, and vfio-pci refuses bridges.",
                        "Leave it: a bridge on pcieport is in nobody's way.", each.group, each.address)  # fmt: skip
        if each.group is None:
            yield Cause("no-group", f"{each.address} has no IOMMU group, so vfio-pci refuses it.",
                        "'iommutui list' says what turns the IOMMU on.", None, each.address)  # fmt: skip
    if not devices:
        for group in groups_asked(found):
            if group.claim is not None:
                yield Cause(
                    "group-owned",
                    f"Group {group.id} is in use by {owner_of(group)}; probing a kernel driver in it says EINVAL.",
                    "Shut that virtual machine down first.",
                    group.id,
                )


def no_such_device(found: Found) -> Iterator[Cause]:
    """ENODEV of a write to ``bind``, ``unbind`` or ``drivers_probe``."""
    device = found.device
    if device is None:
        if found.address is not None:
            yield Cause(
                "no-device",
                f"This machine has no device {found.address}.",
                "'iommutui list' shows the devices as they are now; names start with the domain, mostly 0000.",
            )
        return
    if device.driver is None:
        yield Cause(
            "not-bound",
            f"{device.address} has no driver, so there is nothing to unbind.",
            "Go on without the unbind.",
            device.group,
            device.address,
        )
    else:
        yield Cause(
            "bound-elsewhere",
            f"{device.address} is on {device.driver}: unbind works only through that driver, and before Linux 5.15 "
            "bind says 'no such device' while it is bound.",
            f"Write the name to /sys/bus/pci/drivers/{device.driver}/unbind first.",
            device.group,
            device.address,
        )
    override = device.driver_override
    yield Cause(
        "no-match",
        f"The override of {device.address} names {override}, and bind of any other driver says this."
        if override is not None
        else f"{device.address} has no override, and vfio-pci takes no device by itself.",
        f"'iommutui preview {device.address}=vfio-pci' shows the writes that do it.",
        device.group,
        device.address,
    )
