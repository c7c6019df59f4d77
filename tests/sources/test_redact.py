"""The redactions of a shared snapshot."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iommutui.cli import main
from iommutui.core.address import Address
from iommutui.core.host import Claim, Device, Group, Host
from iommutui.core.redact import redact, redact_cmdline
from iommutui.core.uses import ById, Held, Input, Network, Opener, Plugged, Sound, Storage, Uses
from iommutui.sources.snapshot import dump
from tests.sources.used import Machine

A, B, C = Address("0000:01:00.0"), Address("0000:01:00.1"), Address("0000:02:00.0")


@pytest.mark.parametrize(
    "cmdline",
    [
        "",
        "ro quiet splash",
        "intel_iommu=on iommu=pt iommu.passthrough=1 amd_iommu=off",
        "vfio-pci.ids=10de:2204,10de:1aef vfio_iommu_type1.allow_unsafe_interrupts=1 pci-stub.ids=8086:1533",
        "pci=noaer,realloc pcie_acs_override=downstream,multifunction pcie_aspm=off pcie_ports=native",
        "video=efifb:off,vesafb:off modprobe.blacklist=nouveau module_blacklist=i915 rd.driver.pre=vfio-pci",
        "kvm.ignore_msrs=1 kvm_amd.nested=1 i915.enable_guc=3 amdgpu.dc=0 nvidia-drm.modeset=1 xe.force_probe=56a0",
        "hugepages=16 hugepagesz=1G default_hugepagesz=1G isolcpus=2-5 console=tty0 console=ttyS0,115200 loglevel=3",
        "acpi=force acpi_osi=Linux mitigations=off earlyprintk=serial panic=-1 oops=panic initcall_blacklist=sysfb",
        "quiet  intel_iommu=on\ttwo  blanks ",
    ],
)
def test_ordinary_values_are_kept(cmdline: str) -> None:
    assert redact_cmdline(cmdline) == cmdline


@pytest.mark.parametrize(
    ("cmdline", "redacted"),
    [
        ("root=UUID=0a-1b ro", "root=<redacted> ro"),
        ("ip=10.0.0.2::10.0.0.1 hostname=box", "ip=<redacted> hostname=<redacted>"),
        ("rd.luks.uuid=luks-1 rd.iscsi.password=x", "rd.luks.uuid=<redacted> rd.iscsi.password=<redacted>"),
        ("console_secret=1 iommux=2 xpci=3", "console_secret=<redacted> iommux=<redacted> xpci=<redacted>"),
        ('a="b c" quiet', "a=<redacted> quiet"),
        ('"a=b c" quiet', '"a=<redacted>" quiet'),
        ('"a=b c', '"a=<redacted>"'),
        ("=x", "=<redacted>"),
        ("quiet -- alice --key=b", "quiet -- <redacted>"),
        ("drm.edid_firmware=edid/alice.bin", "drm.edid_firmware=<redacted>"),
        (
            "snd_hda_intel.patch=alice.fw snd_hda_intel.id=Alice",
            "snd_hda_intel.patch=<redacted> snd_hda_intel.id=<redacted>",
        ),
        ("nvme_core.hostnqn=nqn.alice nvme.hostid=1", "nvme_core.hostnqn=<redacted> nvme.hostid=<redacted>"),
        ("nvme.x=0f1e2d3c-1111-4222-8333-444455556666", "nvme.x=<redacted>"),
        ("usbcore.x=aa:bb:cc:dd:ee:ff,1", "usbcore.x=<redacted>"),
    ],
)
def test_other_values_are_redacted(cmdline: str, redacted: str) -> None:
    assert redact_cmdline(cmdline) == redacted
    assert redact_cmdline(redacted) == redacted


def host(*devices: Device, **fields: object) -> Host:
    return Host({d.address: d for d in devices}, {}, **fields)  # type: ignore[arg-type]


def test_a_mac_in_the_name_of_an_interface_is_redacted() -> None:
    before = host(
        Device(A, interfaces=("enxaabbccddeeff", "eth0")),
        Device(B, interfaces=("enx001122334455", "wlxaabbccddeeff", "enx0")),
        Device(C, interfaces=("enp3s0", "enxaabbccddeeff.7")),
    )
    after = redact(before)
    assert [d.interfaces for d in after.devices.values()] == [
        ("enx1", "eth0"),
        ("enx2", "wlx0", "enx0"),
        ("enp3s0", "enx3"),
    ]


def test_an_owner_keeps_only_the_name_of_a_known_program() -> None:
    claims = (Claim("qemu-system-x86 (pid 123)"), Claim("vm1"), None, Claim("alice-vm (pid 5)"), Claim("bob (pid 6)"))
    before = host()._replace(groups={n: Group(n, claim=claim) for n, claim in enumerate(claims)})
    owners = [group.claim.owner if group.claim else None for group in redact(before).groups.values()]
    assert owners == ["qemu-system-x86", "vm1", None, "owner0", "owner1"]


def test_removed_devices_are_redacted_too() -> None:
    before = host(removed={A: Device(A, interfaces=("enxaabbccddeeff",))})
    assert redact(before).removed[A].interfaces == ("enx0",)


def test_an_ordinary_host_is_unchanged() -> None:
    before = host(Device(A, driver="nvidia", interfaces=("enp3s0",)), cmdline="quiet intel_iommu=on", kernel="6.1.0")
    assert redact(before) == before


def redacted(**uses: object) -> Uses:
    found = redact(host(Device(A, interfaces=("enxaabbccddeeff",)), uses=Uses(**uses)))  # type: ignore[arg-type]
    assert redact(found) == found
    assert found.uses is not None
    return found.uses


def test_mount_points_and_volumes_that_people_named_are_redacted() -> None:
    found = redacted(
        storage=(
            Storage(A, Held.MOUNT, ("/", "/home/alice", "/media/alice/STICK"), ("dm-0 (alicebox-vg)", "nvme0n1p3")),
            Storage(A, Held.SWAP, ("[SWAP]",), ("sda2",), "md0", 1),
            Storage(A, Held.POOL, ("alicepool",), ("sdb1",)),
            Storage(A, Held.STACK, ("md_alice",), ("md_alice", "sdc"), "md_alice", 1),
            Storage(A, Held.DISK, ("sdd",), ("sdd1 (ntfs)",)),
            Storage(A, Held.MOUNT, ("/x",), ("nvme0n1",), "nvme-subsys0", 1),
        )
    ).storage
    assert [(use.what, use.chain, use.array) for use in found] == [
        (("/", "(mount)"), ("dm-0", "nvme0n1p3"), ""),
        (("[SWAP]",), ("sda2",), "md0"),
        (("(volume)",), ("sdb1",), ""),
        (("(volume)",), ("(volume)", "sdc"), "(volume)"),
        (("sdd",), ("sdd1",), ""),
        (("(mount)",), ("nvme0n1",), "nvme-subsys0"),
    ]


def test_interfaces_keep_the_kernels_names() -> None:
    chains = (("br0", "bond0", "enp5s0"), ("br-alice", "enxaabbccddeeff"), ("enp5s0.100", "enp5s0"), ("alice0",))
    found = redacted(network=tuple(Network(A, chain) for chain in chains)).network
    assert [use.chain for use in found] == [
        ("br0", "bond0", "enp5s0"), ("(interface)", "enx0"), ("enp5s0.100", "enp5s0"), ("net0",),
    ]  # fmt: skip


def test_people_programs_and_plugged_devices_are_redacted() -> None:
    found = redacted(
        inputs=(Input(A, "Alice's keyboard", keyboard=True), Input(None, "x", keyboard=True, pointer=True)),
        openers=(
            Opener(A, "Xorg", 123, "/dev/dri/card0"),
            Opener(A, "alice-miner", 124, "/dev/dri/card0"),
            Opener(A, "bob-miner", 125, "/dev/dri/card0"),
        ),
        plugged=(Plugged(A, ("Alice's dock",)),),
        by_id=(ById("vfio-pci", ("10de:2204",), "/etc/modprobe.d/alice.conf"),),
        sounds=(Sound(A, "card0", ("pcm0p",)),),
    )
    assert [each.name for each in found.inputs] == ["keyboard", "keyboard and pointer"]
    assert found.openers == (Opener(A, "Xorg", None, "/dev/dri/card0"), Opener(A, "", None, "/dev/dri/card0"))
    assert found.plugged == (Plugged(A, ("device",)),)
    assert found.by_id == (ById("vfio-pci", ("10de:2204",), "/etc/modprobe.d"),)
    assert found.sounds == (Sound(A, "card0", ("pcm0p",)),)


# -- every name that people choose

NAMES = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", max_size=6).map(lambda text: f"{text}ALICE{text}")


def named_by_people(name: str) -> Host:
    """A machine on which everything that people can name has such a name."""
    uses = Uses(
        storage=tuple(
            Storage(A, held, (name, f"/home/{name}", f"/media/{name}/x"), (f"dm-0 ({name})", name), name, 1)
            for held in Held
        ),
        network=(Network(A, (name, f"br-{name}", name), session=True), Network(B, (name,))),
        inputs=(Input(A, name, keyboard=True), Input(None, name, pointer=True)),
        openers=(Opener(A, name, 7, "/dev/dri/card0"),),
        plugged=(Plugged(A, (name, name)),),
        by_id=tuple(ById("vfio-pci", (), f"{place}/{name}.conf") for place in ("/etc/modprobe.d", "/home")),
    )
    words = ("root=UUID", "root=LABEL", "cryptdevice", "hostname", "ip", "rd.luks.name", "nfsroot", "resume", "zfs",
             "systemd.hostname", "drm.edid_firmware", "BOOT_IMAGE", "netconsole", "crypto")  # fmt: skip
    cmdline = " ".join((*(f"{word}={name}" for word in words), f'x="{name} {name}"', f"quiet -- {name} {name}"))
    devices = (Device(A, interfaces=(name, f"enx{'0' * 12}{name}")), Device(B, interfaces=(name,)))
    found = host(*devices, removed={C: Device(C, interfaces=(name,))}, uses=uses, cmdline=cmdline)
    return found._replace(groups={n: Group(n, claim=Claim(f"{name}{n} (pid 3)")) for n in (1, 2)})


@given(NAMES)
def test_no_name_chosen_by_people_is_in_a_snapshot(name: str) -> None:
    before = named_by_people(name)
    assert dump(before).count("ALICE") > 40
    after = redact(before)
    assert "ALICE" not in dump(after)
    assert redact(after) == after


def test_no_name_chosen_by_people_is_in_the_output_of_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A machine whose owner has put their name everywhere possible."""
    mark = "ALICE"
    machine = Machine(tmp_path)
    disk = machine.disk(A, "nvme0n1", "259:0")
    for path in (disk / "serial", disk.parent / "serial", machine.tree.place(A) / "label"):
        path.write_text(mark)
    machine.mapping("dm-0", "254:0", "nvme0n1", dm_name=f"{mark}-vg")
    machine.mounts(("254:0", f"/home/{mark}", f"/dev/mapper/{mark}-vg"))
    machine.class_device("net", f"{mark}0", B, {"address": "a1:1c:e0:00:00:01", "ifalias": mark})
    machine.proc(route=f"Iface Destination Gateway\n{mark}0 00000000 0100000A 0003 0 0 0 00000000 0 0 0\n")
    tree = machine.tree
    tree.file("proc/cmdline", f"root=UUID={mark} cryptdevice={mark}:root hostname={mark} ip=10.0.0.1::{mark}:eth0\n")
    tree.file("proc/sys/kernel/hostname", f"{mark}-box\n").file("etc/hostname", f"{mark}-box\n")
    tree.file("etc/fstab", f"/dev/mapper/{mark}-vg /srv/{mark} ext4 defaults 0 0\n")
    tree.file("etc/modprobe.d/ALICE.conf", "options vfio-pci ids=8086:1533\n")
    assert main(["snapshot", "--unredacted", "--from", str(tmp_path)]) == 0
    everything = capsys.readouterr().out
    for found in (f"/home/{mark}", f"{mark}-vg", f"root=UUID={mark}", f'"{mark}0"', "ALICE.conf"):
        assert found in everything
    assert "a1:1c:e0" not in everything
    assert main(["snapshot", "--from", str(tmp_path)]) == 0
    assert mark not in capsys.readouterr().out
