"""Screens as text, compared with files. ``IOMMUTUI_UPDATE_SNAPSHOTS=1`` rewrites the files."""

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "snapshots"


def check(name: str, text: str) -> None:
    """Fails if the text differs from ``snapshots/NAME.txt``."""
    path = FOLDER / f"{name}.txt"
    if os.environ.get("IOMMUTUI_UPDATE_SNAPSHOTS") == "1":
        FOLDER.mkdir(exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
        return
    assert path.exists(), f"{path.name} is missing; IOMMUTUI_UPDATE_SNAPSHOTS=1 writes it"
    assert text.splitlines() == path.read_text(encoding="utf-8").splitlines()
