"""Groups and their members, complete and incomplete."""

import os

import pytest

from iommutui.core.host import Gap, Region
from tests.fake_tree import FakeTree
from tests.sources.facts import A, B, device, full


def test_groups_and_members_are_read(tree: FakeTree) -> None:
    tree.device(A, group=14).device(B)
    host = full(tree)
    assert [d.group for d in host.devices.values()] == [14, None]
    assert host.groups[14].members == (A,)


def test_group_numbers_need_not_be_consecutive(tree: FakeTree) -> None:
    tree.device(A, group=7).device(B, group=3).group(12)
    assert {n: g.members for n, g in full(tree).groups.items()} == {3: (B,), 7: (A,), 12: ()}


def test_a_link_to_an_unrecorded_group_creates_it(tree: FakeTree) -> None:
    tree.device(A).link(A, "iommu_group", "../../../kernel/iommu_groups/5")
    tree.device(B).link(B, "iommu_group", "../../../kernel/iommu_groups/none")
    host = full(tree)
    assert host.groups[5].members == (A,)
    assert host.groups[5].gap("devices") == Gap("devices", "not-recorded")
    assert device(tree, B).gap("iommu_group") == Gap("iommu_group", "malformed")


def test_a_member_without_a_link_belongs_to_its_group(tree: FakeTree) -> None:
    tree.device(A, group=5)
    (tree.place(A) / "iommu_group").unlink()
    assert device(tree).group == 5


def test_a_link_to_another_group_wins(tree: FakeTree) -> None:
    tree.device(A, group=5).group(6).link(A, "iommu_group", tree.sys / "kernel/iommu_groups/6")
    host = full(tree)
    assert {n: g.members for n, g in host.groups.items()} == {5: (), 6: (A,)}


def test_the_facts_of_a_group_are_read(tree: FakeTree) -> None:
    regions = "0x0000000000000000 0x0000000000ffffff direct-relaxable\n0x00000000fee00000 0x00000000feefffff msi\n"
    tree.device(A, group=1).group(1, type="DMA-FQ\n", name="vfio-noiommu\n", reserved_regions=regions)
    tree.device(B, group=2).group(2, reserved_regions="what\n")
    first, second = full(tree).groups.values()
    assert (first.type, first.name) == ("DMA-FQ", "vfio-noiommu")
    assert first.regions == (Region(0, 0xFFFFFF, "direct-relaxable"), Region(0xFEE00000, 0xFEEFFFFF, "msi"))
    assert (second.type, second.name, second.regions) == (None, None, ())
    assert second.gap("reserved_regions") == Gap("reserved_regions", "malformed")


def test_members_on_other_buses_are_read(tree: FakeTree) -> None:
    tree.device(A, group=1).other("HISI0162:01", group=1, driver="hisi-lpc").other("eth.0", bus="fsl-mc", group=1)
    host = full(tree)
    assert host.groups[1].members == (A, "HISI0162:01", "eth.0")
    lpc, net = list(host.devices.values())[1:]
    assert (lpc.bus, lpc.driver, lpc.group) == ("platform", "hisi-lpc", 1)
    assert (net.bus, net.driver) == ("fsl-mc", None)


def test_two_members_with_one_name_get_different_names(tree: FakeTree) -> None:
    tree.other("dev", bus="platform", group=1).other("dev", bus="amba", group=1, entry="dev.0").other(
        "dev", bus="cdx", group=2
    )
    host = full(tree)
    assert {a: d.bus for a, d in host.devices.items()} == {"dev": "platform", "dev.0": "amba", "dev.0.0": "cdx"}
    assert {n: g.members for n, g in host.groups.items()} == {1: ("dev", "dev.0"), 2: ("dev.0.0",)}


def test_a_member_without_a_recorded_directory_is_read(tree: FakeTree) -> None:
    tree.group(1)
    os.symlink("../../../../devices/platform/a/b", tree.sys / "kernel/iommu_groups/1/devices/b")
    found = device(tree, "b")
    assert (found.bus, found.driver, found.gap("driver")) == ("platform", None, Gap("driver", "not-recorded"))


def test_a_function_added_after_the_bus_was_listed_is_read(tree: FakeTree, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.device(A, group=1).device(B, group=1)
    monkeypatch.setattr("iommutui.sources.sysfs._functions", lambda _: [A])
    host = full(tree)
    assert host.groups[1].members == (A, B)
    assert set(host.devices) == {A, B}
