"""Hazards of other users of the device: virtual machines, drivers that do not release it, Thunderbolt."""

from collections.abc import Iterator

from iommutui.core.hazards.base import DANGER, WARN, Hazard, Kind, Moves, Topic, listed

VM = Kind(
    "used-by-vm", Topic.USE, "a device that a virtual machine uses", (DANGER,),
    "Shut the virtual machine down first: the unbind waits until it releases the device.", never=True,
    says="{device} is in use by {owner}.",
)  # fmt: skip
HANGS = Kind(
    "unbind-hangs", Topic.USE, "a driver that blocks its unbind while the device is open", (DANGER, WARN),
    "End every program that uses it, stop nvidia-persistenced, and unload nvidia_drm and nvidia_uvm before you apply.",
    never=True,
    says="{driver} blocks the unbind of {device} in the kernel while it is open: {who}.",
    asks="who has {device} open, which would block its unbind",
)  # fmt: skip
MEDIATED = Kind(
    "mediated-devices", Topic.USE, "mediated devices, which vanish with their parent", (DANGER, WARN),
    "Shut down the virtual machines that use them, then remove them: echo 1 > /sys/bus/mdev/devices/UUID/remove.",
    never=True,
    says="{device} has mediated devices, which vanish with its driver: {count}[, in group {groups}][, in use by "
    "{owner}].",
)  # fmt: skip
PLUGGED = Kind(
    "thunderbolt-devices", Topic.USE, "Thunderbolt or USB4 devices that are plugged in", (WARN,),
    "Unplug them first, and remember that docks may carry networks, disks and monitors.",
    says="Plugged into {device}: {names}.",
)  # fmt: skip

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
            who = listed([*(opener.name or "a process" for opener in own.openers), *held])
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


KINDS = (VM, HANGS, MEDIATED, PLUGGED)
CHECKS = (used_by_vm, unbind_hangs, mediated, plugged)
