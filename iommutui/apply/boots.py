"""The machine as it was at each of its last boots, in the user's state: an update may have moved its groups."""

import os
from pathlib import Path

from iommutui.apply.state import state_dir
from iommutui.core.errors import SourceError
from iommutui.core.host import Host
from iommutui.core.redact import redact
from iommutui.sources.snapshot import dump, parse, read_bytes, save, to_text

KEPT = 5
"""Boots that are kept."""


def remember(host: Host) -> None:
    """Keeps the redacted machine as that of this boot. The errors are those of `save`."""
    place = _place()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    save(dump(redact(host)), str(place / f"{_this_boot()}.json"))
    for old in _files()[KEPT:]:
        old.unlink(missing_ok=True)


def before_this_boot() -> Host:
    """The machine as it was seen last in the boot before this one. SourceError where none was kept."""
    found = next((path for path in _files() if path.stem != _this_boot()), None)
    if found is None:
        raise SourceError(
            "No earlier boot of this machine is known.", "It will be after the next one: this boot is remembered now."
        )
    return parse(to_text(read_bytes(str(found)), str(found)), str(found))


def _this_boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def _place() -> Path:
    return state_dir() / "boots"


def _files() -> list[Path]:
    """The kept boots, the newest first."""
    try:
        return sorted(_place().glob("*.json"), key=lambda path: (-os.stat(path).st_mtime, path.name))
    except OSError:
        return []
