"""``iommutui preview``: what a rebind would do, and a plan as lines of text, which apply asks about as well."""

import argparse
from collections.abc import Iterable
from itertools import groupby

from iommutui.cli.documents import plan_document
from iommutui.cli.options import parse_intents, read_machine
from iommutui.cli.output import write_json, write_lines
from iommutui.cli.parser import Options
from iommutui.core.errors import Exit
from iommutui.core.hazards import Hazard, Severity, hazard_advice, hazard_loss
from iommutui.core.hazards.base import moves_of
from iommutui.core.host import Group, Host
from iommutui.core.labels import GLYPHS, device_name, driver_words, group_word
from iommutui.core.models import MODELS
from iommutui.core.plan.intents import Intent, targets_of
from iommutui.core.plan.planner import Plan, plan_intents, shell_line
from iommutui.core.plan.presets import fix_hazards, smallest_fix, withheld
from iommutui.core.plan.words import goal_words
from iommutui.core.reasons import OK, Code
from iommutui.core.wording import sentence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``preview DEVICE=TARGET... [--json]``."""
    parser.add_argument(
        "intents",
        nargs="+",
        metavar="DEVICE=TARGET",
        help="a target is vfio-pci, pci-stub, none (keep it free), default, or a driver that fits",
    )


def run(options: Options) -> int:
    """Prints the plan; REFUSED where it is not permitted."""
    host, model = read_machine(options)
    intents = parse_intents(host, options.intents)
    plan = plan_intents(host, intents, model)
    if options.json:
        write_json(plan_document(host, intents, plan, model))
    else:
        fix = smallest_fix(host, intents, [host.groups[change.group] for change in plan.groups], model)
        write_lines(plan_lines(host, plan, fix))
    return Exit.DONE if plan.permitted else Exit.REFUSED


_SEVERITY = {"info": "note", "warn": "WARNING", "danger": "DANGER"}


def hazard_lines(hazards: Iterable[Hazard]) -> list[str]:
    """What the host loses, the dangers first; the same advice stands once below all that it is for."""
    lines: list[str] = []
    for (_, advice), found in groupby(hazards, lambda hazard: (hazard.code, hazard_advice(hazard))):
        lines.append("")
        lines += [f"{_severity(hazard)} [{hazard.code}]: {hazard_loss(hazard)}" for hazard in found]
        lines.append(f"  {advice}")
    return lines


def _severity(hazard: Hazard) -> str:
    return "REFUSED" if hazard.refused else _SEVERITY[hazard.severity]


def plan_lines(host: Host, plan: Plan, fix: tuple[Intent, ...] | None) -> list[str]:
    """Everything that a review shows, in order."""
    lines: list[str] = []
    for goal in plan.goals:
        device = host.devices[goal.device]
        now = driver_words(host, device)
        done = " (already so)" if goal in plan.no_ops else ""
        lines.append(f"{goal.device}  {now} → {goal_words(goal)}{done}  {device_name(device)}")
    if plan.modules:
        lines += ["", f"Modules to load first: {', '.join(plan.modules)}"]
    if plan.steps:
        lines += ["", "Writes, in this order:"]
        width = len(str(len(plan.steps)))
        for number, step in enumerate(plan.steps, 1):
            outcome = "" if step.outcome == OK else f"   [{step.outcome}]"
            lines.append(f"  {number:>{width}}. {shell_line(step)}{outcome}")
    elif plan.permitted:
        lines += ["", "Nothing to write."]
    if plan.groups:
        lines.append("")
    for change in plan.groups:
        group, left = host.groups[change.group], plan.predicted.groups.get(change.group, Group(change.group))
        was, then = group_word(host, group, change.before), group_word(plan.predicted, left, change.after)
        before, after = f"{GLYPHS[was]} {was}", f"{GLYPHS[then]} {then}"
        lines.append(f"Group {change.group}: {before} → {after}")
        lines += [f"  {sentence(reason)}" for reason in change.after.reasons]
    lines += hazard_lines(plan.hazards)
    if plan.refusals:
        lines += ["", "Not permitted:"]
        lines += [f"  {sentence(reason)}" for reason in plan.refusals]
        unfit = dict.fromkeys(r.device for r in plan.refusals if r.code in (Code.NO_DRIVER, Code.UNFIT_DRIVER))
        for device in (host.devices[address] for address in unfit if address in host.devices):
            names = ", ".join(target.name for target in targets_of(host, device))
            lines.append(f"  What {device.address} can go to: {names}.")
    if fix:
        lines += ["", "To make every group here viable, add: " + " ".join(str(intent) for intent in fix)]
        dangers = [h for h in fix_hazards(host, plan.goals, fix) if h.severity is Severity.DANGER]
        lines += [f"  That would be a DANGER [{h.code}]: {hazard_loss(h)}" for h in dangers]
    elif fix is None and moves_of(host, plan.goals).taken:
        unknown = any(change.after.viable is None for change in plan.groups)
        lines += [
            "",
            "Whether a virtual machine could have every group here is not known."
            if unknown
            else "No further rebinds let a virtual machine have every group here.",
        ]
        stuck = [host.groups[change.group] for change in plan.groups if not change.after.viable]
        moved = {goal.device for goal in plan.goals}
        why = (r for each in stuck for r in withheld(host, each, MODELS[plan.model]) if r.device not in moved)
        lines += [f"  {sentence(reason)}" for reason in why]
    return lines if lines[:1] != [""] else lines[1:]
