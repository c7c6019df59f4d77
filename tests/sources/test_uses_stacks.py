"""Devices that the running system needs through several layers, found in trees of files: plans for them are refused."""

import os

import pytest

from iommutui.core.address import Address
from iommutui.core.models import MODELS
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import plan_intents
from iommutui.core.redact import redact
from iommutui.core.uses import Held
from iommutui.core.wording import sentence
from tests.sources.used import A, B, C, Machine

OWNER = MODELS["dma-owner"]


def refused(machine: Machine, *addresses: Address) -> str:
    """Why a plan that frees these devices is refused; empty if it is permitted."""
    host = machine.host()
    plan = plan_intents(host, [Intent(address, "none") for address in addresses], OWNER)
    return " ".join(sentence(reason) for reason in plan.refusals)


def mountinfo(machine: Machine, *lines: str) -> None:
    machine.proc(mountinfo="".join(f"{n} 1 {line}\n" for n, line in enumerate(lines, 20)))


def test_root_on_a_mirrored_volume_needs_one_of_two_disks(machine: Machine) -> None:
    for address, name in ((A, "sda"), (B, "sdb")):
        machine.part(machine.disk(address, name, f"8:{address[6]}"), f"{name}2", f"8:{address[6]}2")
    machine.mapping("md0", "9:0", "sda2", "sdb2", md_level="raid1", md_degraded="0")
    machine.mapping("dm-0", "254:0", "md0", dm_name="vg-root")
    machine.mounts(("254:0", "/", "/dev/mapper/vg-root"))
    assert refused(machine, A) == refused(machine, B) == refused(machine, C) == ""
    assert "mounted at /" in refused(machine, A, B)
    (machine.tree.sys / "devices/virtual/block/md0/md/degraded").write_text("1\n")
    assert "mounted at /" in refused(machine, A)


@pytest.mark.parametrize(
    ("profiles", "missing", "alone"),
    [({}, "0", True), ({"data": "single", "metadata": "raid1", "system": "raid1"}, "0", True),
     ({"data": "raid1", "metadata": "raid1", "system": "raid1"}, "0", False),
     ({"data": "raid1", "metadata": "raid1", "system": "raid1"}, "1", True),
     ({"data": "raid1c3", "metadata": "raid1c3", "system": "raid1c3"}, "0", False)],
)  # fmt: skip
def test_root_on_btrfs_is_refused_unless_it_survives_the_loss(
    machine: Machine, profiles: dict[str, str], missing: str, alone: bool
) -> None:
    place = machine.tree.sys / "fs/btrfs/0a1b2c3d-4e"
    for number, (address, name) in enumerate(((A, "sda"), (B, "sdb")), 1):
        disk = machine.disk(address, name, f"8:{number}")
        (place / "devices").mkdir(parents=True, exist_ok=True)
        (place / "devices" / name).symlink_to(os.path.relpath(disk, place / "devices"))
        (place / "devinfo" / str(number)).mkdir(parents=True)
        (place / "devinfo" / str(number) / "missing").write_text(f"{missing if number == 2 else 0}\n")
    for kind, profile in profiles.items():
        (place / "allocation" / kind / profile).mkdir(parents=True)
        (place / "allocation" / kind / "total_bytes").write_text("1\n")
    machine.mounts(("0:25", "/", "/dev/sda"))
    assert ("mounted at /" in refused(machine, A)) is alone
    assert ("mounted at /" in refused(machine, B)) is alone
    assert ("mounted at /" in refused(machine, A, B)) is ("raid1c3" not in profiles.values())


def test_root_on_zfs_is_refused_by_its_mounts_and_by_its_pool(machine: Machine) -> None:
    machine.part(machine.disk(A, "sda", "8:0"), "sda1", "8:1")
    machine.disk(B, "sdb", "8:16")
    machine.tree.file("run/udev/data/b8:1", "E:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL=rpool\n")
    machine.tree.file("proc/spl/kstat/zfs/rpool/io", "")
    mountinfo(machine, "0:25 / / rw - zfs rpool/ROOT/debian rw,xattr", "0:26 / /home rw - zfs rpool/home rw")
    said = refused(machine, A)
    assert "mounted at /, /home" in said
    assert "zpool export rpool" in said
    assert refused(machine, B) == ""


def test_a_pool_with_unknown_members_may_be_on_any_idle_disk(machine: Machine) -> None:
    machine.disk(A, "sda", "8:0")
    machine.disk(B, "sdb", "8:16")
    machine.tree.file("proc/spl/kstat/zfs/rpool/io", "")
    mountinfo(machine, "0:25 / / rw - zfs rpool/ROOT rw", "8:16 / /srv rw - ext4 /dev/sdb rw")
    assert "It is not known whether a disk of 0000:01:00.0" in refused(machine, A)
    assert "pool" not in refused(machine, B)
    assert refused(machine, C) == ""


LIVE = (
    "8:1 / /run/live/medium ro - iso9660 /dev/sda1 ro",
    "7:0 / /run/live/rootfs/filesystem.squashfs ro - squashfs /dev/loop0 ro",
    "0:30 / /run/live/overlay rw - tmpfs tmpfs rw",
    "0:31 / / rw - overlay overlay "
    "rw,lowerdir=/run/live/rootfs/filesystem.squashfs/,upperdir=/run/live/overlay/rw,workdir=/run/live/overlay/work",
)


def test_a_live_system_needs_the_medium_of_its_image(machine: Machine) -> None:
    machine.part(machine.disk(A, "sda", "8:0"), "sda1", "8:1")
    machine.disk(B, "sdb", "8:16")
    machine.class_device(
        "block", "loop0", "virtual", {"dev": "7:0", "loop/backing_file": "/run/live/medium/live/fs.squashfs"}
    )
    mountinfo(machine, *LIVE)
    (use,) = [use for use in machine.storage(Held.MOUNT) if use.device == A]
    assert use.what == ("/", "/run/live/medium", "/run/live/rootfs/filesystem.squashfs")
    assert "mounted at /" in refused(machine, A)
    assert refused(machine, B) == ""


def test_a_live_system_on_nested_images_needs_their_medium(machine: Machine) -> None:
    machine.part(machine.disk(A, "sda", "8:0"), "sda1", "8:1")
    for name, number, file in (("loop0", "7:0", "/run/initramfs/live/LiveOS/squashfs.img"),
                               ("loop1", "7:1", "/run/initramfs/squashfs/LiveOS/rootfs.img"),
                               ("loop2", "7:2", "/overlay (deleted)")):  # fmt: skip
        machine.class_device("block", name, "virtual", {"dev": number, "loop/backing_file": file})
    machine.mapping("dm-0", "254:0", "loop1", "loop2", dm_name="live-rw")
    mountinfo(
        machine,
        "8:1 / /run/initramfs/live ro - iso9660 /dev/sda1 ro",
        "7:0 / /run/initramfs/squashfs ro - squashfs /dev/loop0 ro",
        "254:0 / / rw - ext4 /dev/mapper/live-rw rw",
    )
    assert "mounted at /, /run/initramfs/live, /run/initramfs/squashfs" in refused(machine, A)
    assert "/ ← dm-0 (live-rw) ← loop1 ← sda1" in refused(machine, A)


STACKS = [
    (("254:0", "/", "/dev/mapper/luks"), "mounted at /", "boot from another disk"),
    (("254:0", "/data", "/dev/mapper/luks"), "mounted at /data", "umount /data"),
    (("252:0", "/data", "/dev/bcache0"), "mounted at /data", "umount /data"),
    (("8:1", "/data", "/dev/sda1"), "swap in use", "swapoff"),
]


@pytest.mark.parametrize(("mount", "names", "way"), STACKS)
def test_a_mount_through_a_stack_is_named_with_the_command_that_releases_it(
    machine: Machine, mount: tuple[str, str, str], names: str, way: str
) -> None:
    machine.part(machine.disk(A, "sda", "8:0"), "sda1", "8:1")
    machine.mapping("dm-0", "254:0", "sda1", dm_name="luks", dm_uuid="CRYPT-LUKS2-x")
    machine.mapping("bcache0", "252:0", "sda1")
    machine.mounts(mount)
    if "swap" in names:
        machine.proc(swaps="Filename Type\n/data/swapfile file 1 0 -2\n")
    assert names in refused(machine, A)
    assert way in refused(machine, A)
    assert refused(machine, B) == ""


def test_an_overlay_or_an_image_in_memory_needs_no_disk(machine: Machine) -> None:
    machine.disk(A, "sda", "8:0")
    machine.class_device(
        "block", "loop0", "virtual", {"dev": "7:0", "loop/backing_file": "/run/live/overlay/fs.squashfs"}
    )
    mountinfo(machine, *LIVE[1:])
    assert machine.storage(Held.MOUNT) == []
    assert refused(machine, A) == ""


def test_a_multipath_device_survives_on_its_other_path(machine: Machine) -> None:
    for address, name in ((A, "sda"), (B, "sdb")):
        machine.disk(address, name, f"8:{address[6]}")
    machine.mapping("dm-0", "254:0", "sda", "sdb", dm_name="mpatha", dm_uuid="mpath-360")
    machine.mounts(("254:0", "/", "/dev/mapper/mpatha"))
    assert refused(machine, A) == ""
    assert "mounted at /" in refused(machine, A, B)


def test_a_file_system_that_names_all_its_devices_needs_each(machine: Machine) -> None:
    for address, name in ((A, "sda"), (B, "sdb")):
        machine.disk(address, name, f"8:{address[6]}")
    mountinfo(machine, "0:40 / / rw - bcachefs /dev/sda:/dev/sdb rw")
    assert {use.device for use in machine.storage(Held.MOUNT)} == {A, B}


# -- other facts


@pytest.mark.parametrize(
    ("driver", "modeset", "fbdev", "expected"),
    [("nvidia", "Y", "Y", ("nvidia_drm with modeset=Y", "its text console")), ("nvidia", "N", "Y", ()),
     ("nvidia", "Y", "N", ("nvidia_drm with modeset=Y",)), ("nouveau", "Y", "Y", ())],
)  # fmt: skip
def test_kernel_parts_that_keep_an_nvidia_card_in_use_are_found(
    machine: Machine, driver: str, modeset: str, fbdev: str, expected: tuple[str, ...]
) -> None:
    machine.tree.bind(A, driver)
    machine.class_device("drm", "card0", A)
    machine.tree.file("sys/module/nvidia_drm/parameters/modeset", modeset + "\n")
    machine.tree.file("sys/module/nvidia_drm/parameters/fbdev", fbdev + "\n")
    assert [screen.held_by for screen in machine.uses().screens] == [expected]


@pytest.mark.parametrize("name", ["efidrm", "vesadrm", "ofdrm", "simpledrm", "efifb", "vesafb", "BOOTFB"])
def test_the_owner_of_the_firmwares_framebuffer_is_found(machine: Machine, name: str) -> None:
    text = f"c0000000-cfffffff : PCI Bus 0000:01\n  c0000000-cfffffff : {A}\n    c0000000-c07e8fff : {name}\n"
    machine.tree.file("proc/iomem", text)
    assert [(s.device, s.firmware) for s in machine.uses().screens] == [(A, name)]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"sys/hypervisor/type": "xen\n", "proc/xen/capabilities": "control_d\n"}, "xen-dom0"),
        ({"sys/hypervisor/type": "xen\n", "proc/xen/capabilities": "\n"}, "Xen"),
        ({"sys/class/dmi/id/sys_vendor": "QEMU\n"}, "KVM"),
        ({"sys/class/dmi/id/sys_vendor": "VMware, Inc.\n"}, "VMware"),
        ({"sys/class/dmi/id/sys_vendor": "Microsoft Corporation\n",
          "sys/class/dmi/id/product_name": "Surface\n"}, None),
        ({"sys/class/dmi/id/sys_vendor": "Microsoft Corporation\n",
          "sys/class/dmi/id/product_name": "Virtual Machine\n"}, "Hyper-V"),
        ({"proc/cpuinfo": "vendor_id : GenuineIntel\nflags : fpu vmx hypervisor lahf\n"}, "an unknown hypervisor"),
        ({"proc/cpuinfo": "vendor_id : GenuineIntel\nflags : fpu vmx lahf\n"}, None),
    ],
)  # fmt: skip
def test_hypervisors_are_recognised(machine: Machine, files: dict[str, str], expected: str | None) -> None:
    for path, text in files.items():
        machine.tree.file(path, text)
    host = machine.host()
    assert host.hypervisor == expected
    assert redact(host).hypervisor == expected


@pytest.mark.parametrize(
    ("listed", "built_in", "expected"),
    [("kernel/drivers/vfio/pci/vfio-pci.ko.zst: x\n", "kernel/drivers/pci/pci-stub.ko\n", ()),
     ("kernel/net/igb.ko:\n", "kernel/drivers/pci/pci-stub.ko\n", ("vfio-pci",)),
     ("kernel/net/igb.ko:\n", "kernel/drivers/vfio/pci/vfio-pci.ko\n", ("pci-stub",)),
     ("kernel/x/vfio-pci-core.ko: kernel/x/vfio.ko\n", "", ("vfio-pci", "pci-stub")), (None, "", ()), ("", None, ())],
)  # fmt: skip
def test_drivers_that_the_kernel_lacks_are_found(
    machine: Machine, listed: str | None, built_in: str | None, expected: tuple[str, ...]
) -> None:
    place = f"lib/modules/{machine.tree.kernel}"
    for name, text in (("modules.dep", listed), ("modules.builtin", built_in)):
        if text is not None:
            machine.tree.file(f"{place}/{name}", text)
    assert machine.host().lacks == expected


def test_a_registered_driver_is_not_lacking(machine: Machine) -> None:
    machine.tree.driver("vfio-pci").file(f"lib/modules/{machine.tree.kernel}/modules.dep", "")
    machine.tree.file(f"lib/modules/{machine.tree.kernel}/modules.builtin", "")
    assert machine.host().lacks == ("pci-stub",)


def test_a_mediated_device_names_its_parent(machine: Machine) -> None:
    machine.tree.other("3465-mdev", bus="mdev", group=11, below=A)
    assert [d.parent for d in machine.host().devices.values() if d.bus == "mdev"] == [A]


def test_the_boot_display_is_read(machine: Machine) -> None:
    (machine.tree.place(A) / "boot_display").write_text("1\n")
    devices = machine.host().devices
    assert (devices[A].boots_display, devices[B].boots_display) == (True, False)


# -- redundancy that the kernel does not show


def test_the_redundancy_of_an_lvm_mirror_is_unknown(machine: Machine) -> None:
    for number, (address, name) in enumerate(((A, "sda"), (B, "sdb"))):
        machine.disk(address, name, f"8:{address[6]}")
        for part in ("rimage", "rmeta"):
            minor = 10 + 2 * number + (part == "rmeta")
            machine.mapping(f"dm-{minor}", f"254:{minor}", name, dm_name=f"vg-root_{part}_{number}", dm_uuid="LVM-x")
    machine.mapping("dm-0", "254:0", "dm-10", "dm-11", "dm-12", "dm-13", dm_name="vg-root", dm_uuid="LVM-y")
    machine.mounts(("254:0", "/", "/dev/mapper/vg-root"))
    assert {(use.device, use.array, use.spare) for use in machine.storage()} == {(A, "dm-0", None), (B, "dm-0", None)}
    for address, own in ((A, "sda"), (B, "sdb")):
        said = refused(machine, address)
        assert "mounted at /" in said
        assert "the kernel does not show it" in said
        assert f"lvconvert -m 0 VG/LV /dev/{own}" in said


def test_a_plain_volume_is_not_a_mirror(machine: Machine) -> None:
    machine.disk(A, "sda", "8:0")
    machine.mapping("dm-0", "254:0", "sda", dm_name="vg-my_rimage_of", dm_uuid="LVM-y")
    machine.mapping("dm-1", "254:1", "dm-0", dm_name="vg-root", dm_uuid="LVM-y")
    machine.mounts(("254:1", "/", "/dev/mapper/vg-root"))
    assert "does not show" not in refused(machine, A)


def test_the_redundancy_of_a_zfs_mirror_is_unknown(machine: Machine) -> None:
    for address, name, number in ((A, "sda", "8:0"), (B, "sdb", "8:16")):
        machine.disk(address, name, number)
        machine.tree.file(f"run/udev/data/b{number}", "E:ID_FS_TYPE=zfs_member\nE:ID_FS_LABEL=tank\n")
    machine.tree.file("proc/spl/kstat/zfs/tank/state", "ONLINE\n")
    said = refused(machine, A)
    assert "tank may be redundant, but the kernel does not show it" in said
    assert "zpool export tank" in said
    assert "zpool detach tank sda" in said
