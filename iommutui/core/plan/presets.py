"""Sets of intents that free cards, groups and devices for a virtual machine, or give them back.

Under every model each device blocks its group by itself: whether it does depends only on its own driver. So the
devices of the smallest fix are unique: exactly those whose drivers block the group, however much the host loses. Only
their targets are a choice: free, which is the easiest to revert, unless a function of the same card goes to a virtual
machine, whose drivers expect the whole card. A bridge is part of it only where the model counts its driver, and only
to be freed.
"""

from collections.abc import Iterable, Sequence

from iommutui.core.address import Address, sort_key
from iommutui.core.chipset import chipset_part, is_of_use, passable
from iommutui.core.drivers import STUB, Role
from iommutui.core.engine.matching import own_probe
from iommutui.core.hazards import Hazard, hazards_of, refusals_of
from iommutui.core.host import NO_IOMMU, Device, Group, Host, is_vfio, serves_host
from iommutui.core.models import Model
from iommutui.core.plan.intents import (
    DEFAULT,
    NONE,
    Goal,
    Intent,
    TargetKind,
    default_driver,
    goals_of,
    refusal_of,
    targets_of,
    vfio_target,
)
from iommutui.core.reasons import Code, Reason, groupless
from iommutui.core.topology import behind, controller_of, without
from iommutui.core.wording import sentence


def free_devices(
    host: Host, addresses: Iterable[Address], model: Model, *, reached: bool = False, said: Sequence[Intent] = ()
) -> tuple[Intent, ...] | None:
    """The intents that free these devices for a virtual machine, with whatever else their groups need and no more.

    They may lie in several groups. Chipset functions among them stay with the host. None if no plan makes all of
    these groups viable. With ``reached``, intents that are already reached are included. ``said`` holds intents for
    other devices; only those can move a chipset function.
    """
    members = [device for address in addresses if is_of_use(host, device := host.devices[address])]
    groups = host.groups_of(device.address for device in members)
    if not groups or any(group.name == NO_IOMMU for group in groups):
        return None
    found = _with_the_rest(host, members, groups, model, said)
    if found is None or reached:
        return found
    return tuple(i for i in found if not _is_there(host.devices[i.device], i.target))


def _is_there(device: Device, target: str) -> bool:
    return target == (device.driver or NONE) == device.driver_override


def beyond(host: Host, selected: Iterable[Address], intents: Iterable[Intent]) -> list[Device]:
    """The devices that a preset moves beyond the selection, for ``labels.also_takes``."""
    chosen = frozenset(selected)
    return [host.devices[i.device] for i in intents if i.device not in chosen and i.device in host.devices]


def fix_for(host: Host, group: Group, device: Address | None, model: Model) -> tuple[Intent, ...] | None:
    """The smallest fix of a group as it is, for somebody who wants the device's card (or, without one, all of it).

    Devices already on a VFIO driver are not part of it, whatever their override; nor are those that a plan would
    refuse.
    """
    wanted = _wanted_of(host, group, device)
    usable = [each for each in wanted if not_of_use(host, each) is None]
    if wanted and not usable:
        return None
    found = _with_the_rest(host, usable, [group], model) if group.name != NO_IOMMU else None
    if found is not None:
        return None if refusals_of(fix_hazards(host, (), found)) else found
    return smallest_fix(host, (), [group], model) if passable(host, group) else None


def why_no_fix(host: Host, group: Group, device: Address | None, model: Model) -> tuple[Reason, ...]:
    """Why ``fix_for`` finds nothing: devices that VFIO refuses or no fix may move, reasons that no rebind removes."""
    refused = [reason for d in _wanted_of(host, group, device) if (reason := not_of_use(host, d)) is not None]
    return (*refused, *_obstacles(host, group, model))


def _obstacles(host: Host, group: Group, model: Model) -> tuple[Reason, ...]:
    """What keeps a group from being claimed: devices that no fix may move, and what remains without any driver."""
    bound = [d for d in host.members(group) if d.bus == "pci" and d.driver is not None]
    empty = reached_host(host, [Goal(d.address, None, NONE, NONE) for d in bound])
    return (*withheld(host, group, model), *model.verdict(empty, empty.groups[group.id]).reasons)


def _wanted_of(host: Host, group: Group, device: Address | None) -> list[Device]:
    card = {each.address for each in host.card(device)} if device is not None else set()
    asked = [d for d in host.members(group) if (d.address in card if card else d.driver is not None)]
    return [d for d in asked if is_of_use(host, d) and not is_vfio(host, d, d.driver)]


def asked_of(host: Host, group: Group) -> list[Address]:
    """The devices to free for a group: its usable devices that have a driver; if there are none, all of its devices."""
    members = host.members(group)
    return [d.address for d in members if d.driver is not None and is_of_use(host, d)] or [d.address for d in members]


def not_of_use(host: Host, device: Device) -> Reason | None:
    """Why no virtual machine can have the device, whatever is rebound; None if one can."""
    driver = vfio_target(host, device)
    refused = (reason for reason in own_probe(host, device, driver).reasons if reason.code is Code.DENYLISTED)
    return refusal_of(host, Intent(device.address, driver)) or next(refused, None)


def why_not_free(host: Host, addresses: Iterable[Address], model: Model, said: Sequence[Intent] = ()) -> str | None:
    """Why no rebind frees these devices for a virtual machine, as a sentence; None if ``free_devices`` does."""
    asked = [host.devices[address] for address in addresses]
    devices = [device for device in asked if is_of_use(host, device)]
    reasons = [reason for device in devices or asked if (reason := not_of_use(host, device)) is not None]
    if not devices:
        return " ".join(["Nothing here can go to a virtual machine.", *map(sentence, reasons[:3])])
    groups = host.groups_of(device.address for device in devices)
    if not groups:
        return sentence(groupless(devices[0]))
    if free_devices(host, [device.address for device in devices], model, said=said) is not None:
        return None
    names = ", ".join(device.address for device in devices)
    reasons += (reason for group in groups for reason in _obstacles(host, group, model))
    verdicts = [model.verdict(host, group) for group in groups]
    doubts = [reason for verdict in verdicts if verdict.viable is None for reason in verdict.reasons]
    if doubts and all(reason in doubts for reason in reasons):
        return f"Whether a rebind frees {names} for a virtual machine is unknown. {sentence(doubts[0])}"
    reasons = reasons or [reason for verdict in verdicts for reason in verdict.reasons]
    return f"Nothing frees {names} for a virtual machine: {' '.join(dict.fromkeys(map(sentence, reasons)))}"


def _with_the_rest(
    host: Host, devices: Iterable[Device], groups: Sequence[Group], model: Model, said: Sequence[Intent] = ()
) -> tuple[Intent, ...] | None:
    """The devices on the VFIO drivers that fit them best, and the smallest fix that the groups need besides."""
    decided = {intent.device for intent in said}
    wanted = [Intent(d.address, vfio_target(host, d)) for d in devices if d.address not in decided]
    if any(not_of_use(host, host.devices[intent.device]) is not None for intent in wanted):
        return None
    further = smallest_fix(host, [*wanted, *said], groups, model)
    if further is None:
        return None
    return tuple(sorted((*wanted, *further), key=lambda intent: sort_key(intent.device)))


def give_back(host: Host, addresses: Iterable[Address]) -> tuple[Intent, ...]:
    """The devices of these cards and of their groups that were set aside, back to what the kernel chooses.

    Where a setting by ids would take a device again, its own driver is named instead.
    """
    cards = {device.address for address in addresses for device in host.card(address)}
    concerned = cards.union(*(group.members for group in host.groups_of(cards)))
    devices = [host.devices[a] for a in sorted(concerned, key=sort_key) if a in host.devices]
    return tuple(
        Intent(d.address, _own_driver(host, d))
        for d in devices
        if d.bus == "pci" and (d.driver_override is not None or d.driver == STUB or is_vfio(host, d, d.driver))
    )


def _own_driver(host: Host, device: Device) -> str:
    chosen = default_driver(host, device)
    if chosen is None or serves_host(host, device, chosen):
        return DEFAULT
    return next((t.name for t in targets_of(host, device) if t.kind is TargetKind.KERNEL), DEFAULT)


def reached_host(host: Host, goals: Iterable[Goal]) -> Host:
    """The Host as it would be if every goal were simply reached, whatever the rules say on the way.

    A domain that a kernel driver has attached goes where every driver leaves the group, as they do before others come.
    """
    after, left = host, set()
    for goal in goals:
        device = host.devices[goal.device]
        if device.driver not in (None, goal.driver):
            left.add(device.address)
            if gone := behind(host, device):
                after = without(after, gone)
        if device.address in after.devices:
            after = after.with_device(device._replace(driver=goal.driver, driver_override=goal.override))
    for group in after.groups.values():
        if group.foreign and left.intersection(group.members):
            staying = (d.driver is not None and d.address not in left for d in host.members(group))
            after = after.with_group(group._replace(foreign=any(staying)))
    return after


def smallest_fix(
    host: Host, intents: Sequence[Intent], groups: Iterable[Group], model: Model
) -> tuple[Intent, ...] | None:
    """Further intents after which every one of the groups is viable; empty if nothing is needed, None if none exist.

    None as well where the kernel would refuse a claim of one of them all the same, and if a blocker must not be moved
    (``withheld``).
    """
    groups = tuple(groups)
    goals = goals_of(host, intents)
    reached = reached_host(host, goals)
    decided = {goal.device for goal in goals}
    fix: list[Intent] = []
    for group in groups:
        verdict = model.verdict(reached, reached.groups[group.id])
        blocking = [r.device for r in verdict.reasons if r.code is Code.KERNEL_DRIVER and r.device is not None]
        for address in sorted(set(blocking), key=sort_key):
            device = host.devices[address]
            if controller_of(host, device) is not None:
                continue  # It goes with the controller, which blocks as well.
            if address in decided or device.bus != "pci" or chipset_part(device):
                return None
            fix.append(Intent(address, _target(reached, device, model)))
    after = reached_host(host, [*goals, *goals_of(host, fix)])
    for group in groups:
        verdict = model.verdict(after, after.groups[group.id])
        if verdict.viable is not True or verdict.refused:
            return None
    if any(refusal_of(host, intent) for intent in fix) or refusals_of(fix_hazards(host, goals, fix)):
        return None
    return tuple(sorted(fix, key=lambda intent: sort_key(intent.device)))


def withheld(host: Host, group: Group, model: Model) -> tuple[Reason, ...]:
    """The blockers of a group that no fix may move: firmware's own devices, and those that the running system needs."""
    blocking = {r.device for r in model.verdict(host, group).reasons if r.code is Code.KERNEL_DRIVER}
    found: list[Reason] = []
    for device in (d for d in host.members(group) if d.address in blocking):
        what = chipset_part(device)
        if what:
            found.append(Reason(Code.OF_THE_BOARD, group.id, device.address, facts=(("what", what),)))
        else:
            found += refusals_of(hazards_of(host, goals_of(host, [Intent(device.address, NONE)])))
    return tuple(found)


def _target(reached: Host, device: Device, model: Model) -> str:
    """A function of a card that goes to a virtual machine goes along; any other device is only unbound.

    So are those that VFIO refuses, and under a draft those whose VFIO driver would block the group itself.
    """
    driver = vfio_target(reached, device)
    unfit = device.is_bridge or device.virtfns or model.role(reached, device, driver).role is Role.KERNEL
    together = any(is_vfio(reached, each, each.driver) for each in reached.card(device.address))
    return driver if together and not unfit else NONE


def fix_hazards(host: Host, goals: Sequence[Goal], fix: Iterable[Intent] | None) -> tuple[Hazard, ...]:
    """The cost of a fix beyond these goals, which is shown because there is no other fix."""
    further = goals_of(host, fix or ())
    if not further:
        return ()
    known = frozenset(hazards_of(host, goals))
    return tuple(hazard for hazard in hazards_of(host, [*goals, *further]) if hazard not in known)
