"""Errors of starting a virtual machine: of QEMU, of VFIO's files, of ``vfio-pci``."""

from collections.abc import Iterator

from iommutui.core.diagnosis.base import Cause, Found, firmware_regions, groups_asked, missing_group
from iommutui.core.labels import device_name, driver_words
from iommutui.core.models.base import since
from iommutui.core.reasons import Code
from iommutui.core.roles import is_vfio
from iommutui.core.wording import sentence


def not_viable(found: Found) -> Iterator[Cause]:
    """``vfio: error: group N is not viable`` of QEMU: VFIO_GROUP_FLAGS_VIABLE is not set."""
    yield from missing_group(found)
    for group in groups_asked(found):
        verdict = found.model.verdict(found.host, group)
        for reason in verdict.reasons:
            if reason.code in (Code.KERNEL_DRIVER, Code.FOREIGN_DOMAIN, Code.OWNED, Code.UNKNOWN_DRIVER):
                remedy = f"'iommutui why {group.id}' shows the smallest way out."
                yield Cause(reason.code, sentence(reason), remedy, group.id, reason.device)
        if verdict.viable and group.claim is None and found.group is not None:
            yield Cause(
                "viable-now",
                f"Group {group.id} is viable as it is now, so something has changed since the message.",
                "Start the virtual machine again; if a host driver takes the device back, look at what probes it.",
                group.id,
            )


def cannot_reserve(found: Found) -> Iterator[Cause]:
    """``vfio-pci ...: BAR n: can't reserve [mem ...]``: a firmware framebuffer has the BAR (pci_request_region)."""
    displays = [found.device] if found.device else [d for d in found.host.devices.values() if d.boot_vga]
    for device in displays:
        display = (device.class_code or "").startswith("03")
        if not display:
            yield Cause(
                "region-taken",
                f"Another driver holds the memory of {device.address}; /proc/iomem, read as root, names it.",
                "Unbind what /proc/iomem shows inside the range of that BAR.",
                device.group,
                device.address,
            )
            continue
        booted = "It is the display that the machine booted on. " if device.boot_vga else ""
        kicked = device.class_code is not None and device.class_code.startswith("0300") and since(found.host, (6, 0))
        remedy = (
            "This kernel's vfio-pci removes such a framebuffer when it is bound: bind the card to vfio-pci once more."
            if kicked
            else "Unbind efi-framebuffer or simple-framebuffer below /sys/bus/platform/drivers, or boot with "
            "initcall_blacklist=sysfb_init (which leaves the console dark until a driver takes it)."
        )
        yield Cause(
            "boot-framebuffer",
            f"{booted}A framebuffer of the firmware (efifb, simpledrm) most likely holds the memory of "
            f"{device.address} ({device_name(device)}).",
            remedy,
            device.group,
            device.address,
        )


def depends_on(found: Found) -> Iterator[Cause]:
    """``depends on group N which is not owned`` of QEMU (VFIO_DEVICE_GET_PCI_HOT_RESET_INFO)."""
    yield from missing_group(found)
    group = found.host.groups.get(found.group) if found.group is not None else None
    if group is None:
        return
    for device in found.host.members(group):
        if device.is_bridge:
            continue  # A bridge is reset from above it, and is never handed over.
        vfio = is_vfio(found.host, device, device.driver)
        state = f"bound to {device.driver}" if device.driver else driver_words(found.host, device)
        yield Cause(
            "reset-reaches-group",
            f"Resetting the card resets {device.address} as well, which is {state}, and the virtual machine does not "
            f"have group {group.id}.",
            "Give this device to the same virtual machine."
            if vfio
            else f"Hand it over too (iommutui preview {device.address}=vfio-pci), and give it to the same virtual "
            "machine.",
            group.id,
            device.address,
        )


def container_denied(found: Found) -> Iterator[Cause]:
    """``Failed to set iommu for container: Operation not permitted``: EPERM of VFIO_SET_IOMMU or SET_CONTAINER."""
    yield from missing_group(found)
    groups = groups_asked(found)
    yield from firmware_regions(groups)
    for group in groups:
        for reason in found.model.verdict(found.host, group).reasons:
            if reason.code in (Code.KERNEL_DRIVER, Code.OWNED):
                yield Cause(reason.code, sentence(reason), f"See 'iommutui why {group.id}'.", group.id, reason.device)
    yield Cause(
        "no-interrupt-remapping",
        "The IOMMU may have no interrupt remapping, without which a device can forge interrupts; the kernel log then "
        "says 'No interrupt remapping support'.",
        "Turn on x2APIC or interrupt remapping in the firmware setup. vfio_iommu_type1.allow_unsafe_interrupts=1 does "
        "without, on a machine whose guests you trust.",
    )


def node_denied(found: Found) -> Iterator[Cause]:
    """EACCES of opening ``/dev/vfio/N``."""
    yield from missing_group(found)
    number = "N" if found.group is None else str(found.group)
    yield Cause(
        "node-permissions",
        f"/dev/vfio/{number} belongs to root unless something gives it away; libvirt does that by itself.",
        f"Give it to the user who starts QEMU (chown USER /dev/vfio/{number}); never make it writable for everyone.",
        found.group,
    )


def node_missing(found: Found) -> Iterator[Cause]:
    """ENOENT of opening ``/dev/vfio/N``."""
    yield from missing_group(found)
    for group in groups_asked(found) if found.group is not None else []:
        on_vfio = any(is_vfio(found.host, d, d.driver) for d in found.host.members(group))
        if not on_vfio:
            yield Cause(
                "no-vfio-node",
                f"No device of group {group.id} is on a VFIO driver, and the file exists only while one is.",
                f"'iommutui why {group.id}' shows what to bind.",
                group.id,
            )
