"""Where downloaded kernels and guest programs are kept."""

import os
from pathlib import Path


def cache_dir() -> Path:
    """Return the cache directory, which need not exist yet."""
    own = os.environ.get("IOMMUTUI_GUEST_CACHE")
    if own:
        return Path(own).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache").absolute() / "iommutui-guests"
