"""A plan in a few words: its size, its effect, the devices' destinations; and what has changed since."""

from collections.abc import Iterable
from typing import NamedTuple

from iommutui.core.drivers import VFIO_PCI
from iommutui.core.plan.drift import Change
from iommutui.core.plan.intents import Goal, Target, TargetKind
from iommutui.core.plan.planner import Plan


class Counts(NamedTuple):
    """How much a plan does."""

    writes: int
    devices: int
    """Devices that are written to."""
    no_ops: int
    """Devices that are where they should be already."""
    modules: int
    groups: int


def counts_of(plan: Plan) -> Counts:
    """The plan in numbers."""
    devices = {step.device for step in plan.steps}
    return Counts(len(plan.steps), len(devices), len(plan.no_ops), len(plan.modules), len(plan.groups))


def count(number: int, thing: str) -> str:
    """``1 write``, ``3 writes``."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def effect(plan: Plan) -> str:
    """``4 devices, 12 writes, loads vfio-pci; 1 group becomes viable.``"""
    counts = counts_of(plan)
    words = f"{count(counts.devices, 'device')}, {count(counts.writes, 'write')}"
    if plan.modules:
        words += f", loads {', '.join(plan.modules)}"
    freed = sum(1 for change in plan.groups if change.after.viable and not change.before.viable)
    lost = sum(1 for change in plan.groups if change.before.viable and not change.after.viable)
    ends = []
    if freed:
        ends.append(f"{count(freed, 'group')} become{'s' if freed == 1 else ''} viable")
    if lost:
        ends.append(f"{count(lost, 'group')} {'is' if lost == 1 else 'are'} no longer viable")
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
