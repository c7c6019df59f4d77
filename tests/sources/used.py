"""A machine that uses its devices, as a tree of files."""

import os
from collections.abc import Mapping
from pathlib import Path

from iommutui.core.address import Address
from iommutui.core.host import Host
from iommutui.core.uses import Held, Storage, Uses
from iommutui.sources import Depth, load
from iommutui.sources.snapshot import dump, parse
from tests.fake_tree import FakeTree

A, B, C = Address("0000:01:00.0"), Address("0000:02:00.0"), Address("0000:03:00.0")
NVME, SATA, NIC = "nvme/nvme0", "ata1/host0/target0:0:0/0:0:0:0/block", "net"
KEYS = "402000000 3803078f800d001 feffffdfffefffff fffffffffffffffe"
BUTTONS = "70000 0 0 0 0"


class Machine:
    """A tree of files with classes: devices are below the functions they depend on."""

    def __init__(self, root: Path) -> None:
        self.tree = FakeTree(root)
        for number, address in enumerate((A, B, C), 1):
            self.tree.device(address, group=number, driver="driver")
        for name in ("block", "net", "drm", "input", "sound"):
            (self.tree.sys / "class" / name).mkdir(parents=True)
        self.proc(mountinfo="", swaps="Filename Type Size Used Priority\n", route="Iface Destination Gateway\n")
        (root / "proc/asound").mkdir()
        (root / "etc/modprobe.d").mkdir(parents=True)
        (root / "dev/disk").mkdir(parents=True)
        self.tree.file("etc/fstab", "# nothing\n").file("proc/iomem", "")

    def proc(self, **files: str) -> "Machine":
        places = {"mountinfo": "proc/self/mountinfo", "swaps": "proc/swaps", "route": "proc/net/route",
                  "ipv6_route": "proc/net/ipv6_route", "if_inet6": "proc/net/if_inet6"}  # fmt: skip
        for name, text in files.items():
            self.tree.file(places[name], text)
        return self

    def class_device(self, kind: str, name: str, below: Address | str, files: Mapping[str, str] | None = None) -> Path:
        """A device of a class, in a function's directory or in ``devices/virtual``; returns its directory."""
        above = self.tree.place(below) if below in (A, B, C) else self.tree.sys / "devices" / below
        place = above / kind / name
        place.mkdir(parents=True, exist_ok=True)
        for file, text in (files or {}).items():
            (place / file).parent.mkdir(parents=True, exist_ok=True)
            (place / file).write_text(text + "\n")
        link = self.tree.sys / "class" / kind / name
        link.parent.mkdir(parents=True, exist_ok=True)
        os.symlink(os.path.relpath(place, link.parent), link)
        return place

    def part(self, disk: Path, name: str, number: str) -> Path:
        """A partition of a disk."""
        place = disk / name
        place.mkdir()
        (place / "dev").write_text(number + "\n")
        link = self.tree.sys / "class/block" / name
        os.symlink(os.path.relpath(place, link.parent), link)
        return place

    def disk(self, below: Address, name: str, number: str) -> Path:
        return self.class_device("block", name, below, {"dev": number, "size": "1000"})

    def mapping(self, name: str, number: str, *slaves: str, **files: str) -> Path:
        """A virtual block device on others."""
        place = self.class_device(
            "block", name, "virtual", {"dev": number, **{k.replace("_", "/"): v for k, v in files.items()}}
        )
        (place / "slaves").mkdir()
        for slave in slaves:
            os.symlink(f"../../{slave}", place / "slaves" / slave)
        return place

    def mounts(self, *lines: tuple[str, str, str]) -> "Machine":
        """Mounts, each as number, mount point and source."""
        return self.proc(
            mountinfo="".join(f"2{n} 1 {number} / {point} rw shared:1 - ext4 {source} rw\n"
                              for n, (number, point, source) in enumerate(lines))
        )  # fmt: skip

    def host(self, depth: Depth = Depth.FULL, session: str | None = None) -> Host:
        host = load(os.fspath(self.tree), depth=depth, session=session)
        assert parse(dump(host), "x") == host
        return host

    def uses(self, session: str | None = None) -> Uses:
        found = self.host(session=session).uses
        assert found is not None
        return found

    def storage(self, *kinds: Held) -> list[Storage]:
        return [use for use in self.uses().storage if use.held in (kinds or (Held.MOUNT, Held.SWAP))]
