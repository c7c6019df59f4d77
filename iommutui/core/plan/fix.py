"""The smallest set of further intents after which user space can have groups.

Under every model a group is held up by single devices, each for itself: whether a device stands in the way depends on
its own driver and on nothing else of the group. So the set of devices is unique, exactly those whose driver stands in
the way, and no fix can leave one of them out, however much the host loses by it. What is left to choose is where they
go: free, which is the easiest to take back, unless a function of the same card goes to a virtual machine, whose drivers
expect the whole card. A bridge is part of it only where the model counts its driver, and only to be freed.
"""

from collections.abc import Callable, Iterable, Sequence

from iommutui.core.address import sort_key
from iommutui.core.hazards import Hazard, hazards_of
from iommutui.core.host import Device, Group, Host
from iommutui.core.models.base import Model
from iommutui.core.plan.intents import Goal, Intent, goal_of
from iommutui.core.plan.targets import NONE, vfio_target
from iommutui.core.reasons import Code, Reason
from iommutui.core.roles import is_vfio

_OF_THE_BOARD = {"0600": "the host bridge", "0601": "an ISA bridge", "0806": "an IOMMU", "0c05": "an SMBus controller"}


def of_the_board(device: Device) -> str:
    """What the device is where it serves the machine itself and is of no use to another; an empty string otherwise."""
    return _OF_THE_BOARD.get((device.class_code or "")[:4], "")


def wished_host(host: Host, goals: Iterable[Goal]) -> Host:
    """The Host as it would be if every goal were simply reached, whatever the rules say on the way.

    A domain that a kernel driver has attached goes where every driver leaves the group, as they do before others come.
    """
    after, left = host, set()
    for goal in goals:
        device = host.devices[goal.device]
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

    None as well where the kernel would refuse a claim of one of them all the same (``lasting`` says why).
    """
    groups = tuple(groups)
    found = _fix(host, intents, groups, model, _target)
    # Under the sketch of 2021 even a VFIO driver takes its group for the kernel.
    return found if found is not None else _fix(host, intents, groups, model, lambda *_: NONE)


def _fix(
    host: Host, intents: Sequence[Intent], groups: Sequence[Group], model: Model, target: Callable[[Host, Device], str]
) -> tuple[Intent, ...] | None:
    goals = [goal for intent in intents if (goal := goal_of(host, intent)[0]) is not None]
    wished = wished_host(host, goals)
    decided = {goal.device for goal in goals}
    fix: list[Intent] = []
    for group in groups:
        verdict = model.verdict(wished, wished.groups[group.id])
        blocking = [r.device for r in verdict.reasons if r.code is Code.KERNEL_DRIVER and r.device is not None]
        for address in sorted(set(blocking), key=sort_key):
            device = host.devices[address]
            if address in decided or device.bus != "pci":
                return None
            fix.append(Intent(address, target(wished, device)))
    after = wished_host(host, [*goals, *(goal for i in fix if (goal := goal_of(host, i)[0]) is not None)])
    for group in groups:
        verdict = model.verdict(after, after.groups[group.id])
        if verdict.viable is not True or verdict.refused:
            return None
    return tuple(sorted(fix, key=lambda intent: sort_key(intent.device)))


def _target(wished: Host, device: Device) -> str:
    """A function of a card that goes to a virtual machine goes with it; anything else is only taken out of the way."""
    if device.is_bridge or device.virtfns or of_the_board(device):
        return NONE  # VFIO refuses them, or nobody else has a use for them.
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

    There is no other fix to choose, so one that costs something is told with what it costs.
    """
    further = [goal for intent in fix or () if (goal := goal_of(host, intent)[0]) is not None]
    known = frozenset(hazards_of(host, goals)) if further else frozenset()
    return tuple(hazard for hazard in hazards_of(host, [*goals, *further]) if hazard not in known) if further else ()
