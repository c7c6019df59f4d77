"""What the machine does with its devices, found in trees of files: each topic, and what is not known of it."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iommutui.core.address import Address
from iommutui.core.gap import Gap
from iommutui.core.host import Host
from iommutui.core.uses import ById, Held, Input, Network, Opener, Plugged, Screen, Sound, Storage, Uses
from iommutui.sources import Depth, load
from iommutui.sources.session import session_address
from iommutui.sources.snapshot import dump, parse
from tests.fake_tree import FakeTree

A, B, C = Address("0000:01:00.0"), Address("0000:02:00.0"), Address("0000:03:00.0")
NVME, SATA, NIC = "nvme/nvme0", "ata1/host0/target0:0:0/0:0:0:0/block", "net"
KEYS = "402000000 3803078f800d001 feffffdfffefffff fffffffffffffffe"
BUTTONS = "70000 0 0 0 0"


class Machine:
    """A tree of files with classes: devices are below the functions that they hang on."""

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

    def thing(self, kind: str, name: str, below: Address | str, files: Mapping[str, str] | None = None) -> Path:
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
        return self.thing("block", name, below, {"dev": number, "size": "1000"})

    def mapping(self, name: str, number: str, *slaves: str, **files: str) -> Path:
        """A virtual block device on others."""
        place = self.thing(
            "block", name, "virtual", {"dev": number, **{k.replace("_", "/"): v for k, v in files.items()}}
        )
        (place / "slaves").mkdir()
        for slave in slaves:
            os.symlink(f"../../{slave}", place / "slaves" / slave)
        return place

    def mounts(self, *lines: tuple[str, str, str]) -> "Machine":
        """Number, mount point, source."""
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


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


# -- what is not known


def test_a_machine_on_which_everything_is_known_has_no_gaps(machine: Machine) -> None:
    assert machine.uses() == Uses()


def test_a_bare_sysfs_says_of_everything_that_it_was_not_recorded(tmp_path: Path) -> None:
    host = load(os.fspath(FakeTree(tmp_path, bare=True).device(A, driver="nvme")))
    assert host.uses is not None
    assert {gap.why for gap in host.uses.gaps} == {"not-recorded"}
    named = {gap.attribute for gap in host.uses.gaps}
    assert named == {"screens", "storage", "fstab", "network", "inputs", "sounds", "openers", "by_id", "firmware"}


@pytest.mark.parametrize(
    ("path", "field"),
    [("proc/self/mountinfo", "storage"), ("proc/swaps", "storage"), ("proc/net/route", "network"),
     ("etc/fstab", "fstab"), ("proc/iomem", "firmware")],
)  # fmt: skip
def test_a_file_that_was_not_recorded_and_one_that_cannot_be_read_are_two_things(
    machine: Machine, path: str, field: str
) -> None:
    place = machine.tree.root / path
    place.unlink()
    assert machine.uses().gap(field) == "not-recorded"
    place.symlink_to(place.name)
    assert machine.uses().gap(field) == "ELOOP"


def test_the_listing_says_what_it_has_not_looked_at(machine: Machine) -> None:
    machine.mounts(("8:0", "/", "/dev/sda")).disk(A, "sda", "8:0")
    uses = machine.host(Depth.LISTING).uses
    assert uses is not None
    assert [use.held for use in uses.storage] == [Held.MOUNT]
    left = {"inputs", "sounds", "openers", "plugged", "by_id", "firmware", "fstab", "screens"}
    assert {(gap.attribute, gap.why) for gap in uses.gaps} == {(name, "not-collected") for name in left}


# -- storage


def test_a_mounted_partition(machine: Machine) -> None:
    machine.part(machine.disk(A, "nvme0n1", "259:0"), "nvme0n1p2", "259:2")
    machine.mounts(("259:2", "/", "/dev/root"), ("259:2", "/srv/my\\040files", "/dev/root"), ("0:5", "/proc", "proc"))
    assert machine.storage() == [Storage(A, Held.MOUNT, ("/", "/srv/my files"), ("nvme0n1p2",))]


def test_a_volume_on_two_disks_and_the_chain_to_each(machine: Machine) -> None:
    for address, name in ((A, "sda"), (B, "sdb")):
        machine.disk(address, name, f"8:{address[6]}")
    machine.mapping("dm-1", "254:1", "sda", "sdb", dm_name="vg-root")
    machine.mapping("dm-0", "254:0", "dm-1", dm_name="luks")
    machine.mounts(("254:0", "/", "/dev/mapper/luks"))
    above = ("dm-0 (luks)", "dm-1 (vg-root)")
    expected = [Storage(A, Held.MOUNT, ("/",), (*above, "sda")), Storage(B, Held.MOUNT, ("/",), (*above, "sdb"))]
    assert machine.storage() == expected


@pytest.mark.parametrize(
    ("level", "degraded", "spare"),
    [("raid1", "0", 1), ("raid1", "1", 0), ("raid6", "0", 2), ("raid5", "0", 1), ("raid0", "0", 0), ("linear", "", 0),
     ("raid10", "0", 1), ("raid5", "9", 0), ("raid1", "x" * 99, 1)],
)  # fmt: skip
def test_an_array_says_how_many_members_it_can_lose(machine: Machine, level: str, degraded: str, spare: int) -> None:
    machine.disk(A, "sda", "8:0")
    machine.disk(B, "sdb", "8:16")
    machine.mapping("md0", "9:0", "sda", "sdb", md_level=level, md_degraded=degraded)
    machine.part(machine.tree.sys / "devices/virtual/block/md0", "md0p1", "259:9")
    machine.mounts(("259:9", "/home", "/dev/md0p1"))
    array = "md0" if spare else ""
    assert [(u.device, u.chain, u.array, u.spare) for u in machine.storage()] == [
        (A, ("md0p1", "md0", "sda"), array, spare),
        (B, ("md0p1", "md0", "sdb"), array, spare),
    ]


def test_btrfs_on_two_disks_of_which_the_mount_names_one(machine: Machine) -> None:
    for address, name in ((A, "sda"), (B, "sdb")):
        disk = machine.disk(address, name, f"8:{address[6]}")
        link = machine.tree.sys / "fs/btrfs/0a-1b/devices" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(disk, link.parent))
    machine.mounts(("0:25", "/", "/dev/sdb"), ("0:26", "/home", "/dev/sdb"))
    assert {(u.device, u.what) for u in machine.storage()} == {(A, ("/", "/home")), (B, ("/", "/home"))}


def test_bcache_depends_on_its_cache(machine: Machine) -> None:
    backing, cache = machine.disk(A, "sda", "8:0"), machine.disk(B, "nvme0n1", "259:0")
    machine.mapping("bcache0", "252:0", "sda")
    cache_set = machine.tree.sys / "fs/bcache/0a-1b"
    cache_set.mkdir(parents=True)
    for name, disk in (("bdev0", backing), ("cache0", cache)):
        (disk / "bcache").mkdir()
        (cache_set / name).symlink_to(os.path.relpath(disk / "bcache", cache_set))
    machine.mounts(("252:0", "/", "/dev/bcache0"))
    found = {(u.device, u.chain) for u in machine.storage()}
    assert found == {(A, ("bcache0", "sda")), (B, ("bcache0", "sda", "nvme0n1"))}


def test_a_namespace_with_two_controllers_survives_one(machine: Machine) -> None:
    subsystem = machine.tree.sys / "devices/virtual/nvme-subsystem/nvme-subsys0"
    place = subsystem / "nvme0n1"
    place.mkdir(parents=True)
    (place / "dev").write_text("259:0\n")
    for address, name in ((A, "nvme0"), (B, "nvme1")):
        controller = machine.tree.place(address) / "nvme" / name
        controller.mkdir(parents=True)
        (subsystem / name).symlink_to(os.path.relpath(controller, subsystem))
    link = machine.tree.sys / "class/block/nvme0n1"
    link.symlink_to(os.path.relpath(place, link.parent))
    machine.mounts(("259:0", "/", "/dev/nvme0n1"))
    assert [(u.device, u.array, u.spare) for u in machine.storage()] == [
        (A, "nvme-subsys0", 1), (B, "nvme-subsys0", 1),
    ]  # fmt: skip


def test_swap_on_a_partition_in_a_file_and_in_memory(machine: Machine) -> None:
    machine.disk(A, "sda", "8:0")
    machine.disk(B, "sdb", "8:16")
    machine.thing("block", "zram0", "virtual", {"dev": "251:0"})
    machine.mounts(("8:16", "/", "/dev/sdb"))
    lines = "Filename Type\n/dev/sda partition 1 0 -2\n/swap\\040file file 1 0 -3\n/dev/zram0 partition 1 0 5\n"
    machine.proc(swaps=lines)
    assert machine.storage(Held.SWAP) == [
        Storage(A, Held.SWAP, ("[SWAP]",), ("sda",)),
        Storage(B, Held.SWAP, ("[SWAP]",), ("sdb",)),
    ]


def test_what_is_assembled_but_not_mounted(machine: Machine) -> None:
    machine.disk(A, "sda", "8:0")
    machine.mapping("md127", "9:127", "sda", md_level="raid0")
    machine.mapping("dm-3", "254:3", "md127", dm_name="vg-data")
    assert machine.storage(Held.STACK) == [
        Storage(A, Held.STACK, ("dm-3 (vg-data)",), ("dm-3 (vg-data)", "md127", "sda"))
    ]
    machine.mounts(("254:3", "/data", "/dev/mapper/vg-data"))
    assert machine.storage(Held.STACK) == []


def test_members_of_zfs_pools_by_what_udev_found(machine: Machine) -> None:
    machine.part(machine.disk(A, "sda", "8:0"), "sda1", "8:1")
    machine.tree.file("run/udev/data/b8:1", "S:disk/by-id/x\nE:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL=tank\n")
    assert machine.storage(Held.POOL) == []
    machine.tree.file("proc/spl/kstat/zfs/tank/io", "")
    assert machine.storage(Held.POOL) == [Storage(A, Held.POOL, ("tank",), ("sda1",))]


def test_a_pool_whose_members_do_not_show_makes_storage_unknown(machine: Machine) -> None:
    machine.disk(A, "sda", "8:0")
    machine.tree.file("proc/spl/kstat/zfs/tank/io", "").file("proc/spl/kstat/zfs/arcstats", "")
    assert machine.uses().gap("storage") == "not-recorded"


@pytest.mark.parametrize(
    ("line", "link", "expected"),
    [
        ("/dev/sda /srv ext4 defaults 0 2", "", ["/srv"]),
        ("UUID=0a-1b /srv ext4 noauto 0 0", "by-uuid/0a-1b", ["/srv"]),
        ('LABEL="my disk" /srv ext4 noauto 0 0', "", []),
        ("LABEL=my\\040disk /srv ext4 noauto 0 0", "by-label/my\\x20disk", ["/srv"]),
        ("/dev/sda none swap sw 0 0", "", ["[SWAP]"]),
        ("/dev/sda / ext4 defaults 0 1", "", []),
        ("UUID=0a-1b /srv ext4 noauto 0 0", "", []),
        ("server:/x /srv nfs defaults 0 0", "", []),
        ("tmpfs /srv tmpfs defaults 0 0", "", []),
        ("#/dev/sda /srv ext4 defaults 0 2", "", []),
    ],
)
def test_what_fstab_names_and_nobody_has_mounted(machine: Machine, line: str, link: str, expected: list[str]) -> None:
    machine.disk(A, "sda", "8:0")
    machine.mounts(("0:1", "/", "none"))
    machine.tree.file("etc/fstab", line + "\n")
    if link:
        place = machine.tree.root / "dev/disk" / link
        place.parent.mkdir(parents=True)
        place.symlink_to("../../sda")
    assert [word for use in machine.storage(Held.FSTAB) for word in use.what] == expected
    assert machine.uses().gap("fstab") == ""


def test_a_tag_cannot_be_followed_without_udevs_links(machine: Machine) -> None:
    (machine.tree.root / "dev/disk").rmdir()
    machine.disk(A, "sda", "8:0")
    machine.tree.file("etc/fstab", "UUID=0a-1b /srv ext4 noauto 0 0\n")
    assert machine.uses().gap("fstab") == "not-recorded"


def test_a_disk_that_nothing_uses_and_a_reader_without_a_medium(machine: Machine) -> None:
    machine.part(machine.disk(A, "sda", "8:0"), "sda1", "8:1")
    machine.thing("block", "sdb", B, {"dev": "8:16", "size": "0"})
    machine.tree.file("run/udev/data/b8:1", "E:ID_FS_TYPE=ntfs\n")
    assert machine.storage(*Held) == [Storage(A, Held.DISK, ("sda",), ("sda1 (ntfs)",))]


def test_a_disk_below_a_controller_with_a_domain_of_its_own_belongs_to_both(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    inner = Address("10000:01:00.0")
    machine.tree.device(inner, parent=A)
    machine.thing(
        "block", "nvme0n1", "../" + os.path.relpath(machine.tree.place(inner), machine.tree.sys), {"dev": "9:9"}
    )
    machine.mounts(("9:9", "/", "/dev/nvme0n1"))
    assert [use.device for use in machine.storage()] == [inner, A]


# -- network

ROUTES = "Iface Destination Gateway Flags RefCnt Use Metric Mask\n"
DEFAULT4 = "{} 00000000 0101A8C0 0003 0 0 0 00000000 0 0 0\n"
LINK4 = "{} 0001A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\n"


def test_the_default_route_through_a_bridge_on_a_bond(machine: Machine) -> None:
    eth = [machine.thing("net", name, address) for name, address in (("eth0", A), ("eth1", B))]
    bond, bridge = (machine.thing("net", name, "virtual") for name in ("bond0", "br0"))
    (bond / "bonding").mkdir()
    for interface in eth:
        (bond / f"lower_{interface.name}").symlink_to(os.path.relpath(interface, bond))
    (bridge / "lower_bond0").symlink_to("../bond0")
    machine.proc(route=ROUTES + DEFAULT4.format("br0") + LINK4.format("br0"))
    uses = machine.uses(session="192.168.1.5")
    both = [u for u in uses.network if u.chain[0] == "br0"]
    assert both == [
        Network(A, ("br0", "bond0", "eth0"), True, True, True, True),
        Network(B, ("br0", "bond0", "eth1"), True, True, True, True),
    ]
    assert {u.default_route for u in uses.network if u.chain[0] == "bond0"} == {False}


@pytest.mark.parametrize(
    ("tables", "session", "expected"),
    [
        ({"route": ROUTES + DEFAULT4.format("eth0")}, None, (True, True, False)),
        ({"route": ROUTES + LINK4.format("eth0")}, None, (False, True, False)),
        ({"route": ROUTES + LINK4.format("eth0")}, "192.168.1.5", (False, True, True)),
        ({"route": ROUTES + LINK4.format("eth0")}, "::ffff:192.168.1.5", (False, True, True)),
        ({"route": ROUTES + LINK4.format("eth0")}, "192.168.2.5", (False, True, False)),
        ({"route": ROUTES + LINK4.format("eth0")}, "999.1.1", (False, True, False)),
        ({"route": ROUTES + "eth0 0000FEA9 00000000 0001 0 0 0 0000FFFF\n"}, None, None),
        ({"route": ROUTES + "eth0 00000000 00000000 0201 0 0 0 00000000\n"}, None, None),
        ({"route": ROUTES + "eth0 zz\n\neth0\n"}, None, None),
        ({"if_inet6": "20010db8000000000000000000000001 02 40 00 80 eth0\n"}, "2001:db8::1", (False, True, True)),
        ({"if_inet6": "fe800000000000000000000000000001 02 40 20 80 eth0\n"}, "fe80::1%eth0", (False, False, True)),
        ({"if_inet6": "fe800000000000000000000000000001 02 40 20 80 eth0\n"}, None, None),
        ({"if_inet6": "rubbish\n"}, "::::", None),
        ({"ipv6_route": f"{'0' * 32} 00 {'0' * 32} 00 {'f' * 32} 00000400 1 0 00000003 eth0\n"}, None,
         (True, False, False)),
        ({"ipv6_route": f"{'0' * 32} 00 {'0' * 32} 00 {'0' * 32} ffffffff 1 0 00200200 lo\n"}, None, None),
    ],
)  # fmt: skip
def test_what_an_interface_carries(
    machine: Machine, tables: dict[str, str], session: str | None, expected: tuple[bool, bool, bool] | None
) -> None:
    machine.thing("net", "eth0", A)
    machine.proc(**tables)
    found = [(u.default_route, u.address, u.session) for u in machine.uses(session).network]
    assert found == ([expected] if expected else [])


def test_interfaces_that_stand_on_each_other_in_a_circle(machine: Machine) -> None:
    first, second = (machine.thing("net", name, "virtual") for name in ("a", "b"))
    (first / "lower_b").symlink_to("../b")
    (second / "lower_a").symlink_to("../a")
    (first / "lower_gone").symlink_to("../gone")
    assert machine.uses().network == ()


@pytest.mark.parametrize(
    ("environment", "files", "expected"),
    [
        ({"SSH_CONNECTION": "10.0.0.9 51000 10.0.0.1 22"}, {}, "10.0.0.1"),
        ({"SSH_CONNECTION": "rubbish"}, {}, None),
        ({}, {7: ("A=1\0SSH_CONNECTION=10.0.0.9 5 10.0.0.1 22\0", 1)}, "10.0.0.1"),
        ({}, {7: ("A=1\0", 6), 6: ("SSH_CONNECTION=10.0.0.9 5 fe80::1%eth0 22\0", 1)}, "fe80::1%eth0"),
        ({}, {7: (None, 6), 6: ("SSH_CONNECTION=10.0.0.9 5 10.0.0.1 22\0", 1)}, "10.0.0.1"),
        ({}, {7: ("A=1\0", 7)}, None),
        ({}, {}, None),
    ],
)
def test_the_session_that_the_program_runs_in(
    tmp_path: Path, environment: dict[str, str], files: dict[int, tuple[str | None, int]], expected: str | None
) -> None:
    for pid, (variables, parent) in files.items():
        place = tmp_path / f"proc/{pid}"
        place.mkdir(parents=True)
        (place / "stat").write_text(f"{pid} (a) b) S {parent} 1 1")
        if variables is not None:
            (place / "environ").write_text(variables)
    assert session_address(environment, str(tmp_path), 7) == expected


# -- display, input, sound


def test_monitors_framebuffers_and_the_console(machine: Machine) -> None:
    machine.thing("drm", "card0", A)
    for name, status in (("card0-HDMI-A-1", "connected"), ("card0-DP-1", "disconnected"), ("card0-eDP-1", "unknown")):
        machine.thing("drm", name, A, {"status": status})
    machine.thing("graphics", "fb0", A)
    machine.thing("drm", "card1", B)
    machine.thing("graphics", "fbcon", "virtual")
    expected = (Screen(A, ("HDMI-A-1",), ("fb0",)), Screen(B))
    assert machine.uses().screens == expected
    machine.thing("vtconsole", "vtcon1", "virtual", {"name": "(M) frame buffer device", "bind": "1"})
    assert machine.uses().screens == (expected[0]._replace(console=True), expected[1])


@pytest.mark.parametrize(("name", "bind"), [("(M) frame buffer device", "0"), ("(S) dummy device", "1")])
def test_a_console_that_is_not_on_framebuffers(machine: Machine, name: str, bind: str) -> None:
    machine.thing("graphics", "fb0", A)
    machine.thing("vtconsole", "vtcon1", "virtual", {"name": name, "bind": bind})
    assert machine.uses().screens == (Screen(A, (), ("fb0",)),)


IOMEM = """\
00000000-00000000 : PCI Bus 0000:00
  00000000-00000000 : PCI Bus 0000:01
    00000000-00000000 : 0000:01:00.0
      00000000-00000000 : {}
    00000000-00000000 : 0000:02:00.0
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [(IOMEM.format("BOOTFB"), {A: "BOOTFB"}), (IOMEM.format("efifb"), {A: "efifb"}), (IOMEM.format("amdgpu"), {}),
     ("e0000000-e7ffffff : BOOTFB\n", {}), ("rubbish\n", {})],
)  # fmt: skip
def test_the_firmwares_framebuffer_in_the_memory_of_a_device(
    machine: Machine, text: str, expected: dict[Address, str]
) -> None:
    machine.tree.file("proc/iomem", text)
    assert {s.device: s.firmware for s in machine.uses().screens} == expected


def test_the_firmwares_framebuffer_as_a_device_below_the_function(machine: Machine) -> None:
    place = machine.tree.place(A) / "simple-framebuffer.0"
    place.mkdir()
    link = machine.tree.sys / "bus/platform/devices/simple-framebuffer.0"
    link.parent.mkdir(parents=True)
    link.symlink_to(os.path.relpath(place, link.parent))
    assert machine.uses().screens == (Screen(A, firmware="simple-framebuffer"),)


def keyboard(machine: Machine, number: int, below: Address | str, name: str = "K", **files: str) -> None:
    facts = {"name": name, "capabilities/key": KEYS, "id/bustype": "0003", **files}
    machine.thing("input", f"input{number}", below, facts)


def test_keyboards_and_pointers(machine: Machine) -> None:
    keyboard(machine, 1, A, "USB keyboard")
    machine.thing("input", "input2", A, {"name": "Mouse", "capabilities/key": BUTTONS, "capabilities/rel": "903"})
    touchpad = {"name": "Touchpad", "capabilities/key": "400 0 0 0 0 0", "capabilities/abs": "3"}
    machine.thing("input", "input3", B, touchpad)
    machine.thing("input", "input4", A, {"name": "Power Button", "capabilities/key": "10000000000000 0"})
    gamepad = {"name": "Pad", "capabilities/key": "7cdb000000000000 0 0 0 0", "capabilities/abs": "3003f"}
    machine.thing("input", "input5", A, gamepad)
    machine.thing("input", "input6", A, {"capabilities/key": "no number"})
    machine.thing("input", "mouse0", A)
    keyboard(machine, 7, "platform/i8042/serio0", "AT keyboard")
    keyboard(machine, 8, "virtual", "uinput")
    keyboard(machine, 9, "virtual/misc/uhid/0005:1", "Alice's keyboard", **{"id/bustype": "0005"})
    assert machine.uses().inputs == (
        Input(A, "USB keyboard", keyboard=True),
        Input(A, "Mouse", pointer=True),
        Input(B, "Touchpad", pointer=True),
        Input(None, "AT keyboard", keyboard=True),
        Input(None, "Alice's keyboard", keyboard=True, wireless=True),
    )


def test_sound_that_is_played(machine: Machine) -> None:
    machine.thing("sound", "card0", A)
    machine.thing("sound", "card1", B)
    machine.thing("sound", "controlC0", A)
    for path, text in (("card0/pcm0p/sub0", "closed\n"), ("card1/pcm0p/sub0", "closed\n"),
                       ("card1/pcm3c/sub1", "state: RUNNING\nowner_pid   : 5\n")):  # fmt: skip
        machine.tree.file(f"proc/asound/{path}/status", text)
    assert machine.uses().sounds == (Sound(A, "card0"), Sound(B, "card1", ("pcm3c",)))


def test_thunderbolt_devices(machine: Machine) -> None:
    bus = machine.tree.sys / "bus/thunderbolt/devices"
    bus.mkdir(parents=True)
    for name, text in (("domain0", ""), ("0-0", "host"), ("0-1", "Dock"), ("0-301", ""), ("0-1.0", "service")):
        place = machine.tree.place(A) / "domain0" / name
        place.mkdir(parents=True)
        if text:
            (place / "device_name").write_text(text + "\n")
        (bus / name).symlink_to(os.path.relpath(place, bus))
    assert machine.uses().plugged == (Plugged(A, ("Dock", "0-301")),)


# -- processes


def test_who_has_a_devices_nodes_open(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.thing("drm", "card0", A)
    machine.thing("drm", "card0-DP-1", A)
    machine.thing("drm", "renderD128", A)
    machine.thing("sound", "pcmC0D0p", B)
    machine.tree.process(1, "init", "/dev/null").process(20, "Xorg", "/dev/dri/card0", "/dev/dri/card0", "socket:[1]")
    machine.tree.process(30, "pipe\x1bwire", "/dev/snd/pcmC0D0p", "/dev/dri/card9")
    uses = machine.uses()
    assert uses.openers == (
        Opener(A, "Xorg", 20, "/dev/dri/card0"),
        Opener(B, "pipe\x1bwire", 30, "/dev/snd/pcmC0D0p"),
    )
    assert uses.gap("openers") == ""


def test_nvidias_nodes_by_its_own_list_and_without_one_by_every_device(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.tree.bind(A, "nvidia").bind(B, "nvidia").bind(C, "amdgpu")
    machine.tree.process(1, "init").process(20, "llm", "/dev/nvidia1", "/dev/nvidiactl", "/dev/kfd")
    compute = (C, "/dev/kfd")
    assert [(o.device, o.node) for o in machine.uses().openers] == [compute, (A, "/dev/nvidia1"), (B, "/dev/nvidia1")]
    for address, minor in ((A, 0), (B, 1)):
        place = f"proc/driver/nvidia/gpus/{address}/information"
        machine.tree.file(place, f"Model: \t RTX\nDevice Minor: \t {minor}\n")
    assert [(o.device, o.node) for o in machine.uses().openers] == [compute, (B, "/dev/nvidia1")]


def test_processes_that_do_not_show(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.thing("drm", "card0", A)
    assert machine.uses().gap("openers") == "not-recorded"
    machine.tree.process(20, "Xorg", "/dev/dri/card0")
    (machine.tree.root / "proc/30").mkdir()
    (machine.tree.root / "proc/30/fd").symlink_to("fd")
    uses = machine.uses()
    assert [o.name for o in uses.openers] == ["Xorg"]
    assert uses.gap("openers") == "ELOOP"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("options vfio-pci ids=10de:2204,10DE:1aef disable_vga=1\n", ("vfio-pci", ("10de:2204", "10de:1aef"))),
        ("  options vfio_pci disable_idle_d3=1 \\\n ids=10de:2204\n", ("vfio-pci", ("10de:2204",))),
        ("options pci-stub ids=10de:2204\n", ("pci-stub", ("10de:2204",))),
        ("#options vfio-pci ids=10de:2204\n", None),
        ("options kvm ids=10de:2204\n", None),
        ("options vfio-pci noids=10de:2204\n", None),
        ("\xff\n", None),
    ],
)
def test_settings_by_id(machine: Machine, text: str, expected: tuple[str, tuple[str, ...]] | None) -> None:
    machine.tree.file("etc/modprobe.d/vm.conf", text).file("etc/modprobe.d/vm.conf.bak", "options vfio-pci ids=1:1\n")
    assert machine.uses().by_id == (((ById(*expected, "/etc/modprobe.d/vm.conf")),) if expected else ())


# -- anything at all

_NAMES = st.sampled_from(
    ["sda", "sda1", "dm-0", "md0", "bcache0", "br0", "eth0", "card0", "fb0", "input1", "\x1b[2J", "ü"]
)
_TARGETS = st.sampled_from(
    ["../../devices/pci0000:01/0000:01:00.0/block/sda", "../../devices/virtual/block/dm-0", "self", ".", "..", "/etc",
     "../../../../../etc/passwd", "../../devices/virtual/net/br0", "sda1", "../block/md0"]
)  # fmt: skip
_PLACES = st.sampled_from(
    ["class/block", "class/net", "class/drm", "class/graphics", "class/input", "class/sound", "fs/btrfs", "fs/bcache",
     "class/vtconsole", "bus/thunderbolt/devices", "bus/platform/devices", "devices/virtual/block/dm-0/slaves",
     "devices/virtual/net/br0", "devices/virtual/block/md0/slaves", "dev/block"]
)  # fmt: skip
_TABLES = st.sampled_from(
    ["proc/self/mountinfo", "proc/swaps", "proc/net/route", "proc/net/ipv6_route", "proc/net/if_inet6", "etc/fstab",
     "proc/iomem", "etc/modprobe.d/a.conf", "run/udev/data/b8:0"]
)  # fmt: skip
_LINES = st.sampled_from(
    [b"1 1 8:0 / /a rw - ext4 /dev/sda rw", b"1 1 0:9 / / rw - btrfs /dev/sda rw", b"/dev/dm-0 partition 1",
     b"\xff\0 -", b"/x file 1 1", b"eth0 00000000 0 3 0 0 0 00000000", b"UUID=1 / ext4", b"LABEL=\\999 /b ext4 x",
     b"  0-0 : BOOTFB"]
) | st.binary(max_size=40)  # fmt: skip


@given(
    st.lists(st.tuples(_PLACES, _NAMES, _TARGETS), max_size=14),
    st.lists(st.tuples(_TABLES, st.lists(_LINES, max_size=4)), max_size=5),
    st.none() | st.text(max_size=8) | st.sampled_from(["192.0.2.1", "::1", "1.2.3.4.5"]),
)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_tree_of_links_and_no_table_ends_in_an_exception(
    tmp_path_factory: pytest.TempPathFactory,
    links: list[tuple[str, str, str]],
    tables: list[tuple[str, list[bytes]]],
    session: str | None,
) -> None:
    root = tmp_path_factory.mktemp("tree")
    tree = FakeTree(root).device(A, driver="nvidia").device(B, driver="amdgpu")
    for place, name, target in links:
        path = tree.sys / place / name
        if not os.path.lexists(path) and path.parent.resolve(strict=False).is_relative_to(root):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(target)
    for name, lines in tables:
        tree.file(name, b"\n".join([b"heading", *lines]))
    host = load(os.fspath(tree), session=session)
    assert host.uses is not None
    assert all(isinstance(gap, Gap) for gap in host.uses.gaps)
    assert all(use.chain and use.what for use in host.uses.storage if use.held is not Held.DISK)
    assert all(use.chain for use in host.uses.network)
    assert parse(dump(host), "x") == host
