"""Recordings of real machines that are kept outside the project; their tests are skipped if they are missing."""

import os
from pathlib import Path

SHARED = Path(os.environ.get("IOMMUTUI_SHARED") or Path(__file__).parents[2] / "shared")
