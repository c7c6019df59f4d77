"""The screen's saved state: marks, order, sizes, theme, and whether the orientation has been seen.

``$XDG_STATE_HOME/iommutui/screen.json``. Nothing depends on it: a file that cannot be read is ignored, and one that
cannot be written loses only this state.
"""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from iommutui.core.address import Address
from iommutui.core.host import Host
from iommutui.tui.state import LIST_SHARE, SHARES, AppState, Sort

SIZE_LIMIT = 1 << 20


class Memory(NamedTuple):
    """The content of the file, with the marks of each machine as ``address vendor:device``."""

    oriented: bool = False
    marks: dict[str, tuple[str, ...]] = {}  # noqa: RUF012 - never changed in place
    sort: Sort = Sort.NUMBER
    share: int = LIST_SHARE
    zoomed: bool = False
    bridges: bool = True
    theme: str = ""
    """Empty: none was chosen on the screen."""


def state_path() -> Path:
    """The path of the file, whether it exists or not."""
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return Path(base, "iommutui", "screen.json")


class Store:
    """One file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Memory:
        """Reads the saved state; empty if the file is missing or holds something else."""
        try:
            with self.path.open("rb") as file:
                value = json.loads(file.read(SIZE_LIMIT))
        except (OSError, ValueError, RecursionError):
            return Memory()
        return _memory(value) if isinstance(value, dict) else Memory()

    def write(self, memory: Memory) -> str | None:
        """Replaces the file as a whole; returns why that failed, or None."""
        fresh = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(json.dumps({"schema": 1, **memory._asdict()}) + "\n")
            fresh.replace(self.path)
        except OSError as error:
            return f"{self.path} cannot be written: {error.strerror}."
        return None


def _memory(value: dict[str, Any]) -> Memory:
    """The usable part of the file; the rest is ignored."""
    plain = Memory()
    marks = value.get("marks")
    sort, share, theme = value.get("sort"), value.get("share"), value.get("theme")
    return Memory(
        oriented=value.get("oriented") is True,
        marks={
            str(machine): tuple(mark for mark in found if isinstance(mark, str))
            for machine, found in (marks.items() if isinstance(marks, dict) else ())
            if isinstance(found, list)
        },
        sort=Sort(sort) if sort in list(Sort) else plain.sort,
        share=share if isinstance(share, int) and share in SHARES else plain.share,
        zoomed=value.get("zoomed") is True,
        bridges=value.get("bridges") is not False,
        theme=theme if isinstance(theme, str) else plain.theme,
    )


def recalled(state: AppState, memory: Memory) -> AppState:
    """The state of the first scan with the saved state added."""
    kept = memory.marks.get(_machine(state), ())
    every = set(_marks_to_keep(state.host, frozenset(state.host.devices)))
    marks = frozenset(Address(mark.split(" ")[0]) for mark in kept if mark in every)  # and still the same device
    return state._replace(
        marks=marks, hints=not memory.oriented, sort=memory.sort, share=memory.share, zoomed=memory.zoomed,
        bridges=memory.bridges,
    )  # fmt: skip


def to_remember(state: AppState, memory: Memory) -> Memory:
    """The saved state updated from the state of the screen."""
    marks = memory.marks
    if state.seen:
        marks = {**marks, _machine(state): _marks_to_keep(state.host, state.marks)}
    return memory._replace(
        marks=marks, oriented=memory.oriented or not state.hints, sort=state.sort, share=state.share,
        zoomed=state.zoomed, bridges=state.bridges,
    )  # fmt: skip


def _machine(state: AppState) -> str:
    return f"{state.source.kind.value} {state.source.label}".strip()


def _marks_to_keep(host: Host, marks: frozenset[Address]) -> tuple[str, ...]:
    """Marks with ids, so that another device at the same address does not inherit them."""
    return tuple(f"{d.address} {d.vendor_id}:{d.device_id}" for d in host.devices.values() if d.address in marks)
