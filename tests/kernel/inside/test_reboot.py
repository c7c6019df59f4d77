"""Journals after a reboot: the harness boots the guest twice with the same journal directory.

The first boot leaves one apply in effect and one that was cut off, and puts the devices back without a word to the
program; the second finds them.
"""

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from . import pci
from .program import Answer, command

pytestmark = pytest.mark.skipif(os.environ.get("IOMMUTUI_GUEST") != "gpu", reason="needs the topology gpu")

LONE = "0000:00:05.0"
SOUND = "0000:01:00.1"
PLACE = Path(os.environ.get("IOMMUTUI_GUEST_JOB", "/nowhere"), "reboot")
LEFT = PLACE / "left"
"""State that the first boot leaves for the second."""


def _iommutui(*words: str) -> Answer:
    environment = os.environ | {"IOMMUTUI_STATE_DIR": str(PLACE / "state")}
    return Answer(subprocess.run(command(*words), capture_output=True, text=True, env=environment, check=False))


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@pytest.mark.skipif(LEFT.exists(), reason="this is the second boot")
def test_before(restored: pci.State) -> None:
    (PLACE / "state").mkdir(parents=True, mode=0o755)
    applied = _iommutui("apply", f"{LONE}=vfio-pci", "--yes")
    assert applied.code == 0, applied.out + applied.err
    environment = os.environ | {"IOMMUTUI_STATE_DIR": str(PLACE / "state")}
    words = command("apply", f"{SOUND}=vfio-pci", "--yes", "--json", "--accept", f"audio-playing:{SOUND}")
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "step-begun":
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    journal = _iommutui("journal").out
    assert "in effect" in journal
    assert "INTERRUPTED" in journal
    LEFT.write_text(_boot())


@pytest.mark.skipif(not LEFT.exists() or LEFT.read_text() == _boot(), reason="this is the first boot")
def test_after(restored: pci.State) -> None:
    """A revert does not touch a device that the boot itself bound."""
    pci.bind(LONE, "vfio-pci")
    found = _iommutui("journal")
    assert "in effect" not in found.out
    assert found.out.count("undone by a reboot") == 2, found.out
    assert [each["state"] for each in _iommutui("journal", "--json").document["journals"]] == ["undone-by-reboot"] * 2
    assert _iommutui("list").err == ""
    reverted = _iommutui("revert", "--yes")
    assert reverted.code == 1, reverted.out + reverted.err
    assert "ended with" in reverted.err
    assert pci.driver(LONE) == "vfio-pci"
    applied = _iommutui("apply", f"{SOUND}=vfio-pci", "--yes", "--accept", f"audio-playing:{SOUND}")
    assert applied.code == 0, applied.out + applied.err
    assert "was interrupted by the end of an earlier boot" in applied.out
    back = _iommutui("revert", "--yes")
    assert back.code == 0, back.out + back.err
    assert "interrupted" not in back.out + back.err
    assert pci.driver(LONE) == "vfio-pci"
    assert pci.driver(SOUND) == restored.drivers[SOUND]
