"""Devices in use on a real machine: a preview names what the host would lose."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from .disk import DISK, run
from .program import NOBODY, Answer

pytestmark = pytest.mark.skipif(os.environ.get("IOMMUTUI_GUEST") != "gpu", reason="needs the topology gpu")

VGA, NIC = "0000:00:01.0", "0000:00:05.0"


@pytest.fixture
def interface() -> Iterator[str]:
    """A network interface with an address and the default route."""
    name = os.listdir(f"/sys/bus/pci/devices/{NIC}/net")[0]
    run("ip", "address", "add", "192.0.2.2/24", "dev", name)
    run("ip", "link", "set", name, "up")
    run("ip", "route", "add", "default", "via", "192.0.2.1")
    yield name
    run("ip", "address", "flush", "dev", name)
    run("ip", "link", "set", name, "down")


def hazards(*intents: str, prefix: Sequence[str] = (), **variables: str) -> dict[str, dict[str, Any]]:
    """The hazards in a preview, by code."""
    command = [*prefix, sys.executable, "-m", "iommutui", "preview", "--json", *intents]
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **variables}
    )  # fmt: skip
    return {hazard["code"]: hazard for hazard in Answer(result).document["hazards"]}


def test_a_mounted_disk_is_a_hazard(mounted: Path) -> None:
    found = hazards(f"{DISK}=vfio-pci")["disk-mounted"]
    assert (found["severity"], found["device"]) == ("danger", DISK)
    assert found["facts"]["what"] == str(mounted)
    assert found["facts"]["chain"] == f"{mounted} ← nvme0n1"


def test_a_disk_with_swap_is_a_hazard(swap: None) -> None:
    found = hazards(f"{DISK}=none")["swap-active"]
    assert (found["severity"], found["device"]) == ("danger", DISK)
    assert found["facts"]["chain"] == "[SWAP] ← nvme0n1"


def test_an_unused_disk_is_no_hazard() -> None:
    found = hazards(f"{DISK}=vfio-pci")
    assert "disk-mounted" not in found
    assert found["disk-leaves"]["facts"]["disks"] == "nvme0n1"


def test_the_card_of_the_default_route_and_the_session_is_a_hazard(interface: str) -> None:
    found = hazards(f"{NIC}=none", SSH_CONNECTION="192.0.2.9 50000 192.0.2.2 22")
    assert [(code, found[code]["severity"]) for code in ("ssh-session", "default-route")] == [
        ("ssh-session", "danger"),
        ("default-route", "danger"),
    ]
    assert found["default-route"]["facts"]["interface"] == interface
    assert "ssh-session" not in hazards(f"{NIC}=none", SSH_CONNECTION="")


def test_an_interface_that_is_down_is_no_hazard() -> None:
    assert not {"ssh-session", "default-route", "network-address"} & set(hazards(f"{NIC}=none"))


def test_a_display_that_a_process_has_open_is_a_hazard() -> None:
    cards = [name for name in os.listdir(f"/sys/bus/pci/devices/{VGA}/drm") if name.startswith("card")]
    held = os.open(f"/dev/dri/{cards[0]}", os.O_RDONLY)
    try:
        found = hazards(f"{VGA}=none")
        # QEMU has a monitor on each of its displays, so the host keeps others.
        assert found["boot-display"]["severity"] == "warn"
        assert "of 0000:02:00.0" in found["boot-display"]["facts"]["remains"]
        assert found["boot-display"]["facts"]["monitors"].startswith("Virtual-")
        assert f"(pid {os.getpid()})" in found["gpu-in-use"]["facts"]["who"]
        assert found["gpu-in-use"]["facts"]["nodes"] == f"/dev/dri/{cards[0]}"
        unseen = hazards(f"{VGA}=none", prefix=NOBODY)["gpu-in-use"]
        assert (unseen["severity"], unseen["unknown"]) == ("info", "EACCES")
    finally:
        os.close(held)
    assert "gpu-in-use" not in hazards(f"{VGA}=none")
