"""What comes over the network: file systems of servers, and disks of iSCSI, NVMe over Fabrics, nbd and the like."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from iommutui.core.uses import Held, Network, Storage
from iommutui.sources.tree import Tree
from iommutui.sources.uses.network import parse_ip4, parse_ip6, read_routes
from iommutui.sources.uses.proc_tables import Mount, Route
from iommutui.sources.uses.sysfs_links import entries, functions_above, links_in, read_attr

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
