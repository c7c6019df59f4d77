"""``iommutui why``: the verdict on a group, its reasons, and the smallest fix."""

import argparse
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

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
from iommutui.cli.preview import hazard_lines
from iommutui.core.address import Address
from iommutui.core.advice import no_iommu_advice
from iommutui.core.board import passable
from iommutui.core.command_line import Notice, notices_of
from iommutui.core.drivers import VFIO_PCI
from iommutui.core.errors import Exit, IommutuiError, UsageError
from iommutui.core.hazards import Hazard, hazards_of
from iommutui.core.host import Device, Group, Host
from iommutui.core.labels import (
    GLYPHS,
    device_name,
    driver_words,
    group_word,
    role_words,
    state_words,
    verdict_word,
)
from iommutui.core.models import MODELS
from iommutui.core.models.base import Model
from iommutui.core.plan.intents import Intent, goals_of
from iommutui.core.plan.presets import fix_for, why_no_fix
from iommutui.core.query import find_device
from iommutui.core.reasons import Reason, Verdict, groupless
from iommutui.core.topology import why_shared
from iommutui.core.wording import sentence, verdict_sentence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``why GROUP|DEVICE [--all-models] [--json]``, or ``why [GROUP|DEVICE] --error TEXT``."""
    parser.add_argument("subject", nargs="?", metavar="GROUP|DEVICE", help="a group's number, or a device")
    parser.add_argument("--error", metavar="TEXT", help="an error message: print its causes that fit this machine")
    parser.add_argument("--all-models", action="store_true", help="compare the verdicts of all models")


class _Question(NamedTuple):
    """What is asked: a group, or a device and its group."""

    host: Host
    model: Model
    device: Device | None
    group: Group

    @property
    def _asked(self) -> Address | None:
        """The device whose card is wanted; None for the whole group, as for a bridge of it."""
        return self.device.address if self.device is not None and not self.device.is_bridge else None

    @property
    def verdict(self) -> Verdict:
        return self.model.verdict(self.host, self.group)

    def fix(self) -> tuple[Intent, ...] | None:
        """For the device's card, or for the whole group; empty where it is viable already or in use."""
        verdict = self.verdict
        if (verdict.viable and not verdict.refused) or self.group.claim is not None:
            return ()
        return fix_for(self.host, self.group, self._asked, self.model)

    def no_fix(self) -> tuple[Reason, ...]:
        """Why nothing makes the group viable."""
        return why_no_fix(self.host, self.group, self._asked, self.model)

    def hazards(self, fix: tuple[Intent, ...] | None) -> list[Hazard]:
        """The impact of the fix; or, where there is none, of handing over the device or its group."""
        members = [self.device] if self.device is not None else self.host.members(self.group)
        alone = [Intent(m.address, VFIO_PCI) for m in members if m.driver is not None and not m.is_bridge]
        return hazards_of(self.host, goals_of(self.host, fix or alone))

    def notices(self) -> list[Notice]:
        """Settings that were meant to put the device, or those of its group, on a VFIO driver and have not."""
        devices = self.host.members(self.group) if self.device is None else [self.device]
        return list(dict.fromkeys(notice for each in devices for notice in notices_of(self.host, each)))


def run(options: Options) -> int:
    """Explains one group, one device, or an error message."""
    host, model = read_machine(options)
    if options.subject is None and options.error is None:
        raise UsageError("Name a group or a device.", "For example: iommutui why 14, or iommutui why 01:00.0")
    device, group = (None, None) if options.subject is None else _subject(host, options.subject)
    if options.error is not None:
        return _explain_error(options, host, model, device=device, group=group)
    if group is None:
        assert device is not None
        return _without_group(host, device, model, options.json)
    asked = _Question(host, model, device, group)
    models = list(MODELS.values()) if options.all_models else []
    if options.json:
        write_json(_document(asked, models))
    else:
        write_lines([with_source(options, line) for line in _lines(asked, models, same_machine(options))])
    return Exit.DONE


def _subject(host: Host, text: str) -> tuple[Device | None, Group | None]:
    number = text.removeprefix("group").lstrip(": ")
    if number.isdecimal():
        if int(number) not in host.groups:
            known = ", ".join(_ranges(sorted(host.groups))) or "none"
            raise IommutuiError(f"There is no group {number}.", f"The groups of this machine: {known}.")
        return None, host.groups[int(number)]
    device = find_device(host, text)
    return device, host.group_of(device.address)


def _ranges(numbers: Sequence[int]) -> list[str]:
    """``0-4``, ``7``: consecutive numbers as one."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    return [str(first) if first == last else f"{first}-{last}" for first, last in runs]


def _document(asked: _Question, models: list[Model]) -> Document:
    host, model, device, group = asked
    fix = asked.fix()
    by_model = {m.name: {**verdict_document(m.verdict(host, group)), "change": m.change} for m in models}
    return {
        "host": host_document(host, model),
        "model": model.name,
        "device": device.address if device else None,
        "group": group_document(host, group, asked.verdict),
        "devices": [device_document(host, member, model) for member in host.members(group)],
        "shared": why_shared(host, group),
        "fix": intent_documents(fix),
        **({"no_fix": reason_documents(asked.no_fix())} if fix is None else {}),
        "hazards": hazard_documents(asked.hazards(fix)),
        "notices": [notice._asdict() for notice in asked.notices()],
        **({"models": by_model} if models else {}),
    }


def _lines(asked: _Question, models: list[Model], there: str) -> list[str]:
    host, model, device, group = asked
    verdict, fix = asked.verdict, asked.fix()
    held = passable(host, group)
    lines = [f"{GLYPHS[group_word(host, group, verdict)]} {verdict_sentence(host, group, verdict)}"]
    lines += _reason_lines(verdict.reasons if held else ())
    if held and not verdict.reasons:
        lines.append(f"  It is {state_words(verdict.state)}.")
    lines.append("")
    for member in host.members(group):
        mark = ">" if device is not None and member.address == device.address else " "
        role = role_words(model.role(host, member, member.driver).role) if member.driver else ""
        bound = driver_words(host, member) + (f" ({role})" if role else "")
        lines.append(f"{mark} {member.address}  {bound}  {device_name(member)}")
    if held and fix is None:
        lines += _no_fix_lines(asked)
    elif held and fix:
        lines += ["", "Smallest fix:", f"  iommutui preview {' '.join(map(str, fix))}{there}"]
    shared = why_shared(host, group) if verdict.viable is False else []
    if shared:
        lines += ["", "Why these share a group:", *(f"  {text}" for text in shared)]
        lines += ["  Another slot, firmware or kernel can group them otherwise; 'iommutui diff' compares two of them."]
    for notice in asked.notices():
        lines += ["", f"Note: {notice.text}", f"  {notice.remedy}"]
    hazards = asked.hazards(fix)
    if hazards:
        lines += ["", f"Impact on the host of handing over {device.address if device else f'group {group.id}'}:"]
        lines += [f"  {line}" if line else "" for line in hazard_lines(hazards)]
    if models:
        width = max(len(m.name) for m in models)
        lines.append("")
        for each in models:
            answer = each.verdict(host, group)
            word = f"{GLYPHS[verdict_word(answer)]} {verdict_word(answer)}"
            lines.append(f"  {each.name:{width}}  {word:<11}  claim: {answer.claim}")
            lines.append(f"  {'':{width}}  {each.change}")
    return [*lines, "", f"Model {model.name}: {model.title} (kernels: {model.kernels})."]


def _reason_lines(reasons: Iterable[Reason]) -> list[str]:
    """A sentence for each; a rule that several of them end in stands once below them."""
    parts = [sentence(reason).partition(". ") for reason in reasons]
    lines = []
    for rule, found in groupby(parts, lambda part: part[2]):
        facts = [fact for fact, _, _ in found]
        if rule and len(facts) > 1:
            lines += [*(f"  {fact}." for fact in facts), f"  {rule}"]
        else:
            lines += [f"  {fact}. {rule}" if rule else f"  {fact}" for fact in facts]
    return lines


def _no_fix_lines(asked: _Question) -> list[str]:
    """The reasons that no rebind removes, as far as the verdict does not name them already."""
    verdict = asked.verdict
    if verdict.refused:
        return []
    if verdict.viable is None:
        return ["", "Which rebinds would let a virtual machine use this group is not known either."]
    why = [reason for reason in asked.no_fix() if reason not in verdict.reasons]
    return ["", "No rebind lets a virtual machine use it.", *(f"  {sentence(r)}" for r in why)]


def _without_group(host: Host, device: Device, model: Model, as_json: bool) -> int:
    reason = groupless(device)
    advice = no_iommu_advice(host)
    if as_json:
        write_json(
            {
                "host": host_document(host, model),
                "model": model.name,
                "device": device.address,
                "group": None,
                "reasons": reason_documents([reason]),
                "devices": [device_document(host, device, model)],
                "fix": None,
                **({"advice": advice} if advice else {}),
            }
        )
    else:
        write_lines((f"✖ {sentence(reason)}", *advice))
    return Exit.DONE


def _explain_error(
    options: Options, host: Host, model: Model, *, device: Device | None = None, group: Group | None = None
) -> int:
    """Prints the causes of ``--error`` that fit, most likely first, or what is known of the devices that it names.

    ``device`` or ``group`` is what the message is about, where it does not say so itself. IommutuiError where neither
    the message is known nor anything that it names.
    """
    from iommutui.core.diagnosis import MESSAGES, explain  # its tables are of no use to the rest of this command

    diagnosis = explain(host, options.error, model, group=None if group is None else group.id, device=device)
    if not diagnosis.messages and not diagnosis.about:
        known = "; ".join(message.name for message in MESSAGES)
        raise IommutuiError("Unknown error message.", f"Known messages: {known}.")
    if not options.json:
        write_lines([with_source(options, line) for line in diagnosis.sentences])
        return Exit.DONE
    document = {
        "host": host_document(host, model),
        "message": diagnosis.messages[0] if diagnosis.messages else None,
        "causes": [cause._asdict() for cause in diagnosis.causes],
        **({"messages": diagnosis.messages} if diagnosis.messages else {}),
        **({"about": diagnosis.about} if diagnosis.about else {}),
    }
    write_json(document)
    return Exit.DONE
