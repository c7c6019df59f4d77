"""What the disks are used for: mounts, swap, pools, ``fstab``, and what is assembled from them."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence

from iommutui.core.device import Gap
from iommutui.core.uses import Held, Storage
from iommutui.sources.tree import Tree, Unreadable, names_in
from iommutui.sources.uses import proc_tables
from iommutui.sources.uses.blocks import Blocks, read_blocks
from iommutui.sources.uses.network import Far, server_of
from iommutui.sources.uses.sysfs_links import SHORT, first_nonempty, gap_reason, links_in, read_attr, resolve

MOUNTS_LIMIT = 1 << 22
"""Bytes of the list of mounts that are read; a host with thousands of containers stays below it."""

MOST = 8
"""Mount points that are kept of one file system, the shortest ones."""

Tops = dict[str, list[str]]
"""What is used, by the name of its block device: mount points, or the names of swap areas and pools."""


def read_storage(tree: Tree, everything: bool) -> tuple[list[Storage], list[Far], list[Gap]]:
    """The uses of every disk, and what servers have. Without ``everything`` only mounts and swap are looked at."""
    blocks, why = read_blocks(tree)
    gaps = [why]
    reached: set[str] = set()
    table, why = _mounts(tree)
    gaps.append(why)
    mounted = _mounted(tree, blocks, table)
    swapped, why = _swapped(tree, blocks, mounted)
    gaps.append(why)
    far: list[Far] = []
    found = [*_legs(blocks, Held.MOUNT, mounted, reached, far), *_legs(blocks, Held.SWAP, swapped, reached, far)]
    unfollowed = "" if everything else "not-collected"
    if everything:
        pools, perhaps, why = _pools(tree, blocks, reached)
        gaps.append(why)
        found += _legs(blocks, Held.POOL, pools, reached, far)
        found += _legs(blocks, Held.PERHAPS_POOL, perhaps)
        awaited, unfollowed = _fstab(tree, blocks, {word for mount in table for word in (mount.source, mount.point)})
        found += _legs(blocks, Held.FSTAB, awaited)
        found += _legs(blocks, Held.STACK, _stacks(blocks, reached), far=far)
        found += _disks(tree, blocks)
    known = (("storage", first_nonempty(gaps)), ("fstab", unfollowed))
    return found, far, [Gap(name, why) for name, why in known if why]


def _legs(
    blocks: Blocks, held: Held, tops: Tops, reached: set[str] | None = None, far: list[Far] | None = None
) -> list[Storage]:
    legs = [(tuple(what), leg) for name, what in tops.items() for leg in blocks.legs(name, reached)]
    if far is not None:
        far += [Far(what, leg.server, leg.chain, leg.array, leg.spare) for what, leg in legs if leg.device is None]
    return [
        Storage(leg.device, held, what, leg.chain, leg.array, leg.spare) for what, leg in legs if leg.device is not None
    ]


def _mounts(tree: Tree) -> tuple[list[proc_tables.Mount], str]:
    """The list of mounts, and why it is not known."""
    data = tree.bytes("proc/self/mountinfo", MOUNTS_LIMIT)
    if data is None:
        data = tree.bytes("proc/1/mountinfo", MOUNTS_LIMIT)
    if not isinstance(data, bytes):
        return [], gap_reason(tree, data) or "not-recorded"
    return list(proc_tables.mounts(data)), ""


def _mounted(tree: Tree, blocks: Blocks, table: Sequence[proc_tables.Mount]) -> Tops:
    """Mount points by block device: also of file systems that have several devices, or stand on files of others."""
    points: dict[str, set[str]] = {}
    btrfs, zfs = _btrfs(tree, blocks), _zfs_members(tree, blocks, table)
    for mount in table:
        for name in _devices_of(blocks, mount, btrfs, zfs):
            points.setdefault(name, set()).add(mount.point)
    loops = [name for name in blocks.paths if name.startswith("loop")]
    files = {name: read_attr(tree, f"{blocks.paths[name]}/loop/backing_file") for name in loops}
    for _ in range(2):  # an image in an image on the medium: two steps down
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
    blocks: Blocks, mount: proc_tables.Mount, btrfs: dict[str, tuple[str, ...]], zfs: dict[str, tuple[str, ...]]
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
    """The directories that an overlay is made of."""
    dirs = [o.partition("=")[2] for o in mount.options if o.startswith(("lowerdir", "upperdir"))]
    return [f"{part}/" for each in dirs for part in each.split(":") if mount.kind == "overlay" and part[:1] == "/"]


_PROFILES = {"raid1": 1, "raid10": 1, "raid5": 1, "raid6": 2, "raid1c3": 2, "raid1c4": 3}


def _btrfs(tree: Tree, blocks: Blocks) -> dict[str, tuple[str, ...]]:
    """Every device of a mounted btrfs by each of them: the list of mounts names one only.

    What it can lose is what the weakest of its profiles can (``allocation/data/raid1``), less what is missing already.
    """
    found: dict[str, tuple[str, ...]] = {}
    for uuid in links_in(tree, "fs/btrfs"):
        place = f"fs/btrfs/{uuid}"
        links = (resolve(tree, f"{place}/devices/{name}") for name in links_in(tree, f"{place}/devices"))
        members = tuple(link.rpartition("/")[2] for link in links)
        found.update((name, members) for name in members)
        profiles = [
            _PROFILES.get(name, 0)
            for kind in ("data", "metadata", "system")
            for name in links_in(tree, f"{place}/allocation/{kind}")
            if os.path.isdir(f"{tree.sys}/{place}/allocation/{kind}/{name}")
        ]
        missing = sum(
            read_attr(tree, f"{place}/devinfo/{n}/missing") == "1" for n in links_in(tree, f"{place}/devinfo")
        )
        for name in members if len(profiles) >= 3 else ():
            blocks.spares[name] = (f"btrfs-{uuid[:8]}", max(min(profiles) - missing, 0))
    return found


def _zfs_members(tree: Tree, blocks: Blocks, table: Sequence[proc_tables.Mount]) -> dict[str, tuple[str, ...]]:
    """The members of the pools that something is mounted from, as `_pools` finds them."""
    if all(mount.kind != "zfs" for mount in table):
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for name, labels in _pools(tree, blocks, set())[0].items():
        found[labels[0]] = (*found.get(labels[0], ()), name)
    return found


def _swapped(tree: Tree, blocks: Blocks, mounted: Tops) -> tuple[Tops, str]:
    data = tree.bytes("proc/swaps", SHORT)
    if not isinstance(data, bytes):
        return {}, gap_reason(tree, data)
    found: Tops = {}
    for swap in proc_tables.swaps(data):
        name = _holding(mounted, swap.path) if swap.is_file else blocks.named(swap.path)
        if name is not None:
            found[name] = ["[SWAP]"]
    return found, ""


def _holding(mounted: Mapping[str, Iterable[str]], path: str) -> str | None:
    """The block device of the file system that a file is on: the longest mount point above it."""
    above = [
        (len(point), name)
        for name, points in mounted.items()
        for point in points
        if path.startswith(point.rstrip("/") + "/")
    ]
    return max(above)[1] if above else None


def _pools(tree: Tree, blocks: Blocks, reached: set[str]) -> tuple[Tops, Tops, str]:
    """Members of imported ZFS pools, by udev's word: ZFS tells the kernel nothing of what it holds.

    Where no member of a pool is known, any disk that nothing else is known to use may be one: the second answer.
    """
    names = names_in(f"{tree.root}/proc/spl/kstat/zfs")
    if isinstance(names, Unreadable):
        return {}, {}, names.why
    imported = [name for name in names or () if os.path.isdir(f"{tree.root}/proc/spl/kstat/zfs/{name}")]
    if not imported:
        return {}, {}, ""
    found: Tops = {}
    for name in blocks.paths:
        facts = udev_facts(tree, blocks, name)
        if facts.get("ID_FS_TYPE") == "zfs_member" and facts.get("ID_FS_LABEL") in imported:
            found[name] = [facts["ID_FS_LABEL"]]
            blocks.spares[name] = (facts["ID_FS_LABEL"], None)
    missing = sorted(set(imported) - {label for labels in found.values() for label in labels})
    unused = [name for name in blocks.paths if name not in reached | {*found} and blocks.owners(name)[0]]
    perhaps = {name: missing for name in unused if missing and not blocks.is_partition(name)}
    return found, perhaps, "not-recorded" if missing and unused else ""


def udev_facts(tree: Tree, blocks: Blocks, name: str) -> dict[str, str]:
    """What udev found on a block device (``E:ID_FS_TYPE=ext4``); empty where udev does not run or has not looked."""
    number = read_attr(tree, f"{blocks.paths[name]}/dev")
    data = tree.text(f"run/udev/data/b{number}") if number and "/" not in number else None
    lines = data.splitlines() if isinstance(data, str) else []
    pairs = (line[2:].partition("=") for line in lines if line.startswith("E:"))
    return {key: value for key, _, value in pairs}


_TAGS = {"UUID": "by-uuid", "LABEL": "by-label", "PARTUUID": "by-partuuid", "PARTLABEL": "by-partlabel"}


def _fstab(tree: Tree, blocks: Blocks, mounted: set[str]) -> tuple[Tops, str]:
    """What ``/etc/fstab`` names and nobody has mounted. A tag without udev's link to its device cannot be followed."""
    data = tree.bytes("etc/fstab", SHORT)
    if not isinstance(data, bytes):
        return {}, gap_reason(tree, data)
    found: Tops = {}
    why = ""
    for entry in proc_tables.fstab(data):
        tag, equals, value = entry.source.partition("=")
        if entry.point in mounted or not (entry.source.startswith("/dev/") or (equals and tag in _TAGS)):
            continue
        path = f"/dev/disk/{_TAGS[tag]}/{_escaped(value)}" if equals and tag in _TAGS else entry.source
        name = blocks.named(path) or _link_target(tree, blocks, path)
        if name is not None:
            found.setdefault(name, []).append(entry.point)
        elif tree.root and links_missing(tree):
            why = "not-recorded"
    return found, why


def links_missing(tree: Tree) -> bool:
    """Whether a recording has none of udev's links, without which tags and names of volumes cannot be followed."""
    return not os.path.isdir(f"{tree.root}/dev/disk")


def _escaped(value: str) -> str:
    """As udev spells a label in the name of a link."""
    return "".join(
        c if c.isalnum() or c in "#+-.:=@_" or not c.isascii() else f"\\x{ord(c):02x}" for c in value.strip('"')
    )


def _link_target(tree: Tree, blocks: Blocks, path: str) -> str | None:
    try:
        name = os.readlink(f"{tree.root}{path}").rpartition("/")[2]
    except (OSError, ValueError):
        return None
    return name if name in blocks.paths else None


def _stacks(blocks: Blocks, reached: set[str]) -> Tops:
    """Arrays, volumes and caches that nothing above uses."""
    idle = [n for n in blocks.paths if n not in reached and n not in blocks.backing and blocks.lower(n)]
    below = {lower for name in idle for lower in blocks.lower(name)}
    return {name: [blocks.label(name)] for name in idle if name not in below}


def _disks(tree: Tree, blocks: Blocks) -> Iterator[Storage]:
    """Every disk that has a medium, and what udev found on it."""
    contents: dict[str, list[str]] = {}
    for name, path in blocks.paths.items():
        if blocks.is_partition(name):
            kind = udev_facts(tree, blocks, name).get("ID_FS_TYPE", "")
            disk = path.rpartition("/")[0].rpartition("/")[2]
            contents.setdefault(disk, []).append(f"{name} ({kind})" if kind else name)
    for name in blocks.paths:
        if blocks.is_partition(name) or read_attr(tree, f"{blocks.paths[name]}/size") == "0":
            continue
        kind = udev_facts(tree, blocks, name).get("ID_FS_TYPE", "")
        whole = (f"{name} ({kind})",) if kind else ()
        for owner in blocks.owners(name)[0]:
            yield Storage(owner, Held.DISK, (name,), (*whole, *contents.get(name, ())))
