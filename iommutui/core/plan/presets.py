"""Wishes: what somebody wants of a whole card or group, as the intents that bring it about."""

from collections.abc import Iterable, Sequence

from iommutui.core.address import Address, sort_key
from iommutui.core.board import is_of_use, passable
from iommutui.core.drivers import STUB, Role
from iommutui.core.engine.matching import own_probe
from iommutui.core.hazards import refusals_of
from iommutui.core.host import NO_IOMMU, Device, Group, Host
from iommutui.core.models.base import Model
from iommutui.core.plan.fix import fix_hazards, permanent_blockers, smallest_fix, withheld
from iommutui.core.plan.intents import (
    DEFAULT,
    NONE,
    Intent,
    TargetKind,
    default_driver,
    goal_of,
    targets_of,
    vfio_target,
)
from iommutui.core.reasons import Code, Reason, groupless
from iommutui.core.roles import is_vfio, serves_host
from iommutui.core.wording import sentence


def free_card(
    host: Host, device: Address, model: Model, *, reached: bool = False, said: Sequence[Intent] = ()
) -> tuple[Intent, ...] | None:
    """The device's card for a virtual machine, and whatever else its groups need; nothing more.

    The functions may lie in several groups. What is of the board in the same slot stays with the host. None where no
    plan makes all of these groups viable. With ``reached``, what is right already is among the intents, to be named as
    such. ``said`` is what has been decided of other devices; nothing else takes a device of the board out of the way.
    """
    return _free(host, [host.devices[device], *host.same_card(device)], model, reached, said)


def free_group(
    host: Host, group: Group, model: Model, *, reached: bool = False, said: Sequence[Intent] = ()
) -> tuple[Intent, ...] | None:
    """Every device of the group that has a driver and is of use to a virtual machine; None where that cannot be."""
    return _free(host, [d for d in host.members(group) if d.driver is not None], model, reached, said)


def free_devices(
    host: Host, addresses: Iterable[Address], model: Model, *, reached: bool = False, said: Sequence[Intent] = ()
) -> tuple[Intent, ...] | None:
    """These devices for a virtual machine, and whatever else their groups need; None where no plan does it."""
    return _free(host, [host.devices[address] for address in addresses], model, reached, said)


def beyond(host: Host, selected: Iterable[Address], intents: Iterable[Intent]) -> list[Device]:
    """What a wish moves beyond what was selected, for ``labels.also_takes``: said at once, and on top of the plan."""
    chosen = frozenset(selected)
    return [host.devices[i.device] for i in intents if i.device not in chosen and i.device in host.devices]


def fix_for(host: Host, group: Group, device: Address | None, model: Model) -> tuple[Intent, ...] | None:
    """The smallest fix of a group as it is, for somebody who wants the device's card (or, without one, all of it).

    What is on a VFIO driver already is none of it, whatever its override; nor is what a plan would refuse.
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
    """Why ``fix_for`` finds nothing: what vfio-pci refuses, what is in no fix, and what no rebind removes."""
    refused = [reason for d in _wanted_of(host, group, device) if (reason := not_of_use(host, d)) is not None]
    return (*refused, *withheld(host, group, model), *permanent_blockers(host, group, model))


def _wanted_of(host: Host, group: Group, device: Address | None) -> list[Device]:
    card = {device, *(other.address for other in host.same_card(device))} if device is not None else set()
    asked = [d for d in host.members(group) if (d.address in card if card else d.driver is not None)]
    return [d for d in asked if is_of_use(host, d) and not is_vfio(host, d, d.driver)]


def asked_of(host: Host, group: Group) -> list[Address]:
    """What somebody asks for who wants a group: its devices of use that have a driver; without any, all of them."""
    members = host.members(group)
    return [d.address for d in members if d.driver is not None and is_of_use(host, d)] or [d.address for d in members]


def not_of_use(host: Host, device: Device) -> Reason | None:
    """Why no virtual machine can have the device, whatever is rebound; None where one can."""
    driver = vfio_target(host, device)
    refused = (reason for reason in own_probe(host, device, driver).reasons if reason.code is Code.DENYLISTED)
    return goal_of(host, Intent(device.address, driver))[2] or next(refused, None)


def why_not_free(host: Host, addresses: Iterable[Address], model: Model, said: Sequence[Intent] = ()) -> str | None:
    """Why no rebind frees these devices for a virtual machine, as a sentence; None where ``free_devices`` does."""
    asked = [host.devices[address] for address in addresses]
    devices = [device for device in asked if is_of_use(host, device)]
    if not devices:
        why = [sentence(reason) for device in asked if (reason := not_of_use(host, device)) is not None]
        return " ".join(["Nothing here is of use to a virtual machine.", *dict.fromkeys(why[:3])])
    groups = _groups(host, devices)
    if not groups:
        unknown = next((device for device in devices if device.gap("iommu_group") is not None), None)
        if unknown is not None:
            return sentence(groupless(unknown))
        verb, them = ("is", "it") if len(devices) == 1 else ("are", "them")
        return f"{_names(devices)} {verb} in no IOMMU group, so no virtual machine can use {them}."
    if _free(host, devices, model, True, said) is not None:
        return None
    reasons = [reason for device in devices if (reason := not_of_use(host, device)) is not None]
    reasons += [reason for group in groups for reason in withheld(host, group, model)]
    verdicts = [model.verdict(host, group) for group in groups]
    doubts = [reason for verdict in verdicts if verdict.viable is None for reason in verdict.reasons]
    if doubts and all(reason in doubts for reason in reasons):
        same = sum(reason.code == doubts[0].code for reason in doubts[1:])
        too = f" The same is true of {same} other device{'s' if same > 1 else ''}." if same else ""
        return f"Whether a rebind frees {_names(devices)} for a virtual machine is unknown. {sentence(doubts[0])}{too}"
    told = [sentence(reason) for reason in reasons]
    if not told:
        told = [
            f"Under the model {model.name} {name} keeps its group from user space; use the target none."
            for d in devices
            if model.role(host, d, name := vfio_target(host, d)).role is Role.KERNEL
        ]
        told += [sentence(reason) for group in groups for reason in permanent_blockers(host, group, model)]
    told = told or [sentence(reason) for verdict in verdicts for reason in verdict.reasons]
    return f"Nothing frees {_names(devices)} for a virtual machine: {' '.join(dict.fromkeys(told))}"


def _names(devices: Iterable[Device]) -> str:
    return ", ".join(device.address for device in devices)


def _free(
    host: Host, devices: Iterable[Device], model: Model, reached: bool, said: Sequence[Intent]
) -> tuple[Intent, ...] | None:
    members = [device for device in devices if is_of_use(host, device)]
    groups = _groups(host, members)
    if not groups or any(group.name == NO_IOMMU for group in groups):
        return None
    found = _with_the_rest(host, members, groups, model, said)
    if found is None:
        return None
    return tuple(i for i in found if reached or not _is_there(host.devices[i.device], i.target))


def _groups(host: Host, devices: Iterable[Device]) -> list[Group]:
    numbers = sorted({device.group for device in devices if device.group is not None})
    return [host.groups[number] for number in numbers if number in host.groups]


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


def _is_there(device: Device, target: str) -> bool:
    return target == (device.driver or NONE) == device.driver_override


def give_back(host: Host, addresses: Iterable[Address]) -> tuple[Intent, ...]:
    """The devices of these cards and of their groups that were set aside, back to what the kernel chooses.

    Where a setting by ids would take a device again, its own driver is named instead.
    """
    return tuple(
        Intent(device.address, _own_driver(host, device))
        for device in _concerned(host, addresses)
        if device.driver_override is not None or device.driver == STUB or is_vfio(host, device, device.driver)
    )


def _own_driver(host: Host, device: Device) -> str:
    chosen = default_driver(host, device)
    if chosen is None or serves_host(host, device, chosen):
        return DEFAULT
    return next((t.name for t in targets_of(host, device) if t.kind is TargetKind.KERNEL), DEFAULT)


def _concerned(host: Host, addresses: Iterable[Address]) -> Sequence[Device]:
    found: set[Address] = set()
    for address in addresses:
        for device in (host.devices[address], *host.same_card(address)):
            group = host.group_of(device.address)
            found |= {device.address, *(group.members if group is not None else ())}
    return [host.devices[a] for a in sorted(found, key=sort_key) if a in host.devices and host.devices[a].bus == "pci"]
