"""Every fact of a device or a group in words, as name and value."""

from collections.abc import Iterator

from iommutui.core.device import gap_words
from iommutui.core.host import Bar, Details, Device, Group, Host
from iommutui.core.labels import class_words
from iommutui.core.reasons import Verdict
from iommutui.core.wording import state_words

_BAR_IO = 0x100
_BAR_PREFETCH = 0x2000
_BAR_64 = 0x100000


def size_words(size: int) -> str:
    """``16 MiB``."""
    for unit, step in (("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >= 1 << step:
            count = size / (1 << step)
            return f"{count:.0f} {unit}" if count == int(count) else f"{count:.1f} {unit}"
    return f"{size} B"


def bar_words(bar: Bar) -> str:
    """``0: 16 MiB memory, 64-bit, prefetchable``."""
    what = "ports" if bar.flags & _BAR_IO else "memory"
    extra = (", 64-bit" if bar.flags & _BAR_64 else "") + (", prefetchable" if bar.flags & _BAR_PREFETCH else "")
    name = f"BAR {bar.number}" if bar.number < 6 else "ROM" if bar.number == 6 else f"region {bar.number}"
    return f"{name}: {size_words(bar.size)} {what}{extra} at {bar.start:#x}"


def describe_device(host: Host, device: Device) -> Iterator[tuple[str, str]]:
    """Name and value of everything that is known of the device."""
    if device.bus == "pci":
        ids = f"{device.vendor_id or '????'}:{device.device_id or '????'}"
        if device.subsystem_vendor_id:
            ids += f", subsystem {device.subsystem_vendor_id}:{device.subsystem_device_id or '????'}"
        yield "Ids", ids + (f", revision {device.revision}" if device.revision else "")
    else:
        yield "Bus", device.bus
    if device.class_code:
        yield "Class", f"{device.class_code} {class_words(device)}"
    if device.parent:
        yield "Below", f"bridge {device.parent}"
    units = [unit.name for unit in host.iommus or () if unit.name == device.iommu]
    if device.iommu:
        kind = next((unit.kind for unit in host.iommus or () if unit.name in units and unit.kind), None)
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


def describe_group(group: Group, verdict: Verdict) -> Iterator[tuple[str, str]]:
    """Name and value of what is known of the group beside its devices."""
    yield "DMA", state_words(verdict.state)
    if group.claim is not None:
        yield "Owner", group.claim.owner or "another process"
    if group.name:
        yield "Name", group.name
    gap = group.gap("type")
    yield "Type", group.type or (f"not known: {gap_words(gap.why)}" if gap else "not shown by the kernel")
    yield "Open", claim_words(verdict.claim)
    for region in group.regions or ():
        yield "Reserved", f"{region.start:#x}-{region.end:#x} {region.type}"


def claim_words(claim: str) -> str:
    """What opening a group through VFIO would come to; ``claim`` is ``ok`` or the name of an errno."""
    return "would succeed" if claim == "ok" else f"would fail ({claim})"


def _hardware(facts: Details) -> Iterator[tuple[str, str]]:
    if facts.power_state:
        yield "Power", facts.power_state + (", D3cold allowed" if facts.d3cold_allowed else "")
    if facts.reset_methods is not None:
        yield "Resets", ", ".join(facts.reset_methods) or "none"
    if facts.link_speed and facts.link_width:
        yield "Link", _link(facts)
    if facts.numa_node is not None:
        yield "NUMA node", str(facts.numa_node) if facts.numa_node >= 0 else "none"
    if facts.sriov_totalvfs:
        yield "SR-IOV", f"{facts.sriov_numvfs or 0} of {facts.sriov_totalvfs} virtual functions"
    for bar in facts.bars or ():
        if bar.size:
            yield "Memory", bar_words(bar)
    if facts.config_answers is False:
        yield "Config", "reads as all ones: asleep or fallen off the bus"


def _link(facts: Details) -> str:
    now = f"{facts.link_speed} x{facts.link_width}"
    top = f"{facts.max_link_speed} x{facts.max_link_width}"
    return now if now == top or not facts.max_link_speed else f"{now}, of {top}"
