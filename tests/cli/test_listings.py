"""Listings on the command line: notes, several --from, --explain, --script, report and diff."""

from pathlib import Path

from tests.cli.conftest import Run

GROUPS = "IOMMU Group 1 01:00.0 VGA compatible controller [0300]: NVIDIA Corporation GA102 [10de:2204] (rev a1)\n"
DRIVERS = "01:00.0 VGA compatible controller [0300]: NVIDIA GA102 [10de:2204]\n\tKernel driver in use: nvidia\n"


def test_two_files_are_one_machine_and_messages_go_to_standard_error(run: Run, tmp_path: Path) -> None:
    first, second = tmp_path / "groups", tmp_path / "drivers"
    first.write_text(f"Hello\n{GROUPS}")
    second.write_text(DRIVERS)
    answer = run("list", "--json", "--from", str(first), "--from", str(second))
    assert answer.code == 0
    (device,) = answer.document["devices"]
    assert (device["group"], device["driver"]) == (1, "nvidia")
    assert "1 line was ignored" in answer.err
    assert "iommu_group" not in device.get("gaps", {})


def test_a_listing_without_groups_leaves_them_unknown(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("01:00.0 VGA compatible controller [0300]: NVIDIA Corporation GA104 [10de:2484] (rev a1)\n")
    assert run("list", "--from", str(path)).out.startswith("Group not known\n")


def test_an_empty_listing_exits_with_1_and_names_the_formats(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("Hello\n")
    answer = run("list", "--from", str(path))
    assert (answer.code, answer.out) == (1, "")
    assert "Known formats" in answer.err


def test_explain_shows_every_line(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text(f"Hello\n{GROUPS}")
    answer = run("snapshot", "--explain", "--from", str(path))
    assert [line.split(": ")[1] for line in answer.out.splitlines()] == ["ignored", "groups"]
    assert run("snapshot", "--explain").code == 2


def test_the_script_is_printed(run: Run) -> None:
    assert run("snapshot", "--script").out.startswith("#!/bin/sh\n")


def test_a_report_is_written_and_opens(run: Run, demo: str, tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    answer = run("report", "09:00.0", "-o", str(path), "--from", demo)
    assert answer.code == 0
    assert "The question" in path.read_text()
    assert run("diff", str(path), demo).code == 0
    assert "```" not in run("report", "--plain", "--from", demo).out


def test_diff_exits_like_diff(run: Run, demo: str, tmp_path: Path) -> None:
    assert run("diff", demo, demo).code == 0
    answer = run("diff", "--kernel", "5.15", "--kernel", "6.8", "--json", "--from", demo)
    assert answer.code == 1
    assert not answer.document["equal"]
    assert {change["kind"] for change in answer.document["changes"]} >= {"kernel", "model"}
    assert run("diff").code == 2
    assert run("diff", demo, demo, "--from", demo).code == 2
