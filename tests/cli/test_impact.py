"""The impact on the host in the output of the commands."""

import json
from pathlib import Path

import pytest

from iommutui.core.hazards import KINDS
from tests.cli.conftest import Run
from tests.fake_tree import FakeTree


def test_the_listing_says_what_each_device_is_used_for(on_demo: Run) -> None:
    rows = {line.split()[0]: line for line in on_demo("list").out.splitlines() if line.startswith("  0000:")}
    assert rows["0000:01:00.0"].endswith("! root disk, mounted /home, mounted /boot/efi, swap")
    assert rows["0000:05:00.0"].endswith("! default route")
    assert "boot display" in rows["0000:08:00.0"]
    assert rows["0000:0b:00.0"].endswith("! in use by qemu-system-x86")
    assert "*" not in rows["0000:09:00.0"]


def test_the_listing_finds_the_root_disk_of_a_recorded_tree(tmp_path: Path, run: Run) -> None:
    tree = FakeTree(tmp_path).device("0000:01:00.0", driver="nvme", class_code="010802", group=1)
    disk = tree.place("0000:01:00.0") / "nvme/nvme0/nvme0n1"
    disk.mkdir(parents=True)
    (disk / "dev").write_text("259:0\n")
    (tree.sys / "class/block").mkdir(parents=True)
    (tree.sys / "class/block/nvme0n1").symlink_to(f"../../{disk.relative_to(tree.sys)}")
    tree.file("proc/self/mountinfo", "1 0 259:0 / / rw - ext4 /dev/root rw\n")
    assert "! root disk" in run("list", "--from", str(tmp_path)).out


def test_control_characters_in_mount_points_do_not_reach_the_terminal(on_demo: Run, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "machine.json"
    assert on_demo("snapshot", "--unredacted", "-o", str(path)).code == 0
    document = json.loads(path.read_text())
    document["host"]["uses"]["storage"][0]["what"] = ["/\x1b[2Jevil"]
    path.write_text(json.dumps(document))
    for command in (["list"], ["preview", "01:00.0=none"], ["why", "01:00.0"]):
        out = run(*command, "--from", str(path)).out
        assert "evil" in out
        assert "\x1b" not in out


def test_a_preview_shows_impact_and_advice_with_the_worst_first(on_demo: Run) -> None:
    out = on_demo("preview", "01:00.0=none", "0c:00.4=none").out
    assert "REFUSED [disk-mounted]: 0000:01:00.0 holds file systems mounted at /, /home, /boot/efi" in out
    assert "(/ ← dm-0 (vg-root) ← nvme0n1p3; /boot/efi ← nvme0n1p1)" in out
    assert "The system runs from it" in out
    assert KINDS["swap-active"].advice in out
    assert out.index("REFUSED") < out.index("WARNING [audio-playing]") < out.index("Not permitted:")


def test_a_preview_as_json_has_the_evidence(on_demo: Run) -> None:
    hazards = on_demo("preview", "--json", "05:00.0=none").document["hazards"]
    (found,) = (hazard for hazard in hazards if hazard["severity"] == "danger")
    assert found == {
        "code": "default-route",
        "severity": "danger",
        "topic": "network",
        "device": "0000:05:00.0",
        "facts": {"interface": "enp5s0", "chain": "br0 ← enp5s0"},
        "unknown": None,
        "refused": False,
        "text": "The default route goes through enp5s0 (br0 ← enp5s0) on 0000:05:00.0.",
        "advice": KINDS["default-route"].advice,
    }


def test_the_cost_of_a_fix_is_shown_beside_it(on_demo: Run) -> None:
    command = ["preview", "04:00.0=vfio-pci"]
    out = on_demo(*command).out
    assert "That would be a DANGER [nothing-remains]" in out
    codes = {hazard["code"] for hazard in on_demo(*command, "--json").document["fix_hazards"]}
    assert "nothing-remains" in codes
    assert not {"last-keyboard", "default-route"} & codes


@pytest.mark.parametrize(
    ("subject", "word", "code"),
    [
        ("01:00.0", "REFUSED", "disk-mounted"),
        ("11", "REFUSED", "swap-active"),
        ("05:00.0", "DANGER", "nothing-remains"),
    ],
)
def test_why_shows_the_impact_of_the_fix(on_demo: Run, subject: str, word: str, code: str) -> None:
    assert f"{word} [{code}]" in on_demo("why", subject).out
    assert code in {hazard["code"] for hazard in on_demo("why", subject, "--json").document["hazards"]}


def test_the_listing_as_json_has_uses_and_hazards(on_demo: Run) -> None:
    document = on_demo("list", "--json").document
    devices = {device["address"]: device for device in document["devices"]}
    assert devices["0000:01:00.0"]["used_for"][0] == "root disk"
    assert {hazard["code"] for hazard in devices["0000:01:00.0"]["hazards"]} == {"disk-mounted", "swap-active"}
    assert devices["0000:0a:00.0"]["hazards"] == []
    assert document["uses"]["network"][0]["chain"] == ["br0", "enp5s0"]
    assert document["uses"]["gaps"] == {}


def test_an_old_snapshot_loads_and_its_gaps_are_never_assumed_safe(on_demo: Run, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    assert on_demo("snapshot", "-o", str(path)).code == 0
    document = json.loads(path.read_text())
    del document["host"]["uses"]
    path.write_text(json.dumps(document))
    assert run("list", "--json", "--from", str(path)).document["uses"] is None
    hazards = run("preview", "--json", "01:00.0=none", "--from", str(path)).document["hazards"]
    assert [(h["code"], h["severity"], h["unknown"]) for h in hazards] == [("disk-mounted", "info", "not-recorded")]
