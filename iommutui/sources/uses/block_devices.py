"""Block devices and their layers: partitions, device-mapper, md, bcache, NVMe subsystems."""

import re
from functools import cached_property
from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.sources.uses import Survey, chains, functions_above
from iommutui.sources.uses.network import server_of_disk

_SUBSYSTEM = re.compile(r"(devices/virtual/nvme-subsystem/([\w-]+))/")
_CONTROLLER = re.compile(r"nvme\d+")
_SPARES = {"raid4": 1, "raid5": 1, "raid6": 2, "raid10": 1}
_LVM_IMAGE = r".*_[rm]image_\d+"


class Leg(NamedTuple):
    """One path from a block device down to a PCI function."""

    device: Address | None
    """None: it ends at a server."""
    chain: tuple[str, ...]
    """Labels, from the top down to the function's own: ``("dm-0 (vg-root)", "nvme0n1p3")``."""
    array: str
    """The first array on the path that can lose members; ``spare`` is how many more, None if unknown."""
    spare: int | None
    server: str = ""
    """The address of the server, if it is known."""


class BlockDevices:
    """The block devices of a machine."""

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self.paths = survey.devices("class/block", "storage")
        self.reached: set[str] = set()
        """The names on all legs so far: devices with a use."""
        self.spares: dict[str, tuple[str, int | None]] = {}
        """For each device of a file system with several: the name of the file system, and how many more it can lose."""
        self.served: dict[str, str] = {}
        """The server's address, or an empty text, for each mount source that is on a server."""
        self.backing: dict[str, str] = {}
        """The block devices that hold the file behind a loop device."""
        self._caches = _caches(survey) if any(name.startswith("bcache") for name in self.paths) else {}

    def attribute(self, name: str, attribute: str) -> str:
        """An attribute such as ``dev`` or ``dm/name`` of a block device; empty if it has none."""
        return self._survey.attribute(f"{self.paths[name]}/{attribute}") if name in self.paths else ""

    def udev(self, name: str) -> dict[str, str]:
        """What udev found on it (``E:ID_FS_TYPE=ext4``); empty if udev does not run or has not probed it."""
        number = self.attribute(name, "dev")
        data = self._survey.text(f"run/udev/data/b{number}") if number and "/" not in number else None
        lines = data.splitlines() if isinstance(data, str) else []
        pairs = (line[2:].partition("=") for line in lines if line.startswith("E:"))
        return {key: value for key, _, value in pairs}

    def lower(self, name: str) -> tuple[str, ...]:
        """The devices below it: ``slaves`` of an array or mapping, caches of a disk, the disk of a loop's file."""
        found = self._survey.listed(f"{self.paths[name]}/slaves") if name in self.paths else []
        whole = self.whole(name)
        if whole and not self.owners(name)[0]:
            found.append(whole)  # of an array: md0p1 has no slaves, md0 has
        found += [self.backing[name]] if name in self.backing else []
        return (*found, *self._caches.get(name, ()))

    def whole(self, name: str) -> str:
        """The disk or array of a partition; empty for any other device."""
        above = _name_above(self.paths.get(name, ""))
        return above if above in self.paths else ""

    def mapped_name(self, name: str) -> str:
        """``dm-0`` -> ``vg-root``; empty for anything else."""
        return self.attribute(name, "dm/name") if name.startswith("dm-") else ""

    @cached_property
    def _mapped(self) -> dict[str, str]:
        return {self.mapped_name(name): name for name in self.paths if name.startswith("dm-")}

    def label(self, name: str) -> str:
        """``dm-0 (vg-root)``, ``nvme0n1p3``."""
        mapped = self.mapped_name(name)
        return f"{name} ({mapped})" if mapped else name

    def named(self, path: str) -> str | None:
        """The block device of a path below ``/dev``, without following links; None for any other path.

        ``/dev/sda1``, ``/dev/mapper/vg-root``, ``/dev/vg/root``.
        """
        last = path.removeprefix("/dev/")
        if last in self.paths:
            return last
        name = last.removeprefix("mapper/")
        if name not in self._mapped and name.count("/") == 1:
            name = "-".join(part.replace("-", "--") for part in name.split("/"))
        return self._mapped.get(name) if name else None

    def numbered(self, number: str) -> str | None:
        """The block device with a number such as ``259:3``."""
        name = self._survey.resolve(f"dev/block/{number}").rpartition("/")[2]
        if name in self.paths:
            return name
        return next((name for name in self.paths if self.attribute(name, "dev") == number), None)

    def owners(self, name: str) -> tuple[tuple[Address, ...], str]:
        """The device's own functions, and its NVMe subsystem if that has several controllers."""
        places, subsystem = self._places(name)
        return tuple(dict.fromkeys(a for place in places for a in functions_above(place))), subsystem

    def _places(self, name: str) -> tuple[list[str], str]:
        """The device's paths in sysfs: one for each controller of its NVMe subsystem, if it has one."""
        path = self.paths.get(name, "")
        subsystem = _SUBSYSTEM.match(path)
        if subsystem is None:
            return [path], ""
        controllers = [n for n in self._survey.listed(subsystem[1], "nvme") if _CONTROLLER.fullmatch(n)]
        places = [self._survey.resolve(f"{subsystem[1]}/{n}") for n in controllers]
        return places, subsystem[2] if len(controllers) > 1 else ""

    def _servers(self, name: str) -> list[str]:
        """The servers of the device, one for each path to it; empty texts if their addresses do not show."""
        if name in self.served:
            return [self.served[name]]
        found = (server_of_disk(self._survey, place) for place in self._places(name)[0])
        return [server for server in found if server is not None]

    def legs(self, name: str) -> list[Leg]:
        """Every path down, each block device once."""
        found: list[Leg] = []
        for chain in chains(name, self.lower):
            self.reached.add(chain[-1])
            owners, subsystem = self.owners(chain[-1])
            servers = [] if owners else self._servers(chain[-1])
            arrays = ((above, self._spare(above)) for above in chain[:-1])
            array, spare = self.spares.get(name) or next((each for each in arrays if each[1] != 0), ("", 0))
            if subsystem and not array:
                array, spare = subsystem, len(owners or servers) - 1
            labels = tuple(map(self.label, chain))
            found += [Leg(owner, labels, array, spare) for owner in owners]
            found += [Leg(None, labels, array, spare, server) for server in servers]
        return found

    def _spare(self, name: str) -> int | None:
        """How many members an array can lose now: one for raid10, which every layout survives; all paths but one for
        multipath.

        For LVM's mirrors and RAID, sysfs shows neither the level nor what is in sync; ``dmsetup status`` does, to root.
        """
        if name.startswith("dm-"):
            if self.attribute(name, "dm/uuid").startswith("mpath-"):
                return len(self.lower(name)) - 1
            images = (re.fullmatch(_LVM_IMAGE, self.mapped_name(lower)) for lower in self.lower(name))
            return None if any(images) else 0
        if not name.startswith("md"):
            return 0
        level, degraded = self.attribute(name, "md/level"), self.attribute(name, "md/degraded")
        spare = len(self.lower(name)) - 1 if level == "raid1" else _SPARES.get(level, 0)
        return max(spare - (int(degraded) if degraded.isdecimal() and len(degraded) < 9 else 0), 0)


def _caches(survey: Survey) -> dict[str, tuple[str, ...]]:
    """The cache devices of every disk that bcache caches; ``slaves`` has the disks only.

    ``fs/bcache/UUID/cache0`` -> ``../../../devices/.../block/sdb/bcache``.
    """
    found: dict[str, tuple[str, ...]] = {}
    for cache_set in survey.listed("fs/bcache"):
        place = f"fs/bcache/{cache_set}"
        disks = {name: _name_above(survey.resolve(f"{place}/{name}")) for name in survey.listed(place)}
        caches = tuple(disk for name, disk in disks.items() if re.fullmatch(r"cache\d+", name))
        found.update((disk, caches) for name, disk in disks.items() if re.fullmatch(r"bdev\d+", name))
    return found


def _name_above(path: str) -> str:
    """The name of the directory that a path is in."""
    return path.rpartition("/")[0].rpartition("/")[2]
