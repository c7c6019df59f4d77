"""What firmware and boot parameters make of a group."""

from collections.abc import Iterator, Sequence

from iommutui.core.hazards.base import WARN, Hazard, HazardCheck, Kind, Topic, given_away
from iommutui.core.host import NO_IOMMU, Host
from iommutui.core.plan.intents import Goal

DIRECT = Kind(
    "direct-region", Topic.DEVICE, "a device that firmware itself does DMA with", (WARN,),
    "Look for a firmware setting that ends it (RMRR, shared memory): a virtual machine does not have this mapping.",
    says="Firmware uses the memory {region} through {device} itself (a direct mapping of group {group}).",
)  # fmt: skip
OVERRIDE = Kind(
    "acs-override", Topic.DEVICE, "isolation that pcie_acs_override only claims", (WARN,),
    "Boot without pcie_acs_override to see the groups that the hardware can keep apart.",
    says="{parameter} splits groups on paper only: devices near {device} may still reach its memory, and the "
    "virtual machine theirs.",
)  # fmt: skip


NO_IOMMU_MODE = Kind(
    "no-isolation", Topic.DEVICE, "a device that nothing isolates (no-IOMMU mode)", (WARN,),
    "Only programs such as DPDK can use it, as root, and they can reach all memory; a virtual machine cannot use it.",
    says="No IOMMU translates {device} (no-IOMMU mode): nothing keeps its DMA from any memory of this machine.",
)  # fmt: skip


def no_isolation(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """A device in a group that VFIO made up, or will make up (``enable_unsafe_noiommu_mode``)."""
    for device in given_away(host, goals):
        group = host.group_of(device.address)
        if group.name == NO_IOMMU if group is not None else host.vfio.noiommu:
            yield NO_IOMMU_MODE.of(device, WARN)


def direct_region(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """A reserved region of type ``direct``: firmware's own mapping, which goes away with the host's domain."""
    for device in given_away(host, goals):
        group = host.group_of(device.address)
        first = next((r for r in (group.regions if group is not None else None) or () if r.type == "direct"), None)
        if first is not None:
            facts = (("region", f"{first.start:#x}-{first.end:#x}"), ("group", str(device.group)))
            yield DIRECT.of(device, WARN, facts)


def acs_override(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """Groups that are split by a patch: it changes no hardware, so devices can still reach each other."""
    value = next((w for w in (host.cmdline or "").split() if w.startswith("pcie_acs_override=")), "")
    if value:
        for device in given_away(host, goals):
            yield OVERRIDE.of(device, WARN, (("parameter", value),))


CHECKS = (
    HazardCheck(no_isolation, (NO_IOMMU_MODE,)),
    HazardCheck(direct_region, (DIRECT,)),
    HazardCheck(acs_override, (OVERRIDE,)),
)
