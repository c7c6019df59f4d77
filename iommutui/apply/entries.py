"""Reading journals: what was done to this machine, how it ended, and what of it has been taken back."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from iommutui.apply.checked import parse_tagged
from iommutui.apply.lines import (
    KINDS,
    SCHEMA,
    Awaiting,
    Begin,
    End,
    Header,
    Kept,
    Late,
    Line,
    Module,
    Planned,
    Result,
    Turn,
)
from iommutui.apply.state import check_trusted
from iommutui.apply.traces import SUFFIX
from iommutui.core.address import Address
from iommutui.core.errors import Exit, IommutuiError, RefusedError, SourceError
from iommutui.core.hazards import Acceptance
from iommutui.core.plan.drift import Change, DeviceFacts
from iommutui.core.plan.intents import Goal

ID = re.compile(r"\d{8}T\d{6}-[0-9a-f]{4}")
SIZE_LIMIT = 16 << 20


class Done(NamedTuple):
    """A write that was begun."""

    number: int
    op: str
    device: Address
    value: str | None
    restoring: bool
    result: str | None = None
    """None: not known, because the process ended before the write had returned."""
    seconds: float = 0.0
    note: str = ""
    late: bool = False


class Entry(NamedTuple):
    """One journal."""

    id: str
    started: str
    kernel: str | None
    model: str
    goals: tuple[Goal, ...]
    modules: tuple[str, ...]
    planned: tuple[Planned, ...]
    before: tuple[DeviceFacts, ...]
    """Every device that was to be moved, as it was."""
    steps: tuple[Done, ...]
    why: str | None
    """Why everything was taken back; None where that was not begun."""
    exit: Exit | None
    summary: str
    left: tuple[Change, ...]
    reverts: str | None
    reverted_by: str | None = None
    """The journal that took this one back to the end."""
    within: float | None = None
    """The seconds in which somebody had to keep it; None where it was not put to that."""
    kept_by: str | None = None
    """Who kept it; None where nobody had to, or did."""
    accepted: tuple[Acceptance, ...] = ()
    """The dangers that were accepted for it."""

    @property
    def open(self) -> bool:
        """It has no end: the apply is going on, or it crashed."""
        return self.exit is None

    @property
    def in_effect(self) -> bool:
        """There may be something to take back."""
        unchanged = self.exit is not None and self.exit not in (Exit.DONE, Exit.NOT_ROLLED_BACK)
        return self.reverts is None and self.reverted_by is None and not unchanged


def list_entries(directory: Path) -> list[Entry]:
    """Every journal, the oldest first; none where there is no directory. SourceError names a file that is damaged."""
    found = [entry for name in _names(directory) if (entry := _read(directory / name)) is not None]
    return _with_reverts(found)


def list_readable(directory: Path) -> list[Entry]:
    """Every journal that can be read, the oldest first: a damaged one hides no other."""
    found = [entry for name in _names(directory) if (entry := _readable(directory / name)) is not None]
    return _with_reverts(found)


def load(directory: Path, wanted: str | None = None) -> Entry:
    """The journal of this id, or of the only one that begins so; None is the newest that is still in effect.

    RefusedError where several fit, IommutuiError where none does, SourceError where it is damaged.
    """
    if wanted is None:
        candidates = [entry for entry in list_entries(directory) if entry.in_effect]
        if not candidates:
            raise IommutuiError("There is nothing to take back: no journal is still in effect.")
        return candidates[-1]
    names = [name for name in _names(directory) if name.startswith(wanted)] if wanted else []
    if not names:
        raise IommutuiError(f"There is no journal {wanted!r}.", "'iommutui journal' lists them.")
    if len(names) > 1:
        several = ", ".join(name.removesuffix(SUFFIX) for name in names)
        raise RefusedError(f"More than one journal begins with {wanted!r}: {several}.", "Write more of the id.")
    entry = _read(directory / names[0])
    if entry is None:
        raise IommutuiError(f"The journal {names[0]} holds nothing: its apply ended before it wrote to the system.")
    return _with_reverts([entry, *(other for other in list_readable(directory) if other.id != entry.id)])[0]


def _with_reverts(entries: Sequence[Entry]) -> list[Entry]:
    by = {entry.reverts: entry.id for entry in entries if entry.reverts is not None and entry.exit is Exit.DONE}
    return [entry._replace(reverted_by=by.get(entry.id)) for entry in entries]


def _names(directory: Path) -> list[str]:
    """The names of journals in the order in which they were begun."""
    if not os.path.lexists(directory):
        return []
    check_trusted(directory)
    try:
        names = os.listdir(directory)
    except OSError as error:
        raise SourceError(f"The journal directory {directory} cannot be read: {error.strerror}.") from None
    return sorted(name for name in names if name.endswith(SUFFIX) and ID.fullmatch(name.removesuffix(SUFFIX)))


def _readable(path: Path) -> Entry | None:
    """A journal that is not asked for: a damaged one is no reason to fail."""
    try:
        return _read(path)
    except SourceError:
        return None


def _read(path: Path) -> Entry | None:
    """None for a journal whose header is not whole: nothing had been written to the system then."""
    lines = _lines(path)
    if not lines:
        return None
    header = lines[0]
    if not isinstance(header, Header) or any(isinstance(line, Header) for line in lines[1:]):
        raise _damaged(path, 1, "it does not begin with its header")
    if header.schema != SCHEMA:
        raise _damaged(path, 1, f"its schema is {header.schema}, and this program knows {SCHEMA}")
    if header.id != path.name.removesuffix(SUFFIX):
        raise _damaged(path, 1, "it holds the id of another one")
    steps: dict[int, Done] = {}
    why: str | None = None
    within: float | None = None
    kept_by: str | None = None
    end: End | None = None
    for number, line in enumerate(lines, 1):
        match line:
            case Begin():
                steps[line.number] = Done(*line)
            case Result(number=step, result=result, seconds=seconds, note=note) if step in steps:
                steps[step] = steps[step]._replace(result=result, seconds=seconds, note=note)
            case Late(number=step, result=result, seconds=seconds) if step in steps:
                steps[step] = steps[step]._replace(result=result, seconds=seconds, late=True)
            case Result() | Late():
                raise _damaged(path, number, "it tells the result of a write that was not begun")
            case Awaiting():
                within = line.seconds
            case Kept():
                kept_by = line.by
            case Turn():
                why = line.why
            case End():
                end = line
            case Header() | Module():
                pass
    return Entry(
        id=header.id,
        started=header.started,
        kernel=header.kernel,
        model=header.model,
        goals=header.goals,
        modules=header.modules,
        planned=header.steps,
        before=header.before,
        steps=tuple(steps.values()),
        why=why,
        exit=end.exit if end is not None else None,
        summary=end.summary if end is not None else "",
        left=end.left if end is not None else (),
        reverts=header.reverts,
        within=within,
        kept_by=kept_by,
        accepted=header.accepted,
    )


def _lines(path: Path) -> list[Line]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            content = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise SourceError(f"The journal {path} cannot be read: {error.strerror}.") from None
    if len(content) > SIZE_LIMIT:
        raise SourceError(f"The journal {path} is longer than any that was written by this program.")
    # Whatever follows the last newline was being written when the machine or the process died.
    whole = content.split(b"\n")[:-1]
    found: list[Line] = []
    for number, line in enumerate(whole, 1):
        try:
            found.append(parse_tagged("line", KINDS, line, "The line"))
        except IommutuiError as error:
            raise _damaged(path, number, error.what) from None
    return found


def _damaged(path: Path, number: int, why: str) -> SourceError:
    return SourceError(
        f"The journal {path} is damaged in line {number}: {why.rstrip('.')}.",
        "Move the file away; what it says of the state before can still be read in it with a pager.",
    )
