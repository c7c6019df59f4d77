"""Names of vendors, devices and classes."""

import os
from pathlib import Path
from typing import Any

import pytest

from iommutui.sources import Depth, load, names
from iommutui.sources.names import Known, PciIds, UdevNames, hardware_database, names_for
from iommutui.sources.tree import Tree
from tests.fake_tree import FakeTree

IDS = b"""#
# Syntax: vendor  vendor_name
0e11  Compaq Computer Corporation
\t0001  PCI to EISA Bridge
10de  NVIDIA Corporation
\t2203  GA102 [GeForce RTX 3090 Ti]
# a comment
\t2204  GA102 [GeForce RTX 3090]
\t\t1458 403b  Gaming OC
\t1458  Not a vendor
1458  Gigabyte \xff Technology
\t1000  Only one
C 02  Network controller
\t00  Ethernet controller
C 03  Display controller
\t00  VGA compatible controller
\t\t00  VGA controller
\t02  3D controller"""


@pytest.mark.parametrize(
    ("vendor", "name"),
    [
        ("10de", "NVIDIA Corporation"),
        ("0e11", "Compaq Computer Corporation"),
        ("1458", "Gigabyte \\xff Technology"),
        ("1000", None),
        ("ffff", None),
        ("", None),
    ],
)
def test_the_name_of_a_vendor(vendor: str, name: str | None) -> None:
    assert PciIds(IDS).of(None, vendor, None, None) == Known(name)


@pytest.mark.parametrize(
    ("vendor", "device", "name"),
    [
        ("10de", "2204", "GA102 [GeForce RTX 3090]"),
        ("10de", "2203", "GA102 [GeForce RTX 3090 Ti]"),
        ("1458", "1000", "Only one"),
        ("10de", "1000", None),
        ("10de", "0001", None),
        ("ffff", "2204", None),
    ],
)
def test_the_name_of_a_device(vendor: str, device: str, name: str | None) -> None:
    assert PciIds(IDS).of(None, vendor, device, None).device == name


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("030000", "VGA compatible controller"),
        ("030200", "3D controller"),
        ("038000", "Display controller"),
        ("020000", "Ethernet controller"),
        ("ff0000", None),
    ],
)
def test_the_name_of_a_class(code: str, name: str | None) -> None:
    assert PciIds(IDS).of(None, None, None, code) == Known(class_=name)


@pytest.mark.parametrize("data", [b"", b"\n", b"\n\n\n", b"\xff" * 100, b"10de  ", b"\n10de  ", b"\n10de  X\n\t2204  "])
def test_any_bytes_are_searched_without_an_error(data: bytes) -> None:
    PciIds(data).of(None, "10de", "2204", "030000")


def test_a_vendor_on_the_first_line_is_found() -> None:
    assert PciIds(b"10de  NVIDIA Corporation\n").of(None, "10de", None, None) == Known("NVIDIA Corporation")


@pytest.mark.parametrize("place", names.PLACES)
def test_the_file_is_taken_from_the_trees_own_root(tmp_path: Path, place: str) -> None:
    tree = FakeTree(tmp_path).device("0000:01:00.0", vendor="10de", device="2204", class_code="030000").file(place, IDS)
    (found,) = load(os.fspath(tree), depth=Depth.LISTING).devices.values()
    assert found.vendor_name == "NVIDIA Corporation"
    assert found.device_name == "GA102 [GeForce RTX 3090]"
    assert found.class_name == "VGA compatible controller"


def test_without_a_file_there_are_no_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "PLACES", ())
    (found,) = load(os.fspath(FakeTree(tmp_path).device("0000:01:00.0"))).devices.values()
    assert (found.vendor_name, found.device_name, found.class_name) == (None, None, None)


# -- udev


class FakeLibudev:
    """The part of libudev that is used, with a small database."""

    def __init__(self, entries: dict[bytes, list[tuple[bytes, bytes]]]) -> None:
        self.entries = entries
        self.asked: list[bytes] = []

    def udev_hwdb_new(self, context: object) -> object:
        return self

    def udev_hwdb_get_properties_list_entry(self, database: object, modalias: bytes, flags: int) -> object:
        self.asked.append(modalias)
        return self.entries.get(modalias)

    def udev_list_entry_get_name(self, entry: list[tuple[bytes, bytes]]) -> bytes:
        return entry[0][0]

    def udev_list_entry_get_value(self, entry: list[tuple[bytes, bytes]]) -> bytes:
        return entry[0][1]

    def udev_list_entry_get_next(self, entry: list[tuple[bytes, bytes]]) -> object:
        return entry[1:]


def test_udev_is_queried_by_modalias() -> None:
    lib = FakeLibudev(
        {b"pci:x": [(b"ID_VENDOR_FROM_DATABASE", b"Vendor"), (b"ID_PCI_SUBCLASS_FROM_DATABASE", b"Class \xff")]}
    )
    udev = UdevNames(lib, lib)
    assert udev.of("pci:x", "10de", "2204", "030000") == Known("Vendor", None, "Class \\xff")
    assert udev.of("pci:y", "10de", None, None) == Known()
    assert udev.of(None, None, None, None) == Known()
    assert lib.asked == [b"pci:x", b"pci:y"]


@pytest.mark.parametrize("missing", ["pyudev", "libudev", "database"])
def test_a_missing_part_of_udev_means_no_names(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    pyudev = pytest.importorskip("pyudev")

    class Context:
        def __init__(self) -> None:
            if missing == "libudev":
                raise ImportError("No library named udev")
            libudev: Any = FakeLibudev({})
            self._libudev = libudev
            self._libudev.udev_hwdb_new = lambda _: None

    monkeypatch.setattr(pyudev, "Context", Context)
    if missing == "pyudev":
        monkeypatch.setitem(__import__("sys").modules, "pyudev", None)
    hardware_database.cache_clear()
    assert hardware_database() is None
    hardware_database.cache_clear()


@pytest.mark.parametrize(("live", "ids", "expected"), [(True, False, ["udev"]), (True, True, []), (False, False, [])])
def test_udev_is_queried_only_on_a_live_machine_without_pci_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live: bool, ids: bool, expected: list[str]
) -> None:
    """udev is used on a live machine without ``pci.ids``."""
    asked: list[str] = []
    monkeypatch.setattr(names, "hardware_database", lambda: asked.append("udev"))
    monkeypatch.setattr(names, "PLACES", ("own.ids",))
    tree = Tree(str(tmp_path))
    tree.live = live
    if ids:
        (tmp_path / "own.ids").write_bytes(IDS)
    assert isinstance(names_for(tree), PciIds) is ids
    assert asked == expected


def _large(vendors: list[int]) -> PciIds:
    """A file with many vendors, of which one in seven has more devices than one step of the search reads."""
    lines = []
    for vendor in vendors:
        lines += [f"{vendor:04x}  Vendor {vendor:04x}"]
        lines += [
            f"\t{device:04x}  Device {device:04x} of {vendor:04x}" for device in range(300 if vendor % 7 == 0 else 2)
        ]
    lines += ["C 03  Display controller", "\t00  VGA compatible controller"]
    return PciIds("\n".join(["# names", *lines, ""]).encode())


@pytest.mark.parametrize("order", [1, -1])
def test_every_vendor_of_a_large_file_is_found_whatever_its_order(order: int) -> None:
    vendors = list(range(1, 3000, 3))[::order]
    ids = _large(vendors)
    found = [ids.of(None, f"{vendor:04x}", "0001", "030000") for vendor in vendors]
    assert found == [
        Known(f"Vendor {vendor:04x}", f"Device 0001 of {vendor:04x}", "VGA compatible controller") for vendor in vendors
    ]
    assert {ids.of(None, vendor, "0001", None) for vendor in ("0002", "ffff", "0bb9")} == {Known()}
