"""``iommutui why``: the verdict on a group, its reasons, and the smallest fix."""

import argparse
from collections.abc import Iterable, Sequence
from itertools import groupby

from iommutui.cli.documents import (
    Document,
    device_document,
    group_document,
    hazard_documents,
    host_document,
    intent_documents,
    reason_documents,
    verdict_document,
)
from iommutui.cli.options import read_machine, same_machine, with_source
from iommutui.cli.output import write_json, write_lines
from iommutui.cli.parser import Options
from iommutui.cli.review import hazard_lines
from iommutui.core.advice import no_iommu_advice, notices_of
from iommutui.core.chipset import passable
from iommutui.core.drivers import VFIO_PCI
from iommutui.core.errors import Exit, IommutuiError, UsageError
from iommutui.core.hazards import hazards_of
from iommutui.core.host import Device, Group, Host
from iommutui.core.labels import GLYPHS, device_name, driver_words, group_word, role_words, state_words, verdict_word
from iommutui.core.models import MODELS, Model
from iommutui.core.plan.intents import Intent, goals_of
from iommutui.core.plan.presets import fix_for, why_no_fix
from iommutui.core.query import find_device
from iommutui.core.reasons import Reason, groupless
from iommutui.core.topology import why_shared
from iommutui.core.wording import sentence, verdict_sentence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("subject", nargs="?", metavar="GROUP|DEVICE", help="a group's number, or a device")
    parser.add_argument(
        "--error", metavar="TEXT", help="explain an error message: print the causes that fit this machine"
    )
    parser.add_argument("--all-models", action="store_true", help="compare the verdicts of all models")


class _Answer:
    """The answer on a group, or on one device in it."""

    def __init__(self, host: Host, model: Model, device: Device | None, group: Group) -> None:
        self.host, self.model, self.device, self.group = host, model, device, group
        self.verdict = model.verdict(host, group)
        card = device.address if device is not None and not device.is_bridge else None
        settled = group.claim is not None or (self.verdict.viable and not self.verdict.refused)
        self.fix = () if settled else fix_for(host, group, card, model)
        """For the device's card, or for the whole group; empty if it is viable already or in use."""
        self.no_fix = why_no_fix(host, group, card, model) if self.fix is None else ()
        members = host.members(group) if device is None else [device]
        alone = [Intent(m.address, VFIO_PCI) for m in members if m.driver is not None and not m.is_bridge]
        self.hazards = hazards_of(host, goals_of(host, self.fix or alone))
        """The impact of the fix or, without one, of handing over the device or its group."""
        self.notices = list(dict.fromkeys(notice for member in members for notice in notices_of(host, member)))

    def document(self, models: list[Model]) -> Document:
        host, group = self.host, self.group
        by_model = {m.name: {**verdict_document(m.verdict(host, group)), "change": m.change} for m in models}
        return {
            "model": self.model.name,
            "device": self.device.address if self.device else None,
            "group": group_document(host, group, self.verdict),
            "devices": [device_document(host, member, self.model) for member in host.members(group)],
            "shared": why_shared(host, group),
            "fix": intent_documents(self.fix),
            **({"no_fix": reason_documents(self.no_fix)} if self.fix is None else {}),
            "hazards": hazard_documents(self.hazards),
            "notices": [notice._asdict() for notice in self.notices],
            **({"models": by_model} if models else {}),
        }

    def lines(self, models: list[Model], there: str) -> list[str]:
        host, group, verdict, model = self.host, self.group, self.verdict, self.model
        held = passable(host, group)
        lines = [f"{GLYPHS[group_word(host, group, verdict)]} {verdict_sentence(host, group, verdict)}"]
        lines += _reason_lines(verdict.reasons if held else ())
        if held and not verdict.reasons:
            lines.append(f"  It is {state_words(verdict.state)}.")
        lines.append("")
        for member in host.members(group):
            mark = ">" if member == self.device else " "
            role = f" ({role_words(model.role(host, member, member.driver).role)})" if member.driver else ""
            lines.append(f"{mark} {member.address}  {driver_words(host, member)}{role}  {device_name(member)}")
        if held and self.fix is None:
            lines += self._no_fix_lines()
        elif held and self.fix:
            lines += ["", "Smallest fix:", f"  iommutui preview {' '.join(map(str, self.fix))}{there}"]
        shared = why_shared(host, group) if verdict.viable is False else []
        if shared:
            more = "Another slot, firmware or kernel may group them differently; 'iommutui diff' compares two machines."
            lines += ["", "Why these share a group:", *(f"  {text}" for text in (*shared, more))]
        for notice in self.notices:
            lines += ["", f"Note: {notice.text}", f"  {notice.remedy}"]
        if self.hazards:
            what = self.device.address if self.device else f"group {group.id}"
            lines += ["", f"Impact on the host of handing over {what}:"]
            lines += [f"  {line}" if line else "" for line in hazard_lines(self.hazards)]
        if models:
            lines += ["", *_model_lines(host, group, models)]
        return [*lines, "", f"Model {model.name}: {model.title} (kernels: {model.kernels})."]

    def _no_fix_lines(self) -> list[str]:
        """The reasons that no rebind removes, unless the verdict names them already."""
        if self.verdict.refused:
            return []
        if self.verdict.viable is None:
            return ["", "It is not known either which rebinds would let a virtual machine use this group."]
        why = [reason for reason in self.no_fix if reason not in self.verdict.reasons]
        return ["", "No rebind lets a virtual machine use it.", *(f"  {sentence(reason)}" for reason in why)]


def run(options: Options) -> int:
    """Explains one group, one device, or an error message."""
    host, model = read_machine(options)
    if options.subject is None and options.error is None:
        raise UsageError("Name a group or a device.", "For example: iommutui why 14, or iommutui why 01:00.0")
    device, group = (None, None) if options.subject is None else _subject(host, options.subject)
    if options.error is not None:
        document, lines = _explain_error(host, model, options.error, device, group)
    elif device is not None and group is None:
        document, lines = _without_group(host, model, device)
    else:
        assert group is not None
        answer = _Answer(host, model, device, group)
        models = list(MODELS.values()) if options.all_models else []
        document, lines = answer.document(models), answer.lines(models, same_machine(options))
    if options.json:
        write_json({"host": host_document(host, model), **document})
    else:
        write_lines([with_source(options, line) for line in lines])
    return Exit.DONE


def _subject(host: Host, text: str) -> tuple[Device | None, Group | None]:
    number = text.removeprefix("group").lstrip(": ")
    if number.isdecimal():
        if int(number) not in host.groups:
            raise IommutuiError(f"There is no group {number}.", "'iommutui list' shows the groups.")
        return None, host.groups[int(number)]
    device = find_device(host, text)
    return device, host.group_of(device.address)


def _model_lines(host: Host, group: Group, models: list[Model]) -> list[str]:
    width = max(len(model.name) for model in models)
    lines = []
    for model in models:
        verdict = model.verdict(host, group)
        word = f"{GLYPHS[verdict_word(verdict)]} {verdict_word(verdict)}"
        lines.append(f"  {model.name:{width}}  {word:<11}  claim: {verdict.claim}")
        lines.append(f"  {'':{width}}  {model.change}")
    return lines


def _reason_lines(reasons: Iterable[Reason]) -> list[str]:
    """A sentence for each; a rule that several of them share is printed once below them."""
    parts = [sentence(reason).partition(". ") for reason in reasons]
    lines = []
    for rule, found in groupby(parts, lambda part: part[2]):
        facts = [fact for fact, _, _ in found]
        if rule and len(facts) > 1:
            lines += [*(f"  {fact}." for fact in facts), f"  {rule}"]
        else:
            lines += [f"  {fact}. {rule}" if rule else f"  {fact}" for fact in facts]
    return lines


def _without_group(host: Host, model: Model, device: Device) -> tuple[Document, Sequence[str]]:
    reason, advice = groupless(device), no_iommu_advice(host)
    document = {
        "model": model.name,
        "device": device.address,
        "group": None,
        "reasons": reason_documents([reason]),
        "devices": [device_document(host, device, model)],
        "fix": None,
        **({"advice": advice} if advice else {}),
    }
    return document, (f"✖ {sentence(reason)}", *advice)


def _explain_error(
    host: Host, model: Model, text: str, device: Device | None, group: Group | None
) -> tuple[Document, Sequence[str]]:
    """The causes of the message that fit, most likely first, or what is known of the devices that it names.

    ``device`` or ``group`` is what the message is about, where it does not say so itself. Raises IommutuiError if
    neither the message is known nor anything that it names.
    """
    from iommutui.core.diagnosis import explain  # only this branch needs its tables

    diagnosis = explain(host, text, model, group=None if group is None else group.id, device=device)
    if not diagnosis.messages and not diagnosis.about:
        raise IommutuiError(
            "Unknown error message.", "Give the whole line as it was printed, or the device: 'iommutui why 01:00.0'."
        )
    document = {
        "message": diagnosis.messages[0] if diagnosis.messages else None,
        "causes": [cause._asdict() for cause in diagnosis.causes],
        **({"messages": diagnosis.messages} if diagnosis.messages else {}),
        **({"about": diagnosis.about} if diagnosis.about else {}),
    }
    return document, diagnosis.sentences
