"""Interrupt remapping and the parameters of VFIO's modules, as far as they are visible."""

import os
from pathlib import Path

import pytest

from iommutui.core.host import Host, VfioParameters
from iommutui.sources import Depth, load
from tests.fake_tree import FakeTree

A = "0000:01:00.0"
REMAPPED = (
    "           CPU0\n   2:          0   IR-IO-APIC    2-edge      timer\n  24:  9  IR-PCI-MSI 1-edge  xhci_hcd\n"
)
PLAIN = "      CPU0\n   2:          0   IO-APIC    2-edge      timer\n  24:  9  PCI-MSIX-0000:01:00.0 0-edge  nvme0q0\n"
ARM = "           CPU0\n  13:          4   ITS-MSI 524288 Edge      nvme0q0\n"


@pytest.fixture
def tree(tmp_path: Path) -> FakeTree:
    return FakeTree(tmp_path).device(A, group=1).iommu("dmar0", "intel-iommu").modules()


def read(tree: FakeTree) -> Host:
    return load(os.fspath(tree))


@pytest.mark.parametrize(("text", "remapping"), [(REMAPPED, True), (PLAIN, False), (ARM, None), ("", None)])
def test_the_names_of_interrupt_chips_show_remapping(tree: FakeTree, text: str, remapping: bool | None) -> None:
    assert read(tree.file("proc/interrupts", text)).interrupt_remapping is remapping


@pytest.mark.parametrize(
    ("cmdline", "remapping"),
    [("quiet intremap=off", False), ("nointremap", False), ("intremap=nosid,off", False), ("intremap=on", None),
     ("intremap=nosid", None), ("xintremap=off", None)],
)  # fmt: skip
def test_without_recorded_interrupts_the_command_line_shows_remapping(
    tree: FakeTree, cmdline: str, remapping: bool | None
) -> None:
    assert read(tree.file("proc/cmdline", cmdline + "\n")).interrupt_remapping is remapping
    assert read(tree.file("proc/interrupts", REMAPPED)).interrupt_remapping is True


@pytest.mark.parametrize(("ecap", "remapping"), [("f0101a", None), ("f01012", False), ("x", None)])
def test_a_register_of_intel_iommus_shows_missing_remapping(tree: FakeTree, ecap: str, remapping: bool | None) -> None:
    tree.file("sys/class/iommu/dmar0/intel-iommu/ecap", ecap + "\n")
    assert read(tree).interrupt_remapping is remapping


def test_the_parameters_of_loaded_modules_are_read(tree: FakeTree) -> None:
    assert read(tree).vfio == VfioParameters()
    tree.file("sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "Y\n")
    tree.file("sys/module/iommufd/parameters/allow_unsafe_interrupts", "N\n")
    tree.file("sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n")
    tree.file("proc/cmdline", "vfio_iommu_type1.allow_unsafe_interrupts=0 iommufd.allow_unsafe_interrupts=1\n")
    assert read(tree).vfio == VfioParameters(True, False, True)


def test_the_parameters_that_a_module_will_get_are_read(tree: FakeTree) -> None:
    tree.file("proc/cmdline", "vfio-iommu-type1.allow_unsafe_interrupts=1 vfio.enable_unsafe_noiommu_mode=0\n")
    tree.file("etc/modprobe.d/a.conf", "options iommufd x=1 allow_unsafe_interrupts=1\n")
    tree.file("etc/modprobe.d/b", "options vfio enable_unsafe_noiommu_mode=1\n")
    assert read(tree).vfio == VfioParameters(True, True, False)
    assert read(tree.file("proc/cmdline", "quiet\n")).vfio == VfioParameters(None, True, None)


def test_a_bare_sysfs_has_parameters_and_no_command_line(tmp_path: Path) -> None:
    tree = FakeTree(tmp_path, bare=True).device(A, group=1)
    tree.file("module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n")
    assert read(tree).vfio == VfioParameters(noiommu=True)


def test_a_listing_also_reads_the_name_of_a_group_without_an_iommu(tmp_path: Path) -> None:
    tree = FakeTree(tmp_path).device(A, group=0, driver="vfio-pci").group(0, name="vfio-noiommu\n", type="unknown\n")
    assert load(os.fspath(tree), depth=Depth.LISTING).groups[0].name == "vfio-noiommu"
