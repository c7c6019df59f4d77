"""A plan as lines of text: what preview prints and apply asks about."""

from iommutui.core.host import Host
from iommutui.core.intents import Intent
from iommutui.core.labels import device_name, verdict_glyph, verdict_word
from iommutui.core.outcome import OK
from iommutui.core.planner import Plan, Step
from iommutui.core.wording import goal_words, hazard_sentence, sentence

_SEVERITY = {"info": "note", "warn": "WARNING", "danger": "DANGER"}


def shell_line(step: Step) -> str:
    """The write as a person would type it."""
    return f"echo {step.data.rstrip()} > {step.path}".replace("echo  >", "echo >")


def plan_lines(host: Host, plan: Plan, fix: tuple[Intent, ...] | None) -> list[str]:
    """Everything that a review shows, in order."""
    lines: list[str] = []
    for goal in plan.goals:
        device = host.devices[goal.device]
        now = device.driver or "free"
        done = " (already so)" if goal in plan.no_ops else ""
        lines.append(f"{goal.device}  {now} → {goal_words(goal)}{done}  {device_name(device)}")
    if plan.modules:
        lines += ["", f"Modules to load first: {', '.join(plan.modules)}"]
    if plan.steps:
        lines += ["", "Writes, in this order:"]
        for number, step in enumerate(plan.steps, 1):
            outcome = "" if step.outcome == OK else f"   [{step.outcome}]"
            lines.append(f"  {number}. {shell_line(step)}{outcome}")
    elif plan.permitted:
        lines += ["", "Nothing to write."]
    if plan.groups:
        lines.append("")
    for change in plan.groups:
        before = f"{verdict_glyph(change.before)} {verdict_word(change.before)}"
        after = f"{verdict_glyph(change.after)} {verdict_word(change.after)}"
        lines.append(f"Group {change.group}: {before} → {after}")
        lines += [f"  {sentence(reason)}" for reason in change.after.reasons]
    for hazard in plan.hazards:
        lines.append(f"{_SEVERITY[hazard.severity]}: {hazard_sentence(hazard)}")
    if plan.refusals:
        lines += ["", "Not permitted:"]
        lines += [f"  {sentence(reason)}" for reason in plan.refusals]
    if fix:
        lines += ["", "To make every group here viable, add: " + " ".join(str(intent) for intent in fix)]
    elif fix is None:
        lines += ["", "No further rebinds make every group here viable."]
    return lines
