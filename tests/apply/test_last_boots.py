"""Snapshots of earlier boots: redacted, only the newest few, and never this boot's."""

import os
from pathlib import Path

import pytest

from iommutui.apply import boots
from iommutui.core.errors import SourceError
from iommutui.core.redact import redact
from iommutui.demo import demo_host


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty state directory for the user."""
    monkeypatch.setenv("IOMMUTUI_STATE_DIR", str(tmp_path))
    return tmp_path


def test_a_boot_is_saved_redacted_and_found_later(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host = demo_host()._replace(cmdline="root=UUID=secret quiet")
    boots.remember(host)
    with pytest.raises(SourceError, match="No earlier boot"):
        boots.before_this_boot()
    monkeypatch.setattr(boots, "boot_id", lambda: "the-next-boot")
    assert boots.before_this_boot() == redact(host)
    assert not any(b"secret" in path.read_bytes() for path in (state / "boots").iterdir())


def test_only_the_newest_boots_are_kept(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(boots.KEPT + 3):
        monkeypatch.setattr(boots, "boot_id", lambda name=f"boot{number}": name)
        boots.remember(demo_host())
        os.utime(state / f"boots/boot{number}.json", (number, number))
    names = sorted(path.stem for path in (state / "boots").iterdir())
    assert len(names) == boots.KEPT
    assert f"boot{boots.KEPT + 2}" in names
