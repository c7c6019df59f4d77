"""Network interfaces in use, and the servers of network storage.

Routes, addresses, and the interfaces below bonds, bridges and VLANs; network file systems, and disks of iSCSI, NVMe
over Fabrics, nbd and the like.
"""

import os
import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

from iommutui.core.uses import Held, Network
from iommutui.sources.uses import Survey, chains, functions_above

_LOWER = "lower_"


class Route(NamedTuple):
    """A route of the main table."""

    interface: str
    network: IPv4Network | IPv6Network
    direct: bool
    """Whether it leads to the link itself, not through a gateway."""

    @property
    def local(self) -> bool:
        """Whether it leads only to hosts on the link."""
        return self.network.is_link_local or self.network.is_multicast


def read_network(survey: Survey, session: str | None) -> tuple[Network, ...]:
    """The uses of each interface. ``session`` is the address on this machine that an SSH session came to."""
    paths = survey.devices("class/net", "network")
    lower = {name: _below(survey, path) for name, path in paths.items()}
    routes, addresses = _routes(survey), _addresses6(survey)
    default = {route.interface for route in routes if not route.network.prefixlen}
    # An IPv6 default route is learnt from a router, whether or not there is an address.
    told = (route for route in routes if route.network.version == 4 or route.network.prefixlen)
    addressed = {route.interface for route in told if not route.local}
    addressed |= {interface for interface, address in addresses if not address.is_link_local}
    own = _interface_of(session, routes, addresses) if session else None
    found = []
    for top in paths:
        if not lower[top] and top not in default | addressed and top != own:
            continue
        for chain in chains(top, lambda name: [below for below in lower[name] if below in paths]):
            bonded = any(_is_bond(survey, paths[name]) for name in chain[:-1])
            found += [
                Network(owner, chain, top in default, top in addressed, top == own, bonded)
                for owner in functions_above(paths[chain[-1]])
            ]
    return tuple(found)


def _below(survey: Survey, path: str) -> list[str]:
    """The interfaces below a virtual one."""
    return [] if functions_above(path) else [name.removeprefix(_LOWER) for name in survey.listed(path, _LOWER)]


def _is_bond(survey: Survey, path: str) -> bool:
    """A bond has a directory of that name; a team cannot be recognised, and counts as one interface."""
    return os.path.isdir(f"{survey.sys}/{path}/bonding")


_UP, _GATEWAY, _REJECT = 0x1, 0x2, 0x200
_ROUTE4 = r"(?a)^(\S+)\s+([0-9A-F]{8})\s+[0-9A-F]{8}\s+([0-9A-F]{4})\s+\d+\s+\d+\s+\d+\s+([0-9A-F]{8})\b"
_ROUTE6 = r"(?a)^([0-9a-f]{32}) ([0-9a-f]{2}) [0-9a-f]{32} [0-9a-f]{2} [0-9a-f]{32}(?: \w+){3} ([0-9a-f]{8})\s+(\S+)$"
_ADDRESS6 = r"(?a)^([0-9a-f]{32}) \w+ \w+ \w+ \w+\s+(\S+)$"


def _routes(survey: Survey) -> list[Route]:
    """The routes of the main table, of IPv4 and IPv6, that are in use.

    ``eth0 0002A8C0 00000000 0001 0 0 100 00FFFFFF 0 0 0``: numbers in the processor's byte order, and every machine
    with VFIO's PCI drivers runs little-endian. For IPv6 ``NETWORK LENGTH SOURCE LENGTH NEXT-HOP METRIC REFERENCES USES
    FLAGS INTERFACE``, all hex.
    """
    found: list[tuple[str, IPv4Network | IPv6Network, int]] = [
        (name, IPv4Network((bytes.fromhex(address)[::-1], int(mask, 16).bit_count()), strict=False), int(flags, 16))
        for name, address, flags, mask in _rows(survey, "route", _ROUTE4, optional=False)
    ]
    found += [
        (name, IPv6Network((bytes.fromhex(address), min(int(length, 16), 128)), strict=False), int(flags, 16))
        for address, length, flags, name in _rows(survey, "ipv6_route", _ROUTE6)
        if name != "lo"
    ]
    return [Route(n, network, not flags & _GATEWAY) for n, network, flags in found if flags & (_UP | _REJECT) == _UP]


def _addresses6(survey: Survey) -> list[tuple[str, IPv6Address]]:
    """Interfaces and their IPv6 addresses: ``fe80000000000000022590fffe123456 02 40 20 80 eth0``."""
    rows = _rows(survey, "if_inet6", _ADDRESS6)
    return [(interface, IPv6Address(bytes.fromhex(address))) for address, interface in rows if interface != "lo"]


def _rows(survey: Survey, name: str, pattern: str, optional: bool = True) -> list[tuple[str, ...]]:
    """The parts of the lines of a table that match; a kernel without IPv6 has none of its tables."""
    text = survey.table(f"proc/net/{name}", "network", optional=True)
    text = text or survey.table(f"proc/self/net/{name}", "network", optional)
    return re.findall(pattern, text, re.MULTILINE)


def _interface_of(session: str, routes: list[Route], addresses: list[tuple[str, IPv6Address]]) -> str | None:
    """The interface that has an address: for IPv6 by the kernel's list, for IPv4 by the narrowest link it is in."""
    plain, _, zone = session.partition("%")
    if zone:
        return zone
    address = _parse(plain)
    if isinstance(address, IPv6Address):
        return next((interface for interface, found in addresses if found == address), None)
    return _narrowest([route for route in routes if route.direct and route.network.prefixlen], address)


def _narrowest(routes: Sequence[Route], address: IPv4Address | IPv6Address | None) -> str | None:
    """The interface of the narrowest of the routes that lead to an address."""
    leading = [route for route in routes if address is not None and address in route.network]
    return max(leading, key=lambda route: route.network.prefixlen).interface if leading else None


def _parse(text: str) -> IPv4Address | IPv6Address | None:
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


def server_of(kind: str, source: str, options: Sequence[str]) -> str | None:
    """The server of a mount: its address, empty if only a name is known; None if it has no server."""
    if kind not in _KINDS and not (kind == "9p" and {"trans=tcp", "trans=rdma"} & {*options}):
        return None
    return _first_address([*(o.partition("=")[2] for o in options if o.startswith(_ADDRESS_OPTIONS)), source])


def server_of_disk(survey: Survey, place: str) -> str | None:
    """The server of a disk (or of an NVMe controller), by its path in sysfs; None if it is not on the network."""
    if session := re.match(_ISCSI, place):
        folder = "class/iscsi_connection"
        every = survey.listed(folder, f"connection{session[1]}:")
        return _first_address(
            [survey.attribute(f"{folder}/{n}/{a}") for n in every for a in ("address", "persistent_address")]
        )
    if controller := re.match(_FABRICS, place):
        # traddr=192.168.1.5,trsvcid=4420,host_traddr=...
        return _first_address(survey.attribute(f"{controller[1]}/address").replace("traddr=", "").split(",")[:1])
    return "" if re.fullmatch(_NETWORK_DISK, place) else None


def _first_address(texts: Sequence[str]) -> str:
    """The first address in ``10.0.0.5:/srv``, ``//10.0.0.5/share``, ``me@[fd00::5]:/srv`` or ``10.0.0.5:6789,...``."""
    parts = (part.strip("[]") for text in texts for part in re.split(r"[/,@]|:(?=/)", text))
    hosts = (host for part in parts for host in (part, part.partition(":")[0]))
    return next((host for host in hosts if _parse(host) is not None), "")


def carriers(survey: Survey, network: Sequence[Network], server: str) -> tuple[Held, Sequence[Network]]:
    """The interfaces that lead to a server, by the routes; every one that may, if that is unknown."""
    address = _parse(server)
    if address is not None and address.is_loopback:
        return Held.REMOTE, ()
    top = _narrowest(_routes(survey), address)
    if ways := [use for use in network if use.top == top]:
        return Held.REMOTE, ways
    any_way = [use for use in network if use.address or use.default_route] or network
    return Held.PERHAPS_REMOTE, any_way or [
        Network(owner, (name,)) for owner, name, _ in survey.owned("class/net", "network")
    ]
