"""Uses of the disks, found in trees of files."""

import os
from pathlib import Path

import pytest

from iommutui.core.address import Address
from iommutui.core.uses import Held, Storage
from tests.sources.used import A, B, Machine


def test_a_mounted_partition_is_found(machine: Machine) -> None:
    machine.part(machine.disk(A, "nvme0n1", "259:0"), "nvme0n1p2", "259:2")
    machine.mounts(("259:2", "/", "/dev/root"), ("259:2", "/srv/my\\040files", "/dev/root"), ("0:5", "/proc", "proc"))
    assert machine.storage() == [Storage(A, Held.MOUNT, ("/", "/srv/my files"), ("nvme0n1p2",))]


def test_white_space_that_the_kernel_does_not_escape_belongs_to_the_mount_point(machine: Machine) -> None:
    machine.disk(A, "sda", "8:0")
    machine.mounts(("8:0", "/my\u00a0disk\u3000\r", "/dev/sda"))
    assert [use.what for use in machine.storage()] == [("/my\u00a0disk\u3000\r",)]


def test_a_volume_on_two_disks_has_a_chain_to_each(machine: Machine) -> None:
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
def test_the_number_of_members_an_array_can_lose_is_read(
    machine: Machine, level: str, degraded: str, spare: int
) -> None:
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


def test_both_disks_of_a_btrfs_are_found_although_the_mount_names_one(machine: Machine) -> None:
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


def test_swap_on_a_partition_and_in_a_file_is_found(machine: Machine) -> None:
    machine.disk(A, "sda", "8:0")
    machine.disk(B, "sdb", "8:16")
    machine.class_device("block", "zram0", "virtual", {"dev": "251:0"})
    machine.mounts(("8:16", "/", "/dev/sdb"))
    lines = "Filename Type\n/dev/sda partition 1 0 -2\n/swap\\040file file 1 0 -3\n/dev/zram0 partition 1 0 5\n"
    machine.proc(swaps=lines)
    assert machine.storage(Held.SWAP) == [
        Storage(A, Held.SWAP, ("[SWAP]",), ("sda",)),
        Storage(B, Held.SWAP, ("[SWAP]",), ("sdb",)),
    ]


def test_a_swap_file_is_on_the_innermost_mount(machine: Machine) -> None:
    third = Address("0000:03:00.0")
    for address, name, number in ((third, "sdc", "8:32"), (A, "sda", "8:0"), (B, "sdb", "8:16")):
        machine.disk(address, name, number)
    machine.mounts(("8:32", "/", "/dev/sdc"), ("8:0", "/var/swap", "/dev/sda"), ("8:16", "/var", "/dev/sdb"))
    machine.proc(swaps="Filename Type\n/var/swap/file file 1 0 -2\n")
    assert machine.storage(Held.SWAP) == [Storage(A, Held.SWAP, ("[SWAP]",), ("sda",))]


def test_an_assembled_but_unmounted_stack_is_found(machine: Machine) -> None:
    machine.disk(A, "sda", "8:0")
    machine.mapping("md127", "9:127", "sda", md_level="raid0")
    machine.mapping("dm-3", "254:3", "md127", dm_name="vg-data")
    assert machine.storage(Held.STACK) == [
        Storage(A, Held.STACK, ("dm-3 (vg-data)",), ("dm-3 (vg-data)", "md127", "sda"))
    ]
    machine.mounts(("254:3", "/data", "/dev/mapper/vg-data"))
    assert machine.storage(Held.STACK) == []


def test_members_of_zfs_pools_are_found_through_udev(machine: Machine) -> None:
    machine.part(machine.disk(A, "sda", "8:0"), "sda1", "8:1")
    machine.tree.file("run/udev/data/b8:1", "S:disk/by-id/x\nE:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL=tank\n")
    assert machine.storage(Held.POOL) == []
    machine.tree.file("proc/spl/kstat/zfs/tank/io", "")
    assert machine.storage(Held.POOL) == [Storage(A, Held.POOL, ("tank",), ("sda1",), "tank", None)]


def test_a_pool_with_unknown_members_makes_storage_unknown(machine: Machine) -> None:
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
def test_unmounted_entries_of_fstab_are_found(machine: Machine, line: str, link: str, expected: list[str]) -> None:
    machine.disk(A, "sda", "8:0")
    machine.mounts(("0:1", "/", "none"))
    machine.tree.file("etc/fstab", line + "\n")
    if link:
        place = machine.tree.root / "dev/disk" / link
        place.parent.mkdir(parents=True)
        place.symlink_to("../../sda")
    assert [word for use in machine.storage(Held.FSTAB) for word in use.what] == expected
    assert machine.uses().gap("fstab") == ""


def test_without_udevs_links_a_tag_in_fstab_is_a_gap(machine: Machine) -> None:
    (machine.tree.root / "dev/disk").rmdir()
    machine.disk(A, "sda", "8:0")
    machine.tree.file("etc/fstab", "UUID=0a-1b /srv ext4 noauto 0 0\n")
    assert machine.uses().gap("fstab") == "not-recorded"


def test_an_unused_disk_is_found_and_an_empty_reader_is_not(machine: Machine) -> None:
    machine.part(machine.disk(A, "sda", "8:0"), "sda1", "8:1")
    machine.class_device("block", "sdb", B, {"dev": "8:16", "size": "0"})
    machine.tree.file("run/udev/data/b8:1", "E:ID_FS_TYPE=ntfs\n")
    assert machine.storage(*Held) == [Storage(A, Held.DISK, ("sda",), ("sda1 (ntfs)",))]


def test_a_disk_behind_a_vmd_belongs_to_both_functions(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    inner = Address("10000:01:00.0")
    machine.tree.device(inner, parent=A)
    machine.class_device(
        "block", "nvme0n1", "../" + os.path.relpath(machine.tree.place(inner), machine.tree.sys), {"dev": "9:9"}
    )
    machine.mounts(("9:9", "/", "/dev/nvme0n1"))
    assert [use.device for use in machine.storage()] == [inner, A]
