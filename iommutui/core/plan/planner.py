"""From goals to the ordered writes that reach them, and the predicted machine afterwards.

The order is fixed: every override first, so that no device is ever without a driver and without its override; then
every unbind, then every probe, then the overrides that a restored device is to be left with. It is also the order that
``dma-hint`` needs: every kernel driver leaves before the first user driver comes (S-20).
"""

from collections.abc import Iterable, Sequence
from shlex import quote
from typing import NamedTuple

from iommutui.core.address import Address, sort_key
from iommutui.core.drivers import STUB
from iommutui.core.engine import transition
from iommutui.core.engine.matching import proven
from iommutui.core.events import Event, Override, Probe, Unbind
from iommutui.core.hazards import Hazard, hazards_of, refusals_of
from iommutui.core.host import Driver, Group, Host, is_vfio
from iommutui.core.models import Model, unbind_pending
from iommutui.core.plan.drift import Basis, basis_of
from iommutui.core.plan.intents import Goal, Intent, find_target, goal_of
from iommutui.core.printable import printable
from iommutui.core.reasons import Code, Reason, Verdict, in_use, unknown_driver

NOT_REACHED = "not-reached"
"""The outcome of a step after one that is refused."""


class Step(NamedTuple):
    """One write. ``path`` is where it goes on a live system, ``data`` what is written."""

    op: str
    device: Address
    value: str | None
    path: str
    outcome: str
    reasons: tuple[Reason, ...] = ()

    @property
    def data(self) -> str:
        """The bytes of the write: a newline clears an override, which an empty write would not."""
        return (self.value or "") + "\n" if self.op == "override" else self.device

    @property
    def event(self) -> Event:
        if self.op == "override":
            return Override(self.device, self.value)
        return Unbind(self.device) if self.op == "unbind" else Probe(self.device)


_PATHS = {
    "override": "/sys/bus/pci/devices/{device}/driver_override",
    "unbind": "/sys/bus/pci/drivers/{value}/unbind",
    "probe": "/sys/bus/pci/drivers_probe",
}


def new_step(op: str, device: Address, value: str | None) -> Step:
    """The write of an operation: ``override`` (None clears it), ``unbind`` (from the driver ``value``) or ``probe``."""
    return Step(op, device, value, _PATHS[op].format(device=device, value=value), NOT_REACHED)


class GroupChange(NamedTuple):
    """The verdict of a touched group, now and after the plan."""

    group: int
    before: Verdict
    after: Verdict


class Plan(NamedTuple):
    """Everything that a review shows and an apply needs."""

    model: str
    goals: tuple[Goal, ...]
    steps: tuple[Step, ...]
    no_ops: tuple[Goal, ...]
    """Goals that are reached already."""
    modules: tuple[str, ...]
    """Modules that have to be loaded first."""
    basis: Basis
    predicted: Host
    groups: tuple[GroupChange, ...]
    refusals: tuple[Reason, ...]
    """Why the plan is not permitted; empty if it is."""
    hazards: tuple[Hazard, ...]

    @property
    def permitted(self) -> bool:
        """Whether every step succeeds and every device ends where it should."""
        return not self.refusals


def plan_intents(host: Host, intents: Sequence[Intent], model: Model) -> Plan:
    """The plan that carries out intents; of several for one device the last one counts."""
    latest = sorted({i.device: i for i in intents}.values(), key=lambda i: sort_key(i.device))
    found = [goal_of(host, intent) for intent in latest]
    goals = [goal for goal in found if isinstance(goal, Goal)]
    named = [goal for goal in goals if goal.driver is not None and not goal.any_driver]
    targets = [find_target(host, host.devices[goal.device], goal.driver or "") for goal in named]
    modules = sorted({t.module for t in targets if t is not None and t.module is not None and not t.loaded})
    refusals = [reason for reason in found if isinstance(reason, Reason)]
    return plan_goals(host, goals, model, modules=modules, refusals=refusals)


def plan_goals(
    host: Host, goals: Sequence[Goal], model: Model, *, modules: Sequence[str] = (), refusals: Sequence[Reason] = ()
) -> Plan:
    """The plan that reaches goals."""
    found = [*refusals, *(Reason(Code.NO_DEVICE, device=g.device) for g in goals if g.device not in host.devices)]
    goals = [goal for goal in goals if goal.device in host.devices]
    unknown = {goal: reason for goal in goals if (reason := _unknown_driver(host, goal)) is not None}
    writes = {goal: _writes(host, goal) for goal in goals}
    moving = [goal for goal in goals if goal in unknown or writes[goal]]
    hazards = hazards_of(host, moving)
    ordered = sorted((w for goal in goals if goal not in unknown for w in writes[goal]), key=lambda write: write[0])
    steps, after, failed = _run(_with_drivers(host, goals), [step for _, step in ordered], model)
    found += [*unknown.values(), *refusals_of(hazards), *failed]
    if not found:
        found = [reason for goal in moving if (reason := _missed(after, goal, steps)) is not None]
    return Plan(
        model=model.name,
        goals=tuple(goals),
        steps=tuple(steps),
        no_ops=tuple(goal for goal in goals if goal not in moving),
        modules=tuple(modules),
        basis=basis_of(host, [goal.device for goal in goals]),
        predicted=after,
        groups=tuple(
            GroupChange(was.id, model.verdict(host, was), model.verdict(after, after.groups.get(was.id, Group(was.id))))
            for was in host.groups_of(goal.device for goal in goals)
        ),
        refusals=tuple(dict.fromkeys(found)),
        hazards=tuple(hazards),
    )


def judged(plan: Plan, hazards: Sequence[Hazard]) -> Plan:
    """The plan with these hazards, refused if one of them cannot be accepted."""
    refusals = tuple(dict.fromkeys((*refusals_of(hazards), *plan.refusals)))
    return plan._replace(hazards=tuple(hazards), refusals=refusals)


def still_to_leave(host: Host, goals: Iterable[Goal]) -> list[Goal]:
    """The goals whose devices are on a driver that they have yet to leave."""
    there = [goal for goal in goals if goal.device in host.devices]
    return [goal for goal in there if any(step.op == "unbind" for _, step in _writes(host, goal))]


def _with_drivers(host: Host, goals: Sequence[Goal]) -> Host:
    """The Host with the modules of every goal loaded; drivers that devices were seen on fit them."""
    for goal in goals:
        device = host.devices[goal.device]
        if goal.seen and goal.driver is not None and device.driver != goal.driver:
            host = host.with_device(proven(host, device, goal.driver))
    missing = [g.aim for g in goals if g.driver is not None and g.aim is not None and not host.has_driver(g.aim)]
    return host._replace(drivers=(*(host.drivers or ()), *map(Driver, dict.fromkeys(missing)))) if missing else host


def _unknown_driver(host: Host, goal: Goal) -> Reason | None:
    """A device that may be bound to anything is neither free nor has it a driver that could be unbound.

    While an unbind waits for an invisible holder, it is unknown what the group's other members may be bound to.
    """
    device = host.devices[goal.device]
    group = host.group_of(device.address)
    others = host.members(group) if group is not None and group.claim is None else []
    for each in (device, *others):
        if unbind_pending(group, each):
            return in_use(group, each)[0]
    return unknown_driver(device)


def _writes(host: Host, goal: Goal) -> list[tuple[int, Step]]:
    """The writes that take a device to its goal, each with its place in the order of a plan; empty if it is there."""
    device = host.devices[goal.device]
    if goal.any_driver:
        leaves = device.driver == STUB or is_vfio(host, device, device.driver)
        probes = leaves or (device.driver is None and goal.driver is not None)
    else:
        leaves = device.driver not in (None, goal.driver)
        probes = goal.driver not in (None, device.driver)
    aim = goal.aim if leaves or probes else goal.override
    writes = [
        (0, device.driver_override != aim, new_step("override", goal.device, aim)),
        (1, leaves, new_step("unbind", goal.device, device.driver)),
        (2, probes, new_step("probe", goal.device, None)),
        (3, aim != goal.override, new_step("override", goal.device, goal.override)),
    ]
    return [(place, step) for place, needed, step in writes if needed]


def _run(host: Host, writes: list[Step], model: Model) -> tuple[list[Step], Host, list[Reason]]:
    """The steps with their outcomes; the first that does not succeed ends the run."""
    done: list[Step] = []
    for number, step in enumerate(writes):
        outcome = transition(host, step.event, model)
        word = "blocks" if outcome.blocks else outcome.result
        done.append(step._replace(outcome="crash" if outcome.crash else word, reasons=outcome.reasons))
        if not outcome.ok:
            return [*done, *writes[number + 1 :]], host, list(outcome.reasons)
        host = outcome.host
    return done, host, []


def _missed(host: Host, goal: Goal, steps: list[Step]) -> Reason | None:
    """Success of every write is not success: the ``driver`` link decides."""
    device = host.devices.get(goal.device)
    if device is None:
        return Reason(Code.NO_DEVICE, device=goal.device)
    group = host.group_of(device.address)
    if unbind_pending(group, device):
        return in_use(group, device)[0]
    if goal.any_driver or device.driver == goal.driver:
        return None
    for step in steps:
        if step.op == "probe" and step.device == goal.device and step.reasons:
            return step.reasons[-1]
    wanted = "free" if goal.driver is None else f"on {goal.driver}"
    return Reason(Code.LEFT_ELSEWHERE, device.group, device.address, device.driver, (("wanted", wanted),))


def shell_line(step: Step) -> str:
    """The write as a line for a shell: ``echo vfio-pci > /sys/bus/pci/devices/0000:01:00.0/driver_override``."""
    value = (step.value or "") if step.op == "override" else step.device
    return f"echo {quote(value)} > {quote(step.path)}"


def shell_script(plan: Plan) -> str:
    """The writes of a plan as lines for a root shell, in their order, the modules first.

    Copied text gets passed on, so the first line says which devices the addresses are.
    """
    devices = [d for a in dict.fromkeys(step.device for step in plan.steps) if (d := plan.predicted.devices.get(a))]
    named = ", ".join(f"{d.address} is {d.ids or '????:????'}" for d in devices)
    lines = [f"# Only where {named}: on another machine these addresses are other devices."]
    lines += [f"modprobe {quote(module)}" for module in plan.modules]
    return "".join(f"{printable(text)}\n" for text in (*lines, *map(shell_line, plan.steps)))
