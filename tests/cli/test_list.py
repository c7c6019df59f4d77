"""``iommutui list``."""

from pathlib import Path

import pytest

from iommutui.core.host import Claim, Gap
from iommutui.demo import demo_host
from iommutui.sources.snapshot import write
from tests.cli.conftest import Run


def test_every_group_and_device_is_listed_once(on_demo: Run) -> None:
    document = on_demo("list", "--json").document
    listed = [device["address"] for device in document["devices"]]
    assert len(listed) == len(set(listed)) == 36
    grouped = [address for group in document["groups"] for address in group["devices"]]
    assert sorted(grouped) == sorted(d["address"] for d in document["devices"] if d["group"] is not None)


def test_the_document_has_the_documented_fields(on_demo: Run) -> None:
    document = on_demo("list", "--json").document
    assert document["schema"] == 1
    group = next(g for g in document["groups"] if g["id"] == 17)
    assert (group["viable"], group["state"], group["owner"]) == (False, "kernel", None)
    assert {"code", "device", "driver", "text"} <= group["reasons"][0].keys()
    device = next(d for d in document["devices"] if d["address"] == "0000:09:00.0")
    assert (device["vendor_id"], device["device_id"], device["class"]) == ("10de", "1f08", "030000")
    assert (device["driver"], device["driver_override"], device["group"]) == ("nouveau", None, 17)
    claimed = next(g for g in document["groups"] if g["id"] == 19)
    assert (claimed["viable"], claimed["state"], claimed["owner"]) == (True, "user", "qemu-system-x86")


def test_the_text_names_the_blockers(on_demo: Run) -> None:
    out = on_demo("list").out
    assert "Group 17  ✖ blocked: nouveau on 09:00.0, snd_hda_intel on 09:00.1" in out
    assert "Group 18  ✔ viable" in out
    assert "Group 19  ● in use by qemu-system-x86" in out
    assert "Group 23  ! refused: claiming it fails with EINVAL" in out
    assert "No IOMMU group" in out
    assert "\x1b" not in out


@pytest.mark.parametrize(
    ("words", "addresses"),
    [
        (["rtx"], ["0000:09:00.0"]),
        (["class:gpu"], ["0000:08:00.0", "0000:09:00.0"]),
        (["driver:xhci", "!group:17"], ["0000:02:00.0", "0000:0c:00.3"]),
        (["viable:refused"], ["0000:0d:00.0"]),
        (["group:none"], ["0000:00:00.0", "0000:00:00.2"]),
        (["enp5s0"], ["0000:05:00.0"]),
        (["id:10de:1f08"], ["0000:09:00.0"]),
        (["nothing-like-that"], []),
    ],
)
def test_filters_select_devices(on_demo: Run, words: list[str], addresses: list[str]) -> None:
    assert [d["address"] for d in on_demo("list", *words, "--json").document["devices"]] == addresses


def test_options_may_stand_before_the_command(run: Run, demo: str) -> None:
    assert run("--from", demo, "list").out == run("list", "--from", demo).out


def test_without_a_terminal_the_program_prints_the_listing(run: Run, demo: str) -> None:
    assert run("--from", demo).out == run("list", "--from", demo).out


def test_the_kernel_decides_the_model(on_demo: Run) -> None:
    assert on_demo("list", "--json").document["host"]["model"] == "dma-owner"
    assert on_demo("list", "--json", "--kernel", "5.10.0-8-amd64").document["host"]["model"] == "vfio-group"
    assert on_demo("list", "--json", "--model", "dma-hint").document["host"]["model"] == "dma-hint"


@pytest.mark.parametrize(
    ("words", "said"),
    [(["--kernel", "new"], "is not a kernel release"), (["--model", "best"], "Unknown model 'best'")],
)
def test_invalid_option_values_are_named(on_demo: Run, words: list[str], said: str) -> None:
    answer = on_demo("list", *words)
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err


def test_a_directory_without_sysfs_is_an_error(run: Run, tmp_path: Path) -> None:
    answer = run("list", "--from", str(tmp_path))
    assert (answer.code, answer.out) == (1, "")
    assert str(tmp_path) in answer.err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"schema": 1, "host": {"dev', "line 1"),
        (b'{"name": "package", "version": "1.0"}', "snapshot"),
        (b'{"schema": 99, "host": {}}', "99"),
        (b"\xff\xfe\x00", "no PCI device"),
        (b"", ""),
        (b"[" * 100_000, ""),
    ],
)
def test_an_invalid_snapshot_is_an_error(run: Run, tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    answer = run("list", "--from", str(path))
    assert (answer.code, answer.out) == (1, "")
    assert str(path) in answer.err
    assert said in answer.err
    assert "Traceback" not in answer.err


def test_an_unknown_command_is_named(run: Run) -> None:
    answer = run("lits")
    assert answer.code == 2
    assert "lits" in answer.err


def test_help_lists_every_command(run: Run) -> None:
    answer = run("--help")
    assert answer.code == 0
    for name in ("list", "why", "preview", "simulate", "apply", "revert", "journal", "snapshot", "models"):
        assert f"\n  {name} " in answer.out
        assert run(name, "--help").code == 0


@pytest.mark.parametrize(
    ("gaps", "opened", "said"),
    [
        ((), True, "(being unbound)"),
        ((Gap("driver", "unbinding"), Gap("driver_override", "timeout")), False, "(being unbound)"),
        ((Gap("driver_override", "timeout"),), False, "(no answer)"),
        ((Gap("driver", "EACCES"),), False, "(unknown)"),
        ((), False, "-"),
    ],
)
def test_a_row_without_a_driver_says_why(
    gaps: tuple[Gap, ...], opened: bool, said: str, run: Run, tmp_path: Path
) -> None:
    host = demo_host()
    group = host.groups[19]
    device = host.devices[group.members[0]]._replace(driver=None, driver_override=None, gaps=gaps)
    claim = Claim("qemu", opened=(device.address,)) if opened else None
    write(host.with_device(device).with_group(group._replace(claim=claim)), str(tmp_path / "host.json"))
    lines = run("list", "--from", str(tmp_path / "host.json")).out.splitlines()
    assert next(line for line in lines if device.address in line).split("  ")[2] == said


def test_an_unknown_group_is_not_listed_as_no_group(run: Run, tmp_path: Path) -> None:
    paste = tmp_path / "paste"
    paste.write_text(
        "$ lspci -vnn -s 1\n01:00.0 VGA controller [0300]: A [10de:1c02]\n\tFlags: fast devsel, IOMMU group 1\n"
        "01:00.1 Audio device [0403]: B [10de:10f1]\n\tFlags: fast devsel\n"
        "$ lspci -nn -s 2\n02:00.0 Ethernet controller [0200]: C [8086:1533]\n"
    )
    lines = [
        line.split("  ")[1] if line[0] == " " else line for line in run("list", "--from", str(paste)).out.splitlines()
    ]
    assert lines[2:6] == ["No IOMMU group", "0000:01:00.1", "Group not known", "0000:02:00.0"]
