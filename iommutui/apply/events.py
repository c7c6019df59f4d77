"""What an apply says while it goes on, in order: to the command line, and as lines of JSON to another process."""

import json
import math
from typing import get_args

from iommutui.apply.validation import Json, Message, parse_tagged, tagged
from iommutui.core.errors import Exit, IommutuiError
from iommutui.core.plan.drift import Change
from iommutui.core.plan.planner import Step


class Started(Message):
    """The journal is on disk; nothing has been written to the system yet."""

    journal_id: str
    """Empty where there is no journal (a simulated kernel)."""
    steps: int


class Notice(Message):
    """Something that has to be reported once, such as what became of an earlier apply."""

    what: str


class ModuleLoaded(Message):
    """A module that a target needs is there."""

    module: str


class StepBegun(Message):
    """The write comes next. Numbers count from 1, and go on during a rollback."""

    number: int
    step: Step


class StepDone(Message):
    """The write has returned; ``result`` is ``ok`` or the name of an errno."""

    number: int
    step: Step
    result: str
    seconds: float
    note: str = ""
    """What read back differently, or which driver the kernel chose."""


class StepWaiting(Message):
    """The write has not returned after this many seconds; the operation ``modprobe``, number 0, loads a module."""

    number: int
    step: Step
    seconds: float
    holders: tuple[str, ...] = ()
    """Processes that may be why, as far as that can be seen."""


class Compensating(Message):
    """Something failed, and everything that was changed is taken back now."""

    why: str


class Counting(Message):
    """Everything is carried out and in effect, and is taken back unless somebody keeps it. Told about once a second.

    ``keep`` and a newline on the standard input of the applying process keep it, ``undo`` takes it back at once;
    ``iommutui keep`` does the former from any other terminal.
    """

    seconds: float
    """What is left of ``within``."""
    within: float


class Kept(Message):
    """It was kept in time: nothing is taken back."""

    by: str
    """Who said so, in words."""


class Refused(Message):
    """The last event where nothing was written at all: what an error says, for who reads events and not talk."""

    exit: Exit
    what: str
    remedy: str


class Finished(Message):
    """The last event."""

    exit: Exit
    summary: str
    left: tuple[Change, ...] = ()
    """Where it was not wholly taken back: each difference to the state before."""


Event = (
    Started
    | Notice
    | ModuleLoaded
    | StepBegun
    | StepDone
    | StepWaiting
    | Counting
    | Kept
    | Compensating
    | Refused
    | Finished
)

LINE_LIMIT = 1 << 20
"""No event is longer, in bytes."""


def to_json(event: Event) -> dict[str, Json]:
    """``{"event": "step-done", ...fields}``."""
    return tagged("event", event)


def from_json(value: object) -> Event:
    """The event in a decoded JSON object; IommutuiError for anything else."""
    try:
        return from_line(json.dumps(value))
    except (TypeError, ValueError, RecursionError):
        raise IommutuiError("The output of the applying process is not an event.") from None


def from_line(line: str | bytes) -> Event:
    """The event in a line of JSON; IommutuiError for anything else."""
    if len(line) > LINE_LIMIT:
        raise IommutuiError("The output of the applying process is too long for an event.")
    event: Event = parse_tagged("event", get_args(Event), line, "The output of the applying process")
    times = (getattr(event, "seconds", 0.0), getattr(event, "within", 0.0))
    first = 0 if isinstance(event, StepWaiting) else 1
    if any(not math.isfinite(time) or time < 0 for time in times) or getattr(event, "number", 1) < first:
        raise IommutuiError("The output of the applying process holds an impossible number.")
    return event
