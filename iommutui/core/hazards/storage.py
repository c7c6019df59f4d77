"""Hazards of a device's disks."""

from collections import Counter
from collections.abc import Iterator, Sequence

from iommutui.core.hazards.base import DANGER, INFO, WARN, Hazard, Kind, Moves, Severity, Topic, listed
from iommutui.core.uses import Held, Storage

_ARRAY = (
    "[ {unseen} may be redundant, but the kernel does not show it, so it is assumed not to be.]"
    "[ {spared} can run without it, but is no longer redundant.]"
)
"""The effect on the array that the disk belongs to."""

# fmt: off
MOUNTED = Kind(
    "disk-mounted", Topic.STORAGE, (DANGER, WARN, INFO),
    "Unmount them first, or leave this device to the host: programs that write to them lose data.", never=True,
    says="{device} holds file systems mounted at {what} ({chain})." + _ARRAY,
    asks="what is mounted from the disks of {device}")
SWAP = Kind(
    "swap-active", Topic.STORAGE, (DANGER, WARN),
    "Turn it off first with swapoff; otherwise swapped-out memory is lost, and programs die.", never=True,
    says="{device} holds swap in use ({chain})." + _ARRAY)
POOL = Kind(
    "zfs-member", Topic.STORAGE, (DANGER,),
    "Export the pool first with zpool export; a pool that loses members stops.", never=True,
    says="{device} holds a part of the ZFS pool {what} ({chain})." + _ARRAY,
    asks="whether a disk of {device} is in an imported ZFS pool")
STACK = Kind(
    "disk-assembled", Topic.STORAGE, (DANGER, WARN),
    "Stop it first (mdadm --stop, vgchange -an, cryptsetup close), so that it is left clean.", never=True,
    says="{device} holds a part of {what}, which is assembled but not mounted ({chain})." + _ARRAY)
REMOTE = Kind(
    "network-mount", Topic.STORAGE, (DANGER, WARN),
    "Unmount them first, or leave this network device to the host: programs that use them hang.", never=True,
    says="{what} {comes} from a server through {device} ({chain})[; {remains} stays with the host].")
FSTAB = Kind(
    "fstab-entry", Topic.STORAGE, (WARN, INFO),
    "Remove it from /etc/fstab, or add nofail: otherwise a boot without the disk stops there.",
    says="/etc/fstab names a file system on {device} for {what} ({chain}); it is not mounted now.",
    asks="whether /etc/fstab names a disk of {device}")
IDLE = Kind(
    "disk-leaves", Topic.STORAGE, (INFO,),
    "Make sure that nothing on it is needed: a virtual machine can overwrite all of it.",
    says="The disk {disks} goes with {device}[; it holds {content}]. Nothing on it is mounted.")
# fmt: on


_CLASSES = ("01", "0c03", "0c00", "0805")
"""Classes of controllers that may have disks: storage, USB, FireWire, SD cards."""


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

_COMMANDS = {MOUNTED: "umount", REMOTE: "umount", POOL: "zpool export"}


def disks(moves: Moves) -> Iterator[Hazard]:
    """A hazard for each kind of use of a device's disks, or one that says that their uses are unknown."""
    lost = _members_lost(moves)
    for device in moves.leaving:
        own = moves.uses.of(device.address).storage
        for held, kind in _KIND_OF.items():
            found = [use for use in own if use.held is held]
            if found:
                spared = all(use.array and lost[held, use.array] <= (use.spare or 0) for use in found)
                severity = WARN if spared and WARN in kind.severities else kind.severities[0]
                unknown = "not-recorded" if held is Held.PERHAPS_POOL else ""
                way = _way(kind, found, severity)
                yield kind.of(device, severity, unknown, **_facts(held, found, severity), way=way)
        if own and all(use.held is Held.DISK for use in own):
            names, content = listed(word for u in own for word in u.what), listed(c for u in own for c in u.chain)
            yield IDLE.of(device, disks=names, content=content)
        if own or (device.class_code or "").startswith(_CLASSES):
            # If the mounts are unknown, fstab does not help either.
            if why := moves.uses.gap("storage"):
                yield MOUNTED.of(device, INFO, why)
            elif why := moves.uses.gap("fstab"):
                yield FSTAB.of(device, INFO, why)


def _members_lost(moves: Moves) -> Counter[tuple[Held, str]]:
    """How many members each array loses with the devices."""
    uses = [use for device in moves.leaving for use in moves.uses.of(device.address).storage if use.array]
    members = {(use.held, use.array, use.device, use.chain[-1:]) for use in uses}
    return Counter((held, array) for held, array, *_ in members)


def _facts(held: Held, uses: Sequence[Storage], severity: Severity) -> dict[str, str]:
    uses = sorted(uses, key=lambda use: (len(use.what[0]) if use.what else 0, use.what, use.chain))
    array = listed(use.array for use in uses if use.array)
    facts = {
        "what": listed(word for use in uses for word in use.what),
        "chain": "; ".join(use.path for use in uses[:4]),
        "array": array,
        "unseen": listed(use.array for use in uses if use.spare is None),
        "spared": "" if severity is DANGER else array,
    }
    if held in (Held.REMOTE, Held.PERHAPS_REMOTE):
        facts["comes"] = "may come" if held is Held.PERHAPS_REMOTE else "comes"
        facts["remains"] = "" if severity is DANGER else "another way to it"
    return facts


def _way(kind: Kind, uses: Sequence[Storage], severity: Severity) -> str:
    """The command that releases them, where it is known."""
    names = list(dict.fromkeys(word for use in uses for word in use.what))
    arrays = list(dict.fromkeys(f"/dev/{use.array}" for use in uses if use.array.startswith("md")))
    if severity is not DANGER and arrays:
        return f"Take its member out of {listed(arrays)} first, with mdadm --fail and --remove."
    way, command = "", _COMMANDS.get(kind)
    if kind is MOUNTED and "/" in names:
        way = "The system runs from it: boot from another disk before you hand it over."
    elif kind is REMOTE and severity is DANGER and "/" in names:
        way = "The system runs from it: leave this network device to the host."
    elif command and all(name and name[0] not in "([" for name in names):
        way = f"{kind.advice} Run: {command} {' '.join(names)}."
    unseen = next((use for use in uses if use.spare is None and use.chain), None)
    if unseen is None:
        return way
    own = unseen.chain[-1].partition(" ")[0]
    shows, out = "zpool status", f"zpool detach {unseen.array} {own}"
    if unseen.array.startswith("dm-"):
        shows, out = "lvs -a -o +devices", f"lvconvert -m 0 VG/LV /dev/{own}"
    return f"{way or kind.advice} If '{shows}' shows an intact mirror, take the disk out of it: {out}."


KINDS = (MOUNTED, SWAP, POOL, STACK, REMOTE, FSTAB, IDLE)
CHECKS = (disks,)
