"""A virtual machine holds a device: QEMU has a network card of this guest, and an unbind of the card waits."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from . import pci
from .program import Run
from .writes import Write

pytestmark = pytest.mark.skipif(os.environ.get("IOMMUTUI_GUEST") != "gpu", reason="needs the topology gpu")

CARD = "0000:00:05.0"
LATE = 180.0


@pytest.fixture
def machine(restored: pci.State, tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """QEMU with the card and a name, as libvirt starts it, and nothing to boot."""
    program = shutil.which("qemu-system-x86_64")
    if program is None:
        pytest.skip("needs QEMU in the guest")
    pci.bind(CARD, "vfio-pci")
    assert pci.wait_for(Path(f"/dev/vfio/{pci.group(CARD)}").exists)
    words = ["-name", "guest=win11,debug-threads=on", "-S", "-accel", "tcg,tb-size=32", "-machine", "q35", "-m", "64"]
    words += ["-nodefaults", "-display", "none", "-device", f"vfio-pci,host={CARD},rombar=0"]
    with (tmp_path / "qemu").open("wb") as said:
        process = subprocess.Popen([program, *words], stdin=subprocess.DEVNULL, stdout=said, stderr=said)
    try:
        files = Path(f"/proc/{process.pid}/fd")
        assert pci.wait_for(lambda: _has_device(files) or process.poll() is not None, LATE)
        assert process.poll() is None, (tmp_path / "qemu").read_text()
        yield process
    finally:
        process.kill()
        process.wait()


def _has_device(files: Path) -> bool:
    """Whether a process has a device open; files that it closes meanwhile do not count."""
    for file in os.listdir(files):
        with suppress(FileNotFoundError):
            if os.readlink(files / file) == "anon_inode:[vfio-device]":
                return True
    return False


def test_a_waiting_unbind_names_the_virtual_machine_and_leaves_its_card_alone(
    iommutui: Run, machine: "subprocess.Popen[bytes]"
) -> None:
    number, owner = pci.group(CARD), f"VM win11 (pid {machine.pid})"
    assert iommutui("list", "--json").group(number)["owner"] == owner
    assert iommutui("apply", f"{CARD}=default", "--yes").code == 3
    write = Write(pci.DRIVERS / "vfio-pci/unbind", CARD)
    try:
        assert pci.wait_for(lambda: pci.driver(CARD) is None)
        group = iommutui("list", "--json").group(number)
        assert (group["state"], group["owner"]) == ("user", owner)
        why = iommutui("why", CARD)
        assert f"{CARD}  being unbound" in why.out
        assert "in use" in why.out
        assert "(being unbound)" in iommutui("list").out
        for target in ("default", "none", "vfio-pci"):
            assert iommutui("preview", f"{CARD}={target}").code == 3
        assert iommutui("apply", f"{CARD}=default", "--yes", "--accept", f"used-by-vm:{CARD}").code == 3
        assert write.errno is None
    finally:
        machine.kill()
        machine.wait()
    assert write.wait(LATE) == "ok"
    assert iommutui("list", "--json").group(number)["owner"] is None
