"""Uses of the disks: mounts, swap, pools, ``fstab``, and assembled arrays and volumes."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from iommutui.core.uses import Held, Network, Storage
from iommutui.sources.tree import Unreadable, names_in, read_link
from iommutui.sources.uses import Survey
from iommutui.sources.uses.block_devices import BlockDevices, Leg
from iommutui.sources.uses.network import carriers, server_of

MOST = 8
"""How many mount points of one file system are kept, the shortest ones."""

Tops = dict[str, list[str]]
"""Uses by the name of the block device: mount points, or the names of swap areas and pools."""


class Mount(NamedTuple):
    """A line of ``/proc/self/mountinfo``."""

    number: str
    """``259:3``; an anonymous number (``0:25``) for a file system without a single disk, such as btrfs."""
    point: str
    kind: str
    source: str
    options: list[str]
    """Options of the file system: ``["rw", "lowerdir=/run/live/rootfs"]``."""


def read_storage(survey: Survey, network: Sequence[Network], everything: bool) -> list[Storage]:
    """The uses of every disk, and of the network devices that lead to storage on servers.

    Without ``everything`` only mounts, swap and pools are read.
    """
    blocks = BlockDevices(survey)
    mounts = _mounts(survey)
    pools, hidden = _pools(survey, blocks)
    mounted = _mounted(survey, blocks, mounts, pools)
    used = [
        *_uses(blocks, Held.MOUNT, mounted),
        *_uses(blocks, Held.SWAP, _swapped(survey, blocks, mounted)),
        *_uses(blocks, Held.POOL, pools),
        *_uses(blocks, Held.PERHAPS_POOL, _perhaps(survey, blocks, hidden)),
        *_uses(blocks, Held.STACK, _stacks(blocks) if everything else {}),
    ]
    awaited = _uses(blocks, Held.FSTAB, _fstab(survey, blocks, mounts) if everything else {})
    local = [
        Storage(leg.device, held, what, leg.chain, leg.array, leg.spare)
        for held, what, leg in (*used, *awaited)
        if leg.device is not None
    ]
    disks = _disks(blocks) if everything else ()
    remote = [use for _, what, leg in used if leg.device is None for use in _through(survey, network, what, leg)]
    return [*local, *disks, *remote]


def _uses(blocks: BlockDevices, held: Held, tops: Tops) -> list[tuple[Held, tuple[str, ...], Leg]]:
    return [(held, tuple(what), leg) for name, what in tops.items() for leg in blocks.legs(name)]


def _through(survey: Survey, network: Sequence[Network], what: tuple[str, ...], leg: Leg) -> Iterator[Storage]:
    """The network devices that lead to a server; if unknown, those that may, of which one must remain.

    For ``/``, every device that may carry it counts.
    """
    held, ways = carriers(survey, network, leg.server)
    array, spare, others = leg.array, leg.spare, len({use.device for use in ways}) - 1
    if held is Held.PERHAPS_REMOTE:
        array, spare = ("the network", others) if "/" not in what else ("", 0)
    elif not array and ways and all(use.bonded for use in ways):
        array, spare = ways[0].top, others
    for use in ways:
        yield Storage(use.device, held, what, (*leg.chain, *use.chain), array, spare)


_MOUNT = r"^(?:[^ \n]+ ){2}([^ \n]+) [^ \n]+ ([^ \n]+) [^ \n]+.*? - ([^ \n]+) ([^ \n]*) (.*)$"
"""``36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/sda1 rw``; optional fields end with ``-``.

Blanks, tabs and newlines in a field are escaped, but no other white space is.
"""
_SWAP = r"^([^ \t\n]+)[ \t]+(file|partition)\b"
"""``/dev/dm-1   partition   8388604  0  -2``."""
_FSTAB = r"(?a)^[ \t]*([^#\s]\S*)[ \t]+(\S+)[ \t]+(\S+)"
"""``UUID=... /home ext4 defaults 0 2``."""


def _plain(field: str) -> str:
    r"""``/mnt/my\040disk`` -> ``/mnt/my disk``."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _mounts(survey: Survey) -> list[Mount]:
    data = survey.bytes("proc/self/mountinfo")
    if data is None:
        data = survey.bytes("proc/1/mountinfo") or Unreadable("not-recorded")
    survey.check("storage", data)
    text = data.decode("utf-8", "backslashreplace") if isinstance(data, bytes) else ""
    found = (map(_plain, fields) for fields in re.findall(_MOUNT, text, re.MULTILINE))
    return [Mount(number, point, kind, source, opts.split(",")) for number, point, kind, source, opts in found]


def _mounted(survey: Survey, blocks: BlockDevices, mounts: Sequence[Mount], pools: Tops) -> Tops:
    """Mount points by block device, including file systems on several devices, or on files of other file systems."""
    points: dict[str, set[str]] = {}
    btrfs = _btrfs(survey, blocks)
    for mount in mounts:
        for name in _devices_of(blocks, mount, btrfs, pools):
            points.setdefault(name, set()).add(mount.point)
    files = {name: blocks.attribute(name, "loop/backing_file") for name in blocks.paths if name.startswith("loop")}
    for _ in range(2):  # an image in an image on the medium: two levels down
        for name, file in files.items():
            holder = _holding(points, file) if file else None
            if holder is not None and holder != name:
                blocks.backing[name] = holder
                points[holder] |= points.pop(name, set())
        for mount in mounts:
            for directory in _layers(mount):
                if (holder := _holding(points, directory)) is not None:
                    points[holder].add(mount.point)
    return {name: sorted(found, key=lambda point: (len(point), point))[:MOST] for name, found in points.items()}


def _devices_of(blocks: BlockDevices, mount: Mount, btrfs: Mapping[str, Sequence[str]], pools: Tops) -> Sequence[str]:
    server = server_of(mount.kind, mount.source, mount.options)
    if server is not None:
        blocks.served[mount.source] = server
        return [mount.source]
    if mount.kind == "zfs":
        return [name for name, labels in pools.items() if mount.source.partition("/")[0] in labels]
    top = None if mount.number.startswith("0:") else blocks.numbered(mount.number)
    if top is None and ":/dev/" in mount.source:  # bcachefs names every device
        return [name for part in mount.source.split(":") if (name := blocks.named(part)) is not None]
    top = top or blocks.named(mount.source)
    return btrfs.get(top, [top]) if top is not None else []


def _layers(mount: Mount) -> list[str]:
    """The layers of an overlay."""
    dirs = [o.partition("=")[2] for o in mount.options if o.startswith(("lowerdir", "upperdir"))]
    return [f"{part}/" for each in dirs for part in each.split(":") if mount.kind == "overlay" and part[:1] == "/"]


_PROFILES = {"raid1": 1, "raid10": 1, "raid5": 1, "raid6": 2, "raid1c3": 2, "raid1c4": 3}


def _btrfs(survey: Survey, blocks: BlockDevices) -> dict[str, list[str]]:
    """All devices of a mounted btrfs, by each of them: the list of mounts names only one.

    It can lose as many as the weakest of its profiles can (``allocation/data/raid1``), less those already missing.
    """
    found: dict[str, list[str]] = {}
    for uuid in survey.listed("fs/btrfs"):
        place = f"fs/btrfs/{uuid}"
        links = (survey.resolve(f"{place}/devices/{name}") for name in survey.listed(f"{place}/devices"))
        members = [link.rpartition("/")[2] for link in links]
        found.update((name, members) for name in members)
        profiles = [
            _PROFILES.get(name, 0)
            for kind in ("data", "metadata", "system")
            for name in survey.listed(f"{place}/allocation/{kind}")
            if os.path.isdir(f"{survey.sys}/{place}/allocation/{kind}/{name}")
        ]
        numbers = survey.listed(f"{place}/devinfo")
        missing = sum(survey.attribute(f"{place}/devinfo/{number}/missing") == "1" for number in numbers)
        for name in members if len(profiles) >= 3 else ():
            blocks.spares[name] = (f"btrfs-{uuid[:8]}", max(min(profiles) - missing, 0))
    return found


def _swapped(survey: Survey, blocks: BlockDevices, mounted: Tops) -> Tops:
    found: Tops = {}
    for field, kind in re.findall(_SWAP, survey.table("proc/swaps", "storage"), re.MULTILINE):
        path = _plain(field)
        name = _holding(mounted, path) if kind == "file" else blocks.named(path)
        if name is not None:
            found[name] = ["[SWAP]"]
    return found


def _holding(mounted: Mapping[str, Iterable[str]], path: str) -> str | None:
    """The block device of the file system that a file is on: the longest mount point above it."""
    above = [
        (len(point), name)
        for name, points in mounted.items()
        for point in points
        if path.startswith(point.rstrip("/") + "/")
    ]
    return max(above)[1] if above else None


def _pools(survey: Survey, blocks: BlockDevices) -> tuple[Tops, list[str]]:
    """Members of imported ZFS pools, as udev reports them: the kernel does not know what ZFS holds.

    The second value names the pools of which no member is known.
    """
    place = f"{survey.root}/proc/spl/kstat/zfs"
    names = names_in(place)
    survey.check("storage", names, optional=True)
    imported = {name for name in names if os.path.isdir(f"{place}/{name}")} if isinstance(names, list) else set()
    found: Tops = {}
    for name in blocks.paths if imported else ():
        facts = blocks.udev(name)
        if facts.get("ID_FS_TYPE") == "zfs_member" and facts.get("ID_FS_LABEL") in imported:
            found[name] = [facts["ID_FS_LABEL"]]
            blocks.spares[name] = (facts["ID_FS_LABEL"], None)
    return found, sorted(imported.difference(*found.values()))


def _perhaps(survey: Survey, blocks: BlockDevices, hidden: list[str]) -> Tops:
    """Any disk without another known use may be a member of a pool of which no member is known."""
    idle = [name for name in blocks.paths if name not in blocks.reached and blocks.owners(name)[0]] if hidden else []
    if idle:
        survey.miss("storage", "not-recorded")
    return {name: hidden for name in idle if not blocks.whole(name)}


_TAGS = {"UUID": "by-uuid", "LABEL": "by-label", "PARTUUID": "by-partuuid", "PARTLABEL": "by-partlabel"}


def _fstab(survey: Survey, blocks: BlockDevices, mounts: Sequence[Mount]) -> Tops:
    """Unmounted file systems in ``/etc/fstab``. A tag can be resolved only through udev's link to its device."""
    mounted = {word for mount in mounts for word in (mount.source, mount.point)}
    found: Tops = {}
    for field, place, kind in re.findall(_FSTAB, survey.table("etc/fstab", "fstab"), re.MULTILINE):
        source, point = _plain(field).strip('"'), "[SWAP]" if kind == "swap" else _plain(place)
        tag, equals, value = source.partition("=")
        tagged = equals and tag in _TAGS
        if point in mounted or not (tagged or source.startswith("/dev/")):
            continue
        path = f"/dev/disk/{_TAGS[tag]}/{_escaped(value)}" if tagged else source
        name = blocks.named(path) or read_link(f"{survey.root}{path}").rpartition("/")[2]
        if name in blocks.paths:
            found.setdefault(name, []).append(point)
        elif survey.root and not os.path.isdir(f"{survey.root}/dev/disk"):
            survey.miss("fstab", "not-recorded")
    return found


def _escaped(value: str) -> str:
    """A label as udev spells it in a link's name."""
    return "".join(
        c if c.isalnum() or c in "#+-.:=@_" or not c.isascii() else f"\\x{ord(c):02x}" for c in value.strip('"')
    )


def _stacks(blocks: BlockDevices) -> Tops:
    """Arrays, volumes and caches without a use above them."""
    idle = [n for n in blocks.paths if n not in blocks.reached and n not in blocks.backing and blocks.lower(n)]
    below = {lower for name in idle for lower in blocks.lower(name)}
    return {name: [blocks.label(name)] for name in idle if name not in below}


def _disks(blocks: BlockDevices) -> Iterator[Storage]:
    """Every disk that has a medium, and what udev found on it."""
    contents: dict[str, list[str]] = {}
    for name in blocks.paths:
        kind = blocks.udev(name).get("ID_FS_TYPE", "")
        whole = blocks.whole(name)
        if whole or kind:
            contents.setdefault(whole or name, []).append(f"{name} ({kind})" if kind else name)
    for name in blocks.paths:
        if not blocks.whole(name) and blocks.attribute(name, "size") != "0":
            for owner in blocks.owners(name)[0]:
                yield Storage(owner, Held.DISK, (name,), tuple(contents.get(name, ())))
