"""The id of this boot, and a snapshot of the machine for each of its last boots, kept in the user's state."""

import os
from pathlib import Path

from iommutui.core.errors import SourceError
from iommutui.core.host import Host
from iommutui.sources import load

KEPT = 5
"""How many boots are kept."""


def boot_id(root: str = "/") -> str | None:
    """The kernel's id of this boot; None if that cannot be read."""
    try:
        with open(os.path.join(root, "proc/sys/kernel/random/boot_id"), encoding="ascii", errors="replace") as file:
            return file.read().strip() or None
    except OSError:
        return None


def remember(host: Host) -> None:
    """Keeps the redacted machine for this boot. Raises what `save` raises."""
    from iommutui.core.redact import redact
    from iommutui.sources.snapshot import dump, save  # these import pydantic

    place = _place()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    save(dump(redact(host)), str(place / f"{boot_id()}.json"))
    for old in _files()[KEPT:]:
        old.unlink(missing_ok=True)


def before_this_boot() -> Host:
    """The machine as last seen in the previous boot. Raises SourceError if none was kept."""
    found = next((path for path in _files() if path.stem != boot_id()), None)
    if found is None:
        raise SourceError(
            "No earlier boot of this machine is known.", "It will be after the next reboot: this boot is recorded now."
        )
    return load(str(found))


def _place() -> Path:
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return Path(os.environ.get("IOMMUTUI_STATE_DIR") or os.path.join(state, "iommutui"), "boots")


def _files() -> list[Path]:
    """The kept boots, the newest first."""
    return sorted(_place().glob("*.json"), key=lambda path: os.stat(path).st_mtime, reverse=True)
