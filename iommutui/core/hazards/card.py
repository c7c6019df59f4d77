"""The functions of one card, and cards of one kind."""

from collections.abc import Iterator, Sequence

from iommutui.core.command_line import setting_by_ids
from iommutui.core.drivers import STUB
from iommutui.core.hazards.base import (
    DANGER,
    INFO,
    WARN,
    Hazard,
    HazardCheck,
    Kind,
    Topic,
    given_away,
    listed,
    on_kernel_driver,
    taken,
    unbound,
    uses_of,
)
from iommutui.core.host import Device, Host
from iommutui.core.plan.intents import Goal

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


def ids_take_back(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """``default`` for a device whose ids the command line, or perhaps ``modprobe.d``, gives to VFIO or ``pci-stub``."""
    for goal in goals:
        device = host.devices[goal.device]
        setting = setting_by_ids(host, device) if goal.any_driver and not on_kernel_driver(host, device) else None
        if setting is not None:
            own = next((fit.driver for fit in device.fits or () if not fit.vfio and fit.driver != STUB), "")
            yield TAKEN_BACK.of(device, WARN, (*_setting(device, setting), ("own", own)))


def _setting(device: Device, setting: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    return ("ids", f"{device.vendor_id}:{device.device_id}"), ("driver", setting[0]), ("where", setting[1])


def card_split(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """Functions of a card that stay behind on a kernel driver while another goes to a VFIO driver."""
    moved = {goal.device for goal in goals}
    for device in given_away(host, goals):
        for other in host.card(device.address):
            if other.address in moved or not on_kernel_driver(host, other) or other.is_bridge:
                continue
            group = str(other.group) if other.group not in (None, device.group) else ""
            facts = (("driver", other.driver or ""), ("moved", device.address), ("group", group))
            yield SPLIT.of(other, INFO, facts)


def virtual_functions(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """A physical function with virtual functions, which may go with its driver; a danger where one of them is used.

    It is the driver's ``remove()`` that takes them away, or does not; where it does not, the PCI core only warns.
    """
    for device in unbound(host, goals):
        virtual = [host.devices[a] for a in device.virtfns if a in host.devices]
        if virtual:
            used = [each.address for each in virtual if _is_used(host, each)]
            facts = (("count", str(len(virtual))), ("used", listed(used)))
            yield VIRTUAL.of(device, DANGER if used else WARN, facts)


def _is_used(host: Host, device: Device) -> bool:
    group = host.group_of(device.address)
    if group is not None and group.claim is not None and device.address in group.claim.opened:
        return True
    return any(use.device == device.address for use in uses_of(host).network)


def matched_by_id(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """Twins that are not in the plan, where the command line or modprobe.d gives a driver every device of their id."""
    moved = {goal.device for goal in goals}
    for device, _ in taken(host, goals):
        setting = setting_by_ids(host, device)
        twins = [
            other.address
            for other in (host.devices.values() if setting is not None else ())
            if other.address not in moved
            and (other.vendor_id, other.device_id) == (device.vendor_id, device.device_id)
            and on_kernel_driver(host, other)
        ]
        if twins and setting is not None:
            yield BY_ID.of(device, WARN, (*_setting(device, setting), ("twins", listed(twins))))


CHECKS = (
    HazardCheck(card_split, (SPLIT,)),
    HazardCheck(virtual_functions, (VIRTUAL,)),
    HazardCheck(matched_by_id, (BY_ID,)),
    HazardCheck(ids_take_back, (TAKEN_BACK,)),
)
