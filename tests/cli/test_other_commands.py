"""``snapshot``, ``models``, ``apply``, ``revert`` and ``journal``, as far as they need no kernel."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run


def test_a_snapshot_opens_as_the_same_machine(on_demo: Run, run: Run, tmp_path: Path) -> None:
    path = str(tmp_path / "copy.json")
    assert on_demo("snapshot", "-o", path).code == 0
    again = str(tmp_path / "again.json")
    assert run("snapshot", "-o", again, "--from", path).code == 0
    assert Path(again).read_text() == Path(path).read_text()
    whole = str(tmp_path / "whole.json")
    assert on_demo("snapshot", "--unredacted", "-o", whole).code == 0
    assert run("list", "--json", "--from", whole).document == on_demo("list", "--json").document


def test_a_redacted_snapshot_shows_the_same_dangers(on_demo: Run, run: Run, tmp_path: Path) -> None:
    path = str(tmp_path / "copy.json")
    assert on_demo("snapshot", "-o", path).code == 0

    def dangers(document: dict[str, Any]) -> list[tuple[str, str, str]]:
        return [(h["code"], h["severity"], h["device"]) for d in document["devices"] for h in d["hazards"]]

    assert dangers(run("list", "--json", "--from", path).document) == dangers(on_demo("list", "--json").document)
    text = Path(path).read_text()
    assert not any(secret in text for secret in ("Cherry", "Logitech", "vg-root", "1204"))
    assert "kwin_wayland" in text


def test_a_snapshot_hides_personal_names(on_demo: Run, tmp_path: Path, demo: str, run: Run) -> None:
    document = json.loads(Path(demo).read_text())
    document["host"]["cmdline"] = "root=UUID=1234-5678 quiet iommu=pt"
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps(document))
    assert "1234" not in run("snapshot", "--from", str(secret)).out
    assert "iommu=pt" in run("snapshot", "--from", str(secret)).out
    assert "1234" in run("snapshot", "--unredacted", "--from", str(secret)).out


def test_a_snapshot_that_cannot_be_written_is_an_error(on_demo: Run, tmp_path: Path) -> None:
    answer = on_demo("snapshot", "-o", str(tmp_path / "missing" / "x.json"))
    assert answer.code != 0
    assert "missing" in answer.err
    assert "Traceback" not in answer.err


def test_models_are_listed_with_their_driver_roles(run: Run) -> None:
    document = run("models", "--json").document
    assert [m["name"] for m in document["models"]] == ["kernel-ownership", "dma-hint", "vfio-group", "dma-owner"]
    roles = {d["name"]: d["role"] for d in document["models"][3]["drivers"]}
    assert (roles["vfio-pci"], roles["pci-stub"], roles["pcieport"], roles["ifcvf"]) == (
        "user",
        "none",
        "none",
        "kernel",
    )
    text = run("models").out
    assert all(model["title"] in text for model in document["models"])


@pytest.mark.parametrize("command", [["apply", "09:00.0=vfio-pci", "--yes"], ["revert", "--yes"]])
def test_a_recording_cannot_be_written_to(on_demo: Run, command: list[str]) -> None:
    answer = on_demo(*command)
    assert (answer.code, answer.out) == (3, "")
    assert "recording" in answer.err


def test_without_journals_there_is_nothing_to_revert(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IOMMUTUI_STATE_DIR", str(tmp_path / "state"))
    assert run("journal", "--json").document["journals"] == []
    answer = run("revert", "--yes")
    assert answer.code == 1
    assert "nothing to revert" in answer.err
