"""Recordings of real machines that are kept outside the project; tests of them are skipped where they are missing."""

import os
from pathlib import Path

SHARED = Path(os.environ.get("IOMMUTUI_SHARED") or Path(__file__).parents[2] / "shared")
