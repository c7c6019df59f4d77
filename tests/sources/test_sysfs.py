"""The machine as a whole, and faults during the scan."""

import os
import stat
from pathlib import Path

import pytest

from iommutui.core.errors import SourceError
from iommutui.core.host import Driver, Gap
from iommutui.sources import load
from iommutui.sources import pci as pci_module
from iommutui.sources.tree import Node
from tests.fake_tree import FakeTree
from tests.sources.facts import ROOT, A, B, device, full


def test_kernel_command_line_processor_and_drivers_are_read(tree: FakeTree) -> None:
    tree.device(A).driver("nvidia", "nvidia").driver("pcieport").file("proc/cmdline", "quiet intel_iommu=on\n")
    tree.file("proc/cpuinfo", "processor\t: 0\nvendor_id\t: GenuineIntel\n" + "x" * 5000)
    host = full(tree)
    assert (host.kernel, host.cmdline, host.cpu_vendor) == ("6.1.0-fake", "quiet intel_iommu=on", "GenuineIntel")
    assert host.drivers == (Driver("nvidia", "nvidia"), Driver("pcieport", None))


def test_a_bare_sysfs_is_read(tmp_path: Path) -> None:
    host = full(FakeTree(tmp_path, bare=True).device(A, driver="nvidia", group=3))
    assert (host.kernel, host.cmdline, host.cpu_vendor) == (None, None, None)
    assert host.groups[3].members == (A,)
    assert load(str(tmp_path), kernel="5.4.0").kernel == "5.4.0"


def test_another_kernel_changes_no_other_recorded_fact(tree: FakeTree) -> None:
    tree.device(A).modules("pci:v00008086d*sv*sd*bc*sc*i* e1000e")
    host = load(os.fspath(tree), kernel="5.4.0")
    assert host == full(tree)._replace(kernel="5.4.0")
    assert [f.driver for d in host.devices.values() for f in d.fits or ()] == ["e1000e"]


@pytest.mark.parametrize(
    ("made", "what"),
    [
        ([], "is not a recorded machine"),
        (["sys/bus/usb"], "this kernel has no PCI"),
        (["bus/pci"], "this kernel has no PCI"),
        (["sys"], "is not a recorded machine"),
    ],
)
def test_a_directory_without_a_machine_is_an_error(tmp_path: Path, made: list[str], what: str) -> None:
    for path in made:
        (tmp_path / path).mkdir(parents=True)
    with pytest.raises(SourceError) as caught:
        load(str(tmp_path))
    assert what in caught.value.what
    assert caught.value.remedy


def test_a_machine_without_devices_is_read(tree: FakeTree) -> None:
    assert full(tree).devices == {}


def test_entries_with_impossible_names_are_not_functions(tree: FakeTree) -> None:
    tree.device(A)
    for name in (b"README", b"0000:0A:00.0", b"\xff\xfe", b"0000:00:00.0 "):
        os.mkdir(os.fsencode(tree.sys / "bus/pci/devices") + b"/" + name)
    assert list(full(tree).devices) == [A]


def test_a_function_removed_before_it_is_read_is_left_out(tree: FakeTree) -> None:
    tree.device(A).device(B)
    os.symlink("../../../devices/gone", tree.sys / "bus/pci/devices/0000:02:00.0")
    assert list(full(tree).devices) == [A, B]


def test_a_function_removed_while_it_is_read_is_left_out(tree: FakeTree, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.device(A, group=1).device(B, group=1)
    read_ids = pci_module._ids

    def remove_then_read(node: Node, live: bool) -> tuple[str | None, ...]:
        link = tree.sys / "bus/pci/devices" / B
        if not link.is_symlink():
            return read_ids(node, live)
        link.unlink()
        for name in os.listdir(tree.place(B)):
            (tree.place(B) / name).unlink()
        return read_ids(node, live)

    monkeypatch.setattr(pci_module, "_ids", remove_then_read)
    monkeypatch.setattr("iommutui.sources.sysfs._functions", lambda _: [B, A])
    host = full(tree)
    assert list(host.devices) == [A]
    assert host.groups[1].members == (A,)


@ROOT
def test_attributes_without_permission_are_gaps(tree: FakeTree) -> None:
    tree.device(A, driver="nvidia")
    for name in ("driver_override", "config", "uevent"):
        (tree.place(A) / name).chmod(0)
    found = device(tree)
    assert set(found.gaps) == {Gap(n, "EACCES") for n in ("driver_override", "config", "uevent")}
    assert (found.vendor_id, found.driver) == ("8086", "nvidia")


def test_unreadable_attributes_are_gaps(tree: FakeTree) -> None:
    """A directory in place of a file fails even for root."""
    tree.device(A, files={"driver_override": None, "config": None})
    (tree.place(A) / "driver_override").mkdir()
    (tree.place(A) / "config").mkdir()
    found = device(tree)
    assert found.gap("driver_override") == Gap("driver_override", "EISDIR")
    assert found.gap("config") == Gap("config", "EISDIR")


def test_a_fifo_in_a_recorded_tree_does_not_block(tree: FakeTree) -> None:
    tree.device(A, files={"driver_override": None})
    os.mkfifo(tree.place(A) / "driver_override")
    assert stat.S_ISFIFO(os.stat(tree.place(A) / "driver_override").st_mode)
    assert device(tree).driver_override is None


def test_a_link_in_place_of_a_file_is_not_followed(tree: FakeTree, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret\n")
    tree.device(A, files={"driver_override": None}).link(A, "driver_override", tmp_path / "secret")
    assert device(tree).driver_override is None
    assert device(tree).gap("driver_override") == Gap("driver_override", "ELOOP")


def test_a_device_in_d3cold_is_not_woken(tree: FakeTree, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.device(A, files={"power_state": "D3cold\n"}).device(B, files={"power_state": "D0\n"})
    monkeypatch.setattr("iommutui.sources.tree._is_running_kernel", lambda _: True)
    host = full(tree)
    first, second = host.devices.values()
    assert (first.header_type, first.gap("config")) == (None, Gap("config", "asleep"))
    assert (second.header_type, second.gap("config")) == (0, None)
    assert first.vendor_id == "8086"


def test_virtual_functions_of_a_running_machine_are_counted(tree: FakeTree, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading ``sriov_numvfs`` takes the device's lock, which a waiting unbind holds."""
    tree.device(A, files={"sriov_numvfs": "7\n"}).device(B).link(A, "virtfn0", tree.place(B))
    monkeypatch.setattr("iommutui.sources.tree._is_running_kernel", lambda _: True)
    assert [d.details.sriov_numvfs for d in full(tree).devices.values() if d.details] == [1, None]
