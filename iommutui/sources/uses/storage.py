"""What the disks are used for: mounts, swap, pools, ``fstab``, and what is assembled from them."""

import os
from collections.abc import Iterator

from iommutui.core.gap import Gap
from iommutui.core.uses import Held, Storage
from iommutui.sources.tree import Tree, Unreadable, names_in
from iommutui.sources.uses import proc_tables
from iommutui.sources.uses.blocks import Blocks, read_blocks
from iommutui.sources.uses.sysfs_links import SHORT, first_nonempty, gap_reason, links_in, read_attr, resolve

MOUNTS_LIMIT = 1 << 22
"""Bytes of the list of mounts that are read; a host with thousands of containers stays below it."""

MOST = 8
"""Mount points that are kept of one file system, the shortest ones."""

Tops = dict[str, list[str]]
"""What is used, by the name of its block device: mount points, or the names of swap areas and pools."""


def read_storage(tree: Tree, everything: bool) -> tuple[tuple[Storage, ...], list[Gap]]:
    """The uses of every disk. Without ``everything`` only mounts and swap are looked at, which is quick."""
    blocks, why = read_blocks(tree)
    gaps = [why]
    reached: set[str] = set()
    mounted, sources, why = _mounted(tree, blocks)
    gaps.append(why)
    swapped, why = _swapped(tree, blocks, mounted)
    gaps.append(why)
    found = [*_legs(blocks, Held.MOUNT, mounted, reached), *_legs(blocks, Held.SWAP, swapped, reached)]
    unfollowed = "" if everything else "not-collected"
    if everything:
        pools, why = _pools(tree, blocks, reached)
        gaps.append(why)
        found += _legs(blocks, Held.POOL, pools, reached)
        awaited, unfollowed = _fstab(tree, blocks, sources)
        found += _legs(blocks, Held.FSTAB, awaited, None)
        found += _legs(blocks, Held.STACK, _stacks(blocks, reached), None)
        found += _disks(tree, blocks)
    known = (("storage", first_nonempty(gaps)), ("fstab", unfollowed))
    return tuple(found), [Gap(name, why) for name, why in known if why]


def _legs(blocks: Blocks, held: Held, tops: Tops, reached: set[str] | None) -> list[Storage]:
    return [
        Storage(leg.device, held, tuple(what), leg.chain, leg.array, leg.spare)
        for name, what in tops.items()
        for leg in blocks.legs(name, reached)
    ]


def _mounted(tree: Tree, blocks: Blocks) -> tuple[Tops, set[str], str]:
    """Mount points by block device, and everything that is mounted or mounted on, as `proc_tables.Mount` names it."""
    data = tree.bytes("proc/self/mountinfo", MOUNTS_LIMIT)
    if not isinstance(data, bytes):
        data_self = tree.bytes("proc/1/mountinfo", MOUNTS_LIMIT) if data is None else data
        if not isinstance(data_self, bytes):
            return {}, set(), gap_reason(tree, data) or "not-recorded"
        data = data_self
    points: dict[str, set[str]] = {}
    named: set[str] = set()
    by_member = _btrfs(tree)
    for mount in proc_tables.mounts(data):
        named |= {mount.source, mount.point}
        top = (None if mount.number.startswith("0:") else blocks.numbered(mount.number)) or blocks.named(mount.source)
        for name in by_member.get(top, (top,)) if top is not None else ():
            points.setdefault(name, set()).add(mount.point)
    return {name: _shortest(found) for name, found in points.items()}, named, ""


def _shortest(points: set[str]) -> list[str]:
    return sorted(points, key=lambda point: (len(point), point))[:MOST]


def _btrfs(tree: Tree) -> dict[str, tuple[str, ...]]:
    """Every device of a mounted btrfs by each of them: the list of mounts names one only."""
    found: dict[str, tuple[str, ...]] = {}
    for uuid in links_in(tree, "fs/btrfs"):
        members = tuple(
            resolve(tree, f"fs/btrfs/{uuid}/devices/{name}").rpartition("/")[2]
            for name in links_in(tree, f"fs/btrfs/{uuid}/devices")
        )
        found.update((name, members) for name in members)
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


def _holding(mounted: Tops, path: str) -> str | None:
    """The block device of the file system that a file is on: the longest mount point above it."""
    above = [
        (len(point), name)
        for name, points in mounted.items()
        for point in points
        if path.startswith(point.rstrip("/") + "/")
    ]
    return max(above)[1] if above else None


def _pools(tree: Tree, blocks: Blocks, reached: set[str]) -> tuple[Tops, str]:
    """Members of imported ZFS pools, by udev's word: ZFS tells the kernel nothing of what it holds."""
    names = names_in(f"{tree.root}/proc/spl/kstat/zfs")
    if isinstance(names, Unreadable):
        return {}, names.why
    imported = [name for name in names or () if os.path.isdir(f"{tree.root}/proc/spl/kstat/zfs/{name}")]
    if not imported:
        return {}, ""
    found: Tops = {}
    for name in blocks.paths:
        facts = udev_facts(tree, blocks, name)
        if facts.get("ID_FS_TYPE") == "zfs_member" and facts.get("ID_FS_LABEL") in imported:
            found[name] = [facts["ID_FS_LABEL"]]
    missing = set(imported) - {label for labels in found.values() for label in labels}
    unused = any(name not in reached and blocks.owners(name)[0] for name in blocks.paths)
    return found, "not-recorded" if missing and unused else ""


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
    idle = [name for name in blocks.paths if name not in reached and blocks.lower(name)]
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
