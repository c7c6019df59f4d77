"""Fixtures for the tests of apply."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def no_waiting_for_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests write thousands of journals, and none has to survive a crash of the machine."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The directory for journals, not created yet."""
    return tmp_path / "state/journal"
