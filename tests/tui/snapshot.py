"""Screens as text, compared with files. ``IOMMUTUI_UPDATE_SNAPSHOTS=1`` writes the files anew."""

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "snapshots"


def check(name: str, text: str) -> None:
    """Fails where the text is not that of ``snapshots/NAME.txt``."""
    path = FOLDER / f"{name}.txt"
    if os.environ.get("IOMMUTUI_UPDATE_SNAPSHOTS") == "1":
        FOLDER.mkdir(exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
        return
    assert path.exists(), f"{path.name} is missing; IOMMUTUI_UPDATE_SNAPSHOTS=1 writes it"
    assert text.splitlines() == path.read_text(encoding="utf-8").splitlines()
