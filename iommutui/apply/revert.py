"""From a journal to the plan that takes it back."""

from collections.abc import Sequence

from iommutui.apply.entries import Entry
from iommutui.apply.words import changes_words
from iommutui.core.errors import RefusedError
from iommutui.core.host import Host
from iommutui.core.models.base import Model
from iommutui.core.plan.drift import Change, device_facts
from iommutui.core.plan.intents import Goal, restoring
from iommutui.core.plan.planner import Plan, plan_goals


def revert_goals(entry: Entry, host: Host) -> list[Goal]:
    """Every device of the journal as it was before. RefusedError where one is gone, or another one in its place."""
    changes: list[Change] = []
    for facts in entry.before:
        device = host.devices.get(facts.device)
        if device is None:
            changes.append(Change(facts.device, "device", "present", "absent"))
        elif device_facts(device).ids != facts.ids:
            changes.append(Change(facts.device, "ids", facts.ids, device_facts(device).ids))
    if changes:
        raise RefusedError(
            f"The journal {entry.id} cannot be taken back as a whole: {changes_words(changes)}.",
            "Rebind the devices that are left one by one.",
        )
    return [restoring(facts.device, facts.driver, facts.override) for facts in entry.before]


def plan_revert(entry: Entry, host: Host, model: Model) -> Plan:
    """The plan that takes the journal back on the machine as it is now."""
    goals = revert_goals(entry, host)
    return plan_goals(host, goals, model, modules=_modules(host, goals))


def _modules(host: Host, goals: Sequence[Goal]) -> list[str]:
    """The modules of old drivers that are not there any more."""
    found = set()
    for goal in goals:
        device = host.devices[goal.device]
        if goal.driver is None or goal.driver == device.driver or host.has_driver(goal.driver):
            continue
        found |= {fit.module for fit in device.fits or () if fit.driver == goal.driver and fit.module is not None}
    return sorted(found)
