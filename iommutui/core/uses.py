"""What the machine does with its PCI devices right now: mounts, routes, monitors, keyboards, sound, processes.

A source finds it by walking from each disk, interface, display or input device up to the PCI functions above it. Every
record names such a function. A function may have several records, and a file system on several disks has one for each.
Unknown fields are in ``gaps``; without a gap, no record means no such use.
"""

from collections.abc import Callable
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.device import Gap


class Screen(NamedTuple):
    device: Address
    monitors: tuple[str, ...] = ()
    """Connectors that a monitor is plugged into: ``HDMI-A-1``."""
    framebuffers: tuple[str, ...] = ()
    """``fb0``..."""
    console: bool = False
    """The text console is drawn on one of the framebuffers."""
    firmware: str | None = None
    """What the kernel calls the firmware's framebuffer where one still lies on a BAR (``BOOTFB``, ``efifb``)."""
    held_by: tuple[str, ...] = ()
    """Parts of the kernel that hold it as a process would: ``nvidia_drm``, which shows in no list of open files."""


class Held(StrEnum):
    """How a disk is used."""

    MOUNT = "mount"
    SWAP = "swap"
    POOL = "pool"
    """A member of a ZFS pool that is imported."""
    PERHAPS_POOL = "perhaps-pool"
    """Perhaps a member of a pool that is imported and whose members do not show."""
    REMOTE = "remote"
    """What comes over the network, and through this device: a file system, or swap."""
    PERHAPS_REMOTE = "perhaps-remote"
    """The same, where it is not known which network device leads to the server."""
    FSTAB = "fstab"
    """``/etc/fstab`` names it, but it is not mounted."""
    STACK = "stack"
    """A part of an array, volume or cache that is assembled, but neither mounted nor swapped to."""
    DISK = "disk"
    """A disk, whatever is done with it."""


class Storage(NamedTuple):
    device: Address
    held: Held
    what: tuple[str, ...]
    """Mount points with the shortest first, ``[SWAP]``, the name of a pool, array or disk."""
    chain: tuple[str, ...] = ()
    """From what is used down to the device's own: ``("dm-0 (vg-root)", "nvme0n1p3")``. For a disk, what is on it."""
    array: str = ""
    """An array, bond or pool on the way that may go on without some of its members."""
    spare: int | None = 0
    """How many more members that array can lose; None: it may be redundant, but that does not show."""

    @property
    def path(self) -> str:
        """``/ ← dm-0 (vg-root) ← nvme0n1p3``: from the use down to the device's own disk."""
        return " ← ".join((*self.what[:1], *self.chain))


class Network(NamedTuple):
    """One path from a network name of the machine down to an interface of the device."""

    device: Address
    chain: tuple[str, ...]
    """``("br0", "bond0", "eth0")``: the last one is the device's own."""
    default_route: bool = False
    address: bool = False
    """It has an address or a route that leads further than the link itself."""
    session: bool = False
    """The SSH session that this program runs in comes through it."""
    bonded: bool = False
    """A bond is on the way: its other members go on without this one."""

    @property
    def top(self) -> str:
        """The devices that carry the machine's network traffic."""
        return self.chain[0] if self.chain else ""

    @property
    def own(self) -> str:
        """The device's own interface."""
        return self.chain[-1] if self.chain else ""


class Input(NamedTuple):
    """A keyboard or a pointer. Without a device it is on no PCI function (PS/2), and stays whatever is rebound."""

    device: Address | None
    name: str
    keyboard: bool = False
    pointer: bool = False
    wireless: bool = False
    """Bluetooth: the kernel does not show which adapter it comes through, so it cannot be relied on."""


class Sound(NamedTuple):
    """A sound card. ``playing`` lists the streams that are running or stopped half-way: ``pcm0p``."""

    device: Address
    card: str
    playing: tuple[str, ...] = ()


class Opener(NamedTuple):
    """A process that has one of the device's nodes open."""

    device: Address
    name: str
    pid: int | None
    node: str


class Plugged(NamedTuple):
    """Thunderbolt or USB4 devices behind a controller, by name."""

    device: Address
    names: tuple[str, ...]


class ById(NamedTuple):
    """A setting that gives every device of some ids to a driver: ``options vfio-pci ids=10de:2204``."""

    driver: str
    ids: tuple[str, ...]
    where: str


class _Fields(NamedTuple):
    screens: tuple[Screen, ...] = ()
    storage: tuple[Storage, ...] = ()
    network: tuple[Network, ...] = ()
    inputs: tuple[Input, ...] = ()
    sounds: tuple[Sound, ...] = ()
    openers: tuple[Opener, ...] = ()
    plugged: tuple[Plugged, ...] = ()
    by_id: tuple[ById, ...] = ()
    gaps: tuple[Gap, ...] = ()
    """Named after the field that may be incomplete (``storage``, ``openers``...)."""


_OF_DEVICES = tuple(name for name in _Fields._fields if name not in ("by_id", "gaps"))


class Uses(_Fields):
    """Everything known about the uses of the devices. Not a named tuple, which cannot keep an index."""

    def gap(self, field: str) -> str:
        """Why a field may be incomplete; an empty string where it is not."""
        return next((gap.why for gap in self.gaps if gap.attribute == field), "")

    def of(self, device: Address) -> "Uses":
        """The uses of one device, with the gaps of all."""
        own = self._by_device.get(device, [])
        fields = (tuple(each for field, each in own if field == name) for name in _OF_DEVICES)
        return Uses._make([*fields, (), self.gaps])  # a setting by ids belongs to no device

    def on(self, keep: Callable[[Address], bool]) -> "Uses":
        """The uses of these devices, and those of no device."""
        kept = {n: tuple(e for e in getattr(self, n) if e.device is None or keep(e.device)) for n in _OF_DEVICES}
        return self._replace(**kept)

    @cached_property
    def _by_device(self) -> dict[Address | None, list[tuple[str, object]]]:
        """The records of each device, with the names of their fields."""
        found: dict[Address | None, list[tuple[str, object]]] = {}
        for name in _OF_DEVICES:
            for each in getattr(self, name):
                found.setdefault(each.device, []).append((name, each))
        return found


NOT_RECORDED = Uses(gaps=tuple(Gap(field, "not-recorded") for field in (*_OF_DEVICES, "fstab", "firmware", "by_id")))
"""The uses if nothing was collected."""
