"""Journals without an end: their apply is running, or was interrupted.

One of this boot blocks every other apply until it is reverted or kept, because a revert must not restore an unfinished
state. Bindings end with their boot: one of an earlier boot is closed and does not block.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from iommutui.apply.events import Finished, Kept
from iommutui.apply.journal.directory import SUFFIX, at_work, lock, may_be_open, may_write, names, of_boot
from iommutui.apply.journal.format import JournalWriter
from iommutui.apply.journal.reader import Damaged, Journal, Journals, read_journals
from iommutui.core.errors import Exit, IommutuiError, RefusedError


@dataclass(frozen=True, slots=True)
class Retention:
    """How many journals of earlier boots are kept, and for how long."""

    number: int = 100
    days: int = 365


RETENTION = Retention()

CUT_OFF_BY_REBOOT = "It was interrupted by the end of its boot, and its bindings ended with it."


def open_journals(directory: Path, boot: str | None) -> tuple[Journal | Damaged, ...]:
    """The interrupted applies of this boot, neither reverted nor kept since, oldest first.

    Empty while an apply is running, because its journal has no end yet either.
    """
    if not may_be_open(directory, boot) or at_work(directory):
        return ()
    return unfinished(read_journals(directory, boot), boot)


def unfinished(journals: Journals, boot: str | None) -> tuple[Journal | Damaged, ...]:
    """Journals of this boot without an end, for the holder of the lock; one that reverts another is settled with it."""
    settled = {journal.id for journal in journals.readable if journal.reverted_by is not None}
    return tuple(j for j in journals.every if j.open and j.of_boot(boot) and settled.isdisjoint((j.id, j.reverts)))


def refuse_unfinished(directory: Path, boot: str | None, reverts: str | None) -> None:
    """Raises RefusedError while an earlier apply is unfinished, unless this reverts it."""
    if not may_be_open(directory, boot):
        return
    for journal in unfinished(read_journals(directory, boot), boot):
        if reverts is None or reverts not in (journal.id, journal.reverts):
            raise RefusedError(f"Nothing was applied: {interrupted_words(journal)}", remedy_words(journal))


def interrupted_words(journal: Journal | Damaged) -> str:
    """How it was interrupted."""
    if isinstance(journal, Damaged):
        return f"the journal {journal.id} is damaged ({journal.why}), and its apply may have been interrupted."
    if journal.kept_by is not None:
        return f"the apply {journal.id} was interrupted after it had been confirmed."
    if journal.waiting:
        return f"the apply {journal.id} was interrupted while it waited to be confirmed."
    return f"the apply {journal.id} was interrupted."


def remedy_words(journal: Journal | Damaged) -> str:
    """What to do about it."""
    keep = f"'iommutui keep {journal.id}' leaves everything as it is."
    reverted = what_reverts(journal)
    return keep if reverted is None else f"'iommutui revert {reverted}' reverts it; {keep}"


def what_reverts(journal: Journal | Damaged) -> str | None:
    """The id that a revert takes; None if the journal is too damaged for one."""
    return None if isinstance(journal, Damaged) else journal.reverts or journal.id


def leave_as_it_is(directory: Path, journal_id: str, by: str) -> None:
    """Ends the journal of a dead process without a write to the system, so that the next apply may begin.

    Raises PermissionError if this user may not, RefusedError if it has an end by now.
    """
    if not may_write(directory):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(directory))
    with lock(directory):
        journal = read_journals(directory).find_any(journal_id)
        if not journal.open:
            raise RefusedError(f"The apply {journal.id} has ended meanwhile.", "'iommutui journal' says how.")
        whole = isinstance(journal, Journal) and journal.within is not None and journal.why is None
        with JournalWriter.reopen(directory, journal.id) as writer:
            writer.append(Kept(by))
            code = Exit.DONE if whole else Exit.NOT_ROLLED_BACK
            writer.append(Finished(code, "It was interrupted, and everything was left as it was."))


def close_earlier(directory: Path, boot: str | None) -> Iterator[str]:
    """Ends the journals interrupted in an earlier boot, under the lock, and yields notices to report."""
    if boot is None or not may_be_open(directory, None):
        return
    for journal in read_journals(directory).every:
        if journal.open and not journal.of_boot(boot):
            with suppress(IommutuiError), JournalWriter.reopen(directory, journal.id) as writer:
                writer.append(Finished(Exit.NOT_ROLLED_BACK, CUT_OFF_BY_REBOOT))
                yield f"The apply {journal.id} was interrupted by the end of an earlier boot; nothing of it is left."


def prune(directory: Path, boot: str | None, now: datetime, retention: Retention) -> None:
    """Removes the oldest journals of earlier boots. The caller holds the lock."""
    if boot is None:
        return
    earlier = [name for name in names(directory) if not of_boot(name, boot)]
    oldest = (now - timedelta(days=retention.days)).astimezone(UTC).strftime("%Y%m%dT%H%M%S")
    surplus = len(earlier) - retention.number
    for place, name in enumerate(earlier):
        if place < surplus or name < oldest:
            with suppress(OSError):
                os.unlink(directory / f"{name}{SUFFIX}")
