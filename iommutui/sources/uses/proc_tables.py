"""The tables of ``/proc`` and ``/etc/fstab`` as values. Pure: bytes in, values out; invalid lines are skipped."""

import re
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Address, IPv6Network
from typing import NamedTuple

_OCTAL = re.compile(rb"\\([0-7]{3})")


class Mount(NamedTuple):
    """A line of ``/proc/self/mountinfo``."""

    number: str
    """``259:3``; an anonymous number (``0:25``) for a file system without a single disk, such as btrfs."""
    point: str
    kind: str
    source: str
    options: tuple[str, ...] = ()
    """Options of the file system: ``("rw", "lowerdir=/run/live/rootfs")``."""


class Swap(NamedTuple):
    """A line of ``/proc/swaps``."""

    path: str
    is_file: bool


class FstabLine(NamedTuple):
    """A line of ``/etc/fstab``."""

    source: str
    point: str


def _plain(field: bytes) -> str:
    r"""``/mnt/my\040disk`` -> ``/mnt/my disk``."""
    whole = _OCTAL.sub(lambda match: bytes((int(match[1], 8) & 0xFF,)), field)
    return whole.decode("utf-8", "backslashreplace")


def mounts(data: bytes) -> Iterator[Mount]:
    """``36 35 98:0 /root /point rw,noatime master:1 - ext3 /dev/sda1 rw``; the optional fields end with ``-``."""
    for line in data.splitlines():
        fields = line.split(b" ")
        try:
            end = fields.index(b"-", 6)
            number, point, kind, source = (_plain(fields[n]) for n in (2, 4, end + 1, end + 2))
            yield Mount(number, point, kind, source, tuple(_plain(b" ".join(fields[end + 3 :])).split(",")))
        except (ValueError, IndexError):
            continue


def swaps(data: bytes) -> Iterator[Swap]:
    """``/dev/dm-1   partition   8388604  0  -2`` below a heading."""
    for line in data.splitlines()[1:]:
        fields = line.split()
        if len(fields) >= 2:
            path = _plain(fields[0]).removesuffix(" (deleted)")
            yield Swap(path, fields[1] == b"file")


def fstab(data: bytes) -> Iterator[FstabLine]:
    """``UUID=... /home ext4 defaults 0 2``; ``none`` is the mount point of a swap area."""
    for line in data.splitlines():
        fields = line.split()
        if len(fields) >= 3 and not fields[0].startswith(b"#"):
            swap = fields[2] == b"swap"
            yield FstabLine(_plain(fields[0]).strip('"'), "[SWAP]" if swap else _plain(fields[1]))


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


_UP, _GATEWAY, _REJECT = 0x1, 0x2, 0x200


def routes4(data: bytes) -> Iterator[Route]:
    """``eth0 0002A8C0 00000000 0001 0 0 100 00FFFFFF 0 0 0`` below a heading: numbers in the processor's byte order.

    Every machine with VFIO's PCI drivers runs little-endian.
    """
    for line in data.splitlines()[1:]:
        fields = line.split()
        try:
            address, mask = bytes.fromhex(fields[1].decode())[::-1], int(fields[7], 16)
            network, flags = IPv4Network((address, mask.bit_count())), int(fields[3], 16)
        except (ValueError, IndexError):
            continue
        if flags & _UP and not flags & _REJECT:
            yield Route(_plain(fields[0]), network, not flags & _GATEWAY)


def routes6(data: bytes) -> Iterator[Route]:
    """``NETWORK LENGTH SOURCE LENGTH NEXT-HOP METRIC REFERENCES USES FLAGS INTERFACE``, all hex."""
    for line in data.splitlines():
        fields = line.split()
        try:
            network = IPv6Network((int(fields[0], 16), int(fields[1], 16)))
            flags, interface = int(fields[8], 16), _plain(fields[9])
        except (ValueError, IndexError):
            continue
        if flags & _UP and not flags & _REJECT and interface != "lo":
            yield Route(interface, network, not flags & _GATEWAY)


class Address6(NamedTuple):
    """A line of ``/proc/net/if_inet6``."""

    interface: str
    address: IPv6Address


def addresses6(data: bytes) -> Iterator[Address6]:
    """``fe80000000000000022590fffe123456 02 40 20 80 eth0``."""
    for line in data.splitlines():
        fields = line.split()
        try:
            found = Address6(_plain(fields[5]), IPv6Address(int(fields[0], 16)))
        except (ValueError, IndexError):
            continue
        if not found.address.is_loopback:
            yield found
