"""The guest is what the other tests assume."""

import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from . import pci

VERSIONS = {"bullseye": "5.10.", "bookworm": "6.1.", "trixie": "6.12."}
STATUS_WITHOUT_NODE = {"node": False, "open": "ENOENT", "viable": None, "container": None}
VIABLE = {"node": True, "open": "OK", "viable": True, "container": False}

Ask = Callable[[int], dict[str, Any]]
needs_gpu = pytest.mark.skipif(os.environ.get("IOMMUTUI_GUEST") != "gpu", reason="needs the topology gpu")


def test_the_requested_kernel_runs() -> None:
    assert platform.release().startswith(VERSIONS.get(os.environ["IOMMUTUI_GUEST_KERNEL"], ""))


def test_tests_run_as_root() -> None:
    assert os.geteuid() == 0


def test_devices_are_in_groups() -> None:
    grouped = [address for path in pci.GROUPS.iterdir() for address in pci.members(int(path.name))]
    assert sorted(grouped) == pci.devices()


def test_udev_runs_and_native_drivers_are_bound(infrastructure: frozenset[str]) -> None:
    assert Path("/run/udev/control").exists()
    assert {pci.driver(address) for address in infrastructure} == {"virtio-pci"}
    assert "e1000e" in {pci.driver(address) for address in pci.devices()}


def test_vfio_drivers_are_loaded() -> None:
    assert (pci.DRIVERS / "vfio-pci").is_dir()
    assert (pci.DRIVERS / "pci-stub").is_dir()
    assert Path("/dev/vfio/vfio").exists()


@needs_gpu
@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ("0000:01:00.0", ["0000:01:00.0", "0000:01:00.1", "0000:01:00.2", "0000:01:00.3"]),
        ("0000:02:00.0", ["0000:00:03.0", "0000:02:00.0", "0000:02:00.1"]),
        ("0000:00:04.0", ["0000:00:04.0", "0000:00:04.1", "0000:00:04.2"]),
        ("0000:00:05.0", ["0000:00:05.0"]),
    ],
)
def test_the_cards_have_the_expected_groups(first: str, expected: list[str]) -> None:
    assert pci.members(pci.group(first)) == expected


@needs_gpu
def test_one_display_is_the_boot_display() -> None:
    boot = [a for a in pci.devices() if (pci.DEVICES / a / "boot_vga").is_file()]
    primary = [a for a in boot if (pci.DEVICES / a / "boot_vga").read_text().strip() == "1"]
    assert primary == ["0000:00:01.0"]


@needs_gpu
def test_a_device_alone_in_its_group_becomes_viable(restored: pci.State, vfio_status: Ask) -> None:
    number = pci.group("0000:00:05.0")
    assert vfio_status(number) == STATUS_WITHOUT_NODE
    pci.bind("0000:00:05.0", "vfio-pci")
    assert pci.wait_for(Path(f"/dev/vfio/{number}").exists)
    assert vfio_status(number) == VIABLE


@needs_gpu
def test_the_last_device_makes_its_group_viable(restored: pci.State, vfio_status: Ask) -> None:
    number = pci.group("0000:01:00.0")
    *others, last = pci.members(number)
    for address in others:
        pci.bind(address, "vfio-pci")
    assert pci.wait_for(Path(f"/dev/vfio/{number}").exists)
    assert vfio_status(number) == VIABLE | {"viable": False}
    pci.bind(last, "pci-stub")
    assert vfio_status(number) == VIABLE


@needs_gpu
def test_a_claimed_group_is_busy(vfio_hold: Callable[..., dict[str, Any]], vfio_status: Ask) -> None:
    number = pci.group("0000:00:05.0")
    pci.bind("0000:00:05.0", "vfio-pci")
    assert pci.wait_for(Path(f"/dev/vfio/{number}").exists)
    claim = vfio_hold(number, "--devices")
    process = claim.pop("process")
    assert claim == {
        "group": number,
        **dict.fromkeys(("open", "container", "set_container", "set_iommu"), "OK"),
        "devices": {"0000:00:05.0": "OK"},
    }
    assert vfio_status(number)["open"] == "EBUSY"
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert vfio_status(number) == VIABLE
