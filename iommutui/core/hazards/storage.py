"""What is on the disks of a device."""

from collections.abc import Iterator, Sequence

from iommutui.core.address import Address
from iommutui.core.hazards.base import (
    DANGER,
    INFO,
    WARN,
    Hazard,
    HazardCheck,
    Kind,
    Severity,
    Topic,
    listed,
    unbound,
    unknown,
    uses_of,
)
from iommutui.core.host import Device, Host
from iommutui.core.plan.intents import Goal
from iommutui.core.uses import Held, Storage

MOUNTED = Kind(
    "disk-mounted", Topic.STORAGE, "file systems that are mounted from its disks", (DANGER, WARN, INFO),
    "Unmount them first, or leave this device to the host: programs that write to them lose data.", never=True,
    says="{device} holds file systems that are mounted at {what} ({chain}).{note}",
    asks="what is mounted from the disks of {device}",
)  # fmt: skip
SWAP = Kind(
    "swap-active", Topic.STORAGE, "swap that is in use", (DANGER, WARN),
    "Turn it off first with swapoff; what has been swapped out is lost otherwise, and programs die.", never=True,
    says="{device} holds swap that is in use ({chain}).{note}",
)  # fmt: skip
POOL = Kind(
    "zfs-member", Topic.STORAGE, "a member of an imported ZFS pool", (DANGER,),
    "Export the pool first with zpool export; a pool that loses members stops.", never=True,
    says="{device} holds a part of the ZFS pool {what} ({chain}).{note}",
    asks="whether a disk of {device} is a part of a ZFS pool that is imported",
)  # fmt: skip
STACK = Kind(
    "disk-assembled", Topic.STORAGE, "a member of an assembled array, volume or cache", (DANGER, WARN),
    "Stop it first (mdadm --stop, vgchange -an, cryptsetup close), so that it ends in a clean state.", never=True,
    says="{device} holds a part of {what}, which is assembled though not mounted ({chain}).{note}",
)  # fmt: skip
REMOTE = Kind(
    "network-mount", Topic.STORAGE, "file systems or swap that come through it from a server", (DANGER, WARN),
    "Unmount them first, or leave this network device to the host: programs that use them hang.", never=True,
    says="{what} {comes} from a server through {device} ({chain})[; {unclear}][; {remains} stays with the host].",
)  # fmt: skip
FSTAB = Kind(
    "fstab-entry", Topic.STORAGE, "a file system that /etc/fstab names", (WARN, INFO),
    "Take it out of /etc/fstab, or add nofail: a boot without the disk stops there.",
    says="/etc/fstab names a file system on {device} for {what} ({chain}); it is not mounted now.",
    asks="whether /etc/fstab names a disk of {device}",
)  # fmt: skip
IDLE = Kind(
    "disk-leaves", Topic.STORAGE, "a disk that nothing uses now", (INFO,),
    "Make sure that nothing on it is needed: a virtual machine can overwrite all of it.",
    says="The disk {disks} goes with {device}[; it holds {content}]. Nothing on it is mounted.",
)  # fmt: skip

_CLASSES = ("01", "0c03", "0c00", "0805")
"""Controllers that disks may be on: storage, USB, FireWire, SD cards."""


def disks(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """Every use of every disk. A member of an array that can lose it is a warning."""
    leaving = unbound(host, goals)
    uses = uses_of(host).storage
    gone = frozenset(device.address for device in leaving)
    lost = _members_lost(uses, gone)
    for device in leaving:
        own = [use for use in uses if use.device == device.address]
        for held, kind in _KIND_OF.items():
            found = [use for use in own if use.held is held]
            if found:
                severity = max((_severity(kind, use, lost) for use in found), key=_ORDER.index)
                unknown_why = "not-recorded" if held is Held.PERHAPS_POOL else ""
                facts = (*_facts(found, kind, severity), *_through(held, severity))
                yield kind.of(device, severity, facts, unknown_why)
        if own and all(use.held is Held.DISK for use in own):
            facts = (
                ("disks", listed(word for use in own for word in use.what)),
                ("content", listed(c for u in own for c in u.chain)),
            )
            yield IDLE.of(device, INFO, facts)
        yield from _unknown(host, device, own)


_ORDER = (INFO, WARN, DANGER)
_KIND_OF = {
    Held.MOUNT: MOUNTED,
    Held.SWAP: SWAP,
    Held.POOL: POOL,
    Held.PERHAPS_POOL: POOL,
    Held.STACK: STACK,
    Held.REMOTE: REMOTE,
    Held.PERHAPS_REMOTE: REMOTE,
    Held.FSTAB: FSTAB,
}


def _unknown(host: Host, device: Device, own: Sequence[Storage]) -> Iterator[Hazard]:
    """The first thing that is not known; where the mounts are not, what fstab says is no comfort either."""
    if not own and not (device.class_code or "").startswith(_CLASSES):
        return
    for kind, field in ((MOUNTED, "storage"), (FSTAB, "fstab")):
        why = unknown(host, field)
        if why:
            yield kind.of(device, INFO, unknown=why)
            return


def _through(held: Held, severity: Severity) -> tuple[tuple[str, str], ...]:
    """How certain it is that something comes through the device, and whether there is another way."""
    if held not in (Held.REMOTE, Held.PERHAPS_REMOTE):
        return ()
    perhaps = held is Held.PERHAPS_REMOTE
    unclear = "which network device leads to the server is not known" if perhaps else ""
    remains = "another way to it" if severity is not DANGER else ""
    return ("comes", "may come" if perhaps else "comes"), ("unclear", unclear), ("remains", remains)


def _members_lost(uses: Sequence[Storage], gone: frozenset[Address]) -> dict[tuple[Held, str], int]:
    """How many members of each array go with the devices."""
    members: dict[tuple[Held, str], set[str]] = {}
    for use in uses:
        if use.array and use.device in gone:
            members.setdefault((use.held, use.array), set()).add(" ".join((*use.chain[-1:], use.device)))
    return {array: len(found) for array, found in members.items()}


def _severity(kind: Kind, use: Storage, lost: dict[tuple[Held, str], int]) -> Severity:
    """A mirror that loses one half goes on, without its safety; one that loses both does not."""
    worst = kind.severities[0]
    spare = use.spare or 0
    if worst is DANGER and WARN in kind.severities and use.array and lost[use.held, use.array] <= spare:
        return WARN
    return worst


def _way(kind: Kind, uses: Sequence[Storage], severity: Severity) -> str:
    """What lets go of them, where it can be said by name."""
    names = list(dict.fromkeys(word for use in uses for word in use.what))
    arrays = list(dict.fromkeys(f"/dev/{use.array}" for use in uses if use.array.startswith("md")))
    if severity is not DANGER and arrays:
        return f"Take its member out of {listed(arrays)} first, with mdadm --fail and --remove."
    ways: list[str] = []
    if kind is MOUNTED and "/" in names:
        ways = ["The system runs from it: it can leave only on a machine that has booted from another disk."]
    elif kind is REMOTE and severity is DANGER and "/" in names:
        ways = ["The system runs from it: leave this network device to the host."]
    elif all(name and name[0] not in "([" for name in names):
        command = {MOUNTED: "umount", REMOTE: "umount", POOL: "zpool export"}.get(kind)
        what = "Export the pool" if kind is POOL else "Unmount them"
        ways = [f"{what} first: {command} {' '.join(names)}."] if command else []
    more = _out_of_the_mirror(uses)
    return " ".join([*(ways or [kind.advice] if more else ways), *more])


def _out_of_the_mirror(uses: Sequence[Storage]) -> list[str]:
    """How a member leaves what may be a mirror, where that does not show."""
    unseen = [use for use in uses if use.spare is None and use.chain]
    if not unseen:
        return []
    own, array = unseen[0].chain[-1].partition(" ")[0], unseen[0].array
    if array.startswith("dm-"):
        return [f"If 'lvs -a -o +devices' shows a mirror in sync, take {own} out: lvconvert -m 0 VG/LV /dev/{own}."]
    return [f"If 'zpool status' shows a mirror that is whole, take {own} out of it: zpool detach {array} {own}."]


def _facts(uses: Sequence[Storage], kind: Kind, severity: Severity) -> tuple[tuple[str, str], ...]:
    uses = sorted(uses, key=lambda use: (len(use.what[0]) if use.what else 0, use.what, use.chain))
    what = listed(word for use in uses for word in use.what)
    chains = "; ".join(" ← ".join((*use.what[:1], *use.chain)) for use in uses[:4])
    array = listed(use.array for use in uses if use.array)
    unseen = listed(use.array for use in uses if use.spare is None)
    way = _way(kind, uses, severity)
    return ("what", what), ("chain", chains), ("array", array), ("unseen", unseen), ("way", way)


CHECKS = (HazardCheck(disks, (MOUNTED, SWAP, POOL, STACK, REMOTE, FSTAB, IDLE)),)
