"""Who else has the device: virtual machines, drivers that do not release it, Thunderbolt."""

from collections.abc import Iterator, Sequence

from iommutui.core.hazards.base import DANGER, WARN, Hazard, HazardCheck, Kind, Topic, listed, unbound, unknown, uses_of
from iommutui.core.host import Host
from iommutui.core.plan.intents import Goal

VM = Kind(
    "used-by-vm", Topic.USE, "a device that a virtual machine uses", (DANGER,),
    "Shut the virtual machine down first: the unbind waits until it releases the device.", never=True,
    says="{device} is in use by {owner}.",
)  # fmt: skip
HANGS = Kind(
    "unbind-hangs", Topic.USE, "a driver that waits forever while somebody has the device open", (DANGER, WARN),
    "End every program that uses it, stop nvidia-persistenced, and unload nvidia_drm and nvidia_uvm before you apply.",
    never=True,
    says="{driver} waits in the kernel forever when {device} is unbound while somebody has it open, and it is held "
    "open by {who}.",
    asks="who has {device} open, and its driver waits forever while somebody has",
)  # fmt: skip
MEDIATED = Kind(
    "mediated-devices", Topic.USE, "mediated devices, which go with their parent", (DANGER, WARN),
    "Shut down the virtual machines that have them, and remove them: echo 1 > /sys/bus/mdev/devices/UUID/remove.",
    never=True,
    says="{device} has mediated devices, which go away with its driver: {count}[, in group {groups}]"
    "[, in use by {owner}].",
)  # fmt: skip
PLUGGED = Kind(
    "thunderbolt-devices", Topic.USE, "Thunderbolt or USB4 devices that are plugged in", (WARN,),
    "Unplug them first, and remember that docks may carry networks, disks and monitors.",
    says="Plugged into {device}: {names}.",
)  # fmt: skip

HANGING_DRIVERS = frozenset({"nvidia"})
"""Their remove function waits in the kernel until nobody has the device open, and no signal ends that
(``NVRM: Attempting to remove device ... with non-zero usage count!``)."""


def used_by_vm(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """A device that somebody has opened through VFIO."""
    for goal in goals:
        device = host.devices[goal.device]
        group = host.group_of(device.address)
        claim = group.claim if group is not None else None
        leaves = goal.any_driver or goal.driver != device.driver
        if claim is not None and device.address in claim.opened and leaves:
            yield VM.of(device, DANGER, (("owner", claim.owner or "a process that is not visible"),))


def unbind_hangs(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """A driver that is known to hang at unbind, with somebody who holds the device; or it is not known who does."""
    why = unknown(host, "openers")
    for device in unbound(host, goals):
        if device.driver not in HANGING_DRIVERS:
            continue
        openers = uses_of(host).openers_of(device.address)
        screens = uses_of(host).screens_of(device.address)
        held = [name for screen in screens for name in screen.held_by]
        driver = ("driver", device.driver)
        if openers or held:
            who = listed([*(opener.name or "a process" for opener in openers), *held])
            yield HANGS.of(device, DANGER, (driver, ("who", who)))
        elif why:
            yield HANGS.of(device, WARN, (driver,), unknown=why)


def mediated(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """Mediated devices (GVT-g, vGPU): the driver of the parent takes them away, and waits while one is open."""
    leaving = {device.address: device for device in unbound(host, goals)}
    for parent, device in leaving.items():
        parts = [d for d in host.devices.values() if d.bus == "mdev" and d.parent == parent]
        groups = [group for d in parts if (group := host.group_of(d.address)) is not None]
        owners = listed(group.claim.owner for group in groups if group.claim is not None)
        if parts:
            where = listed(str(group.id) for group in groups)
            facts = (("count", str(len(parts))), ("groups", where), ("owner", owners))
            yield MEDIATED.of(device, DANGER if owners else WARN, facts)


def plugged(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """Thunderbolt devices behind a controller that leaves."""
    for device in unbound(host, goals):
        found = [p for p in uses_of(host).plugged if p.device == device.address]
        names = listed(name for each in found for name in each.names)
        if names:
            yield PLUGGED.of(device, WARN, (("names", names),))


CHECKS = (
    HazardCheck(used_by_vm, (VM,)),
    HazardCheck(unbind_hangs, (HANGS,)),
    HazardCheck(mediated, (MEDIATED,)),
    HazardCheck(plugged, (PLUGGED,)),
)
