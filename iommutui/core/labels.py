"""Short words and signs for rows and columns, and every fact of a device or group; sentences are in `wording`."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from iommutui.core.address import Address
from iommutui.core.device import gap_words
from iommutui.core.drivers import Role
from iommutui.core.host import NO_IOMMU, Bar, Details, Device, Group, Host, serves_host
from iommutui.core.models import Model, unbind_pending
from iommutui.core.reasons import State, Verdict
from iommutui.core.topology import passable

if TYPE_CHECKING:
    from iommutui.core.uses import Network, Storage


# Groups and models.

NOTHING_TO_PASS, NO_ISOLATION = "nothing to pass", "no isolation"

GLYPHS = {"viable": "✔", "blocked": "✖", "in use": "●", "refused": "!", "unknown": "?", NOTHING_TO_PASS: "·",
          NO_ISOLATION: "!"}  # fmt: skip
"""The sign of each word for a verdict, so that colour is never alone."""


def verdict_word(verdict: Verdict) -> str:
    """One or two words for a column: ``viable``, ``blocked``, ``in use``, ``refused``, ``unknown``."""
    if verdict.state is State.USER:
        return "in use"
    if verdict.viable is None:
        return "unknown"
    if not verdict.viable:
        return "blocked"
    return "refused" if verdict.refused else "viable"


def group_word(host: Host, group: Group, verdict: Verdict) -> str:
    """The verdict in a word: a group with nothing to pass through is neither viable nor blocked."""
    if group.name == NO_IOMMU:
        return NO_ISOLATION
    word = verdict_word(verdict)
    return word if word == "in use" or passable(host, group) else NOTHING_TO_PASS


_STATES = {
    State.IDLE: "not in use",
    State.KERNEL: "owned by the host kernel",
    State.USER: "in use by a virtual machine or another user-space driver",
    State.FOREIGN: "attached to an IOMMU domain of a kernel driver",
    State.UNKNOWN: "unknown",
}


def state_words(state: State) -> str:
    """Who owns the group's DMA, in words."""
    return _STATES[state]


def claim_words(claim: str) -> str:
    """The result of opening a group through VFIO; ``claim`` is ``ok`` or the name of an errno."""
    return "would succeed" if claim == "ok" else f"would fail ({claim})"


def role_words(role: Role) -> str:
    """A driver's role in words: ``host driver``, ``VFIO``, ``neutral``."""
    return {Role.KERNEL: "host driver", Role.USER: "VFIO", Role.NONE: "neutral"}[role]


def is_draft(model: Model) -> bool:
    """Whether no kernel has these rules."""
    return model.kernels.startswith("none")


def rules_words(model: Model) -> str:
    """The kernels that have these rules, in words: ``Linux 5.19 and later``."""
    return f"draft {model.name}, never merged" if is_draft(model) else f"Linux {model.kernels}"


def describe_group(group: Group, verdict: Verdict) -> Iterator[tuple[str, str]]:
    """Names and values of the known facts of the group, its devices aside."""
    yield "DMA", state_words(verdict.state)
    if group.claim is not None:
        yield "Owner", group.owner or "another process"
    if group.name:
        yield "Name", group.name
    gap = group.gap("type")
    yield "Type", group.type or (f"not known: {gap_words(gap.why)}" if gap else "not shown by the kernel")
    yield "Open", claim_words(verdict.claim)
    for region in group.regions or ():
        yield "Reserved", f"{region.start:#x}-{region.end:#x} {region.type}"


# Devices.


def device_name(device: Device) -> str:
    """``NVIDIA Corporation GA104 [GeForce RTX 3070]``, or the ids where no name is known."""
    named = " ".join(part for part in (device.vendor_name, device.device_name) if part)
    if device.vendor_name and device.device_name:
        return named
    ids = f"[{device.ids or '????:????'}]" if device.bus == "pci" else device.bus
    return f"{named or 'Device'} {ids}"


def driver_words(host: Host, device: Device) -> str:
    """The text of a driver column: a name, ``being unbound``, ``unknown`` or ``free``."""
    if device.driver is not None:
        return device.driver
    if unbind_pending(host.group_of(device.address), device):
        return "being unbound"
    return "unknown" if device.gap("driver") is not None else "free"


def class_words(device: Device) -> str:
    """The name of the device's class, from the source's database of names or from the small table of `pci_classes`."""
    if device.class_name or not device.class_code:
        return device.class_name or "Unknown class"
    from iommutui.core.pci_classes import class_name  # a listing whose database has the names does without the table

    return class_name(device.class_code)


_KIND_WORDS = {
    "0100": "SCSI", "0101": "IDE", "0104": "RAID", "0106": "SATA", "0107": "SAS", "0108": "NVMe", "0200": "Ethernet",
    "0280": "Network", "0207": "InfiniBand", "0300": "VGA", "0302": "3D", "0380": "Display", "0400": "Video",
    "0401": "Audio", "0403": "Audio", "0500": "RAM", "0600": "Host", "0601": "ISA", "0604": "Bridge",
    "0607": "CardBus", "0700": "Serial", "0805": "SD card", "0806": "IOMMU", "0c03": "USB", "0c05": "SMBus",
    "0c80": "Serial", "1300": "Other", "0d11": "Bluetooth", "1080": "Crypto", "1000": "Crypto", "1200": "Accel",
    "0780": "Comms", "0880": "System", "0b40": "Coproc", "1101": "Counters", "1180": "Signal",
    "00": "Other", "01": "Storage", "02": "Network", "03": "Display", "04": "Media", "05": "Memory", "06": "Bridge",
    "07": "Comms", "08": "System", "09": "Input", "0d": "Wireless", "ff": "Other",
}  # fmt: skip


def kind_word(device: Device) -> str:
    """One word for the kind of device."""
    if device.bus != "pci":
        return device.bus
    code = device.class_code or ""
    return _KIND_WORDS.get(code[:4]) or _KIND_WORDS.get(code[:2]) or class_words(device)


def also_takes(devices: Sequence[Device]) -> str:
    """``also takes 00:14.3 Network``: what a plan moves beyond the selection; empty if there is nothing."""
    named = [f"{d.address.removeprefix('0000:')} {kind_word(d)}" for d in devices]
    return f"also takes {', '.join(named)}" if named else ""


def rank(device: Device) -> int:
    """Displays first, then other devices that are often handed over; bridges and chipset functions last."""
    code = device.class_code or ""
    if device.is_bridge or code.startswith("0600"):
        return 8
    return {"03": 0, "12": 1, "02": 2, "01": 3, "0c": 4, "04": 5}.get(code[:2], 6)


def describe_device(host: Host, device: Device) -> Iterator[tuple[str, str]]:
    """Names and values of everything known about the device."""
    if device.bus == "pci":
        further = (("subsystem", device.board), ("revision", device.revision))
        yield "Ids", ", ".join([device.ids or "????:????", *(f"{what} {value}" for what, value in further if value)])
    else:
        yield "Bus", device.bus
    if device.class_code:
        yield "Class", f"{device.class_code} {class_words(device)}"
    if device.parent:
        yield "Below", f"bridge {device.parent}"
    if device.iommu:
        kind = next((unit.kind for unit in host.iommus or () if unit.name == device.iommu and unit.kind), None)
        yield "IOMMU unit", device.iommu + (f" ({kind})" if kind else "")
    if device.boot_vga is not None:
        yield "Display", "the one this machine booted on" if device.boot_vga else "not the boot display"
    if device.interfaces:
        yield "Network", ", ".join(device.interfaces)
    if device.physfn:
        yield "Function", f"virtual, of {device.physfn}"
    if device.virtfns:
        yield "Function", f"has {len(device.virtfns)} virtual functions"
    if device.vfio_dev:
        yield "VFIO", ", ".join(device.vfio_dev)
    if device.details is None:
        yield "Hardware", "power, BARs and resets were not recorded"
    else:
        yield from _hardware(device.details)
    for gap in device.gaps:
        yield "Not known", f"{gap.attribute}: {gap_words(gap.why)}"


def _hardware(facts: Details) -> Iterator[tuple[str, str]]:
    if facts.power_state:
        yield "Power", facts.power_state + (", D3cold allowed" if facts.d3cold_allowed else "")
    if facts.reset_methods is not None:
        yield "Resets", ", ".join(facts.reset_methods) or "none"
    if facts.link_speed and facts.link_width:
        now, top = f"{facts.link_speed} x{facts.link_width}", f"{facts.max_link_speed} x{facts.max_link_width}"
        yield "Link", now if now == top or not facts.max_link_speed else f"{now}, of {top}"
    if facts.numa_node is not None:
        yield "NUMA node", str(facts.numa_node) if facts.numa_node >= 0 else "none"
    if facts.sriov_totalvfs:
        yield "SR-IOV", f"{facts.sriov_numvfs or 0} of {facts.sriov_totalvfs} virtual functions"
    for bar in facts.bars or ():
        if bar.size:
            yield "Memory", _bar_words(bar)
    if facts.config_answers is False:
        yield "Config", "reads as all ones: asleep or fallen off the bus"


_BAR_IO, _BAR_PREFETCH, _BAR_64 = 0x100, 0x2000, 0x100000
"""Flags of a resource (``include/linux/ioport.h``)."""


def _bar_words(bar: Bar) -> str:
    """``BAR 0: 16 MiB memory, 64-bit, prefetchable at 0xe0000000``."""
    what = "ports" if bar.flags & _BAR_IO else "memory"
    extra = (", 64-bit" if bar.flags & _BAR_64 else "") + (", prefetchable" if bar.flags & _BAR_PREFETCH else "")
    name = f"BAR {bar.number}" if bar.number < 6 else "ROM" if bar.number == 6 else f"region {bar.number}"
    return f"{name}: {_size_words(bar.size)} {what}{extra} at {bar.start:#x}"


def _size_words(size: int) -> str:
    for unit, step in (("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >= 1 << step:
            count = size / (1 << step)
            return f"{count:.0f} {unit}" if count == int(count) else f"{count:.1f} {unit}"
    return f"{size} B"


# What the machine uses its devices for.


def use_labels(host: Host) -> dict[Address, tuple[str, ...]]:
    """Words such as ``root disk``, ``default route``, ``boot display`` or ``in use by qemu (pid 123)``, by device."""
    found: dict[Address, dict[str, None]] = {}
    for address, words in _labels(host):
        found.setdefault(address, {})[words] = None
    return {address: tuple(words) for address, words in found.items()}


def _labels(host: Host) -> Iterator[tuple[Address, str]]:
    for device in host.devices.values():
        if device.boots_display and serves_host(host, device, device.driver):
            yield device.address, "boot display"
    for group in host.groups.values():
        yield from ((address, f"in use by {group.owner}") for address in group.opened)
    if host.uses is None:
        return
    for screen in host.uses.screens:
        yield from ((screen.device, f"monitor on {monitor}") for monitor in screen.monitors)
    for use in host.uses.storage:
        yield from ((use.device, words) for words in _storage(use))
    for talk in host.uses.network:
        yield from ((talk.device, words) for words in _network(talk))
    for each in host.uses.inputs:
        if each.device is not None:
            yield each.device, "keyboard" if each.keyboard else "pointer"
    for sound in host.uses.sounds:
        if sound.playing:
            yield sound.device, "playing sound"


def _storage(use: "Storage") -> list[str]:
    if use.held == "mount":
        others = [point for point in use.what if point != "/"]
        return [*(["root disk"] if "/" in use.what else []), *([f"mounted {others[0]}"] if others else [])]
    if use.held == "pool":
        return [" ".join(("pool", *use.what[:1]))]
    if use.held in ("remote", "perhaps-remote"):
        return [f"leads to {use.what[0]}"] if use.what else []
    return ["swap"] if use.held == "swap" else []


def _network(talk: "Network") -> list[str]:
    words = [*(["SSH session"] if talk.session else []), *(["default route"] if talk.default_route else [])]
    return words or (["address"] if talk.address else [])
