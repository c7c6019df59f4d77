"""Reasons, verdicts and plans in words, without markup; the sentences of hazards are in `iommutui.core.hazards`."""

from collections.abc import Iterable

from iommutui.core.device import NOT_LISTED, gap_words
from iommutui.core.drivers import VFIO_PCI
from iommutui.core.hazards import filled, refusal_sentence
from iommutui.core.host import Group, Host
from iommutui.core.labels import NO_ISOLATION, NOTHING_TO_PASS, group_word
from iommutui.core.plan.drift import Change
from iommutui.core.plan.intents import Goal, Target, TargetKind
from iommutui.core.plan.planner import Plan
from iommutui.core.reasons import Code, Reason, Verdict


def sentence(reason: Reason) -> str:
    """One or two sentences that name device, driver and rule."""
    if reason.code is Code.HOST_NEEDS:
        return refusal_sentence(reason)
    device, driver = reason.device or "", reason.driver or ""
    group = "" if reason.group is None else str(reason.group)
    words = {
        "device": device,
        "driver": driver,
        "group": group,
        "subject": device or (f"group {group}" if group else "the device"),
        "place": f"on {driver}" if driver else "free",
        "holder": reason.fact("owner") or "another process",
    }
    return filled(reason.code.says, {**words, **dict(reason.facts), "why": _why(reason)})


def _why(reason: Reason) -> str:
    """Why something is unknown, and for a listing the command that shows it."""
    why = reason.fact("why")
    if why != NOT_LISTED:
        return gap_words(why)
    command = "lspci -nnk" if reason.code is Code.UNKNOWN_DRIVER else "lspci -v (pciutils 3.7 or later)"
    return f"{gap_words(why)}; {command} does"


def verdict_sentence(host: Host, group: Group, verdict: Verdict) -> str:
    """The verdict on a group as a sentence."""
    word = group_word(host, group, verdict)
    if word == NO_ISOLATION:
        return f"Group {group.id} is not isolated."
    if word == NOTHING_TO_PASS:
        return f"Group {group.id} holds nothing to pass through: its devices serve this machine itself."
    silent = ", ".join(d.address for d in host.members(group) if d.silent)
    if word == "viable" and silent:
        return f"Group {group.id} is viable, but this does not answer (asleep in D3cold, or off the bus): {silent}."
    return {
        "viable": f"Group {group.id} is viable: a virtual machine can use it.",
        "in use": f"Group {group.id} is in use.",
        "refused": f"Group {group.id} is viable, but claiming it fails with {verdict.claim}.",
        "unknown": f"Whether group {group.id} is viable is unknown.",
        "blocked": f"Group {group.id} is not viable.",
    }[word]


def count(number: int, thing: str) -> str:
    """``1 write``, ``3 writes``."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def effect(plan: Plan) -> str:
    """``4 devices, 12 writes, loads vfio-pci; 1 group becomes viable.``"""
    words = f"{count(len({step.device for step in plan.steps}), 'device')}, {count(len(plan.steps), 'write')}"
    if plan.modules:
        words += f", loads {', '.join(plan.modules)}"
    freed = sum(1 for change in plan.groups if change.after.viable and not change.before.viable)
    lost = sum(1 for change in plan.groups if change.before.viable and not change.after.viable)
    ends = [f"{count(freed, 'group')} become{'s' if freed == 1 else ''} viable"] if freed else []
    ends += [f"{count(lost, 'group')} {'is' if lost == 1 else 'are'} no longer viable"] if lost else []
    return f"{words}; {' and '.join(ends) or 'no verdict changes'}. Lasts until the next boot."


def goal_words(goal: Goal) -> str:
    """The device's destination: ``vfio-pci``, ``free``, ``the kernel's choice (nvidia)``."""
    if goal.any_driver:
        return "the kernel's choice" + (f" ({goal.driver})" if goal.driver else "")
    return goal.driver if goal.driver is not None else "free"


def purpose(target: Target) -> str:
    """What a target is for."""
    return {
        TargetKind.NONE: "keep it free: no driver",
        TargetKind.DEFAULT: "clear the override and let the kernel choose",
        TargetKind.STUB: "park it: a driver that does nothing",
        TargetKind.KERNEL: "let this machine use it",
        TargetKind.VFIO: "hand it to a virtual machine"
        + ("" if target.name == VFIO_PCI else ", with a driver made for it"),
    }[target.kind]


def change_words(change: Change) -> str:
    """``0000:01:00.0: driver was nvidia and is vfio-pci``."""
    return f"{change.subject}: {change.fact} was {change.before} and is {change.now}"


def changes_words(changes: Iterable[Change]) -> str:
    """Every change, in one line."""
    return "; ".join(map(change_words, changes))
