"""Shields the screen from the environment."""

import pytest

from iommutui.tui.screens.review import DeliberateDialog


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TEXTUAL_THEME", "TEXTUAL_ANIMATIONS", "TEXTUAL_COLOR_SYSTEM"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _quick_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reviews accept keys as soon as they are painted; their wait has its own tests."""
    monkeypatch.setattr(DeliberateDialog, "QUIET", 0.0)
