"""What the machine talks through, and what comes to it over the network.

Routes, addresses, and the interfaces that bonds, bridges and VLANs stand on; file systems of servers, and disks of
iSCSI, NVMe over Fabrics, nbd and the like.
"""

import os
import re
from collections.abc import Sequence
from typing import NamedTuple

from iommutui.core.device import Gap
from iommutui.core.uses import Held, Network, Storage
from iommutui.sources.tree import Tree, Unreadable
from iommutui.sources.uses import proc_tables
from iommutui.sources.uses.proc_tables import Mount, Route
from iommutui.sources.uses.sysfs_links import (
    entries,
    first_nonempty,
    functions_above,
    gap_reason,
    gaps_of,
    links_in,
    read_attr,
)

_LIMIT = 1 << 22
"""Bytes of a table of routes that are read; the default route comes first."""

_LOWER = "lower_"


class _Talk(NamedTuple):
    """What is known of each interface, by name."""

    default: set[str]
    addressed: set[str]
    session: str | None
    why: str


def read_network(tree: Tree, session: str | None) -> tuple[tuple[Network, ...], list[Gap]]:
    """What goes through each interface. ``session`` is the address on this machine that an SSH session came to."""
    found = entries(tree, "class/net")
    if not isinstance(found, list):
        return (), gaps_of(tree, "network", found)
    paths = {entry.name: entry.path for entry in found}
    lower = {name: _below(tree, path, paths) for name, path in paths.items() if not functions_above(path)}
    talk = _talk(tree, session)
    uppers = {name for name, below in lower.items() if below}
    used = [name for name in paths if name in talk.default | talk.addressed | uppers or name == talk.session]
    uses = [use for name in used for use in _ways(tree, paths, lower, name, talk)]
    return tuple(uses), [Gap("network", talk.why)] if talk.why else []


def _below(tree: Tree, path: str, known: dict[str, str]) -> tuple[str, ...]:
    """The interfaces that a virtual one stands on."""
    return tuple(name.removeprefix(_LOWER) for name in links_in(tree, path, _LOWER) if name[len(_LOWER) :] in known)


def _ways(tree: Tree, paths: dict[str, str], lower: dict[str, tuple[str, ...]], top: str, talk: _Talk) -> list[Network]:
    """Every way from an interface down to those that PCI functions have."""
    found: list[Network] = []
    seen = {top}
    waiting: list[tuple[str, tuple[str, ...], bool]] = [(top, (), False)]
    while waiting:
        name, above, bonded = waiting.pop(0)
        chain = (*above, name)
        found += [
            Network(owner, chain, top in talk.default, top in talk.addressed, top == talk.session, bonded)
            for owner in functions_above(paths[name])
        ]
        bonded = bonded or _is_bond(tree, paths[name])
        below = [each for each in lower.get(name, ()) if each not in seen]
        seen.update(below)
        waiting += [(each, chain, bonded) for each in below]
    return found


def _is_bond(tree: Tree, path: str) -> bool:
    """A bond has a directory of that name; a team does not show that it is one, and counts as one interface."""
    return os.path.isdir(f"{tree.sys}/{path}/bonding")


def _talk(tree: Tree, session: str | None) -> _Talk:
    tables4, tables6, own6 = (_table(tree, name) for name in ("route", "ipv6_route", "if_inet6"))
    routes = [*proc_tables.routes4(tables4)] if isinstance(tables4, bytes) else []
    wide = [*proc_tables.routes6(tables6)] if isinstance(tables6, bytes) else []
    addresses = [*proc_tables.addresses6(own6)] if isinstance(own6, bytes) else []
    default = {route.interface for route in (*routes, *wide) if not route.mask}
    addressed = {route.interface for route in routes if not route.link_local}
    addressed |= {route.interface for route in wide if route.mask and not route.link_local}
    addressed |= {address.interface for address in addresses if not address.link_local}
    came = _interface_of(session, routes, addresses) if session else None
    # A kernel without IPv6 has none of its tables; without IPv4's there is no network at all.
    why = first_nonempty(
        (gap_reason(tree, tables4), *(table.why for table in (tables6, own6) if isinstance(table, Unreadable)))
    )
    return _Talk(default, addressed, came, why)


def read_routes(tree: Tree) -> list[proc_tables.Route]:
    """The routes of the main table, of IPv4 and IPv6."""
    four, six = _table(tree, "route"), _table(tree, "ipv6_route")
    return [
        *(proc_tables.routes4(four) if isinstance(four, bytes) else ()),
        *(proc_tables.routes6(six) if isinstance(six, bytes) else ()),
    ]


def _table(tree: Tree, name: str) -> bytes | Unreadable | None:
    data = tree.bytes(f"proc/net/{name}", _LIMIT)
    return tree.bytes(f"proc/self/net/{name}", _LIMIT) if data is None else data


def _interface_of(address: str, routes: list[proc_tables.Route], addresses: list[proc_tables.Address6]) -> str | None:
    """The interface that has an address: for IPv6 by the kernel's list, for IPv4 by the narrowest link it is in."""
    plain, _, zone = address.partition("%")
    if zone:
        return zone
    number = parse_ip4(plain.removeprefix("::ffff:"))
    if number is not None:
        on_link = [r for r in routes if r.direct and r.mask and number & r.mask == r.network]
        return max(on_link, key=lambda route: route.mask).interface if on_link else None
    wide = parse_ip6(plain)
    return next((a.interface for a in addresses if a.value == wide), None)


def parse_ip4(text: str) -> int | None:
    """``192.0.2.1`` as a number."""
    parts = text.split(".")
    if len(parts) != 4 or not all(part.isascii() and part.isdecimal() and len(part) < 4 for part in parts):
        return None
    numbers = [int(part) for part in parts]
    return int.from_bytes(bytes(numbers), "big") if max(numbers) < 256 else None


def parse_ip6(text: str) -> int | None:
    """``2001:db8::1`` as a number. (The module that knows all spellings takes longer to import than all this.)"""
    head, double, tail = text.partition("::")
    front, back = ([part for part in side.split(":") if part] for side in (head, tail))
    missing = 8 - len(front) - len(back)
    if (double and missing < 0) or (not double and missing):
        return None
    try:
        parts = [int(part, 16) for part in (*front, *["0"] * missing, *back)]
    except ValueError:
        return None
    return sum(part << 16 * (7 - n) for n, part in enumerate(parts)) if max(parts) < 1 << 16 else None


_KINDS = frozenset(
    {
        *("afs", "beegfs", "ceph", "cifs", "coda", "gfs2", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "orangefs"),
        *("smb3", "smbfs", "fuse.ceph", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"),
    }
)
_ADDRESS_OPTIONS = ("addr=", "mon_addr=", "mountaddr=")
_NETWORK_DISK, _ISCSI, _FABRICS = r".*/(?:nbd|rbd|drbd)\d+", r".*/session(\d+)/", r"(.*/nvme-fabrics/ctl/nvme\d+)"
"""Compiled where a disk is found that no PCI function has: a listing has no time for it."""


class Far(NamedTuple):
    """A use of something that a server has. ``server`` is its address, empty where that does not show."""

    what: tuple[str, ...]
    server: str
    chain: tuple[str, ...]
    array: str
    spare: int | None


def server_of(mount: Mount) -> str | None:
    """The server of a file system: its address, empty where only a name is known; None where it has no server."""
    if mount.kind not in _KINDS and not (mount.kind == "9p" and {"trans=tcp", "trans=rdma"} & {*mount.options}):
        return None
    options = [o.partition("=")[2] for o in mount.options if o.startswith(_ADDRESS_OPTIONS)]
    return next((found for text in (*options, mount.source) if (found := _literal(text))), "")


def _literal(text: str) -> str:
    """The first address in ``10.0.0.5:/srv``, ``//10.0.0.5/share``, ``me@[fd00::5]:/srv`` or ``10.0.0.5:6789,...``."""
    for part in re.split(r"[/,@]|:(?=/)", text):
        host = part.strip("[]")
        if parse_ip4(host.partition(":")[0]) is not None:
            return host.partition(":")[0]
        if parse_ip6(host) is not None:
            return host
    return ""


def server_of_disk(tree: Tree, place: str) -> str | None:
    """The server of a disk (or of an NVMe controller) by its place in sysfs; None where no network is behind it."""
    if session := re.match(_ISCSI, place):
        folder = "class/iscsi_connection"
        every = links_in(tree, folder, f"connection{session[1]}:")
        texts = [read_attr(tree, f"{folder}/{n}/{a}") for n in every for a in ("address", "persistent_address")]
    elif controller := re.match(_FABRICS, place):
        # traddr=192.168.1.5,trsvcid=4420,host_traddr=...
        texts = read_attr(tree, f"{controller[1]}/address").replace("traddr=", "").split(",")[:1]
    elif re.fullmatch(_NETWORK_DISK, place):
        texts = []
    else:
        return None
    return next((found for text in texts if (found := _literal(text))), "")


def through(tree: Tree, far: Sequence[Far], network: Sequence[Network]) -> list[Storage]:
    """The network devices that lead to the servers: by the routes; else every one that may, and one must remain.

    What the system runs from (``/``) is worth every device that may carry it.
    """
    routes = read_routes(tree) if far else []
    any_way = [use for use in network if use.address or use.default_route] or list(network) or _interfaces(tree, far)
    found: list[Storage] = []
    for what, server, chain, array, spare in far:
        if server.startswith("127.") or server == "::1":
            continue
        top = _interface_to(server, routes)
        ways, held = [use for use in network if use.top == top], Held.REMOTE
        if not ways:
            ways, held = any_way, Held.PERHAPS_REMOTE
        members = len({use.device for use in ways})
        if held is Held.PERHAPS_REMOTE:
            array, spare = ("the network", members - 1) if "/" not in what else ("", 0)
        elif not array and all(use.bonded for use in ways):
            array, spare = top, members - 1
        found += [Storage(use.device, held, what, (*chain, *use.chain), array, spare) for use in ways]
    return found


def _interface_to(server: str, routes: Sequence[Route]) -> str:
    """The interface of the narrowest route to an address; empty where there is none."""
    number = parse_ip4(server)
    size = 32 if number is not None else 128
    number = parse_ip6(server) if number is None else number
    leading = [r for r in routes if number is not None and r.bits == size and number & r.mask == r.network]
    return max(leading, key=lambda route: route.mask).interface if leading else ""


def _interfaces(tree: Tree, far: Sequence[Far]) -> list[Network]:
    """Every interface that a PCI function has, where nothing is known of what they carry."""
    every = entries(tree, "class/net") if far else None
    found = every if isinstance(every, list) else []
    return [Network(owner, (entry.name,)) for entry in found for owner in functions_above(entry.path)]
