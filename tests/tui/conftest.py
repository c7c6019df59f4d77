"""What would change the screen from outside is taken away."""

import pytest

from iommutui.tui.screens.review import DeliberateDialog


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "TEXTUAL_THEME", "TEXTUAL_ANIMATIONS", "TEXTUAL_COLOR_SYSTEM"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _quick_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who has read a review as soon as it is painted; what a real one waits has tests of its own."""
    monkeypatch.setattr(DeliberateDialog, "QUIET", 0.0)
