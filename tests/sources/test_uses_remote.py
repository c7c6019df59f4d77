"""Network storage, found in trees of files: it needs the network device that leads to its server."""

from pathlib import Path

import pytest

from iommutui.core.address import Address
from iommutui.core.hazards import Severity
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import Plan, plan_intents
from iommutui.core.redact import redact
from iommutui.core.uses import Held
from iommutui.core.wording import sentence
from tests.sources.test_uses_network import DEFAULT4, LINK4, ROUTES
from tests.sources.test_uses_stacks import OWNER, mountinfo
from tests.sources.used import A, B, C, Machine

NFS = "0:40 / {} rw - nfs4 {} rw,addr={}"


def plan(machine: Machine, *addresses: Address) -> Plan:
    return plan_intents(machine.host(), [Intent(address, "none") for address in addresses], OWNER)


def refusal(machine: Machine, *addresses: Address) -> str:
    """Why freeing these devices is refused; empty if it is permitted."""
    return " ".join(sentence(reason) for reason in plan(machine, *addresses).refusals)


@pytest.fixture
def nets(machine: Machine) -> Machine:
    """The default route goes through A, 192.168.1.0/24 through B; C has no address."""
    for name, address in (("eth0", A), ("eth1", B), ("eth2", C)):
        machine.class_device("net", name, address)
    machine.proc(route=ROUTES + DEFAULT4.format("eth0") + LINK4.format("eth1"))
    return machine


@pytest.mark.parametrize(
    ("server", "needed"),
    [("192.168.1.7", B), ("10.9.8.7", A), ("server", None), ("127.0.0.1", C)],
)
def test_root_on_nfs_needs_the_device_that_leads_to_the_server(
    nets: Machine, server: str, needed: Address | None
) -> None:
    mountinfo(nets, NFS.format("/", "server:/export", server))
    found = {address for address in (A, B, C) if "comes from a server" in refusal(nets, address)}
    perhaps = {address for address in (A, B, C) if "may come from a server" in refusal(nets, address)}
    if needed is None:
        assert (found, perhaps) == (set(), {A, B})
    else:
        assert (found, perhaps) == ({needed} - {C}, set())
    if needed == B:
        assert "/ comes from a server through 0000:02:00.0 (/ ← server:/export ← eth1)." in refusal(nets, B)
        assert "leave this network device to the host" in refusal(nets, B)


@pytest.mark.parametrize(
    ("line", "needed"),
    [
        ("0:40 / /srv rw - nfs nas:/srv rw,vers=3,addr=192.168.1.7,mountaddr=192.168.1.7", B),
        ("0:40 / /srv rw - cifs //192.168.1.7/share rw,username=me,addr=192.168.1.7", B),
        ("0:40 / /srv rw - ceph 192.168.1.7:6789,192.168.1.8:6789:/ rw", B),
        ("0:40 / /srv rw - ceph me@0a-1b.fs=/ rw,mon_addr=192.168.1.7:6789/192.168.1.8:6789", B),
        ("0:40 / /srv rw - fuse.glusterfs 192.168.1.7:/vol rw", B),
        ("0:40 / /srv rw - fuse.sshfs me@192.168.1.7:/home rw", B),
        ("0:40 / /srv rw - 9p 192.168.1.7 rw,trans=tcp", B),
        ("0:40 / /srv rw - 9p share rw,trans=virtio", None),
        ("0:40 / /srv rw - tmpfs 192.168.1.7:/srv rw", None),
        ("0:40 / /srv rw - nfs4 [fd00::7]:/srv rw,addr=fd00::7", C),
    ],
)
def test_a_mount_names_its_server(nets: Machine, line: str, needed: Address | None) -> None:
    fd00 = "fd" + "0" * 30
    nets.proc(ipv6_route=f"{fd00} 40 {'0' * 32} 00 {'0' * 32} 00000100 1 0 00000001 eth2\n")
    mountinfo(nets, line)
    refusing = {address for address in (A, B, C) if "/srv comes from a server" in refusal(nets, address)}
    assert refusing == ({needed} if needed else set())
    if needed:
        assert "umount /srv" in refusal(nets, needed)


def test_a_server_without_an_address_needs_one_device_to_remain(nets: Machine) -> None:
    mountinfo(nets, "0:40 / /srv rw - fuse.glusterfs nas:/vol rw")
    assert refusal(nets, A) == refusal(nets, B) == refusal(nets, C) == ""
    (warned,) = [h for h in plan(nets, A).hazards if h.code == "network-mount"]
    assert warned.severity is Severity.WARN
    assert "/srv may come from a server" in refusal(nets, A, B)


def test_without_recorded_routes_any_interface_may_lead_to_the_server(nets: Machine) -> None:
    (nets.tree.root / "proc/net/route").unlink()
    mountinfo(nets, NFS.format("/", "server:/export", "192.168.1.7"))
    assert all("/ may come from a server" in refusal(nets, address) for address in (A, B, C))


def test_a_bond_keeps_working_without_one_member(machine: Machine) -> None:
    bond = machine.class_device("net", "bond0", "virtual")
    (bond / "bonding").mkdir()
    for name, address in (("eth0", A), ("eth1", B)):
        machine.class_device("net", name, address)
        (bond / f"lower_{name}").symlink_to(f"../{name}")
    machine.proc(route=ROUTES + DEFAULT4.format("bond0"))
    mountinfo(machine, NFS.format("/", "server:/export", "10.0.0.1"))
    assert refusal(machine, A) == refusal(machine, B) == ""
    assert "/ comes from a server" in refusal(machine, A, B)


def iscsi(machine: Machine, name: str, number: str, session: int, server: str) -> None:
    place = f"platform/host{session}/session{session}/target{session}:0:0/{session}:0:0:0"
    machine.class_device("block", name, place, {"dev": number, "size": "9"})
    machine.tree.file(f"sys/class/iscsi_connection/connection{session}:0/address", server + "\n")


def test_root_on_iscsi_needs_its_device_unless_another_path_remains(nets: Machine) -> None:
    iscsi(nets, "sda", "8:0", 1, "192.168.1.7")
    nets.mounts(("8:0", "/", "/dev/sda"))
    assert "/ comes from a server through 0000:02:00.0 (/ ← sda ← eth1)." in refusal(nets, B)
    assert refusal(nets, A) == ""
    iscsi(nets, "sdb", "8:16", 2, "10.0.0.7")
    nets.mapping("dm-0", "254:0", "sda", "sdb", dm_name="mpatha", dm_uuid="mpath-360")
    nets.mounts(("254:0", "/", "/dev/mapper/mpatha"))
    assert refusal(nets, A) == refusal(nets, B) == ""
    assert "/ comes from a server" in refusal(nets, A, B)


def test_root_on_nvme_over_tcp_needs_its_device(nets: Machine) -> None:
    subsystem = nets.tree.sys / "devices/virtual/nvme-subsystem/nvme-subsys0"
    controller = nets.tree.sys / "devices/virtual/nvme-fabrics/ctl/nvme0"
    (subsystem / "nvme0n1").mkdir(parents=True)
    (subsystem / "nvme0n1/dev").write_text("259:0\n")
    controller.mkdir(parents=True)
    (controller / "address").write_text("traddr=192.168.1.7,trsvcid=4420,host_traddr=192.168.1.2\n")
    (subsystem / "nvme0").symlink_to("../../nvme-fabrics/ctl/nvme0")
    (nets.tree.sys / "class/block/nvme0n1").symlink_to("../../devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1")
    nets.mounts(("259:0", "/", "/dev/nvme0n1"))
    assert "/ comes from a server" in refusal(nets, B)
    assert refusal(nets, A) == ""


@pytest.mark.parametrize("name", ["nbd0", "rbd3", "drbd1"])
def test_a_network_disk_with_an_unknown_server_may_use_any_device(nets: Machine, name: str) -> None:
    nets.class_device("block", name, "virtual", {"dev": "43:0", "size": "9"})
    nets.mounts(("43:0", "/", f"/dev/{name}"))
    assert "/ may come from a server" in refusal(nets, A)
    assert "/ may come from a server" in refusal(nets, B)
    assert refusal(nets, C) == ""


def test_a_swap_file_or_a_live_image_on_a_server_needs_the_device(nets: Machine) -> None:
    nets.class_device("block", "loop0", "virtual", {"dev": "7:0", "loop/backing_file": "/run/nfs/root.squashfs"})
    mountinfo(nets, NFS.format("/run/nfs", "server:/export", "192.168.1.7"), "7:0 / / ro - squashfs /dev/loop0 ro")
    nets.proc(swaps="Filename Type\n/run/nfs/swap file 1 0 -2\n")
    uses = [use for use in nets.uses().storage if use.held is Held.REMOTE]
    assert {(use.device, use.what) for use in uses} == {(B, ("/", "/run/nfs")), (B, ("[SWAP]",))}
    assert "The system runs from it" in refusal(nets, B)


def test_no_shared_output_names_a_server(nets: Machine) -> None:
    mountinfo(nets, NFS.format("/home/me", "secret:/export", "192.168.1.7"))
    uses = redact(nets.host()).uses
    assert uses is not None
    assert {(use.device, use.what, use.chain) for use in uses.storage} == {(B, ("(mount)",), ("(volume)", "(volume)"))}


def test_a_disk_behind_its_own_function_is_not_a_network_disk(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.disk(A, "sda", "8:0")
    machine.mounts(("8:0", "/", "/dev/sda"))
    assert [use.held for use in machine.storage(*Held) if use.device == A] == [Held.MOUNT, Held.DISK]
