"""Hazards of the device itself: who holds it, the rest of its card, ids, resets, power and isolation."""

import re
from collections.abc import Iterator

from iommutui.core.address import Address
from iommutui.core.advice import setting_by_ids
from iommutui.core.hazards.base import DANGER, INFO, WARN, Hazard, Kind, Moves, Topic, listed, openers_words
from iommutui.core.host import NO_IOMMU, Details, Device, Host, is_vfio, serves_host

# fmt: off
VM = Kind(
    "used-by-vm", Topic.USE, (DANGER,),
    "Shut the virtual machine down first: the unbind waits until it releases the device.", never=True,
    says="{device} is in use by {owner}.")
HANGS = Kind(
    "unbind-hangs", Topic.USE, (DANGER, WARN),
    "End every program that uses it, stop nvidia-persistenced, and unload nvidia_drm and nvidia_uvm before you apply.",
    never=True,
    says="{driver} blocks the unbind of {device} in the kernel while it is open: {who}.",
    asks="who has {device} open, which would block its unbind")
MEDIATED = Kind(
    "mediated-devices", Topic.USE, (DANGER, WARN),
    "Shut down the virtual machines that use them, then remove them: echo 1 > /sys/bus/mdev/devices/UUID/remove.",
    never=True,
    says="{device} has mediated devices, which vanish with its driver: {count}[, in group {groups}][, in use by "
    "{owner}].")
PLUGGED = Kind(
    "thunderbolt-devices", Topic.USE, (WARN,),
    "Unplug them first, and remember that docks may carry networks, disks and monitors.",
    says="Plugged into {device}: {names}.")
SPLIT = Kind(
    "card-split", Topic.CARD, (INFO,),
    "Hand over every function of the card: drivers in the virtual machine expect all of them.",
    says="{device} ({driver}) is a function of the same card as {moved} and stays with the host[, in group {group}].")
VIRTUAL = Kind(
    "virtual-functions", Topic.CARD, (DANGER, WARN),
    "Hand over virtual functions instead, or set sriov_numvfs to 0 first; vfio-pci refuses the card while they exist.",
    says="{device} has virtual functions ({count}[; in use: {used}]), which many drivers remove when they are "
    "unbound; a revert does not bring them back.")
BY_ID = Kind(
    "matched-by-id", Topic.CARD, (WARN,),
    "Bind by address instead: remove the ids from the setting, and let an override name this one card.",
    says="{twins} has the same id as {device} ({ids}), and {where} gives every device of that id to {driver}.")
TAKEN_BACK = Kind(
    "ids-take-back", Topic.CARD, (WARN,),
    "Remove the ids from the setting, or name the host driver as the target instead of 'default'.",
    says="Every device with the ids {ids} goes to {driver} ({where}), so {device} goes back there when the "
    "kernel chooses.")
NO_RESET = Kind(
    "no-reset", Topic.DEVICE, (INFO,),
    "Expect to power-cycle the machine before the device works again, in the host or in another virtual machine.",
    says="The kernel cannot reset {device}; it may not work again until the machine is power-cycled.")
BROKEN = Kind(
    "reset-broken", Topic.DEVICE, (WARN,),
    "Load vendor-reset on the host (then reset_method has device_specific), or expect to power-cycle the machine.",
    says="{device} is a {family} chip of AMD, known not to recover from a reset: a virtual machine can "
    "use it once, and again only after the machine is power-cycled.")
REACHES = Kind(
    "reset-reaches-others", Topic.DEVICE, (WARN,),
    "Hand those devices over as well, or plug the card in elsewhere: VFIO refuses to reset devices that it does not "
    "own.",
    says="{device} can only be reset together with {others}[ (group {groups})], which stays with the host.")
ASLEEP = Kind(
    "sleeps-in-d3cold", Topic.DEVICE, (INFO,),
    "If the virtual machine cannot wake it, try vfio-pci.disable_idle_d3=1 on the kernel's command line.",
    says="{device} is powered down (D3cold), so it could not be read completely.")
SILENT = Kind(
    "not-responding", Topic.DEVICE, (WARN,),
    "Shut the machine down and disconnect it from power for a moment, then check again before you hand the device "
    "over.",
    says="The configuration space of {device} reads as all ones: it sleeps in D3cold or has fallen off the bus.")
DIRECT = Kind(
    "direct-region", Topic.DEVICE, (WARN,),
    "Look for a firmware setting that ends it (RMRR, shared memory): a virtual machine does not have this mapping.",
    says="The firmware uses the memory {region} through {device} (a direct mapping of group {group}).")
OVERRIDE = Kind(
    "acs-override", Topic.DEVICE, (WARN,),
    "Boot without pcie_acs_override to see the groups that the hardware can isolate.",
    says="{parameter} splits groups in name only: {device} and its neighbours may still reach each other's memory.")
NO_IOMMU_MODE = Kind(
    "no-isolation", Topic.DEVICE, (WARN,),
    "Only programs such as DPDK can use it, as root, and they can reach all memory; a virtual machine cannot use it.",
    says="No IOMMU translates {device} (no-IOMMU mode): its DMA can reach all memory of this machine.")
# fmt: on


HANGING_DRIVERS = frozenset({"nvidia"})
"""Their remove function waits in the kernel until the device is closed, and no signal interrupts it
(``NVRM: Attempting to remove device ... with non-zero usage count!``)."""


def used_by_vm(moves: Moves) -> Iterator[Hazard]:
    """A device that is open through VFIO."""
    for device, goal in moves.goals:
        group = moves.host.group_of(device.address)
        claim = group.claim if group is not None else None
        leaves = goal.any_driver or goal.driver != device.driver
        if claim is not None and device.address in claim.opened and leaves:
            yield VM.of(device, owner=claim.owner or "a process that is not visible")


def unbind_hangs(moves: Moves) -> Iterator[Hazard]:
    """A driver known to hang at unbind while the device is open; or it is unknown whether it is open."""
    why = moves.uses.gap("openers")
    for device in moves.leaving:
        if device.driver in HANGING_DRIVERS:
            own = moves.uses.of(device.address)
            held = [name for screen in own.screens for name in screen.held_by]
            who = ", ".join(filter(None, (openers_words(own.openers), listed(held))))
            if who:
                yield HANGS.of(device, driver=device.driver, who=who)
            elif why:
                yield HANGS.of(device, WARN, why, driver=device.driver)


def mediated(moves: Moves) -> Iterator[Hazard]:
    """Mediated devices (GVT-g, vGPU): the parent's driver removes them, and waits while one is open."""
    host = moves.host
    every = [device for device in host.devices.values() if device.bus == "mdev"] if moves.leaving else []
    for device in moves.leaving:
        parts = [each for each in every if each.parent == device.address]
        groups = [group for d in parts if (group := host.group_of(d.address)) is not None]
        owner = listed(group.claim.owner for group in groups if group.claim is not None)
        if parts:
            where = listed(str(group.id) for group in groups)
            yield MEDIATED.of(device, DANGER if owner else WARN, count=str(len(parts)), groups=where, owner=owner)


def plugged(moves: Moves) -> Iterator[Hazard]:
    """Thunderbolt devices behind a controller that is unbound."""
    for device in moves.leaving:
        names = listed(name for each in moves.uses.of(device.address).plugged for name in each.names)
        if names:
            yield PLUGGED.of(device, names=names)


def card_split(moves: Moves) -> Iterator[Hazard]:
    """Functions of a card that stay on a host driver while another goes to a VFIO driver."""
    moved = {device.address for device, _ in moves.goals}
    for device in moves.given:
        for other in moves.host.card(device.address):
            if other.address in moved or not serves_host(moves.host, other, other.driver) or other.is_bridge:
                continue
            group = str(other.group) if other.group not in (None, device.group) else ""
            yield SPLIT.of(other, driver=other.driver or "", moved=device.address, group=group)


def virtual_functions(moves: Moves) -> Iterator[Hazard]:
    """A physical function with virtual functions, which may vanish with its driver; a danger if one of them is used.

    The driver's ``remove()`` may remove them; if it does not, the PCI core only warns.
    """
    for device in moves.leaving:
        virtual = [moves.host.devices[a] for a in device.virtfns if a in moves.host.devices]
        used = listed(each.address for each in virtual if _is_used(moves, each))
        if virtual:
            yield VIRTUAL.of(device, DANGER if used else WARN, count=str(len(virtual)), used=used)


def _is_used(moves: Moves, device: Device) -> bool:
    group = moves.host.group_of(device.address)
    opened = group.claim.opened if group is not None and group.claim is not None else ()
    return device.address in opened or bool(moves.uses.of(device.address).network)


def matched_by_id(moves: Moves) -> Iterator[Hazard]:
    """Twins that are not in the plan, where the command line or modprobe.d gives a driver all devices with their id."""
    moved = {device.address for device, _ in moves.goals}
    for device in moves.taken:
        setting = _setting(moves, device)
        twins = [
            other.address
            for other in (moves.host.devices.values() if setting else ())
            if other.address not in moved
            and (other.vendor_id, other.device_id) == (device.vendor_id, device.device_id)
            and serves_host(moves.host, other, other.driver)
        ]
        if twins:
            yield BY_ID.of(device, **setting, twins=listed(twins))


def ids_take_back(moves: Moves) -> Iterator[Hazard]:
    """``default`` for a device whose ids the command line, or perhaps ``modprobe.d``, gives to VFIO or ``pci-stub``."""
    for device, goal in moves.goals:
        setting = _setting(moves, device) if goal.any_driver else {}
        if setting and not serves_host(moves.host, device, device.driver):
            yield TAKEN_BACK.of(device, **setting)


def _setting(moves: Moves, device: Device) -> dict[str, str]:
    """The facts of a setting that gives the device to a driver by its ids; empty if there is none."""
    setting = setting_by_ids(moves.host, device)
    if setting is None:
        return {}
    return {"ids": f"{device.vendor_id}:{device.device_id}", "driver": setting[0], "where": setting[1]}


_BROKEN = {
    "Polaris": r"1002:(67[cd].|6fdf|67e.|67ff|698.|699.)",
    "Vega": r"1002:(686.|687f|66a.)",
    "Navi 1x": r"1002:(731.|734.|736.)",
}
"""Radeon chips that neither FLR nor a bus reset brings back, by their ids: those of the module ``vendor-reset``
(github.com/gnif/vendor-reset, src/device-db.h), without the later ones that reset well."""

_OWN = frozenset({"device_specific", "acpi", "flr", "af_flr", "pm"})
"""Methods that reset the function alone; ``bus`` and ``cxl_bus`` reset everything below the bridge above it."""


def resets(moves: Moves) -> Iterator[Hazard]:
    """Devices that a reset does not restore after a virtual machine used them, and what else a reset affects.

    ``reset_method`` (from 5.15) lists what resets one function, including its bus if it is alone on it. The bus or
    slot of several functions is reset as well if one owner has all of them (``vfio_pci_dev_set_hot_reset()``). VFIO
    refuses that to anyone who does not own every group on it (``vfio_pci_ioctl_pci_hot_reset()``): "depends on group
    16 which is not owned".
    """
    host, given = moves.host, {device.address for device in moves.given}
    for device in moves.given:
        methods = (device.details or Details()).reset_methods
        family = next((family for family, ids in _BROKEN.items() if re.fullmatch(ids, device.ids or "")), "")
        if family and "device_specific" not in (methods or ()):
            yield BROKEN.of(device, family=family)
        if methods is None or not _OWN.isdisjoint(methods):
            continue
        mates = bus_mates(host, device) or []
        staying = [other for other in mates if other.address not in given]
        if not methods and (not mates or any(not is_vfio(host, other, other.driver) for other in staying)):
            yield NO_RESET.of(device)
        others = [d for d in staying if d.group != device.group and serves_host(host, d, d.driver)]
        if others:
            groups = listed(str(other.group) for other in others if other.group is not None)
            yield REACHES.of(device, others=listed(other.address for other in others), groups=groups)


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


def power(moves: Moves) -> Iterator[Hazard]:
    """A device without power, which cannot be read fully without waking it; and one that does not answer at all."""
    for device in moves.given:
        if device.details is not None and device.details.power_state == "D3cold":
            yield ASLEEP.of(device)
    for device, _ in moves.goals:
        if device.silent:
            yield SILENT.of(device)


def isolation(moves: Moves) -> Iterator[Hazard]:
    """Devices whose isolation is uncertain, or that firmware also reaches.

    A group that VFIO invented, or will invent (``enable_unsafe_noiommu_mode``). A reserved region of type ``direct``:
    firmware's own mapping, which goes away with the host's domain. Groups that a patch splits: it changes no hardware,
    so devices can still reach each other.
    """
    parameters = (moves.host.cmdline or "").split()
    override = next((word for word in parameters if word.startswith("pcie_acs_override=")), "")
    for device in moves.given:
        group = moves.host.group_of(device.address)
        if group.name == NO_IOMMU if group is not None else moves.host.vfio.noiommu:
            yield NO_IOMMU_MODE.of(device)
        first = next((r for r in (group.regions if group is not None else None) or () if r.type == "direct"), None)
        if first is not None:
            yield DIRECT.of(device, region=f"{first.start:#x}-{first.end:#x}", group=str(device.group))
        if override:
            yield OVERRIDE.of(device, parameter=override)


KINDS = (
    *(VM, HANGS, MEDIATED, PLUGGED, SPLIT, VIRTUAL, BY_ID, TAKEN_BACK),
    *(NO_RESET, BROKEN, REACHES, ASLEEP, SILENT, NO_IOMMU_MODE, DIRECT, OVERRIDE),
)
CHECKS = (
    *(used_by_vm, unbind_hangs, mediated, plugged, card_split, virtual_functions),
    *(matched_by_id, ids_take_back, resets, power, isolation),
)
