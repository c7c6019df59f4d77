"""Network interfaces in use, and storage over the network.

Routes, addresses, and the interfaces below bonds, bridges and VLANs; network file systems, and disks of iSCSI, NVMe
over Fabrics, nbd and the like.
"""

import os
import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

from iommutui.core.uses import Held, Network, Storage
from iommutui.sources.uses import proc_tables
from iommutui.sources.uses.proc_tables import Address6, Mount, Route
from iommutui.sources.uses.survey import Survey, functions_above

_LOWER = "lower_"


class _Talk(NamedTuple):
    """The known facts of each interface, by name."""

    default: set[str]
    addressed: set[str]
    session: str | None


def read_network(survey: Survey, session: str | None) -> tuple[Network, ...]:
    """The uses of each interface. ``session`` is the address on this machine that an SSH session came to."""
    paths = dict(survey.devices("class/net", "network"))
    lower = {name: _below(survey, path, paths) for name, path in paths.items() if not functions_above(path)}
    talk = _talk(survey, session)
    uppers = {name for name, below in lower.items() if below}
    used = [name for name in paths if name in talk.default | talk.addressed | uppers or name == talk.session]
    return tuple(use for name in used for use in _ways(survey, paths, lower, name, talk))


def _below(survey: Survey, path: str, known: dict[str, str]) -> tuple[str, ...]:
    """The interfaces below a virtual one."""
    names = (name.removeprefix(_LOWER) for name in survey.listed(path, _LOWER))
    return tuple(name for name in names if name in known)


def _ways(
    survey: Survey, paths: dict[str, str], lower: dict[str, tuple[str, ...]], top: str, talk: _Talk
) -> list[Network]:
    """Every path from an interface down to those of PCI functions."""
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
        bonded = bonded or _is_bond(survey, paths[name])
        below = [each for each in lower.get(name, ()) if each not in seen]
        seen.update(below)
        waiting += [(each, chain, bonded) for each in below]
    return found


def _is_bond(survey: Survey, path: str) -> bool:
    """A bond has a directory of that name; a team cannot be recognised, and counts as one interface."""
    return os.path.isdir(f"{survey.sys}/{path}/bonding")


def _talk(survey: Survey, session: str | None) -> _Talk:
    routes = read_routes(survey)
    addresses = [*proc_tables.addresses6(_table(survey, "if_inet6"))]
    default = {route.interface for route in routes if not route.network.prefixlen}
    # An IPv6 default route is learnt from a router, whether or not there is an address.
    told = (route for route in routes if route.network.version == 4 or route.network.prefixlen)
    addressed = {route.interface for route in told if not route.local}
    addressed |= {found.interface for found in addresses if not found.address.is_link_local}
    return _Talk(default, addressed, _interface_of(session, routes, addresses) if session else None)


def read_routes(survey: Survey) -> list[Route]:
    """The routes of the main table, of IPv4 and IPv6."""
    four, six = _table(survey, "route", optional=False), _table(survey, "ipv6_route")
    return [*proc_tables.routes4(four), *proc_tables.routes6(six)]


def _table(survey: Survey, name: str, optional: bool = True) -> bytes:
    """A kernel without IPv6 has none of its tables; without IPv4 tables there is no network at all."""
    return survey.table(f"proc/net/{name}", "network", optional=True) or survey.table(
        f"proc/self/net/{name}", "network", optional
    )


def _interface_of(session: str, routes: list[Route], addresses: list[Address6]) -> str | None:
    """The interface that has an address: for IPv6 by the kernel's list, for IPv4 by the narrowest link it is in."""
    plain, _, zone = session.partition("%")
    if zone:
        return zone
    address = parse_ip(plain)
    if isinstance(address, IPv6Address):
        return next((found.interface for found in addresses if found.address == address), None)
    return _narrowest([route for route in routes if route.direct and route.network.prefixlen], address)


def _narrowest(routes: Sequence[Route], address: IPv4Address | IPv6Address | None) -> str | None:
    """The interface of the narrowest of the routes that lead to an address."""
    leading = [route for route in routes if address is not None and address in route.network]
    return max(leading, key=lambda route: route.network.prefixlen).interface if leading else None


def parse_ip(text: str) -> IPv4Address | IPv6Address | None:
    """``192.0.2.1``, ``2001:db8::1``; ``::ffff:192.0.2.1`` is one of IPv4."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


_KINDS = frozenset(
    {
        *("afs", "beegfs", "ceph", "cifs", "coda", "gfs2", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "orangefs"),
        *("smb3", "smbfs", "fuse.ceph", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.sshfs"),
    }
)
_ADDRESS_OPTIONS = ("addr=", "mon_addr=", "mountaddr=")
_NETWORK_DISK, _ISCSI, _FABRICS = r".*/(?:nbd|rbd|drbd)\d+", r".*/session(\d+)/", r"(.*/nvme-fabrics/ctl/nvme\d+)"
"""Compiled only if a disk without a PCI function is found: a listing has no time for it."""


class Far(NamedTuple):
    """A use of a server's storage. ``server`` is its address, empty if that does not show."""

    what: tuple[str, ...]
    server: str
    chain: tuple[str, ...]
    array: str
    spare: int | None


def server_of(mount: Mount) -> str | None:
    """The server of a file system: its address, empty if only a name is known; None if it has no server."""
    if mount.kind not in _KINDS and not (mount.kind == "9p" and {"trans=tcp", "trans=rdma"} & {*mount.options}):
        return None
    options = [o.partition("=")[2] for o in mount.options if o.startswith(_ADDRESS_OPTIONS)]
    return next((found for text in (*options, mount.source) if (found := _literal(text))), "")


def _literal(text: str) -> str:
    """The first address in ``10.0.0.5:/srv``, ``//10.0.0.5/share``, ``me@[fd00::5]:/srv`` or ``10.0.0.5:6789,...``."""
    parts = (part.strip("[]") for part in re.split(r"[/,@]|:(?=/)", text))
    hosts = (host for part in parts for host in (part, part.partition(":")[0]))
    return next((host for host in hosts if parse_ip(host) is not None), "")


def server_of_disk(survey: Survey, place: str) -> str | None:
    """The server of a disk (or of an NVMe controller), by its path in sysfs; None if it is not on the network."""
    if session := re.match(_ISCSI, place):
        folder = "class/iscsi_connection"
        every = survey.listed(folder, f"connection{session[1]}:")
        texts = [survey.attribute(f"{folder}/{n}/{a}") for n in every for a in ("address", "persistent_address")]
    elif controller := re.match(_FABRICS, place):
        # traddr=192.168.1.5,trsvcid=4420,host_traddr=...
        texts = survey.attribute(f"{controller[1]}/address").replace("traddr=", "").split(",")[:1]
    elif re.fullmatch(_NETWORK_DISK, place):
        texts = []
    else:
        return None
    return next((found for text in texts if (found := _literal(text))), "")


def through(survey: Survey, far: Sequence[Far], network: Sequence[Network]) -> list[Storage]:
    """The network devices that lead to the servers, by the routes; if unknown, every device that may, of which one must
    remain.

    For ``/``, every device that may carry it counts.
    """
    if not far:
        return []
    routes = read_routes(survey)
    any_way = [use for use in network if use.address or use.default_route] or network or _interfaces(survey)
    found: list[Storage] = []
    for what, server, chain, array, spare in far:
        address = parse_ip(server)
        if address is not None and address.is_loopback:
            continue
        top = _narrowest(routes, address)
        ways, held = [use for use in network if use.top == top], Held.REMOTE
        if not ways:
            ways, held = list(any_way), Held.PERHAPS_REMOTE
        members = len({use.device for use in ways})
        if held is Held.PERHAPS_REMOTE:
            array, spare = ("the network", members - 1) if "/" not in what else ("", 0)
        elif not array and all(use.bonded for use in ways):
            array, spare = ways[0].top, members - 1
        found += [Storage(use.device, held, what, (*chain, *use.chain), array, spare) for use in ways]
    return found


def _interfaces(survey: Survey) -> list[Network]:
    """Every interface of a PCI function, if their uses are unknown."""
    found = survey.devices("class/net", "network")
    return [Network(owner, (entry.name,)) for entry in found for owner in functions_above(entry.path)]
