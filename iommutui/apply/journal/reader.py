"""Reads journals: what was applied to this machine, how it ended, and what has been reverted."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, get_args

from iommutui.apply.events import Compensating, Counting, Finished, Kept
from iommutui.apply.journal import SUFFIX, check_trusted, is_ended, names, of_boot
from iommutui.apply.journal.format import Begin, Header, Late, Line, Result
from iommutui.apply.validation import parse_tagged
from iommutui.core.address import Address
from iommutui.core.errors import Exit, IommutuiError, RefusedError, SourceError


class JournaledWrite(NamedTuple):
    """A write that was begun."""

    number: int
    op: str
    device: Address
    value: str | None
    restoring: bool
    result: str | None = None
    """None: unknown, because the process ended before the write returned."""
    seconds: float = 0.0
    note: str = ""
    late: bool = False


@dataclass(frozen=True, slots=True)
class Journal:
    """The content of one journal."""

    header: Header
    steps: tuple[JournaledWrite, ...] = ()
    why: str | None = None
    """Why everything was rolled back; None if no rollback began."""
    end: Finished | None = None
    """None: the apply is running, or was interrupted."""
    within: float | None = None
    """The seconds in which it had to be confirmed; None if it did not have to be."""
    kept_by: str | None = None
    """Who confirmed it; None if nobody did."""
    damage: str = ""
    """What is wrong with one of its lines; the lines before that one are still known."""
    reverted_by: str | None = None

    @property
    def id(self) -> str:
        return self.header.id

    @property
    def reverts(self) -> str | None:
        return self.header.reverts

    @property
    def exit(self) -> Exit | None:
        """How it ended."""
        return self.end.exit if self.end is not None else None

    @property
    def open(self) -> bool:
        """Whether it has no end: the apply is running, or was interrupted."""
        return self.end is None

    @property
    def waiting(self) -> bool:
        """Whether everything is in effect and neither confirmed nor rolled back yet."""
        return self.open and self.within is not None and self.why is None and self.kept_by is None

    @property
    def changed_something(self) -> bool:
        """Whether the apply may have left changes that a revert would undo."""
        unchanged = self.end is not None and self.end.exit not in (Exit.DONE, Exit.NOT_ROLLED_BACK)
        return self.header.reverts is None and self.reverted_by is None and not unchanged

    def of_boot(self, boot: str | None) -> bool:
        """Whether it was written in this boot, as far as that can be known."""
        if self.header.boot is None or boot is None:
            return of_boot(self.id, boot)
        return self.header.boot == boot


class Damaged(NamedTuple):
    """A file without even a header: it is unknown what was applied."""

    id: str
    why: str
    open: bool
    """It has no last line: its apply is running, or was interrupted."""
    reverts: None = None
    """Whether it reverts another one is not known."""

    def of_boot(self, boot: str | None) -> bool:
        """Whether it may have been written in this boot."""
        return of_boot(self.id, boot)


class Journals(NamedTuple):
    """Every journal of a directory, the oldest first."""

    every: tuple[Journal | Damaged, ...] = ()

    @property
    def readable(self) -> tuple[Journal, ...]:
        """Those of which at least the header can be read."""
        return tuple(journal for journal in self.every if isinstance(journal, Journal))

    def find_any(self, wanted: str) -> Journal | Damaged:
        """The journal with this id, or the only one with this prefix.

        Raises RefusedError if several fit, IommutuiError if none does.
        """
        fitting = [journal for journal in self.every if journal.id.startswith(wanted)] if wanted else []
        if not fitting:
            raise IommutuiError(f"There is no journal {wanted!r}.", "'iommutui journal' lists them.")
        if len(fitting) > 1:
            raise RefusedError(
                f"More than one journal begins with {wanted!r}: {', '.join(each.id for each in fitting)}.",
                "Give more of the id.",
            )
        return fitting[0]

    def find(self, wanted: str) -> Journal:
        """Like `find_any`. Raises SourceError if the journal is damaged."""
        found = self.find_any(wanted)
        if isinstance(found, Damaged):
            closing = f"'iommutui keep {found.id}' closes it." if found.open else "Nothing can be done with it."
            raise SourceError(f"The journal {found.id} is damaged: {found.why}.", closing)
        return found


def read_journals(directory: Path, boot: str | None = None) -> Journals:
    """Every journal, or only those that may be of a boot; none if there is no directory.

    Raises NotPermittedError if somebody else could have changed them. A damaged journal hides no other.
    """
    if not os.path.lexists(directory):
        return Journals()
    check_trusted(directory)
    try:
        found = names(directory)
    except OSError as error:
        raise SourceError(f"The journal directory {directory} cannot be read: {error.strerror}.") from None
    every = [journal for name in found if of_boot(name, boot) if (journal := _read(directory, name)) is not None]
    reverts = {j.reverts: j.id for j in every if isinstance(j, Journal) and j.exit is Exit.DONE}
    return Journals(tuple(replace(j, reverted_by=reverts.get(j.id)) if isinstance(j, Journal) else j for j in every))


def _read(directory: Path, name: str) -> Journal | Damaged | None:
    """None for a journal whose header is incomplete: nothing had been written to the system."""
    path = directory / f"{name}{SUFFIX}"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            content = file.read()
    except OSError as error:
        return Damaged(name, f"it cannot be read ({error.strerror})", open=False)
    # Text after the last newline was being written when the machine or the process died.
    whole = content.split(b"\n")[:-1]
    if not whole:
        return None
    lines, damage = _parse(whole)
    header = lines[0] if lines else None
    if not isinstance(header, Header):
        why = damage or "line 1 is not its header"
    elif header.id != name:
        why = "it holds the id of another one"
    else:
        return _told(header, lines[1:], damage, ended=is_ended(content))
    return Damaged(name, why, open=not is_ended(content))


def _parse(whole: Sequence[bytes]) -> tuple[list[Line], str]:
    """The lines before the first that is not valid, and what is wrong with that one."""
    found: list[Line] = []
    for number, line in enumerate(whole, 1):
        try:
            found.append(parse_tagged("line", get_args(Line), line, f"line {number}"))
        except IommutuiError as error:
            return found, error.what.rstrip(".")
    return found, ""


def _told(header: Header, lines: Sequence[Line], damage: str, *, ended: bool) -> Journal:
    journal = Journal(header, damage=damage)
    steps: dict[int, JournaledWrite] = {}
    for number, line in enumerate(lines, 2):
        match line:
            case Begin():
                steps[line.number] = JournaledWrite(line.number, line.op, line.device, line.value, line.restoring)
            case Result(number=step, result=result, seconds=seconds, note=note) if step in steps:
                steps[step] = steps[step]._replace(result=result, seconds=seconds, note=note)
            case Late(number=step, result=result, seconds=seconds) if step in steps:
                steps[step] = steps[step]._replace(result=result, seconds=seconds, late=True)
            case Counting():
                journal = replace(journal, within=line.within)
            case Kept():
                journal = replace(journal, kept_by=line.by)
            case Compensating():
                journal = replace(journal, why=line.why)
            case Finished():
                journal = replace(journal, end=line)
            case Result() | Late():
                damage = damage or f"line {number} is the result of a write that was not begun"
            case Header():
                damage = damage or f"line {number} is another header"
    if ended and journal.end is None:
        journal = replace(journal, end=Finished(Exit.NOT_ROLLED_BACK, "How it ended cannot be read."))
    return replace(journal, steps=tuple(steps.values()), damage=damage)
