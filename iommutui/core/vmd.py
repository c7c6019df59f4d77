"""Intel VMD: a controller that has a PCI domain of its own below it, for disks.

``vmd_remove()`` (drivers/pci/controller/vmd.c) stops and removes the whole root bus of the domain, so that the
controller goes with everything behind it or not at all; what is behind it does its DMA as the controller, and shares
its group.
"""

from collections.abc import Collection

from iommutui.core.address import Address
from iommutui.core.host import Device, Host

VMD = "vmd"


def controller_of(host: Host, device: Device) -> Device | None:
    """The VMD that the device is behind: the function above its domain."""
    seen: set[Address] = set()
    at = device
    while at.parent is not None and at.parent not in seen:
        above = host.devices.get(at.parent) or host.removed.get(at.parent)
        if above is None:
            return None
        if _domain(above) != _domain(device):
            return above
        seen.add(above.address)
        at = above
    return None


def behind(host: Host, controller: Device) -> list[Address]:
    """What goes away when the driver leaves the controller."""
    if controller.driver != VMD:
        return []
    return [d.address for d in host.devices.values() if d.parent is not None and controller_of(host, d) == controller]


def _domain(device: Device) -> str:
    return device.address.partition(":")[0]


def without(host: Host, gone: Collection[Address]) -> Host:
    """The Host without these devices; their groups stay, with the members that are left."""
    groups = {n: g._replace(members=tuple(a for a in g.members if a not in gone)) for n, g in host.groups.items()}
    return host._replace(devices={a: d for a, d in host.devices.items() if a not in gone}, groups=groups)
