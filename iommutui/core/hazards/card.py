"""The functions of one card, and cards of one kind."""

from collections.abc import Iterator, Sequence

from iommutui.core.drivers import STUB
from iommutui.core.hazards.base import (
    DANGER,
    INFO,
    WARN,
    Check,
    Hazard,
    Kind,
    Topic,
    given_away,
    listed,
    on_kernel_driver,
    taken,
    unbound,
)
from iommutui.core.host import Device, Host
from iommutui.core.plan.intents import Goal
from iommutui.core.uses import ById

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
    settings = [*_on_command_line(host), *(host.uses.by_id if host.uses is not None else ())]
    for goal in goals if settings else ():
        device = host.devices[goal.device]
        ids = f"{device.vendor_id}:{device.device_id}"
        setting = next((s for s in settings if any(_same(each, ids) for each in s.ids)), None)
        if goal.any_driver and setting is not None and not on_kernel_driver(host, device):
            own = next((fit.driver for fit in device.fits or () if not fit.vfio and fit.driver != STUB), "")
            facts = (("ids", ids), ("driver", setting.driver), ("where", setting.where), ("own", own))
            yield TAKEN_BACK.of(device, WARN, facts)


def card_split(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """Functions of a card that stay behind on a kernel driver while another goes to a VFIO driver."""
    moved = {goal.device for goal in goals}
    for device in given_away(host, goals):
        for other in host.same_card(device.address):
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
    return host.uses is not None and any(use.device == device.address for use in host.uses.network)


def matched_by_id(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """Twins that are not in the plan, where the command line or modprobe.d gives a driver every device of their id."""
    settings = [*_on_command_line(host), *(host.uses.by_id if host.uses is not None else ())]
    if not settings:
        return
    moved = {goal.device for goal in goals}
    for device, _ in taken(host, goals):
        ids = f"{device.vendor_id}:{device.device_id}"
        setting = next((s for s in settings if any(_same(each, ids) for each in s.ids)), None)
        twins = [
            other.address
            for other in host.devices.values()
            if other.address not in moved
            and (other.vendor_id, other.device_id) == (device.vendor_id, device.device_id)
            and on_kernel_driver(host, other)
        ] if setting is not None else []  # fmt: skip
        if twins and setting is not None:
            facts = (("ids", ids), ("twins", listed(twins)), ("driver", setting.driver), ("where", setting.where))
            yield BY_ID.of(device, WARN, facts)


def _same(setting: str, ids: str) -> bool:
    """``10de:2204`` matches, and so does ``10de:2204:1043:87b5``, which names the card's maker as well."""
    return ":".join(setting.split(":")[:2]) == ids


def _on_command_line(host: Host) -> list[ById]:
    """``vfio-pci.ids=10de:2204,10de:1aef``; ``-`` and ``_`` mean the same to the kernel."""
    found = []
    for word in (host.cmdline or "").split():
        key, _, value = word.partition("=")
        driver = key.replace("_", "-").removesuffix(".ids")
        if key.endswith(".ids") and driver in ("vfio-pci", STUB):
            found.append(ById(driver, tuple(value.lower().split(",")), "the kernel's command line"))
    return found


CHECKS = (
    Check(card_split, (SPLIT,)),
    Check(virtual_functions, (VIRTUAL,)),
    Check(matched_by_id, (BY_ID,)),
    Check(ids_take_back, (TAKEN_BACK,)),
)
