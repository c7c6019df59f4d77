"""Facts from processes: owners of groups, hidden processes, and closed device nodes."""

import os
from pathlib import Path

import pytest

from iommutui.core.address import Address
from iommutui.core.host import Claim, Gap, Host
from iommutui.core.labels import driver_words
from iommutui.core.models import model_for, unbind_pending
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import plan_intents
from iommutui.sources import Depth, load, processes
from iommutui.sources.names import Names
from iommutui.sources.sysfs import scan
from iommutui.sources.tree import Tree, Unreadable
from tests.fake_tree import FakeTree

A, B, C = "0000:01:00.0", "0000:01:00.1", "0000:02:00.0"


@pytest.fixture
def tree(tmp_path: Path) -> FakeTree:
    tree = FakeTree(tmp_path / "machine").file("dev/vfio/vfio").file("dev/vfio/14").modules()
    return tree.device(A, driver="vfio-pci", group=14).device(B, group=14).device(C, driver="vfio-pci", group=15)


def read(tree: FakeTree) -> Host:
    return load(os.fspath(tree))


def test_processes_without_vfio_files_own_no_group(tree: FakeTree) -> None:
    host = read(tree.process(1, "init", "/dev/null", "socket:[1]"))
    assert [group.claim for group in host.groups.values()] == [None, None]
    assert host.gaps == ()


@pytest.mark.parametrize(
    ("files", "opened"),
    [
        (("/dev/vfio/vfio", "/dev/vfio/14"), ()),
        (("/dev/vfio/vfio", "/dev/vfio/14", "anon_inode:[vfio-device]"), (A,)),
        (("/dev/vfio/14 (deleted)", "anon_inode:[vfio-device]"), (A,)),
        (("/dev/vfio/noiommu-14",), ()),
    ],
)
def test_a_process_with_the_groups_file_owns_the_group(
    tree: FakeTree, files: tuple[str, ...], opened: tuple[str, ...]
) -> None:
    host = read(tree.process(1, "init").process(123, "qemu-system-x86", *files))
    assert host.groups[14].claim == Claim("qemu-system-x86 (pid 123)", 1, "group", opened)  # type: ignore[arg-type]
    assert host.groups[15].claim is None


@pytest.mark.parametrize("file", ["/dev/vfio/vfio", "/dev/vfio/99", "/dev/vfio/", "/tmp/dev/vfio/14", "/dev/vfio/14x"])
def test_other_files_are_no_claim(tree: FakeTree, file: str) -> None:
    assert all(group.claim is None for group in read(tree.process(9, "p", file)).groups.values())


def test_a_process_with_a_device_file_owns_the_group(tree: FakeTree) -> None:
    (tree.place(A) / "vfio-dev/vfio0").mkdir(parents=True)
    (tree.place(C) / "vfio-dev/vfio1").mkdir(parents=True)
    host = read(tree.file("dev/vfio/devices/vfio0").process(7, "vmm", "/dev/iommu", "/dev/vfio/devices/vfio0"))
    assert host.groups[14].claim == Claim("vmm (pid 7)", 1, "cdev", (host.devices[A].address,))  # type: ignore[index]
    assert host.groups[15].claim is None


def test_a_device_whose_unbind_waits_counts_as_open(tree: FakeTree) -> None:
    host = read(tree)
    group = host.groups[14]
    waiting = host.devices[group.members[1]]._replace(gaps=(Gap("driver", "unbinding"),))
    assert processes._held(host.with_device(waiting), group) == (A, B)
    assert processes._held(host, group) == (A,)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("qemu", "-name", "guest=win11,debug-threads=on"), "VM win11 (pid 123)"),
        (("qemu", "-name", "win11,process=w", "-S"), "VM win11 (pid 123)"),
        (("kvm", "-id", "100", "-name", "guest=win11", "-daemonize"), "VM 100 win11 (pid 123)"),
        (("kvm", "-id", "100"), "VM 100 (pid 123)"),
        (("qemu", "-name", "process=w,guest=a,,b"), "VM a,b (pid 123)"),
        (("qemu", "-name", "process=w"), "qemu-system-x86 (pid 123)"),
        (("qemu", "-name"), "qemu-system-x86 (pid 123)"),
        (("qemu", "-m", "1G"), "qemu-system-x86 (pid 123)"),
        ((), "qemu-system-x86 (pid 123)"),
    ],
)
def test_a_virtual_machine_is_called_by_its_name(tree: FakeTree, words: tuple[str, ...], name: str) -> None:
    tree.process(1, "init").process(123, "qemu-system-x86", "/dev/vfio/14")
    tree.file("proc/123/cmdline", "".join(word + "\0" for word in words))
    claim = read(tree).groups[14].claim
    assert claim is not None
    assert claim.owner == name


def live_host(tree: FakeTree) -> Host:
    """The Host as read with a deadline, as on a running machine."""
    machine = Tree(os.fspath(tree))
    machine.live = True
    return scan(machine, Depth.LISTING, Names())


def being_unbound(tree: FakeTree, address: str) -> FakeTree:
    """Remove the ``driver`` link; ``uevent`` still names the driver."""
    (tree.place(address) / "driver").unlink()
    return tree


def test_a_process_with_a_deleted_node_may_have_the_device_being_unbound(tree: FakeTree) -> None:
    tree.process(1, "init").process(7, "vmm", "/dev/iommu", "/dev/vfio/devices/vfio3 (deleted)")
    host = live_host(being_unbound(tree, A))
    device, group = host.devices[Address(A)], host.groups[14]
    assert device.gap("driver") == Gap("driver", "unbinding")
    assert group.claim == Claim("vmm (pid 7)", 1, "cdev", (Address(A),))
    assert unbind_pending(group, device)
    assert model_for(host.kernel).verdict(host, group).state == "user"
    plan = plan_intents(host, [Intent(Address(A), "default")], model_for("6.12.0"))
    assert "in-use" in [reason.code for reason in plan.refusals]


def test_a_reused_node_name_is_not_mistaken(tree: FakeTree) -> None:
    (tree.place(C) / "vfio-dev/vfio3").mkdir(parents=True)
    tree.process(1, "init").process(7, "vmm", "/dev/vfio/devices/vfio3 (deleted)")
    host = live_host(being_unbound(tree, A))
    assert host.groups[15].claim is None
    assert host.groups[14].claim is not None


def test_each_of_several_processes_with_deleted_nodes_may_have_the_device(tree: FakeTree) -> None:
    tree.process(1, "init").process(7, "vmm", "/dev/vfio/devices/vfio3 (deleted)")
    tree.process(8, "other", "/dev/vfio/devices/vfio4 (deleted)")
    host = live_host(being_unbound(being_unbound(tree, A), C))
    owners = {group.claim.owner if group.claim else None for group in host.groups.values()}
    assert owners == {"vmm (pid 7) or other (pid 8)"}


def test_a_host_read_before_the_unbind_identifies_the_deleted_node(tree: FakeTree) -> None:
    (tree.place(A) / "vfio-dev/vfio3").mkdir(parents=True)
    host = live_host(tree.process(1, "init"))
    assert host.groups[14].claim is None
    now = processes.claims_now(host, os.fspath(tree.process(7, "vmm", "/dev/vfio/devices/vfio3 (deleted)")))
    assert now.groups[14].claim == Claim("vmm (pid 7)", 1, "cdev", (Address(A),))


def test_a_hanging_unbind_of_a_host_driver_has_no_owner(tree: FakeTree) -> None:
    """Such as nvme on a controller that no longer answers."""
    tree.process(1, "init").device("0000:03:00.0", driver="nvme", group=16)
    host = live_host(being_unbound(tree, "0000:03:00.0"))
    verdict = model_for("6.12.0").verdict(host, host.groups[16])
    assert (verdict.viable, verdict.reasons[0].fact("why")) == (None, "unbinding")
    assert driver_words(host, host.devices[Address("0000:03:00.0")]) == "being unbound"
    assert live_host(tree).groups[14].claim is None


def test_a_device_without_a_driver_is_free(tree: FakeTree) -> None:
    host = live_host(tree.process(1, "init"))
    assert host.devices[Address(B)].gap("driver") is None
    assert driver_words(host, host.devices[Address(B)]) == "free"


def test_unreadable_processes_of_other_users_are_a_gap(tree: FakeTree, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.process(1, "init").process(2, "qemu", "/dev/vfio/14")
    files = processes._files
    monkeypatch.setattr(processes, "_files", lambda place: Unreadable("EACCES") if "/1/" in place else files(place))
    host = read(tree)
    assert host.gaps == (Gap("claims", "EACCES"),)
    assert host.groups[14].claim is not None


def test_descriptors_that_may_be_listed_but_not_read_are_a_gap(tree: FakeTree, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.process(1, "init", "/dev/null").process(2, "qemu", "/dev/vfio/14")
    readlink = os.readlink

    def denied(path: str, *, dir_fd: int | None = None) -> str:
        if "/proc/1/fd/" in path:
            raise PermissionError(13, "denied")
        return readlink(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "readlink", denied)
    host = read(tree)
    assert host.gaps == (Gap("claims", "EACCES"),)
    assert host.groups[14].claim is not None


@pytest.mark.parametrize(("pid", "hidden"), [(1, None), (2, "EPERM")])
def test_hidden_processes_are_noticed(tmp_path: Path, pid: int, hidden: str | None) -> None:
    """With ``hidepid``, users see only their own processes."""
    machine = Tree(str(FakeTree(tmp_path).process(pid, "mine").root))
    machine.live = True
    assert processes.read_open_files(machine) == ({}, hidden)


def test_without_vfio_devices_there_is_no_gap(tmp_path: Path) -> None:
    tree = FakeTree(tmp_path).device(A, group=1).file("dev/vfio/vfio").process(1, "init").modules()
    assert read(tree).gaps == ()


def test_unrecorded_processes_are_a_gap(tree: FakeTree, tmp_path: Path) -> None:
    assert read(tree).gaps == (Gap("claims", "not-recorded"),)
    without_dev = FakeTree(tmp_path / "b").device(A, driver="vfio-pci", group=1).modules()
    assert read(without_dev).gaps == (Gap("claims", "not-recorded"),)
    without_vfio = FakeTree(tmp_path / "c").device(A, driver="nvidia", group=1).modules()
    assert read(without_vfio).gaps == ()
