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
from iommutui.cli.review import hazard_lines
from iommutui.core.advice import no_iommu_advice
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
from iommutui.core.models import MODELS, Model
from iommutui.core.plan.intents import Intent, goals_of
from iommutui.core.plan.presets import fix_for, why_no_fix
from iommutui.core.query import find_device
from iommutui.core.reasons import Reason, Verdict, groupless
from iommutui.core.topology import passable, why_shared
from iommutui.core.wording import sentence, verdict_sentence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("subject", nargs="?", metavar="GROUP|DEVICE", help="a group's number, or a device")
    parser.add_argument(
        "--error", metavar="TEXT", help="explain an error message: print the causes that fit this machine"
    )
    parser.add_argument("--all-models", action="store_true", help="compare the verdicts of all models")


class _Answer(NamedTuple):
    """The answer on a group, and on one device in it; None: on the whole group."""

    host: Host
    model: Model
    device: Device | None
    group: Group
    verdict: Verdict
    fix: tuple[Intent, ...] | None
    """For the device's card, or for the whole group; empty if it is viable already or in use."""
    no_fix: tuple[Reason, ...]
    """Where there is no fix: why nothing makes the group viable."""
    hazards: list[Hazard]
    """The impact of the fix or, without one, of handing over the device or its group."""
    notices: list[Notice]
    """Settings that should have put the device or its group on a VFIO driver, but did not."""


def _answer(host: Host, model: Model, device: Device | None, group: Group) -> _Answer:
    verdict = model.verdict(host, group)
    card = device.address if device is not None and not device.is_bridge else None
    settled = group.claim is not None or (verdict.viable and not verdict.refused)
    fix = () if settled else fix_for(host, group, card, model)
    members = host.members(group) if device is None else [device]
    alone = [Intent(m.address, VFIO_PCI) for m in members if m.driver is not None and not m.is_bridge]
    return _Answer(
        host,
        model,
        device,
        group,
        verdict,
        fix,
        why_no_fix(host, group, card, model) if fix is None else (),
        hazards_of(host, goals_of(host, fix or alone)),
        list(dict.fromkeys(notice for member in members for notice in notices_of(host, member))),
    )


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
    answer = _answer(host, model, device, group)
    models = list(MODELS.values()) if options.all_models else []
    if options.json:
        write_json(_document(answer, models))
    else:
        write_lines([with_source(options, line) for line in _lines(answer, models, same_machine(options))])
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


def _document(answer: _Answer, models: list[Model]) -> Document:
    host, model, device, group, verdict, fix, no_fix, hazards, notices = answer
    by_model = {m.name: {**verdict_document(m.verdict(host, group)), "change": m.change} for m in models}
    return {
        "host": host_document(host, model),
        "model": model.name,
        "device": device.address if device else None,
        "group": group_document(host, group, verdict),
        "devices": [device_document(host, member, model) for member in host.members(group)],
        "shared": why_shared(host, group),
        "fix": intent_documents(fix),
        **({"no_fix": reason_documents(no_fix)} if fix is None else {}),
        "hazards": hazard_documents(hazards),
        "notices": [notice._asdict() for notice in notices],
        **({"models": by_model} if models else {}),
    }


def _lines(answer: _Answer, models: list[Model], there: str) -> list[str]:
    host, model, device, group, verdict, fix, _, hazards, notices = answer
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
        lines += _no_fix_lines(answer)
    elif held and fix:
        lines += ["", "Smallest fix:", f"  iommutui preview {' '.join(map(str, fix))}{there}"]
    shared = why_shared(host, group) if verdict.viable is False else []
    if shared:
        lines += ["", "Why these share a group:", *(f"  {text}" for text in shared)]
        lines += [
            "  Another slot, firmware or kernel may group them differently; 'iommutui diff' compares two machines."
        ]
    for notice in notices:
        lines += ["", f"Note: {notice.text}", f"  {notice.remedy}"]
    if hazards:
        lines += ["", f"Impact on the host of handing over {device.address if device else f'group {group.id}'}:"]
        lines += [f"  {line}" if line else "" for line in hazard_lines(hazards)]
    if models:
        lines += ["", *_model_lines(host, group, models)]
    return [*lines, "", f"Model {model.name}: {model.title} (kernels: {model.kernels})."]


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


def _no_fix_lines(answer: _Answer) -> list[str]:
    """The reasons that no rebind removes, unless the verdict names them already."""
    verdict = answer.verdict
    if verdict.refused:
        return []
    if verdict.viable is None:
        return ["", "It is not known either which rebinds would let a virtual machine use this group."]
    why = [reason for reason in answer.no_fix if reason not in verdict.reasons]
    return ["", "No rebind lets a virtual machine use it.", *(f"  {sentence(reason)}" for reason in why)]


def _without_group(host: Host, device: Device, model: Model, as_json: bool) -> int:
    reason, advice = groupless(device), no_iommu_advice(host)
    if not as_json:
        write_lines((f"✖ {sentence(reason)}", *advice))
        return Exit.DONE
    document = {
        "host": host_document(host, model),
        "model": model.name,
        "device": device.address,
        "group": None,
        "reasons": reason_documents([reason]),
        "devices": [device_document(host, device, model)],
        "fix": None,
        **({"advice": advice} if advice else {}),
    }
    write_json(document)
    return Exit.DONE


def _explain_error(
    options: Options, host: Host, model: Model, *, device: Device | None = None, group: Group | None = None
) -> int:
    """Prints the causes of ``--error`` that fit, most likely first, or what is known of the devices that it names.

    ``device`` or ``group`` is what the message is about, where it does not say so itself. Raises IommutuiError if
    neither the message is known nor anything that it names.
    """
    from iommutui.core.diagnosis import explain  # only this branch needs its tables

    diagnosis = explain(host, options.error, model, group=None if group is None else group.id, device=device)
    if not diagnosis.messages and not diagnosis.about:
        raise IommutuiError(
            "Unknown error message.", "Give the whole line as it was printed, or the device: 'iommutui why 01:00.0'."
        )
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
