"""Wishes: what somebody wants of a whole card or group, as the intents that bring it about."""

from collections.abc import Iterable, Sequence

from iommutui.core.address import Address, card_of, sort_key
from iommutui.core.drivers import STUB, VFIO_PCI, is_vfio
from iommutui.core.fix import of_the_board, smallest_fix
from iommutui.core.host import Device, Group, Host
from iommutui.core.intents import Intent
from iommutui.core.models.base import Model
from iommutui.core.targets import DEFAULT, NONE, Kind, find_target, targets_of


def free_card(host: Host, device: Address, model: Model, *, reached: bool = False) -> tuple[Intent, ...] | None:
    """The functions of the device's card for a virtual machine, and whatever else their groups need; nothing more.

    The functions may lie in several groups. What is of the board in the same slot stays with the host. None where no
    plan makes all of these groups viable. With ``reached``, what is right already is among the intents, to be named as
    such.
    """
    card = card_of(device)
    functions = [host.devices[device], *host.same_card(device)]
    return _free(host, [d for d in functions if card_of(d.address) == card], model, reached)


def free_group(host: Host, group: Group, model: Model, *, reached: bool = False) -> tuple[Intent, ...] | None:
    """Every device of the group that has a driver and is of use to a virtual machine; None where that cannot be."""
    return _free(host, [d for d in host.members(group) if d.driver is not None], model, reached)


def free_devices(
    host: Host, addresses: Iterable[Address], model: Model, *, reached: bool = False
) -> tuple[Intent, ...] | None:
    """These devices for a virtual machine, and whatever else their groups need; None where no plan does it."""
    return _free(host, [host.devices[address] for address in addresses], model, reached)


def _free(host: Host, devices: Iterable[Device], model: Model, reached: bool) -> tuple[Intent, ...] | None:
    members = [d for d in devices if d.bus == "pci" and not d.is_bridge and not of_the_board(d)]
    numbers = {device.group for device in members}
    wanted = [Intent(d.address, name) for d in members if find_target(host, d, name := _vfio_target(host, d))]
    groups = [host.groups[n] for n in sorted(n for n in numbers if n is not None) if n in host.groups]
    if not members or not groups:
        return None
    further = smallest_fix(host, wanted, groups, model)
    if further is None:
        return None
    found = _sorted([*wanted, *further])
    return tuple(i for i in found if reached or not _is_there(host.devices[i.device], i.target))


def _vfio_target(host: Host, device: Device) -> str:
    """The VFIO driver that it is on, else the variant driver that fits it best, else vfio-pci."""
    if device.driver is not None and is_vfio(device, device.driver):
        return device.driver
    return next((t.name for t in targets_of(host, device) if t.kind is Kind.VFIO), VFIO_PCI)


def _is_there(device: Device, target: str) -> bool:
    return target == (device.driver or NONE) == device.driver_override


def give_back(host: Host, addresses: Iterable[Address]) -> tuple[Intent, ...]:
    """The devices of these cards and of their groups that were set aside, back to what the kernel chooses."""
    return tuple(
        Intent(device.address, DEFAULT)
        for device in _concerned(host, addresses)
        if device.driver_override is not None
        or (device.driver is not None and (device.driver == STUB or is_vfio(device, device.driver)))
    )


def _concerned(host: Host, addresses: Iterable[Address]) -> Sequence[Device]:
    found: set[Address] = set()
    for address in addresses:
        for device in (host.devices[address], *host.same_card(address)):
            group = host.group_of(device.address)
            found |= {device.address, *(group.members if group is not None else ())}
    return [host.devices[a] for a in sorted(found, key=sort_key) if a in host.devices and host.devices[a].bus == "pci"]


def _sorted(intents: Iterable[Intent]) -> list[Intent]:
    return sorted(intents, key=lambda intent: sort_key(intent.device))
