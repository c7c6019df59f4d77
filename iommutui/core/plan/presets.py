"""Wishes: what somebody wants of a whole card or group, as the intents that bring it about."""

from collections.abc import Iterable, Sequence

from iommutui.core.address import Address, sort_key
from iommutui.core.drivers import STUB, Role
from iommutui.core.host import Device, Group, Host
from iommutui.core.models.base import Model
from iommutui.core.plan.fix import of_the_board, permanent_blockers, smallest_fix
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.targets import DEFAULT, NONE, find_target, vfio_target
from iommutui.core.roles import is_vfio
from iommutui.core.wording import sentence


def free_card(host: Host, device: Address, model: Model, *, reached: bool = False) -> tuple[Intent, ...] | None:
    """The functions of the device's card for a virtual machine, and whatever else their groups need; nothing more.

    The functions may lie in several groups. What is of the board in the same slot stays with the host. None where no
    plan makes all of these groups viable. With ``reached``, what is right already is among the intents, to be named as
    such.
    """
    return _free(host, [host.devices[device], *host.same_card(device)], model, reached)


def free_group(host: Host, group: Group, model: Model, *, reached: bool = False) -> tuple[Intent, ...] | None:
    """Every device of the group that has a driver and is of use to a virtual machine; None where that cannot be."""
    return _free(host, [d for d in host.members(group) if d.driver is not None], model, reached)


def free_devices(
    host: Host, addresses: Iterable[Address], model: Model, *, reached: bool = False
) -> tuple[Intent, ...] | None:
    """These devices for a virtual machine, and whatever else their groups need; None where no plan does it."""
    return _free(host, [host.devices[address] for address in addresses], model, reached)


def fix_for(host: Host, group: Group, device: Address | None, model: Model) -> tuple[Intent, ...] | None:
    """The smallest fix of a group as it is, for somebody who wants the device's card (or, without one, all of it).

    What is on a VFIO driver already is none of it, whatever its override.
    """
    card = {device, *(other.address for other in host.same_card(device))} if device is not None else set()
    asked = [d for d in host.members(group) if (d.address in card if card else d.driver is not None)]
    wanted = [d for d in asked if is_of_use(d) and not is_vfio(host, d, d.driver)]
    found = _with_the_rest(host, wanted, [group], model)
    return found if found is not None else smallest_fix(host, (), [group], model)


def asked_of(host: Host, group: Group) -> list[Address]:
    """What somebody asks for who wants a group: its devices of use that have a driver; without any, all of them."""
    members = host.members(group)
    return [d.address for d in members if d.driver is not None and is_of_use(d)] or [d.address for d in members]


def why_not_free(host: Host, addresses: Iterable[Address], model: Model) -> str | None:
    """Why no rebind frees these devices for a virtual machine, as a sentence; None where ``free_devices`` does."""
    asked = [host.devices[address] for address in addresses]
    devices = [device for device in asked if is_of_use(device)]
    if not devices:
        served = f": {_names(asked)} {'serves' if len(asked) == 1 else 'serve'} this machine itself" if asked else ""
        return f"Nothing here is of use to a virtual machine{served}."
    groups = _groups(host, devices)
    if not groups:
        verb, them = ("is", "it") if len(devices) == 1 else ("are", "them")
        return f"{_names(devices)} {verb} in no IOMMU group, so no virtual machine can have {them}."
    if _free(host, devices, model, reached=True) is not None:
        return None
    kernel = [name for d in devices if model.role(host, d, name := vfio_target(host, d)).role is Role.KERNEL]
    said = [
        f"Under the model {model.name} {name} does not leave its group to user space; the target none does."
        for name in kernel
    ]
    said += [sentence(reason) for group in groups for reason in permanent_blockers(host, group, model)]
    said = said or [sentence(reason) for group in groups for reason in model.verdict(host, group).reasons]
    return f"Nothing frees {_names(devices)} for a virtual machine: {' '.join(dict.fromkeys(said))}"


def _names(devices: Iterable[Device]) -> str:
    return ", ".join(device.address for device in devices)


def _free(host: Host, devices: Iterable[Device], model: Model, reached: bool) -> tuple[Intent, ...] | None:
    members = [device for device in devices if is_of_use(device)]
    groups = _groups(host, members)
    found = _with_the_rest(host, members, groups, model) if groups else None
    if found is None:
        return None
    return tuple(i for i in found if reached or not _is_there(host.devices[i.device], i.target))


def _groups(host: Host, devices: Iterable[Device]) -> list[Group]:
    numbers = sorted({device.group for device in devices if device.group is not None})
    return [host.groups[number] for number in numbers if number in host.groups]


def _with_the_rest(
    host: Host, devices: Iterable[Device], groups: Sequence[Group], model: Model
) -> tuple[Intent, ...] | None:
    """The devices on the VFIO drivers that fit them best, and the smallest fix that the groups need besides."""
    wanted = [Intent(d.address, name) for d in devices if find_target(host, d, name := vfio_target(host, d))]
    further = smallest_fix(host, wanted, groups, model)
    if further is None:
        return None
    return tuple(sorted((*wanted, *further), key=lambda intent: sort_key(intent.device)))


def is_of_use(device: Device) -> bool:
    """Whether a virtual machine can have any use for the device."""
    return device.bus == "pci" and not device.is_bridge and not of_the_board(device)


def _is_there(device: Device, target: str) -> bool:
    return target == (device.driver or NONE) == device.driver_override


def give_back(host: Host, addresses: Iterable[Address]) -> tuple[Intent, ...]:
    """The devices of these cards and of their groups that were set aside, back to what the kernel chooses."""
    return tuple(
        Intent(device.address, DEFAULT)
        for device in _concerned(host, addresses)
        if device.driver_override is not None or device.driver == STUB or is_vfio(host, device, device.driver)
    )


def _concerned(host: Host, addresses: Iterable[Address]) -> Sequence[Device]:
    found: set[Address] = set()
    for address in addresses:
        for device in (host.devices[address], *host.same_card(address)):
            group = host.group_of(device.address)
            found |= {device.address, *(group.members if group is not None else ())}
    return [host.devices[a] for a in sorted(found, key=sort_key) if a in host.devices and host.devices[a].bus == "pci"]
