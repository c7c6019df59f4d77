"""The state that the device itself is in, what a reset of it reaches, and what isolates it."""

import re
from collections.abc import Iterator, Sequence

from iommutui.core.address import Address
from iommutui.core.hazards.base import (
    INFO,
    WARN,
    Hazard,
    HazardCheck,
    Kind,
    Topic,
    given_away,
    listed,
    on_kernel_driver,
)
from iommutui.core.host import NO_IOMMU, Device, Host
from iommutui.core.plan.intents import Goal
from iommutui.core.roles import is_vfio

NO_RESET = Kind(
    "no-reset", Topic.DEVICE, "a device that the kernel knows no way to reset", (INFO,),
    "Expect to power-cycle the machine before the device works again, in the host or in another virtual machine.",
    says="The kernel knows no way to reset {device}; it may not work again until the machine is power-cycled.",
)  # fmt: skip
BROKEN = Kind(
    "reset-broken", Topic.DEVICE, "a chip that is known not to come back from a reset", (WARN,),
    "Load vendor-reset on the host (then reset_method has device_specific), or expect to power-cycle the machine.",
    says="{device} is a {family} chip of AMD, which is known not to come back from a reset: a virtual machine can "
    "use it once, and again only after the machine is power-cycled.",
)  # fmt: skip
REACHES = Kind(
    "reset-reaches-others", Topic.DEVICE, "a reset that reaches devices of other groups", (WARN,),
    "Hand those devices over as well, or plug the card in elsewhere: VFIO refuses a reset that it does not own all of.",
    says="{device} can only be reset together with {others}[ (group {groups})], which stays with the host.",
)  # fmt: skip
ASLEEP = Kind(
    "sleeps-in-d3cold", Topic.DEVICE, "a device that is powered down (D3cold)", (INFO,),
    "If the virtual machine cannot wake it, try vfio-pci.disable_idle_d3=1 on the kernel's command line.",
    says="{device} is powered down (D3cold), so not everything of it could be read.",
)  # fmt: skip
SILENT = Kind(
    "not-responding", Topic.DEVICE, "a device whose configuration space reads as all ones", (WARN,),
    "Shut the machine down and disconnect it from power for a moment, then look again before you hand the device over.",
    says="The configuration space of {device} reads as all ones: it sleeps in D3cold or has fallen off the bus.",
)  # fmt: skip

_BROKEN = {
    "Polaris": r"67[cd].|6fdf|67e.|67ff|698.|699.",
    "Vega": r"686.|687f|66a.",
    "Navi 1x": r"731.|734.|736.",
}
"""Radeon chips that neither FLR nor a bus reset brings back, by device id: those of the module ``vendor-reset``
(github.com/gnif/vendor-reset, src/device-db.h), without the later ones that reset well."""

_OWN = frozenset({"device_specific", "acpi", "flr", "af_flr", "pm"})
"""Methods that reset the function alone; ``bus`` and ``cxl_bus`` reset everything below the bridge above it."""


def no_reset(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """A device for a virtual machine that the kernel knows no way to reset (``reset_method``, from 5.15).

    ``reset_method`` has what resets one function, its bus included where it is alone on it. The bus or slot of several
    functions is reset as well, when all of them are in one hand (``vfio_pci_dev_set_hot_reset()``).
    """
    given = {device.address for device in given_away(host, goals)}
    for device in given_away(host, goals):
        if device.details is None or device.details.reset_methods != ():
            continue
        others = bus_mates(host, device)
        if not others or any(d.address not in given and not is_vfio(host, d, d.driver) for d in others):
            yield NO_RESET.of(device, INFO)


def reset_broken(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """A chip whose reset is known not to work, unless ``reset_method`` has a way of its own."""
    for device in given_away(host, goals):
        methods = (device.details.reset_methods if device.details is not None else None) or ()
        family = next((f for f, ids in _BROKEN.items() if re.fullmatch(ids, device.device_id or "")), "")
        if family and device.vendor_id == "1002" and "device_specific" not in methods:
            yield BROKEN.of(device, WARN, (("family", family),))


def reset_reaches_others(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """A card without a reset of its own, beside functions of other groups that stay with the host.

    VFIO then resets the bus, and only if whoever asks owns every group on it
    (``vfio_pci_ioctl_pci_hot_reset()``): "depends on group 16 which is not owned".
    """
    given = {device.address for device in given_away(host, goals)}
    for device in given_away(host, goals):
        methods = device.details.reset_methods if device.details is not None else None
        mates = bus_mates(host, device)
        if methods is None or mates is None or not _OWN.isdisjoint(methods):
            continue
        others = [
            other
            for other in mates
            if other.group != device.group and other.address not in given and on_kernel_driver(host, other)
        ]
        if others:
            facts = (
                ("others", listed(other.address for other in others)),
                ("groups", listed(str(other.group) for other in others if other.group is not None)),
            )
            yield REACHES.of(device, WARN, facts)


def bus_mates(host: Host, device: Device) -> list[Device] | None:
    """The other functions that a reset of the device's bus reaches; None on a root bus, which is never reset.

    A listing may not show the bridge above: without one, what has bus 00 or a root port beside it is on a root bus.
    """
    bus = device.address.rpartition(":")[0]
    places = (host.devices.get(Address(f"{bus}:{place >> 3:02x}.{place & 7}")) for place in range(256))
    others = [other for other in places if other is not None and other.address != device.address]
    if device.parent is None and (bus.endswith(":00") or any(other.is_bridge for other in others)):
        return None
    return others


def sleeps(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """A device without power: much of it cannot be read without waking it."""
    for device in given_away(host, goals):
        if device.details is not None and device.details.power_state == "D3cold":
            yield ASLEEP.of(device, INFO)


def not_responding(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """Configuration space reads as all ones: the device has fallen off the bus or sleeps in D3cold."""
    for goal in goals:
        device = host.devices[goal.device]
        if device.details is not None and device.details.config_answers is False:
            yield SILENT.of(device, WARN)


DIRECT = Kind(
    "direct-region", Topic.DEVICE, "a device that firmware itself does DMA with", (WARN,),
    "Look for a firmware setting that ends it (RMRR, shared memory): a virtual machine does not have this mapping.",
    says="Firmware uses the memory {region} through {device} itself (a direct mapping of group {group}).",
)  # fmt: skip
OVERRIDE = Kind(
    "acs-override", Topic.DEVICE, "isolation that pcie_acs_override only claims", (WARN,),
    "Boot without pcie_acs_override to see the groups that the hardware can keep apart.",
    says="{parameter} splits groups in name only: devices near {device} may still reach its memory, and the "
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
    HazardCheck(no_reset, (NO_RESET,)),
    HazardCheck(reset_broken, (BROKEN,)),
    HazardCheck(reset_reaches_others, (REACHES,)),
    HazardCheck(sleeps, (ASLEEP,)),
    HazardCheck(not_responding, (SILENT,)),
    HazardCheck(no_isolation, (NO_IOMMU_MODE,)),
    HazardCheck(direct_region, (DIRECT,)),
    HazardCheck(acs_override, (OVERRIDE,)),
)
