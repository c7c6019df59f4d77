"""The script that records a machine without the program: its output opens as the same machine."""

import subprocess
from pathlib import Path
from typing import Any

from .program import Run

NOT_RECORDED = {"uses", "gaps", "cmdline"}
"""The script does not record the uses of devices, and only part of the command line."""
CHANGING = {"power_state", "irq", "current_link_speed", "current_link_width"}


def printed(iommutui: Run, tmp_path: Path, *shell: str) -> Path:
    """The file with what the script prints on this machine."""
    script, capture = tmp_path / "capture.sh", tmp_path / "machine.txt"
    script.write_text(iommutui("snapshot", "--script").out)
    done = subprocess.run([*shell, str(script)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    capture.write_text(done.stdout)
    return capture


def comparable(document: dict[str, Any]) -> dict[str, Any]:
    """A snapshot without the facts that the script cannot record or that change from one read to the next."""
    host = {name: value for name, value in document["host"].items() if name not in NOT_RECORDED}
    for device in host["devices"]:
        device.pop("device_name", None)  # the machine's udev also knows boards by their subsystem ids
        for name in CHANGING & {*device.get("details", {})}:
            del device["details"][name]
    return host


def test_the_recorded_machine_equals_the_one_read_from_sysfs(iommutui: Run, tmp_path: Path) -> None:
    capture = printed(iommutui, tmp_path, "sh")
    here = comparable(iommutui("snapshot").document)
    there = comparable(iommutui("snapshot", "--from", str(capture)).document)
    assert here["devices"] == there["devices"]
    assert here == there
    assert "intel_iommu=" in iommutui("snapshot", "--from", str(capture)).document["host"]["cmdline"]


def test_busybox_runs_the_script(iommutui: Run, tmp_path: Path) -> None:
    capture = printed(iommutui, tmp_path, "busybox", "sh")
    here = iommutui("list", "--json").document
    there = iommutui("list", "--from", str(capture), "--json").document
    assert [group["devices"] for group in here["groups"]] == [group["devices"] for group in there["groups"]]
    assert [d["driver"] for d in here["devices"]] == [d["driver"] for d in there["devices"]]
