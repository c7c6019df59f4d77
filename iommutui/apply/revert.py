"""Compares a journal with the machine as it is now, and plans to revert what is still as it left it.

A revert never touches a device that something else has changed since, and never restores a change of another journal
that has been reverted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from iommutui.apply.journal.format import BLOCKED
from iommutui.apply.journal.reader import Journal, read_journals
from iommutui.core.address import Address
from iommutui.core.errors import Exit, IommutuiError, RefusedError
from iommutui.core.host import Host
from iommutui.core.models import Model
from iommutui.core.plan.drift import Change, DeviceFacts, device_facts, differences
from iommutui.core.plan.intents import Goal, restoring
from iommutui.core.plan.planner import Plan, plan_goals
from iommutui.core.wording import changes_words

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
    return plan_goals(host, goals, model, modules=_modules(host, goals))


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
    DAMAGED = "damaged"
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


def _modules(host: Host, goals: Sequence[Goal]) -> list[str]:
    """The modules of old drivers that are no longer loaded."""
    found = set()
    for goal in goals:
        device = host.devices[goal.device]
        if goal.driver is None or goal.driver == device.driver or host.has_driver(goal.driver):
            continue
        found |= {fit.module for fit in device.fits or () if fit.driver == goal.driver and fit.module is not None}
    return sorted(found)
