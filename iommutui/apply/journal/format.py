"""The lines of a journal: JSON objects whose ``line`` names their kind. The first is a `Header`, the last an `End`."""

from iommutui.apply.validation import Message
from iommutui.core.address import Address
from iommutui.core.errors import Exit
from iommutui.core.hazards import Acceptance
from iommutui.core.plan.drift import Change, DeviceFacts
from iommutui.core.plan.intents import Goal

SCHEMA = 1

BLOCKED = "blocked"
"""The result of a write that was given up; a `Late` line may say how it ended after all."""


class Planned(Message):
    """A step as it was planned."""

    op: str
    device: Address
    value: str | None


class Header(Message):
    """The first line, on disk before anything is written to the system."""

    schema: int
    id: str
    started: str
    """Date and time, ISO 8601."""
    kernel: str | None
    model: str
    goals: tuple[Goal, ...]
    modules: tuple[str, ...]
    steps: tuple[Planned, ...]
    before: tuple[DeviceFacts, ...]
    """Every device that is to be moved, as it was."""
    reverts: str | None = None
    """The journal that this one reverts."""
    accepted: tuple[Acceptance, ...] = ()
    """The dangers that were accepted for it."""
    boot: str | None = None
    """``boot_id`` of the kernel that was running; None where it could not be read."""


class Module(Message):
    """A module is about to be loaded."""

    name: str


class Begin(Message):
    """A write is about to be made; ``restoring`` during a rollback."""

    number: int
    op: str
    device: Address
    value: str | None
    restoring: bool = False


class Result(Message):
    """A write has returned."""

    number: int
    result: str
    seconds: float
    note: str = ""


class Late(Message):
    """A write has returned after it had been given up, or after the process that waited for it had gone."""

    number: int
    result: str
    seconds: float


class Awaiting(Message):
    """Everything is carried out, and is reverted unless somebody confirms within these seconds."""

    seconds: float


class Kept(Message):
    """Somebody has confirmed it."""

    by: str


class Turn(Message):
    """The rollback begins."""

    why: str


class End(Message):
    """The last line of a process that came to its end."""

    exit: Exit
    summary: str
    left: tuple[Change, ...] = ()
    """What a rollback could not restore."""
    after: tuple[DeviceFacts, ...] = ()
    """The moved devices as the apply left them; empty where nobody looked."""


Line = Header | Module | Begin | Result | Late | Awaiting | Kept | Turn | End
