"""What can be done about earlier applies: one that was interrupted is settled, and one that ended is reverted.

A journal without an end is of an apply that is running, or was interrupted. One of this boot blocks every other apply
until it is reverted or kept, because a revert must not restore an unfinished state. Bindings end with their boot: one
of an earlier boot is closed and does not block.

A revert compares a journal with the machine as it is now. It never touches a device that something else has changed
since, and never restores a change of another journal that has been reverted.
"""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from iommutui.apply.events import Finished, Kept
from iommutui.apply.journal import SUFFIX, at_work, lock, may_be_open, may_write, names, of_boot
from iommutui.apply.journal.format import BLOCKED, JournalWriter
from iommutui.apply.journal.reader import Damaged, Journal, read_journals
from iommutui.core.address import Address
from iommutui.core.errors import Exit, IommutuiError, RefusedError
from iommutui.core.host import Host
from iommutui.core.models import Model
from iommutui.core.plan.drift import Change, DeviceFacts, device_facts, differences
from iommutui.core.plan.intents import Goal, restoring
from iommutui.core.plan.planner import Plan, plan_goals
from iommutui.core.wording import changes_words


@dataclass(frozen=True, slots=True)
class Retention:
    """How many journals of earlier boots are kept, and for how long."""

    number: int = 100
    days: int = 365


RETENTION = Retention()


def open_journals(directory: Path, boot: str | None) -> tuple[Journal | Damaged, ...]:
    """The interrupted applies of this boot, neither reverted nor kept since, oldest first.

    Empty while an apply is running, because its journal has no end yet either.
    """
    return () if at_work(directory) else unfinished(directory, boot)


def unfinished(directory: Path, boot: str | None) -> tuple[Journal | Damaged, ...]:
    """Journals of this boot without an end, for the holder of the lock; one that reverts another is settled with it."""
    if not may_be_open(directory, boot):
        return ()
    journals = read_journals(directory, boot)
    settled = {journal.id for journal in journals.readable if journal.reverted_by is not None}
    return tuple(j for j in journals.every if j.open and j.of_boot(boot) and settled.isdisjoint((j.id, j.reverts)))


def refuse_unfinished(directory: Path, boot: str | None, reverts: str | None) -> None:
    """Raises RefusedError while an earlier apply is unfinished, unless this reverts it."""
    for journal in unfinished(directory, boot):
        if reverts is None or reverts not in (journal.id, journal.reverts):
            raise RefusedError(f"Nothing was applied: {interrupted_words(journal)}", remedy_words(journal))


def interrupted_words(journal: Journal | Damaged) -> str:
    """How it was interrupted: a sentence that begins with a small letter."""
    if isinstance(journal, Damaged):
        return f"the journal {journal.id} is damaged ({journal.why}), and its apply may have been interrupted."
    while_waiting = " while it waited to be confirmed" if journal.waiting else ""
    return f"the apply {journal.id} was interrupted{while_waiting}."


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
                end = "It was interrupted by the end of its boot, and its bindings ended with it."
                writer.append(Finished(Exit.NOT_ROLLED_BACK, end))
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


# -- reverting

_BY_HAND = "'iommutui apply DEVICE=TARGET' rebinds a device whatever a journal says."


@dataclass(frozen=True, slots=True)
class Standing:
    """The present state of the devices of a journal."""

    as_left: tuple[Address, ...]
    """Devices still as the apply left them."""
    changed: tuple[Change, ...]
    """Facts that something else has changed since."""


@dataclass(frozen=True, slots=True)
class Revert:
    """A journal, the plan that reverts it, and what the plan leaves alone."""

    journal: Journal
    plan: Plan
    left_alone: tuple[Change, ...]

    @property
    def left_alone_words(self) -> str:
        """What it does not restore, as a sentence; empty if it restores all."""
        changes = changes_words(self.left_alone)
        return f"Left alone, because it has been changed since: {changes}." if changes else ""


def standing(journal: Journal, host: Host, journals: Sequence[Journal] = ()) -> Standing:
    """Compares the Host with what the journal left, or those of ``journals`` that tried to revert it."""
    tried = [journal, *(other for other in journals if other.reverts == journal.id)]
    goals = {goal.device: goal for goal in journal.header.goals}
    as_left: list[Address] = []
    changed: list[Change] = []
    for before in journal.header.before:
        goal = goals.get(before.device, restoring(before.device, before.driver, before.override))
        left = [facts for each in tried if (facts := _after(each, before.device)) is not None]
        under_way = not left or any(_half_way(each) for each in tried)
        found = _changes(before, goal, left, host, under_way=under_way)
        changed += found
        if not found:
            as_left.append(before.device)
    return Standing(tuple(as_left), tuple(changed))


def _after(journal: Journal, device: Address) -> DeviceFacts | None:
    after = journal.end.after if journal.end is not None else ()
    return next((facts for facts in after if facts.device == device), None)


def _half_way(journal: Journal) -> bool:
    """Whether it is unknown how far the apply got with each device."""
    return journal.open or any(step.result in (None, BLOCKED) for step in journal.steps)


def _changes(before: DeviceFacts, goal: Goal, left: list[DeviceFacts], host: Host, *, under_way: bool) -> list[Change]:
    """Each fact of a device that differs from what any of these left, or with ``under_way`` may have passed through."""
    device = host.devices.get(before.device)
    if device is None:
        return [Change(before.device, "device", "present", "absent")]
    now = device_facts(device)._replace(group=before.group)
    aimed = before._replace(driver=goal.driver, override=goal.override)
    known = [facts._replace(group=before.group) for facts in left] or [aimed]
    if now in known:
        return []
    if under_way and now.ids == before.ids:
        passed = [before, aimed, *known]
        drivers = {None, *(facts.driver for facts in passed)}
        overrides = {before.driver, goal.aim, *(facts.override for facts in passed)}
        if now.override in overrides and (goal.any_driver or now.driver in drivers):
            return []
    return differences([known[-1]], [now])


def plan_revert(journal: Journal, host: Host, model: Model, journals: Sequence[Journal] = ()) -> Plan:
    """The plan that puts back what is still as the journal left it.

    Raises RefusedError if the journal is reverted already or is a revert itself, or nothing is as it left it.
    """
    if journal.reverted_by is not None:
        raise RefusedError(f"The apply {journal.id} has been reverted already, by {journal.reverted_by}.", _BY_HAND)
    if journal.reverts is not None:
        again = f"'iommutui revert {journal.reverts}' continues it." if journal.open else _BY_HAND
        raise RefusedError(f"{journal.id} is itself a revert, of {journal.reverts}.", again)
    found = standing(journal, host, journals)
    if found.changed and not found.as_left:
        raise RefusedError(
            f"Nothing is as the apply {journal.id} left it: {changes_words(found.changed)}. It is not touched.",
            _BY_HAND,
        )
    before = {facts.device: facts for facts in journal.header.before}
    facts = [_origin(before[address], journal, journals) for address in found.as_left]
    goals = [restoring(each.device, each.driver, each.override) for each in facts]
    unloaded = [goal for goal in goals if goal.driver is not None and not host.has_driver(goal.driver)]
    fits = [fit for goal in unloaded for fit in host.devices[goal.device].fits or () if fit.driver == goal.driver]
    return plan_goals(host, goals, model, modules=sorted({fit.module for fit in fits if fit.module is not None}))


def _origin(facts: DeviceFacts, journal: Journal, journals: Sequence[Journal]) -> DeviceFacts:
    """The state before; if an earlier apply that was reverted since had set that, the state before that apply."""
    for other in reversed([other for other in journals if other.id < journal.id]):
        after = _after(other, facts.device)
        reverted_since = other.reverted_by is not None and other.reverted_by > journal.id
        if after is not None and reverted_since and (after.driver, after.override) == (facts.driver, facts.override):
            facts = next(before for before in other.header.before if before.device == facts.device)
    return facts


class JournalState(StrEnum):
    """What a journal means now."""

    GOING_ON = "going-on"
    WAITING = "waiting"
    """Applied, and waiting for confirmation."""
    CUT_OFF = "cut-off"
    REVERTED = "reverted"
    REVERT = "revert"
    """It reverted another journal."""
    REBOOTED = "undone-by-reboot"
    UNCHANGED = "unchanged"
    """It was denied or rolled back: no effect is left."""
    IN_EFFECT = "in-effect"
    CHANGED = "changed"
    """Something else has changed some or all of its devices since."""
    INCOMPLETE = "not-rolled-back"
    """It failed, or was interrupted and kept, and nothing has changed since."""


def state_of(
    journal: Journal, journals: Sequence[Journal], host: Host, boot: str | None, *, going_on: bool
) -> JournalState:
    """``going_on``: an apply is running now."""
    if journal.open and journal.of_boot(boot) and journal.reverted_by is None:
        if going_on:
            return JournalState.WAITING if journal.waiting else JournalState.GOING_ON
        return JournalState.CUT_OFF
    if journal.reverted_by is not None:
        return JournalState.REVERTED
    if journal.reverts is not None:
        return JournalState.REVERT
    if not journal.changed_something:
        return JournalState.UNCHANGED
    if not journal.of_boot(boot):
        return JournalState.REBOOTED
    if standing(journal, host, journals).changed:
        return JournalState.CHANGED
    return JournalState.IN_EFFECT if journal.exit is Exit.DONE else JournalState.INCOMPLETE


def find_revert(directory: Path, wanted: str | None, host: Host, model: Model, boot: str | None) -> Revert:
    """The revert of a journal, or of the newest still in effect in this boot.

    Raises what `plan_revert` and `Journals.find` do, and RefusedError for a journal of an earlier boot.
    """
    journals = read_journals(directory)
    ours = [journal for journal in journals.readable if journal.of_boot(boot)]
    if wanted is not None:
        journal = journals.find(wanted)
    else:
        candidates = [journal for journal in ours if journal.changed_something]
        if not candidates:
            earlier = " What was applied in earlier boots ended with them." if journals.readable else ""
            raise IommutuiError(f"There is nothing to revert: no apply of this boot is in effect.{earlier}")
        standing_still = [each for each in candidates if standing(each, host, ours).as_left]
        journal = (standing_still or candidates)[-1]
    if not journal.of_boot(boot):
        raise RefusedError(
            f"{journal.id} is of an earlier boot, and its bindings ended with that: nothing is left to revert.",
            _BY_HAND,
        )
    plan = plan_revert(journal, host, model, ours)
    return Revert(journal, plan, standing(journal, host, ours).changed)
