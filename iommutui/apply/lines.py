"""The lines of a journal: JSON objects whose ``line`` says what they are."""

from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.errors import Exit
from iommutui.core.hazards import Acceptance
from iommutui.core.plan.drift import Change, DeviceFacts
from iommutui.core.plan.intents import Goal

SCHEMA = 1

BLOCKED = "blocked"
"""The result of a write that was given up; a `Late` line may say how it ended after all."""


class Planned(NamedTuple):
    """A step as it was planned."""

    op: str
    device: Address
    value: str | None


class Header(NamedTuple):
    """The first line, on disk before anything is written to the system."""

    schema: int
    id: str
    started: str
    kernel: str | None
    model: str
    goals: tuple[Goal, ...]
    modules: tuple[str, ...]
    steps: tuple[Planned, ...]
    before: tuple[DeviceFacts, ...]
    """Every device that is to be moved, as it was."""
    reverts: str | None = None
    """The journal that this one takes back."""
    accepted: tuple[Acceptance, ...] = ()
    """The dangers that were accepted for it."""


class Module(NamedTuple):
    """A module is about to be loaded."""

    name: str


class Begin(NamedTuple):
    """A write is about to be made; ``restoring`` while everything is taken back."""

    number: int
    op: str
    device: Address
    value: str | None
    restoring: bool = False


class Result(NamedTuple):
    """A write has returned."""

    number: int
    result: str
    seconds: float
    note: str = ""


class Late(NamedTuple):
    """A write has returned after it had been given up, or after the process that waited for it had gone."""

    number: int
    result: str
    seconds: float


class Awaiting(NamedTuple):
    """Everything is carried out, and is taken back unless somebody keeps it within these seconds."""

    seconds: float


class Kept(NamedTuple):
    """Somebody has kept it."""

    by: str


class Turn(NamedTuple):
    """From here on everything is taken back."""

    why: str


class End(NamedTuple):
    """The last line of a process that came to its end."""

    exit: Exit
    summary: str
    left: tuple[Change, ...] = ()


Line = Header | Module | Begin | Result | Late | Awaiting | Kept | Turn | End

KINDS: dict[str, type[Line]] = {
    "header": Header,
    "module": Module,
    "begin": Begin,
    "result": Result,
    "late": Late,
    "awaiting": Awaiting,
    "kept": Kept,
    "turn": Turn,
    "end": End,
}

NAMES = {kind: name for name, kind in KINDS.items()}
