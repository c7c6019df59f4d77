"""What every export is made from and looks like: a subject, and text below a header of comments. Pure.

Names come from hardware and files. Comments get them as ASCII on one line, and nothing but addresses, ids and names of
drivers that have the expected form gets into the body.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from textwrap import wrap
from typing import NamedTuple

from iommutui.core.address import Address, card_of, is_pci
from iommutui.core.errors import RefusedError
from iommutui.core.hazards import Severity
from iommutui.core.host import Device, Host
from iommutui.core.labels import device_name
from iommutui.core.models.base import Model
from iommutui.core.plan.intents import Goal, Intent
from iommutui.core.plan.planner import Plan, plan_intents
from iommutui.core.printable import printable
from iommutui.core.roles import is_vfio
from iommutui.core.wording import goal_words, hazard_loss, sentence

_WIDTH = 110
_HEX4 = re.compile(r"[0-9a-f]{4}")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


class Subject(NamedTuple):
    """What is exported: a plan that the rules permit, on the machine that it is for."""

    host: Host
    model: Model
    plan: Plan

    @property
    def moved(self) -> list[tuple[Device, Goal]]:
        """Every device of the plan with its goal, in the order of addresses."""
        return [(self.host.devices[goal.device], goal) for goal in self.plan.goals]

    @property
    def guests(self) -> list[Device]:
        """The devices that a virtual machine gets."""
        return [device for device, goal in self.moved if is_vfio(self.host, device, goal.driver)]

    @property
    def slots(self) -> list[list[Device]]:
        """The same, card by card: what stands in one list keeps together on one slot of the guest."""
        cards: dict[str, list[Device]] = {}
        for device in self.guests:
            # A virtual function shares the slot number of others and is a card by itself.
            cards.setdefault(card_of(device.address) if device.physfn is None else device.address, []).append(device)
        return list(cards.values())


class Format(NamedTuple):
    """One entry of the registry."""

    name: str
    title: str
    where: str
    """Where the text goes."""
    when: str
    """When it takes effect."""
    undo: str
    """What undoes it."""
    body: Callable[[Subject], list[str]]
    vm: bool = True
    """It configures a virtual machine, so it needs a device that goes to one."""
    by_ids: bool = False
    """It cannot name one device, only every device of some ids."""
    first: str = ""
    """A line that has to be the first one."""
    comment: Callable[[str], str] = "# {}".format
    notes: Callable[[Subject], list[str]] = lambda subject: []


class Export(NamedTuple):
    """The text, and the warnings in it, which are also shown by themselves."""

    text: str
    warnings: tuple[str, ...]


def subject_of(host: Host, intents: Sequence[Intent], model: Model) -> Subject:
    """The subject of these intents; RefusedError where the plan is not permitted."""
    plan = plan_intents(host, intents, model)
    if not plan.permitted:
        raise RefusedError(
            "The plan is not permitted: " + " ".join(sentence(reason) for reason in plan.refusals),
            "'iommutui preview' shows which writes are refused.",
        )
    for goal in plan.goals:
        if not is_pci(goal.device):
            raise RefusedError(f"{goal.device!r} is not the address of a PCI device.")
    return Subject(host, model, plan)


def render(form: Format, subject: Subject) -> Export:
    """The text in this format. RefusedError where the format has no word for any device of the subject."""
    if form.vm and not subject.guests:
        raise RefusedError(
            f"No device of this plan goes to a virtual machine, so there is nothing to export for {form.name}.",
            "Stage vfio-pci for the device that the virtual machine is to have.",
        )
    warnings = [*_hazards(subject), *(_twins(subject) if form.by_ids else ())]
    lines = [f"{form.title}. Made by iommutui.", ""]
    lines += [_described(device, goal) for device, goal in subject.moved]
    lines += ["", *warnings] if warnings else []
    lines += ["", f"Where: {form.where}", f"When: {form.when}", f"Undo: {form.undo}", *form.notes(subject)]
    wrapped = [
        part
        for line in lines
        for part in (wrap(ascii_only(line), _WIDTH, subsequent_indent="  ", break_on_hyphens=False) or [""])
    ]
    comments = [form.comment(line).rstrip() for line in wrapped]
    text = "".join(f"{line}\n" for line in ([form.first] if form.first else []) + comments + form.body(subject))
    return Export(text, tuple(warnings))


def ascii_only(text: str) -> str:
    """A name as any program may read it in a comment."""
    return printable(text).encode("ascii", "backslashreplace").decode("ascii")


def _described(device: Device, goal: Goal) -> str:
    group = "no group" if device.group is None else f"group {device.group}"
    name = device_name(device).removesuffix(f" [{device.vendor_id}:{device.device_id}]")
    ids = f"[{device.vendor_id or '????'}:{device.device_id or '????'}]"
    return f"{device.address}  {device.driver or 'no driver'} -> {goal_words(goal)}  {name} {ids}, {group}"


def _hazards(subject: Subject) -> Iterable[str]:
    for hazard in subject.plan.hazards:
        if hazard.severity is not Severity.INFO:
            yield f"{'DANGER' if hazard.severity is Severity.DANGER else 'WARNING'} [{hazard.code}]: " + (
                hazard_loss(hazard)
            )


def _twins(subject: Subject) -> Iterable[str]:
    for address, others in twins(subject).items():
        yield (
            f"WARNING: {ids_of(subject, subject.host.devices[address])} also takes {', '.join(others)}, because this "
            "format knows ids only. 'iommutui persist' goes by address and leaves them alone."
        )


def twins(subject: Subject) -> dict[Address, list[Address]]:
    """For each device that goes by ids, the devices outside the plan that the same ids would take."""
    moved = {goal.device for goal in subject.plan.goals}
    found = {}
    for device, _ in by_ids(subject):
        others = [d.address for d in _alike(subject.host, device) if d.address not in moved]
        if len(ids_of(subject, device).split(":")) == 4:
            others = [a for a in others if _board(subject.host.devices[a]) == _board(device)]
        if others:
            found[device.address] = others
    return found


def by_ids(subject: Subject) -> list[tuple[Device, str]]:
    """The devices whose targets take ids as a parameter, with these targets."""
    return [(d, goal.driver) for d, goal in subject.moved if goal.driver in ("vfio-pci", "pci-stub")]


def ids_of(subject: Subject, device: Device) -> str:
    """``10de:2204``, and ``10de:2204:1043:87b5`` where that spares another device. RefusedError where not known."""
    short = hex_ids(device.vendor_id, device.device_id)
    if short is None:
        raise RefusedError(f"The ids of {device.address} are not known.", "Choose a format that goes by address.")
    moved = {goal.device for goal in subject.plan.goals}
    others = {_board(d) for d in _alike(subject.host, device) if d.address not in moved}
    board = _board(device)
    return f"{short}:{board}" if board is not None and others - {board} else short


def hex_ids(vendor: str | None, device: str | None) -> str | None:
    """Both ids with a colon between, where they are four hex digits each."""
    known = [each for each in (vendor, device) if each is not None and _HEX4.fullmatch(each)]
    return ":".join(known) if len(known) == 2 else None


def _board(device: Device) -> str | None:
    return hex_ids(device.subsystem_vendor_id, device.subsystem_device_id)


def _alike(host: Host, device: Device) -> list[Device]:
    ids = (device.vendor_id, device.device_id)
    return [
        other
        for other in host.devices.values()
        if other.bus == "pci" and other.address != device.address and (other.vendor_id, other.device_id) == ids
    ]


def is_name(text: str | None) -> bool:
    """Whether it can be the name of a driver or module in a file of settings."""
    return text is not None and _NAME.fullmatch(text) is not None


def is_display(device: Device) -> bool:
    """Whether it is a display controller (class 03)."""
    return (device.class_code or "").startswith("03")
