"""The functions of one card, and cards of one kind."""

from collections.abc import Iterator

from iommutui.core.command_line import setting_by_ids
from iommutui.core.drivers import STUB
from iommutui.core.hazards.base import DANGER, INFO, WARN, Hazard, Kind, Moves, Topic, listed
from iommutui.core.host import Device
from iommutui.core.roles import serves_host

SPLIT = Kind(
    "card-split", Topic.CARD, "a part of the card that stays behind with the host", (INFO,),
    "Hand over every function of the card: drivers in the virtual machine expect all of them.",
    says="{device} ({driver}) is a function of the same card as {moved} and stays with the host[, in group {group}].",
)  # fmt: skip
VIRTUAL = Kind(
    "virtual-functions", Topic.CARD, "virtual functions, which may vanish with the driver", (DANGER, WARN),
    "Hand over virtual functions instead, or set sriov_numvfs to 0 first; vfio-pci refuses the card while they exist.",
    says="{device} has virtual functions ({count}[; in use: {used}]), which many drivers take away when they are "
    "unbound; a revert does not make them again.",
)  # fmt: skip
BY_ID = Kind(
    "matched-by-id", Topic.CARD, "another card of the same id, which a setting by id takes as well", (WARN,),
    "Bind by address instead: take the ids out of the setting, and let an override name this one card.",
    says="{twins} has the same id as {device} ({ids}), and {where} gives every device of that id to {driver}.",
)  # fmt: skip
TAKEN_BACK = Kind(
    "ids-take-back", Topic.CARD, "a device that a setting by id takes again as soon as the kernel may choose", (WARN,),
    "Take the ids out of the setting, or name the host driver as the target instead of 'default'.",
    says="Every device with the ids {ids} goes to {driver} ({where}), so that {device} goes back there when the "
    "kernel chooses[; its host driver is {own}].",
)  # fmt: skip


def card_split(moves: Moves) -> Iterator[Hazard]:
    """Functions of a card that stay behind on a kernel driver while another goes to a VFIO driver."""
    moved = {device.address for device, _ in moves.goals}
    for device in moves.given:
        for other in moves.host.same_card(device.address):
            if other.address in moved or not serves_host(moves.host, other, other.driver) or other.is_bridge:
                continue
            group = str(other.group) if other.group not in (None, device.group) else ""
            yield SPLIT.of(other, driver=other.driver or "", moved=device.address, group=group)


def virtual_functions(moves: Moves) -> Iterator[Hazard]:
    """A physical function with virtual functions, which may go with its driver; a danger where one of them is used.

    It is the driver's ``remove()`` that takes them away, or does not; where it does not, the PCI core only warns.
    """
    for device in moves.leaving:
        virtual = [moves.host.devices[a] for a in device.virtfns if a in moves.host.devices]
        used = listed(each.address for each in virtual if _is_used(moves, each))
        if virtual:
            yield VIRTUAL.of(device, DANGER if used else WARN, count=str(len(virtual)), used=used)


def _is_used(moves: Moves, device: Device) -> bool:
    group = moves.host.group_of(device.address)
    opened = group.claim.opened if group is not None and group.claim is not None else ()
    return device.address in opened or bool(moves.uses.of(device.address).network)


def matched_by_id(moves: Moves) -> Iterator[Hazard]:
    """Twins that are not in the plan, where the command line or modprobe.d gives a driver every device of their id."""
    moved = {device.address for device, _ in moves.goals}
    for device in moves.taken:
        setting = _setting(moves, device)
        twins = [
            other.address
            for other in (moves.host.devices.values() if setting else ())
            if other.address not in moved
            and (other.vendor_id, other.device_id) == (device.vendor_id, device.device_id)
            and serves_host(moves.host, other, other.driver)
        ]
        if twins:
            yield BY_ID.of(device, **setting, twins=listed(twins))


def ids_take_back(moves: Moves) -> Iterator[Hazard]:
    """``default`` for a device whose ids the command line, or perhaps ``modprobe.d``, gives to VFIO or ``pci-stub``."""
    for device, goal in moves.goals:
        if goal.any_driver and not serves_host(moves.host, device, device.driver):
            own = next((fit.driver for fit in device.fits or () if not fit.vfio and fit.driver != STUB), "")
            if setting := _setting(moves, device):
                yield TAKEN_BACK.of(device, **setting, own=own)


def _setting(moves: Moves, device: Device) -> dict[str, str]:
    """The facts of a setting that gives the device to a driver by its ids; empty where there is none."""
    setting = setting_by_ids(moves.host, device)
    if setting is None:
        return {}
    return {"ids": f"{device.vendor_id}:{device.device_id}", "driver": setting[0], "where": setting[1]}


KINDS = (SPLIT, VIRTUAL, BY_ID, TAKEN_BACK)
CHECKS = (card_split, virtual_functions, matched_by_id, ids_take_back)
