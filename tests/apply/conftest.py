"""Shared by the tests of applying."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def no_waiting_for_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of journals are written here, and none has to survive the machine."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where journals may be; nothing is there yet."""
    return tmp_path / "state/journal"
