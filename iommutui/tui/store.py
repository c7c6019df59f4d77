"""What the screen remembers from one time to the next: the person's own devices, and that they know their way around.

``$XDG_STATE_HOME/iommutui/screen.json``. Nothing depends on it: a file that cannot be read is as good as none, and one
that cannot be written costs the marks and nothing else.
"""

import os
from pathlib import Path
from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.host import Host

SIZE_LIMIT = 1 << 20


class Memory(NamedTuple):
    """What is in the file: for each machine its marks as ``address vendor:device``."""

    oriented: bool = False
    marks: dict[str, tuple[str, ...]] = {}  # noqa: RUF012 - never changed in place


def state_path() -> Path:
    """Where the file is, whether it exists or not."""
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return Path(base, "iommutui", "screen.json")


class Store:
    """One file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Memory:
        """What is remembered; nothing where the file is missing, or holds something else."""
        try:
            with self.path.open("rb") as file:
                import json  # most of a millisecond, where there is nothing yet

                value = json.loads(file.read(SIZE_LIMIT))
        except (OSError, ValueError, RecursionError):
            return Memory()
        if not isinstance(value, dict) or not isinstance(value.get("marks", {}), dict):
            return Memory()
        marks = {
            str(machine): tuple(mark for mark in found if isinstance(mark, str))
            for machine, found in value.get("marks", {}).items()
            if isinstance(found, list)
        }
        return Memory(value.get("oriented") is True, marks)

    def write(self, memory: Memory) -> str | None:
        """Replaces the file as a whole; why that cannot be, or None."""
        import json

        fresh = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(json.dumps({"schema": 1, "oriented": memory.oriented, "marks": memory.marks}) + "\n")
            fresh.replace(self.path)
        except OSError as error:
            return f"{self.path} cannot be written: {error.strerror}."
        return None


def marks_to_keep(host: Host, marks: frozenset[Address]) -> tuple[str, ...]:
    """Marks with the ids of what is there, so that another device at the same address is not taken for it."""
    return tuple(f"{d.address} {d.vendor_id}:{d.device_id}" for d in host.devices.values() if d.address in marks)


def marks_in(host: Host, kept: tuple[str, ...]) -> frozenset[Address]:
    """The devices that are marked and still the same."""
    every = frozenset(host.devices)
    return frozenset(Address(mark.split(" ")[0]) for mark in kept if mark in set(marks_to_keep(host, every)))
