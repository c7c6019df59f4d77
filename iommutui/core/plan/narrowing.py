"""The part of a machine that a rebind can touch, so that a preview of a big one costs no more."""

from collections.abc import Iterable

from iommutui.core.address import Address, card_of
from iommutui.core.host import Host


def narrow(host: Host, addresses: Iterable[Address]) -> Host:
    """The Host with only these devices, their groups' members, the other functions of their cards, and what is above.

    It knows what the machine does with all of its devices, since what is lost depends on what remains.
    """
    kept: set[Address] = set()
    groups = {}
    for address in addresses:
        device = host.devices.get(address)
        if device is None:
            continue
        kept.add(address)
        group = host.groups.get(device.group) if device.group is not None else None
        if group is not None:
            groups[group.id] = group
            kept.update(member for member in group.members if member in host.devices)
    for address in tuple(kept):
        card = card_of(address)
        for function in range(8):
            other = Address(f"{card}.{function}")
            if other in host.devices:
                kept.add(other)
    for address in kept:
        number = host.devices[address].group
        group = host.groups.get(number) if number is not None else None
        if group is not None:
            groups[group.id] = group
    members = {member for group in groups.values() for member in group.members}
    kept |= members & host.devices.keys()
    for address in tuple(kept):
        above = host.devices[address].parent
        while above is not None and above in host.devices and above not in kept:
            kept.add(above)
            above = host.devices[above].parent
    devices = {address: host.devices[address] for address in kept}
    return host._replace(devices=devices, groups=groups)
