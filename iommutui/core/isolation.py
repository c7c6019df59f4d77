"""Why devices share a group, as far as the tree shows it. Pure.

The kernel (``pci_device_group()``) puts into one group what could reach each other without passing the IOMMU: devices
below a port that does not keep them apart (no ACS), and the functions of a card without ACS of its own.
"""

from collections import Counter

from iommutui.core.address import Address, card_of
from iommutui.core.host import Device, Group, Host


def why_shared(host: Host, group: Group) -> list[str]:
    """Sentences; empty for a group of one."""
    members = [device for device in host.members(group) if device.bus == "pci"]
    if len(members) < 2:
        return []
    inside = {device.address for device in members}
    found = [*_bridges(host, members, inside), *_cards(members), *_neighbours(members, inside)]
    if "pcie_acs_override" in (host.cmdline or ""):
        found.append(
            "The kernel command line has pcie_acs_override, so groups are smaller than what the hardware isolates."
        )
    return found


def _bridges(host: Host, members: list[Device], inside: set[Address]) -> list[str]:
    found = []
    for bridge in members:
        if not bridge.is_bridge or bridge.parent in inside:
            continue
        below = [d for d in members if d is not bridge and bridge.address in _above(host, d)]
        if below:
            who = "the other one is" if len(below) == 1 else f"{len(below)} others are"
            found.append(
                f"{bridge.address} is a bridge in the group itself, and {who} below it: it does not isolate what is "
                "behind it (no ACS), so the group cannot be split there."
            )
    return found


def _above(host: Host, device: Device) -> set[Address]:
    found: set[Address] = set()
    parent = device.parent
    while parent is not None and parent not in found:
        found.add(parent)
        parent = host.devices[parent].parent if parent in host.devices else None
    return found


def _cards(members: list[Device]) -> list[str]:
    cards = Counter(card_of(device.address) for device in members if device.physfn is None)
    # A slot on a root bus is the chipset's, and no card.
    chipset = {card_of(device.address) for device in members if device.parent is None}
    return [
        f"{f'All {count}' if count == len(members) else count} are functions of one "
        f"{'slot' if card in chipset else 'card'}, {card}; they share a group unless the device isolates them (ACS)."
        for card, count in cards.items()
        if count > 1
    ]


def _neighbours(members: list[Device], inside: set[Address]) -> list[str]:
    behind: dict[Address, set[str]] = {}
    for device in members:
        if device.parent is not None and device.parent not in inside:
            behind.setdefault(device.parent, set()).add(card_of(device.address))
    return [
        f"{len(cards)} slots of the group are behind {port}, which does not isolate them."
        for port, cards in behind.items()
        if len(cards) > 1
    ]
