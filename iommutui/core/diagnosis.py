"""Error messages of the kernel, QEMU and the shell, and what on this Host explains them.

One entry in ``MESSAGES`` for each message: the pattern, and a function that looks at the Host for what fits. The causes
come most likely first; what the Host rules out is not among them.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from iommutui.core.address import Address, parse_pci
from iommutui.core.drivers import is_vfio
from iommutui.core.host import Device, Group, Host
from iommutui.core.labels import device_name, owner_of
from iommutui.core.models.base import Model, direct_regions, since
from iommutui.core.reasons import Code
from iommutui.core.wording import sentence


class Cause(NamedTuple):
    """One explanation: what it is, and what to do about it. Whole sentences."""

    code: str
    text: str
    remedy: str
    group: int | None = None
    device: Address | None = None


class Found(NamedTuple):
    """What a message names: the group and the device in it, as far as it holds any."""

    host: Host
    model: Model
    group: int | None
    device: Device | None


Explain = Callable[[Found], Iterator[Cause]]


class Message(NamedTuple):
    """An error message that people paste."""

    name: str
    pattern: re.Pattern[str]
    explain: Explain


class Diagnosis(NamedTuple):
    """The message that was recognised, and the causes that fit the Host."""

    message: str
    causes: tuple[Cause, ...]


_ADDRESS = re.compile(r"(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7]", re.IGNORECASE)
_GROUP = re.compile(r"(?:group\s+|/dev/vfio/|iommu_groups/)(\d+)", re.IGNORECASE)


def diagnose(host: Host, text: str, model: Model) -> Diagnosis | None:
    """What explains the message on this Host; None where the message is not one that is known."""
    for message in MESSAGES:
        if message.pattern.search(text):
            found = Found(host, model, _group_in(text), _device_in(host, text))
            return Diagnosis(message.name, tuple(message.explain(found)))
    return None


def _group_in(text: str) -> int | None:
    match = _GROUP.search(text)
    return int(match.group(1)) if match else None


def _device_in(host: Host, text: str) -> Device | None:
    for word in _ADDRESS.findall(text):
        address = parse_pci(word)
        if address is not None and address in host.devices:
            return host.devices[address]
    return None


def _groups_asked(found: Found) -> list[Group]:
    """The group that the message names, else that of its device, else every group that a VFIO driver is in."""
    host = found.host
    number = found.group if found.group is not None else found.device.group if found.device else None
    if number is not None:
        return [host.groups[number]] if number in host.groups else []
    return [g for g in host.groups.values() if any(d.driver and is_vfio(d, d.driver) for d in host.members(g))]


def _missing_group(found: Found) -> Iterator[Cause]:
    if found.group is not None and found.group not in found.host.groups:
        yield Cause(
            "group-missing",
            f"This machine has no group {found.group}. Group numbers change with cards, firmware and kernels.",
            "'iommutui list' shows the groups as they are now.",
            found.group,
        )


def _not_viable(found: Found) -> Iterator[Cause]:
    """``vfio: error: group N is not viable`` of QEMU: VFIO_GROUP_FLAGS_VIABLE is not set."""
    yield from _missing_group(found)
    for group in _groups_asked(found):
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


def _busy(found: Found) -> Iterator[Cause]:
    """EBUSY of a write to ``bind``, or of opening ``/dev/vfio/N``."""
    yield from _missing_group(found)
    devices = [found.device] if found.device else list(found.host.devices.values())
    if found.device is not None and found.device.driver is not None:
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
    groups = _groups_asked(found)
    for group in groups:
        if group.claim is not None:
            yield Cause(
                "group-owned",
                f"Group {group.id} is in use by {owner_of(group)}: a kernel driver is refused in it, "
                "and nobody else can open it.",
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


def _cannot_reserve(found: Found) -> Iterator[Cause]:
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


def _depends_on(found: Found) -> Iterator[Cause]:
    """``depends on group N which is not owned`` of QEMU (VFIO_DEVICE_GET_PCI_HOT_RESET_INFO)."""
    yield from _missing_group(found)
    group = found.host.groups.get(found.group) if found.group is not None else None
    if group is None:
        return
    for device in found.host.members(group):
        vfio = device.driver is not None and is_vfio(device, device.driver)
        state = f"bound to {device.driver}" if device.driver else "free"
        yield Cause(
            "reset-reaches-group",
            f"Resetting the card resets {device.address} as well, which is {state}, and the virtual machine does not "
            f"have group {group.id}.",
            "Give this device to the same virtual machine."
            if vfio
            else f"Hand it over too (iommutui preview {device.address}=vfio-pci), and give it to the same machine.",
            group.id,
            device.address,
        )


def _container_denied(found: Found) -> Iterator[Cause]:
    """``Failed to set iommu for container: Operation not permitted``: EPERM of VFIO_SET_IOMMU or SET_CONTAINER."""
    yield from _missing_group(found)
    groups = _groups_asked(found)
    for group in groups:
        for reason in direct_regions(group):
            yield Cause(
                "direct-region",
                sentence(reason),
                "Only the firmware can change that: look for a setting of the slot (shared memory, RMRR), or use "
                "another device.",
                group.id,
            )
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


def _node_denied(found: Found) -> Iterator[Cause]:
    """EACCES of opening ``/dev/vfio/N``."""
    yield from _missing_group(found)
    number = "N" if found.group is None else str(found.group)
    yield Cause(
        "node-permissions",
        f"/dev/vfio/{number} belongs to root unless something gives it away; libvirt does that by itself.",
        f"Give it to the user who starts QEMU (chown USER /dev/vfio/{number}); never make it writable for everyone.",
        found.group,
    )


def _node_missing(found: Found) -> Iterator[Cause]:
    """ENOENT of opening ``/dev/vfio/N``."""
    yield from _missing_group(found)
    for group in _groups_asked(found) if found.group is not None else []:
        on_vfio = any(d.driver and is_vfio(d, d.driver) for d in found.host.members(group))
        if not on_vfio:
            yield Cause(
                "no-vfio-node",
                f"No device of group {group.id} is on a VFIO driver, and the file exists only while one is.",
                f"'iommutui why {group.id}' shows what to bind.",
                group.id,
            )


def _invalid(found: Found) -> Iterator[Cause]:
    """EINVAL of a write to ``drivers_probe`` or ``bind``."""
    device = found.device
    devices = [device] if device else []
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
        for group in found.host.groups.values():
            if group.claim is not None:
                yield Cause(
                    "group-owned",
                    f"Group {group.id} is in use by {owner_of(group)}; probing a kernel driver in it says EINVAL.",
                    "Shut that virtual machine down first.",
                    group.id,
                )


def _message(name: str, pattern: str, explain: Explain) -> Message:
    return Message(name, re.compile(pattern, re.IGNORECASE), explain)


MESSAGES: tuple[Message, ...] = (
    _message("group is not viable", r"not viable|bound to their vfio bus driver", _not_viable),
    _message("cannot reserve a BAR", r"can'?t reserve|BAR \d+: can", _cannot_reserve),
    _message("reset depends on another group", r"depends on group \d+", _depends_on),
    _message(
        "container: operation not permitted",
        r"(set|setup).{0,20}(iommu|container).*operation not permitted|no interrupt remapping|platform RMRR",
        _container_denied,
    ),
    _message("device or resource busy", r"device or resource busy|\bEBUSY\b", _busy),
    _message(
        "permission denied on a group's file", r"/dev/vfio.*permission denied|permission denied.*vfio", _node_denied
    ),
    _message("no file of the group", r"/dev/vfio/\d+.*no such file|no such file.*/dev/vfio/\d+", _node_missing),
    _message("invalid argument", r"invalid argument|\bEINVAL\b", _invalid),
)
