"""The smallest set of further intents after which user space can have groups.

Under every model a group is held up by single devices, each for itself: whether a device stands in the way depends on
its own driver and on nothing else of the group. So the set of devices is unique, exactly those whose driver stands in
the way, and no fix can leave one of them out, however much the host loses by it. What is left to choose is where they
go: free, which is the easiest to take back, unless a function of the same card goes to a virtual machine, whose drivers
expect the whole card. A bridge is part of it only where the model counts its driver, and only to be freed.
"""

from collections.abc import Callable, Iterable, Sequence

from iommutui.core.address import sort_key
from iommutui.core.board import of_the_board
from iommutui.core.hazards import Hazard, hazards_of, refusals_of
from iommutui.core.host import Device, Group, Host
from iommutui.core.models.base import Model
from iommutui.core.plan.intents import NONE, Goal, Intent, goal_of, goals_of, vfio_target
from iommutui.core.reasons import Code, Reason
from iommutui.core.roles import is_vfio
from iommutui.core.topology import behind, controller_of, without


def wished_host(host: Host, goals: Iterable[Goal]) -> Host:
    """The Host as it would be if every goal were simply reached, whatever the rules say on the way.

    A domain that a kernel driver has attached goes where every driver leaves the group, as they do before others come.
    """
    after, left = host, set()
    for goal in goals:
        device = host.devices[goal.device]
        if goal.driver != device.driver and (gone := behind(host, device)):
            after = without(after, gone)
        if device.address not in after.devices:
            continue
        after = after.with_device(device._replace(driver=goal.driver, driver_override=goal.override))
        if device.driver not in (None, goal.driver):
            left.add(device.address)
    for group in host.groups.values():
        if group.foreign and left.intersection(group.members):
            staying = (d for d in host.members(group) if d.driver is not None and d.address not in left)
            after = after.with_group(group._replace(foreign=any(staying)))
    return after


def smallest_fix(
    host: Host, intents: Sequence[Intent], groups: Iterable[Group], model: Model
) -> tuple[Intent, ...] | None:
    """Further intents after which every one of the groups is viable; empty if nothing is needed, None if none exist.

    None as well where the kernel would refuse a claim of one of them all the same (``lasting`` says why), and where
    something stands in the way that nobody may be asked to give up (``withheld``).
    """
    groups = tuple(groups)
    found = _fix(host, intents, groups, model, _target)
    # Under the sketch of 2021 even a VFIO driver takes its group for the kernel.
    return found if found is not None else _fix(host, intents, groups, model, lambda *_: NONE)


def _fix(
    host: Host, intents: Sequence[Intent], groups: Sequence[Group], model: Model, target: Callable[[Host, Device], str]
) -> tuple[Intent, ...] | None:
    goals = goals_of(host, intents)
    wished = wished_host(host, goals)
    decided = {goal.device for goal in goals}
    fix: list[Intent] = []
    for group in groups:
        verdict = model.verdict(wished, wished.groups[group.id])
        blocking = [r.device for r in verdict.reasons if r.code is Code.KERNEL_DRIVER and r.device is not None]
        for address in sorted(set(blocking), key=sort_key):
            device = host.devices[address]
            if controller_of(host, device) is not None:
                continue  # It goes with the controller, which is in the way as well.
            if address in decided or device.bus != "pci" or of_the_board(device):
                return None
            fix.append(Intent(address, target(wished, device)))
    after = wished_host(host, [*goals, *goals_of(host, fix)])
    for group in groups:
        verdict = model.verdict(after, after.groups[group.id])
        if verdict.viable is not True or verdict.refused:
            return None
    if any(goal_of(host, intent)[0] is None for intent in fix) or refusals_of(fix_hazards(host, goals, fix)):
        return None
    return tuple(sorted(fix, key=lambda intent: sort_key(intent.device)))


def withheld(host: Host, group: Group, model: Model) -> tuple[Reason, ...]:
    """What stands in the way of a group and is in no fix: the firmware's own, and what the running system stands on."""
    blocking = {r.device for r in model.verdict(host, group).reasons if r.code is Code.KERNEL_DRIVER}
    found: list[Reason] = []
    for device in (d for d in host.members(group) if d.address in blocking):
        what = of_the_board(device)
        goal = goal_of(host, Intent(device.address, NONE))[0]
        if what:
            found.append(Reason(Code.OF_THE_BOARD, group.id, device.address, facts=(("what", what),)))
        elif goal is not None:
            found += refusals_of(hazards_of(host, [goal]))
    return tuple(found)


def _target(wished: Host, device: Device) -> str:
    """A function of a card that goes to a virtual machine goes with it; anything else is only taken out of the way."""
    if device.is_bridge or device.virtfns:
        return NONE  # VFIO refuses them.
    others = wished.same_card(device.address)
    together = any(is_vfio(wished, other, other.driver) for other in others)
    return vfio_target(wished, device) if together else NONE


def permanent_blockers(host: Host, group: Group, model: Model) -> tuple[Reason, ...]:
    """What keeps a group from whoever asks for it even when every PCI driver has left it; empty if nothing does."""
    bound = [d for d in host.members(group) if d.bus == "pci" and d.driver is not None]
    empty = wished_host(host, [Goal(d.address, None, NONE, NONE) for d in bound])
    return model.verdict(empty, empty.groups[group.id]).reasons


def fix_hazards(host: Host, goals: Sequence[Goal], fix: Iterable[Intent] | None) -> tuple[Hazard, ...]:
    """What the host loses by a fix, beyond what it loses by these goals.

    There is no other fix to choose, so one that costs something is shown with its cost.
    """
    further = goals_of(host, fix or ())
    known = frozenset(hazards_of(host, goals)) if further else frozenset()
    return tuple(hazard for hazard in hazards_of(host, [*goals, *further]) if hazard not in known) if further else ()
