"""Uses of the disks: mounts, swap, pools, ``fstab``, and assembled arrays and volumes."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

from iommutui.core.uses import Held, Storage
from iommutui.sources.tree import Unreadable, names_in, read_link
from iommutui.sources.uses import proc_tables
from iommutui.sources.uses.block_devices import BlockDevices
from iommutui.sources.uses.network import Far, server_of
from iommutui.sources.uses.survey import TABLE, Survey

MOST = 8
"""How many mount points of one file system are kept, the shortest ones."""

Tops = dict[str, list[str]]
"""Uses by the name of the block device: mount points, or the names of swap areas and pools."""


def read_storage(survey: Survey, everything: bool) -> tuple[list[Storage], list[Far]]:
    """The uses of every disk, and of network storage. Without ``everything`` only mounts and swap are read."""
    blocks = BlockDevices(survey)
    reached: set[str] = set()
    table = _mounts(survey)
    mounted = _mounted(survey, blocks, table)
    far: list[Far] = []
    found = _legs(blocks, Held.MOUNT, mounted, reached, far)
    found += _legs(blocks, Held.SWAP, _swapped(survey, blocks, mounted), reached, far)
    if everything:
        pools, perhaps = _pools(survey, blocks, reached)
        found += _legs(blocks, Held.POOL, pools, reached, far)
        found += _legs(blocks, Held.PERHAPS_POOL, perhaps)
        awaited = _fstab(survey, blocks, {word for mount in table for word in (mount.source, mount.point)})
        found += _legs(blocks, Held.FSTAB, awaited)
        found += _legs(blocks, Held.STACK, _stacks(blocks, reached), far=far)
        found += _disks(survey, blocks)
    return found, far


def _legs(
    blocks: BlockDevices, held: Held, tops: Tops, reached: set[str] | None = None, far: list[Far] | None = None
) -> list[Storage]:
    legs = [(tuple(what), leg) for name, what in tops.items() for leg in blocks.legs(name, reached)]
    if far is not None:
        far += [Far(what, leg.server, leg.chain, leg.array, leg.spare) for what, leg in legs if leg.device is None]
    return [
        Storage(leg.device, held, what, leg.chain, leg.array, leg.spare) for what, leg in legs if leg.device is not None
    ]


def _mounts(survey: Survey) -> list[proc_tables.Mount]:
    data = survey.bytes("proc/self/mountinfo", TABLE)
    if data is None:
        data = survey.bytes("proc/1/mountinfo", TABLE) or Unreadable("not-recorded")
    survey.check("storage", data)
    return list(proc_tables.mounts(data)) if isinstance(data, bytes) else []


def _mounted(survey: Survey, blocks: BlockDevices, table: Sequence[proc_tables.Mount]) -> Tops:
    """Mount points by block device, including file systems on several devices, or on files of other file systems."""
    points: dict[str, set[str]] = {}
    btrfs, zfs = _btrfs(survey, blocks), _zfs_members(survey, blocks, table)
    for mount in table:
        for name in _devices_of(blocks, mount, btrfs, zfs):
            points.setdefault(name, set()).add(mount.point)
    files = {name: blocks.attribute(name, "loop/backing_file") for name in blocks.paths if name.startswith("loop")}
    for _ in range(2):  # an image in an image on the medium: two levels down
        for name, file in files.items():
            holder = _holding(points, file) if file else None
            if holder is not None and holder != name:
                blocks.backing[name] = holder
                points[holder] |= points.pop(name, set())
        for mount in table:
            for directory in _layers(mount):
                if (holder := _holding(points, directory)) is not None:
                    points[holder].add(mount.point)
    return {name: sorted(found, key=lambda point: (len(point), point))[:MOST] for name, found in points.items()}


def _devices_of(
    blocks: BlockDevices, mount: proc_tables.Mount, btrfs: dict[str, tuple[str, ...]], zfs: dict[str, tuple[str, ...]]
) -> tuple[str, ...]:
    server = server_of(mount)
    if server is not None:
        blocks.served[mount.source] = server
        return (mount.source,)
    if mount.kind == "zfs":
        return zfs.get(mount.source.partition("/")[0], ())
    top = None if mount.number.startswith("0:") else blocks.numbered(mount.number)
    if top is None and ":/dev/" in mount.source:  # bcachefs names every device
        return tuple(name for part in mount.source.split(":") if (name := blocks.named(part)) is not None)
    top = top or blocks.named(mount.source)
    return btrfs.get(top, (top,)) if top is not None else ()


def _layers(mount: proc_tables.Mount) -> list[str]:
    """The layers of an overlay."""
    dirs = [o.partition("=")[2] for o in mount.options if o.startswith(("lowerdir", "upperdir"))]
    return [f"{part}/" for each in dirs for part in each.split(":") if mount.kind == "overlay" and part[:1] == "/"]


_PROFILES = {"raid1": 1, "raid10": 1, "raid5": 1, "raid6": 2, "raid1c3": 2, "raid1c4": 3}


def _btrfs(survey: Survey, blocks: BlockDevices) -> dict[str, tuple[str, ...]]:
    """All devices of a mounted btrfs, by each of them: the list of mounts names only one.

    It can lose as many as the weakest of its profiles can (``allocation/data/raid1``), less those already missing.
    """
    found: dict[str, tuple[str, ...]] = {}
    for uuid in survey.listed("fs/btrfs"):
        place = f"fs/btrfs/{uuid}"
        links = (survey.resolve(f"{place}/devices/{name}") for name in survey.listed(f"{place}/devices"))
        members = tuple(link.rpartition("/")[2] for link in links)
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


def _zfs_members(
    survey: Survey, blocks: BlockDevices, table: Sequence[proc_tables.Mount]
) -> dict[str, tuple[str, ...]]:
    """The members of pools with mounts, as `_pools` finds them."""
    if all(mount.kind != "zfs" for mount in table):
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for name, labels in _pools(survey, blocks, set())[0].items():
        found[labels[0]] = (*found.get(labels[0], ()), name)
    return found


def _swapped(survey: Survey, blocks: BlockDevices, mounted: Tops) -> Tops:
    found: Tops = {}
    for swap in proc_tables.swaps(survey.table("proc/swaps", "storage")):
        name = _holding(mounted, swap.path) if swap.is_file else blocks.named(swap.path)
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


def _pools(survey: Survey, blocks: BlockDevices, reached: set[str]) -> tuple[Tops, Tops]:
    """Members of imported ZFS pools, as udev reports them: the kernel does not know what ZFS holds.

    If no member of a pool is known, any disk without another known use may be one: the second value.
    """
    place = f"{survey.root}/proc/spl/kstat/zfs"
    names = names_in(place)
    survey.check("storage", names, optional=True)
    imported = [name for name in names if os.path.isdir(f"{place}/{name}")] if isinstance(names, list) else []
    if not imported:
        return {}, {}
    found: Tops = {}
    for name in blocks.paths:
        facts = udev_facts(survey, blocks, name)
        if facts.get("ID_FS_TYPE") == "zfs_member" and facts.get("ID_FS_LABEL") in imported:
            found[name] = [facts["ID_FS_LABEL"]]
            blocks.spares[name] = (facts["ID_FS_LABEL"], None)
    missing = sorted(set(imported) - {label for labels in found.values() for label in labels})
    unused = [name for name in blocks.paths if name not in reached | {*found} and blocks.owners(name)[0]]
    if missing and unused:
        survey.miss("storage", "not-recorded")
    return found, {name: missing for name in unused if missing and not blocks.whole(name)}


def udev_facts(survey: Survey, blocks: BlockDevices, name: str) -> dict[str, str]:
    """What udev found on a block device (``E:ID_FS_TYPE=ext4``); empty if udev does not run or has not probed it."""
    number = blocks.attribute(name, "dev")
    data = survey.text(f"run/udev/data/b{number}") if number and "/" not in number else None
    lines = data.splitlines() if isinstance(data, str) else []
    pairs = (line[2:].partition("=") for line in lines if line.startswith("E:"))
    return {key: value for key, _, value in pairs}


_TAGS = {"UUID": "by-uuid", "LABEL": "by-label", "PARTUUID": "by-partuuid", "PARTLABEL": "by-partlabel"}


def _fstab(survey: Survey, blocks: BlockDevices, mounted: set[str]) -> Tops:
    """Unmounted file systems in ``/etc/fstab``. A tag can be resolved only through udev's link to its device."""
    found: Tops = {}
    for entry in proc_tables.fstab(survey.table("etc/fstab", "fstab")):
        tag, equals, value = entry.source.partition("=")
        if entry.point in mounted or not (entry.source.startswith("/dev/") or (equals and tag in _TAGS)):
            continue
        path = f"/dev/disk/{_TAGS[tag]}/{_escaped(value)}" if equals and tag in _TAGS else entry.source
        name = blocks.named(path) or read_link(f"{survey.root}{path}").rpartition("/")[2]
        if name in blocks.paths:
            found.setdefault(name, []).append(entry.point)
        elif survey.root and not os.path.isdir(f"{survey.root}/dev/disk"):
            survey.miss("fstab", "not-recorded")
    return found


def _escaped(value: str) -> str:
    """A label as udev spells it in a link's name."""
    return "".join(
        c if c.isalnum() or c in "#+-.:=@_" or not c.isascii() else f"\\x{ord(c):02x}" for c in value.strip('"')
    )


def _stacks(blocks: BlockDevices, reached: set[str]) -> Tops:
    """Arrays, volumes and caches without a use above them."""
    idle = [n for n in blocks.paths if n not in reached and n not in blocks.backing and blocks.lower(n)]
    below = {lower for name in idle for lower in blocks.lower(name)}
    return {name: [blocks.label(name)] for name in idle if name not in below}


def _disks(survey: Survey, blocks: BlockDevices) -> Iterator[Storage]:
    """Every disk that has a medium, and what udev found on it."""
    contents: dict[str, list[str]] = {}
    for name in blocks.paths:
        kind = udev_facts(survey, blocks, name).get("ID_FS_TYPE", "")
        whole = blocks.whole(name)
        if whole or kind:
            contents.setdefault(whole or name, []).append(f"{name} ({kind})" if kind else name)
    for name in blocks.paths:
        if not blocks.whole(name) and blocks.attribute(name, "size") != "0":
            for owner in blocks.owners(name)[0]:
                yield Storage(owner, Held.DISK, (name,), tuple(contents.get(name, ())))
