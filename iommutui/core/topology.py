"""The PCI tree: bridges above a device, and how far a rebind reaches.

Intel VMD is a controller with its own PCI domain below it, for disks. ``vmd_remove()``
(drivers/pci/controller/vmd.c) stops and removes the whole root bus of the domain, so the controller goes with
everything behind it or not at all; devices behind it do DMA as the controller, and share its group.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator

from iommutui.core.address import Address, card_of, domain_of
from iommutui.core.host import Device, Group, Host

VMD = "vmd"


def above(host: Host, device: Device) -> Iterator[Device]:
    """The functions above the device, nearest first, including those that ``remove`` took away; a cycle ends it."""
    seen: set[Address] = set()
    while device.parent is not None and device.parent not in seen:
        seen.add(device.parent)
        found = host.devices.get(device.parent) or host.removed.get(device.parent)
        if found is None:
            return
        yield found
        device = found


def controller_of(host: Host, device: Device) -> Device | None:
    """The VMD that the device is behind: the function above its domain."""
    return next((each for each in above(host, device) if domain_of(each.address) != domain_of(device.address)), None)


def behind(host: Host, controller: Device) -> list[Address]:
    """The devices that vanish when the driver leaves the controller."""
    if controller.driver != VMD:
        return []
    return [d.address for d in host.devices.values() if d.parent is not None and controller_of(host, d) == controller]


def without(host: Host, gone: Collection[Address]) -> Host:
    """The Host without these devices; their groups stay, with the members that are left."""
    groups = {n: g._replace(members=tuple(a for a in g.members if a not in gone)) for n, g in host.groups.items()}
    return host._replace(devices={a: d for a, d in host.devices.items() if a not in gone}, groups=groups)


def narrow(host: Host, addresses: Iterable[Address]) -> Host:
    """The Host with only these devices, their groups' members, the other functions of their cards, and what is above.

    So a preview costs no more on a big machine. The uses of all devices are kept, because the impact depends on what
    remains.
    """
    kept = _with_groups(host, {address for address in addresses if address in host.devices})
    kept = _with_groups(host, {*kept, *(other.address for address in kept for other in host.same_slot(address))})
    over = {each.address for address in kept for each in above(host, host.devices[address])}
    return host._replace(
        devices={address: host.devices[address] for address in kept | (over & host.devices.keys())},
        groups={group.id: group for group in host.groups_of(kept)},
    )


def _with_groups(host: Host, addresses: set[Address]) -> set[Address]:
    members = (member for group in host.groups_of(addresses) for member in group.members)
    return addresses | {member for member in members if member in host.devices}


def why_shared(host: Host, group: Group) -> list[str]:
    """Why devices share a group, as far as the tree shows it: sentences; empty for a group of one.

    The kernel (``pci_device_group()``) groups devices that could reach each other without passing the IOMMU: those
    below a port that does not isolate them (no ACS), and the functions of a card without its own ACS.
    """
    members = [device for device in host.members(group) if device.bus == "pci"]
    inside = {device.address for device in members}
    found = []
    for bridge in (device for device in members if device.is_bridge and device.parent not in inside):
        below = sum(bridge in above(host, device) for device in members)
        if below:
            who = "the other one is" if below == 1 else f"{below} others are"
            found.append(
                f"{bridge.address} is a bridge in the group itself, and {who} below it: it does not isolate what is "
                "behind it (no ACS), so the group cannot be split there."
            )
    # A slot on a root bus is the chipset's, and no card.
    chipset = {card_of(device.address) for device in members if device.parent is None}
    slots = Counter(card_of(device.address) for device in members if device.physfn is None)
    found += (
        f"{count} are functions of one {'slot' if slot in chipset else 'card'}, {slot}; they share a group unless the "
        "device isolates them (ACS)."
        for slot, count in slots.items()
        if count > 1
    )
    if len(members) > 1 and "pcie_acs_override" in (host.cmdline or ""):
        found.append(
            "The kernel command line has pcie_acs_override, so groups are smaller than what the hardware isolates."
        )
    return found
