"""The common parts of every export: a subject, and text below a header of comments. Pure.

Names come from hardware and files. In comments they are ASCII on one line; the body holds only addresses, ids and
names of drivers that have the expected form.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from textwrap import wrap
from typing import NamedTuple

from iommutui.core.address import Address, card_of, is_pci
from iommutui.core.errors import RefusedError
from iommutui.core.hazards import KINDS, Severity, Topic, hazard_loss
from iommutui.core.host import Device, Host, is_vfio
from iommutui.core.labels import device_name
from iommutui.core.models import Model
from iommutui.core.plan.intents import NONE, Goal, Intent
from iommutui.core.plan.planner import Plan, plan_intents
from iommutui.core.printable import printable
from iommutui.core.reasons import Code, Reason
from iommutui.core.wording import goal_words, sentence

_WIDTH = 110
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of an export: a plan that the rules permit, and its machine."""

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
        """The same, card by card: the functions of one list share one slot of the guest."""
        cards: dict[str, list[Device]] = {}
        for device in self.guests:
            # A virtual function shares the slot number of others and is its own card.
            cards.setdefault(card_of(device.address) if device.physfn is None else device.address, []).append(device)
        return list(cards.values())


@dataclass(frozen=True, slots=True)
class Format:
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
    """It cannot name one device, only every device with certain ids."""
    first: str = ""
    """A line that has to be the first one."""
    comment: Callable[[str], str] = "# {}".format
    notes: tuple[str, ...] = ()
    display_note: str = ""
    """Another note, if a display goes to the virtual machine."""


@dataclass(frozen=True, slots=True)
class Export:
    """The text, and the warnings in it, which are also shown by themselves."""

    text: str
    warnings: tuple[str, ...]


def subject_of(host: Host, intents: Sequence[Intent], model: Model) -> Subject:
    """The subject of these intents. Raises RefusedError if the plan is not permitted.

    A process that has a device open now is only a danger: it may have closed it when the text is used.
    """
    plan = plan_intents(host, intents, model)
    refuse(
        reason
        for reason in plan.refusals
        if reason.code is not Code.HOST_NEEDS or KINDS[reason.fact("hazard")].topic is not Topic.USE
    )
    if not all(is_pci(goal.device) and is_name(goal.override or NONE) for goal in plan.goals):
        raise RefusedError("Only PCI devices, and drivers with ordinary names, can be exported.")
    return Subject(host, model, plan)


def refuse(reasons: Iterable[Reason]) -> None:
    """Raises RefusedError if there are any."""
    why = " ".join(sentence(reason) for reason in reasons)
    if why:
        raise RefusedError(f"The plan is not permitted: {why}", "'iommutui preview' shows which writes are refused.")


def render(form: Format, subject: Subject) -> Export:
    """The text in this format. Raises RefusedError if the format cannot express any device of the subject."""
    if form.vm and not subject.guests:
        raise RefusedError(
            f"No device of this plan goes to a virtual machine, so there is nothing to export for {form.name}.",
            "Stage vfio-pci for the device that the virtual machine should get.",
        )
    warnings = [*_hazards(subject), *(_about_ids(subject) if form.by_ids else ())]
    lines = [f"{form.title}. Made by iommutui.", ""]
    lines += [_described(device, goal) for device, goal in subject.moved]
    lines += ["", *warnings] if warnings else []
    lines += ["", f"Where: {form.where}", f"When: {form.when}", f"Undo: {form.undo}", *form.notes]
    if form.display_note and any(device.is_display for device in subject.guests):
        lines.append(form.display_note)
    parts = (wrap(_ascii(line), _WIDTH, subsequent_indent="  ", break_on_hyphens=False) or [""] for line in lines)
    comments = [form.comment(part).rstrip() for wrapped in parts for part in wrapped]
    text = "".join(f"{line}\n" for line in ([form.first] if form.first else []) + comments + form.body(subject))
    return Export(text, tuple(warnings))


def data(name: str) -> str:
    """The text of a template file."""
    return (files("iommutui.export") / "data" / name).read_text(encoding="utf-8")


def _ascii(text: str) -> str:
    """A name that is safe in a comment for any program."""
    return printable(text).encode("ascii", "backslashreplace").decode("ascii")


def _described(device: Device, goal: Goal) -> str:
    group = "no group" if device.group is None else f"group {device.group}"
    ids = f" [{device.ids or '????:????'}]"
    name = device_name(device).removesuffix(ids)
    return f"{device.address}, {group}  {device.driver or 'no driver'} -> {goal_words(goal)}  {name}{ids}"


def _hazards(subject: Subject) -> Iterable[str]:
    words = {Severity.DANGER: "DANGER", Severity.WARN: "WARNING"}
    for hazard in subject.plan.hazards:
        if hazard.severity in words:
            yield f"{words[hazard.severity]} [{hazard.code}]: {hazard_loss(hazard)}"


def _about_ids(subject: Subject) -> Iterable[str]:
    """Warnings of a format that knows ids only: other devices that it takes, and those that it cannot take."""
    known = by_ids(subject)
    for each in known:
        if each.twins:
            yield (
                f"WARNING: {each.ids} also takes {', '.join(each.twins)}, because this format knows ids only. "
                "'iommutui persist' goes by address and leaves them alone."
            )
    rest = [device.address for device, _ in subject.moved if device not in [each.device for each in known]]
    if rest:
        yield f"WARNING: left out, because their targets cannot be set by ids: {', '.join(rest)}."


class ById(NamedTuple):
    """A device whose target takes ids as a parameter."""

    device: Device
    driver: str
    """The target."""
    ids: str
    """``10de:2204``, and ``10de:2204:1043:87b5`` where that spares another device."""
    twins: list[Address]
    """Devices outside the plan that have these ids as well."""


def by_ids(subject: Subject) -> list[ById]:
    """Every device that goes to vfio-pci or pci-stub. Raises RefusedError if the ids of one are not known."""
    goals = {goal.device for goal in subject.plan.goals}
    found = []
    for device, goal in subject.moved:
        if goal.driver in ("vfio-pci", "pci-stub"):
            ids = known_ids(device)
            alike = [d for d in subject.host.devices.values() if d.ids == ids and d.address not in goals]
            twins = [d.address for d in alike if device.board in (None, d.board)]
            spares = len(twins) < len(alike)
            found.append(ById(device, goal.driver, f"{ids}:{device.board}" if spares else ids, twins))
    return found


def known_ids(device: Device) -> str:
    """``10de:2204``. Raises RefusedError if they are not known."""
    if device.ids is None:
        raise RefusedError(f"The ids of {device.address} are not known.", "Choose a format that uses addresses only.")
    return device.ids


def attributes(device: Device) -> str:
    """``0x10de 0x2204``, as a script reads the ids in sysfs."""
    return f"0x{known_ids(device).replace(':', ' 0x')}"


def is_name(text: str | None) -> bool:
    """Whether it is a valid name of a driver or module in a settings file."""
    return text is not None and _NAME.fullmatch(text) is not None
