"""Guests of the harness after boot: snapshots made in them by the program, of four kernels and four topologies.

``python -m tests.kernel run -k KERNEL -t TOPOLOGY --job DIR -- .venv/bin/iommutui snapshot -o DIR/x.json`` makes one.
"""

from pathlib import Path

from iommutui.core.host import Host
from iommutui.sources import load

FOLDER = Path(__file__).parent / "recordings"
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.json")))


def recorded(name: str) -> Host:
    """The machine of one recording."""
    return load(str(FOLDER / f"{name}.json"))
