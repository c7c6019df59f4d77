"""A plan as lines of text: what ``preview`` and ``plan`` print, and what ``apply`` and ``revert`` ask about."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from iommutui.core.hazards import Hazard, Severity, hazard_advice, hazard_loss
from iommutui.core.hazards.base import moves_of
from iommutui.core.host import Group, Host
from iommutui.core.labels import GLYPHS, device_name, driver_words, group_word
from iommutui.core.models import MODELS, Model
from iommutui.core.plan.intents import Goal, Intent, targets_of
from iommutui.core.plan.planner import GroupChange, Plan, shell_line
from iommutui.core.plan.presets import fix_hazards, smallest_fix, withheld
from iommutui.core.reasons import OK, Code
from iommutui.core.wording import goal_words, sentence

_SEVERITY = {Severity.INFO: "note", Severity.WARN: "WARNING", Severity.DANGER: "DANGER"}


def further_fix(host: Host, intents: Sequence[Intent], plan: Plan, model: Model) -> tuple[Intent, ...] | None:
    """The smallest fix of every group that the plan touches; None if there is none."""
    return smallest_fix(host, intents, [host.groups[change.group] for change in plan.groups], model)


def plan_lines(host: Host, plan: Plan, fix: tuple[Intent, ...] | None = ()) -> list[str]:
    """Everything that a review shows, in order, with an empty line between its parts."""
    parts = (
        [_goal_line(host, plan, goal) for goal in plan.goals],
        [f"Modules to load first: {', '.join(plan.modules)}"] if plan.modules else [],
        _write_lines(plan),
        [line for change in plan.groups for line in _group_lines(host, plan, change)],
        hazard_lines(plan.hazards)[1:],
        [*_refusal_lines(host, plan)],
        [*_fix_lines(host, plan, fix)],
    )
    return [line for part in parts if part for line in ("", *part)][1:]


def _goal_line(host: Host, plan: Plan, goal: Goal) -> str:
    device = host.devices[goal.device]
    done = " (already so)" if goal in plan.no_ops else ""
    return f"{goal.device}  {driver_words(host, device)} → {goal_words(goal)}{done}  {device_name(device)}"


def _write_lines(plan: Plan) -> list[str]:
    if not plan.steps:
        return ["Nothing to write."] if plan.permitted else []
    lines = ["Writes, in this order:"]
    width = len(str(len(plan.steps)))
    for number, step in enumerate(plan.steps, 1):
        outcome = "" if step.outcome == OK else f"   [{step.outcome}]"
        lines.append(f"  {number:>{width}}. {shell_line(step)}{outcome}")
    return lines


def _group_lines(host: Host, plan: Plan, change: GroupChange) -> list[str]:
    left = plan.predicted.groups.get(change.group, Group(change.group))
    before = group_word(host, host.groups[change.group], change.before)
    after = group_word(plan.predicted, left, change.after)
    line = f"Group {change.group}: {GLYPHS[before]} {before} → {GLYPHS[after]} {after}"
    return [line, *(f"  {sentence(reason)}" for reason in change.after.reasons)]


def hazard_lines(hazards: Iterable[Hazard]) -> list[str]:
    """The impact on the host, dangers first; shared advice is printed once below its hazards."""
    lines: list[str] = []
    for advice, found in groupby(hazards, hazard_advice):
        lines.append("")
        for hazard in found:
            severity = "REFUSED" if hazard.refused else _SEVERITY[hazard.severity]
            lines.append(f"{severity} [{hazard.code}]: {hazard_loss(hazard)}")
        lines.append(f"  {advice}")
    return lines


def _refusal_lines(host: Host, plan: Plan) -> Iterator[str]:
    if not plan.refusals:
        return
    yield "Not permitted:"
    for reason in plan.refusals:
        yield f"  {sentence(reason)}"
    unfit = dict.fromkeys(r.device for r in plan.refusals if r.code in (Code.NO_DRIVER, Code.UNFIT_DRIVER))
    for device in (host.devices[address] for address in unfit if address in host.devices):
        names = ", ".join(target.name for target in targets_of(host, device))
        yield f"  {device.address} can go to {names}."


def _fix_lines(host: Host, plan: Plan, fix: tuple[Intent, ...] | None) -> Iterator[str]:
    """The further intents that every group here needs, or why none make them viable."""
    if fix:
        yield f"To make every group here viable, add: {' '.join(map(str, fix))}"
        for hazard in fix_hazards(host, plan.goals, fix):
            if hazard.severity is Severity.DANGER:
                yield f"  That would be a DANGER [{hazard.code}]: {hazard_loss(hazard)}"
    elif fix is None and moves_of(host, plan.goals).taken:
        if any(change.after.viable is None for change in plan.groups):
            yield "It is not known whether a virtual machine could have every group here."
        else:
            yield "No further rebinds let a virtual machine have every group here."
        moved = {goal.device for goal in plan.goals}
        for change in plan.groups:
            blockers = () if change.after.viable else withheld(host, host.groups[change.group], MODELS[plan.model])
            yield from (f"  {sentence(reason)}" for reason in blockers if reason.device not in moved)
