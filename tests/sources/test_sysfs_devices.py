"""Every fact of a function, present and absent."""

import os
from pathlib import Path

import pytest

from iommutui.core.address import Address
from iommutui.core.host import Bar, Device, Gap, Iommu
from iommutui.sources import Depth, load
from iommutui.sources.snapshot import dump, parse
from tests.fake_tree import FakeTree, capability
from tests.sources.facts import A, B, device, full


@pytest.mark.parametrize("uevent", [True, False])
def test_ids_are_read(tree: FakeTree, uevent: bool) -> None:
    tree.device(
        A, vendor="10de", device="2204", class_code="030000", subsystem="1458:403b", revision="a1", uevent=uevent
    )
    found = device(tree)
    assert (found.vendor_id, found.device_id, found.class_code) == ("10de", "2204", "030000")
    assert (found.subsystem_vendor_id, found.subsystem_device_id, found.revision) == ("1458", "403b", "a1")
    assert found.modalias == "pci:v000010DEd00002204sv00001458sd0000403Bbc03sc00i00"
    assert found.gaps == ()


@pytest.mark.parametrize("content", ["", "\n", "garbage", "PCI_CLASS=20000\nPCI_ID=zzzz:1\n"])
def test_ids_are_read_despite_a_useless_uevent(tree: FakeTree, content: str) -> None:
    tree.device(A, vendor="10de", files={"uevent": content})
    assert device(tree).vendor_id == "10de"


def test_a_function_without_ids_is_read(tree: FakeTree) -> None:
    nothing = dict.fromkeys(["vendor", "device", "class", "revision", "modalias", "config", "uevent"])
    tree.device(A, files={**nothing, "subsystem_vendor": None, "subsystem_device": None})
    assert device(tree) == Device(device(tree).address, fits=(), details=device(tree).details)


@pytest.mark.parametrize("content", ["8086\n", "0xzz\n", "0x123456789\n", "\n", ""])
def test_malformed_ids_are_a_gap(tree: FakeTree, content: str) -> None:
    tree.device(A, uevent=False, files={"vendor": content})
    assert device(tree).vendor_id is None
    assert device(tree).gap("vendor") == Gap("vendor", "malformed")


def test_the_revision_is_read_without_configuration_space(tree: FakeTree) -> None:
    tree.device(A, revision="0c").device(B, revision="0c", files={"revision": None})
    for address in (A, B):
        (tree.place(address) / "config").unlink()
    assert device(tree).revision == "0c"
    assert device(tree, B).revision is None
    assert device(tree).header_type is None


@pytest.mark.parametrize("header_type", [0, 1, 2])
def test_the_header_type_is_read(tree: FakeTree, header_type: int) -> None:
    tree.device(A, header_type=header_type | 0x80)
    assert (device(tree).header_type, device(tree).multifunction) == (header_type, True)


def test_a_device_of_one_function_is_recognised(tree: FakeTree) -> None:
    tree.device(A, header_type=1)
    assert (device(tree).header_type, device(tree).multifunction) == (1, False)


def test_the_pcie_type_is_read(tree: FakeTree) -> None:
    tree.device(A, config=capability(0x10, flags=0x42))
    tree.device(B, config=capability(0x10, flags=0x42)[:64])
    tree.device("0000:01:00.2", config=capability(0x05))
    tree.device("0000:01:00.3", config=capability(0x10, at=0x60, flags=0x52, header=capability(0x01, following=0x60)))
    tree.device("0000:01:00.4", config=capability(0x01, following=0x40))
    assert [d.pcie_type for d in full(tree).devices.values()] == [4, None, None, 5, None]


def test_a_device_that_fell_off_the_bus_is_recognised(tree: FakeTree) -> None:
    tree.device(A, revision="a1", config=b"\xff" * 64).device(B)
    details = device(tree).details
    assert details is not None
    assert details.config_answers is False
    assert (device(tree).revision, device(tree).header_type) == ("a1", None)
    other = device(tree, B).details
    assert other is not None
    assert other.config_answers is True


def test_a_virtual_function_without_ids_counts_as_responding(tree: FakeTree) -> None:
    tree.device(A).device(B, config=b"\xff\xff\xff\xff" + bytes(60)).link(B, "physfn", tree.place(A))
    details = device(tree, B).details
    assert details is not None
    assert details.config_answers is True


def test_the_driver_is_read(tree: FakeTree) -> None:
    tree.device(A, driver="nvidia").device(B)
    assert device(tree).driver == "nvidia"
    assert device(tree, B).driver is None


def test_the_driver_link_decides_not_the_uevent(tree: FakeTree) -> None:
    tree.device(A, driver="vfio-pci")
    (tree.place(A) / "driver").unlink()
    assert device(tree).driver is None
    tree.bind(A, "nvidia")
    assert device(tree).driver == "nvidia"


def test_a_driver_that_is_not_a_link_is_unknown(tree: FakeTree) -> None:
    tree.device(A, files={"driver": "nvidia"})
    assert device(tree).driver is None
    assert device(tree).gap("driver") == Gap("driver", "EINVAL")


@pytest.mark.parametrize(
    ("content", "override"),
    [
        ("(null)\n", None),
        ("\n", None),
        ("", None),
        (None, None),
        ("vfio-pci\n", "vfio-pci"),
        (" vfio-pci\n", " vfio-pci"),
        ("a b\r\n", "a b\r"),
        ("vfio-pci", "vfio-pci"),
    ],
)
def test_the_override_is_read(tree: FakeTree, content: str | None, override: str | None) -> None:
    tree.device(A, files={"driver_override": content})
    assert device(tree).driver_override == override
    assert device(tree).gaps == ()


def test_names_that_are_not_utf8_are_escaped(tree: FakeTree) -> None:
    tree.device(A, files={"driver_override": b"\xff\x1b\n"})
    os.symlink(b"../../../bus/pci/drivers/\xffdriver", os.fsencode(tree.place(A) / "driver"))
    assert device(tree).driver == "\\xffdriver"
    assert device(tree).driver_override == "\\xff\x1b"


def test_the_parent_is_read(tree: FakeTree) -> None:
    tree.device("0000:00:01.0").device(A, parent="0000:00:01.0")
    assert device(tree).parent == "0000:00:01.0"
    assert device(tree, "0000:00:01.0").parent is None


def test_the_parent_across_a_vmds_domain_is_read(tree: FakeTree) -> None:
    tree.device("0000:00:0e.0")
    place = tree.place("0000:00:0e.0") / "pci10000:e0/10000:e0:06.0"
    place.mkdir(parents=True)
    (place / "vendor").write_text("0x8086\n")
    (tree.sys / "bus/pci/devices/10000:e0:06.0").symlink_to(place)
    host = full(tree)
    assert list(host.devices) == ["0000:00:0e.0", "10000:e0:06.0"]
    assert device(tree, "10000:e0:06.0").parent == "0000:00:0e.0"


def test_devices_are_ordered_by_domain(tree: FakeTree) -> None:
    for address in ("10000:00:00.0", "0001:00:00.0", "ffff:00:00.0", "0000:ff:1f.7", "0000:00:02.0"):
        tree.device(address)
    assert list(full(tree).devices) == ["0000:00:02.0", "0000:ff:1f.7", "0001:00:00.0", "ffff:00:00.0", "10000:00:00.0"]


def test_boot_vga_is_read(tree: FakeTree) -> None:
    tree.device(A, files={"boot_vga": "1\n"}).device(B, files={"boot_vga": "0\n"}).device("0000:02:00.0")
    assert [d.boot_vga for d in full(tree).devices.values()] == [True, False, None]


def test_virtual_functions_are_read(tree: FakeTree) -> None:
    tree.device(A, files={"sriov_totalvfs": "64\n", "sriov_numvfs": "11\n"})
    virtual = [f"0000:02:0{number // 8}.{number % 8}" for number in range(11)]
    for number, address in enumerate(virtual):
        tree.device(address).link(address, "physfn", tree.place(A))
        tree.link(A, f"virtfn{number}", tree.place(address))
    found = device(tree)
    assert found.virtfns == tuple(virtual)
    assert found.physfn is None
    assert device(tree, virtual[3]).physfn == A
    assert found.details is not None
    assert (found.details.sriov_totalvfs, found.details.sriov_numvfs) == (64, 11)


def test_vfio_dev_is_read(tree: FakeTree) -> None:
    tree.device(A, driver="vfio-pci").device(B)
    (tree.place(A) / "vfio-dev/vfio0").mkdir(parents=True)
    assert device(tree).vfio_dev == ("vfio0",)
    assert device(tree, B).vfio_dev is None
    (tree.place(B) / "vfio-dev").mkdir()
    assert device(tree, B).vfio_dev == ()


def test_iommus_are_read(tree: FakeTree) -> None:
    tree.iommu("dmar0", "intel-iommu").iommu("dmar1").device(A).link(A, "iommu", "../../virtual/iommu/dmar1").device(B)
    host = full(tree)
    assert [d.iommu for d in host.devices.values()] == ["dmar1", None]
    assert host.iommus == (Iommu("dmar0", "intel-iommu"), Iommu("dmar1", None))


@pytest.mark.parametrize(
    ("cap", "width"), [("d2008c40660462", 39), ("8d2078c106f0466", 48), ("zz", None), (None, None)]
)
def test_the_width_of_an_iommu_is_read(tree: FakeTree, cap: str | None, width: int | None) -> None:
    tree.iommu("dmar0", "intel-iommu").device(A)
    if cap is not None:
        (tree.sys / "class/iommu/dmar0/intel-iommu/cap").write_text(f"{cap}\n")
    assert full(tree).iommus == (Iommu("dmar0", "intel-iommu", width=width),)


def test_the_interrupt_line_is_read(tree: FakeTree) -> None:
    tree.device(A).device(B)
    (tree.place(A) / "irq").write_text("16\n")
    lines = [each.details.irq for each in full(tree).devices.values() if each.details is not None]
    assert lines == [16, None]


def test_a_function_that_is_an_iommu_has_no_gap(tree: FakeTree) -> None:
    tree.device(A).device(B, files={"iommu/ivhd0/uevent": ""})
    place = tree.place(B) / "iommu/ivhd0"
    (tree.sys / "class/iommu").mkdir(parents=True)
    os.symlink(os.path.relpath(place, tree.sys / "class/iommu"), tree.sys / "class/iommu/ivhd0")
    (place / "amd-iommu").mkdir()
    host = full(tree)
    assert host.iommus == (Iommu("ivhd0", "amd-iommu", Address(B)),)
    assert [(d.iommu, d.gap("iommu")) for d in host.devices.values()] == [(None, None), (None, None)]
    (tree.place(A) / "iommu").write_text("")
    assert full(tree).devices[Address(A)].gap("iommu") == Gap("iommu", "EINVAL")


def test_a_missing_iommu_directory_differs_from_an_empty_one(tree: FakeTree) -> None:
    assert full(tree.device(A)).iommus is None
    (tree.sys / "class/iommu").mkdir(parents=True)
    assert full(tree).iommus == ()


def test_interfaces_are_read(tree: FakeTree) -> None:
    tree.device(A).device(B, driver="virtio-pci").device("0000:02:00.0", driver="nvme")
    for path in (f"{A}/net/eth1", f"{A}/net/eth0", f"{B}/virtio3/net/ens4"):
        address, _, rest = path.partition("/")
        (tree.place(address) / rest).mkdir(parents=True)
    assert [d.interfaces for d in full(tree).devices.values()] == [("eth0", "eth1"), ("ens4",), ()]


def test_details_are_read(tree: FakeTree) -> None:
    resource = [f"0x{0:016x} 0x{0:016x} 0x{0:016x}"] * 13
    resource[1] = "0x000000fc00000000 0x000000fc00ffffff 0x000000000014220c"
    tree.device(
        A,
        files={
            "resource": "\n".join(resource) + "\n",
            "numa_node": "-1\n",
            "power_state": "D3hot\n",
            "d3cold_allowed": "1\n",
            "reset_method": "flr bus\n",
            "current_link_speed": "2.5 GT/s PCIe\n",
            "max_link_width": "16\n",
        },
    )
    found = device(tree).details
    assert found is not None
    assert found.bars == (Bar(1, 0xFC00000000, 0x1000000, 0x14220C),)
    assert (found.numa_node, found.power_state, found.d3cold_allowed) == (-1, "D3hot", True)
    assert (found.reset_methods, found.link_speed, found.max_link_width) == (("flr", "bus"), "2.5 GT/s PCIe", "16")
    assert (found.link_width, found.sriov_totalvfs) == (None, None)


@pytest.mark.parametrize(("kernel", "methods"), [("5.14.9", None), ("5.15.0", ()), ("6.1.0", ()), (None, None)])
def test_a_missing_reset_method_means_none_from_5_15(
    tmp_path: Path, kernel: str | None, methods: tuple[str, ...] | None
) -> None:
    tree = FakeTree(tmp_path, kernel=kernel).device(A).device(B, files={"reset_method": "flr\n"})
    found = full(tree).devices[Address(A)].details
    assert found is not None
    assert found.reset_methods == methods


def test_without_any_reset_method_they_count_as_not_recorded(tmp_path: Path) -> None:
    found = device(FakeTree(tmp_path, kernel="6.1.0").device(A)).details
    assert found is not None
    assert found.reset_methods is None


def test_malformed_resources_are_a_gap(tree: FakeTree) -> None:
    tree.device(A, files={"resource": "0x0 0x1\n"})
    found = device(tree)
    assert found.details is not None
    assert found.details.bars is None
    assert found.gap("resource") == Gap("resource", "malformed")


def test_a_number_longer_than_a_kernel_writes_can_still_be_saved(tree: FakeTree) -> None:
    tree.device(A, files={"resource": f"0x0 0x{'f' * 4000} 0x200\n"})
    assert parse(dump(full(tree)), "x") == full(tree)


def test_the_listing_has_no_details(tree: FakeTree) -> None:
    tree.device(A, group=1).link(A, "iommu", "../../virtual/iommu/dmar0").group(1, name="x\n")
    host = load(os.fspath(tree), depth=Depth.LISTING)
    assert [(d.details, d.fits) for d in host.devices.values()] == [(None, None)]
    everything = full(tree)
    assert host == everything._replace(
        devices={a: d._replace(details=None, fits=None) for a, d in everything.devices.items()},
        groups={n: g._replace(name=None) for n, g in everything.groups.items()},
        gaps=(),
        uses=host.uses,
    )
