"""``iommutui why``: the verdict on a group, its reasons, and the smallest fix."""

import argparse
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from iommutui.cli.documents import (
    SCHEMA,
    device_document,
    group_document,
    hazard_documents,
    host_document,
    intent_documents,
    reason_documents,
    verdict_document,
)
from iommutui.cli.offline import said_of, same_machine
from iommutui.cli.options import chosen_model, read_host
from iommutui.cli.output import clean, write_json, write_lines
from iommutui.cli.parser import Options, add_json, add_source
from iommutui.cli.review import hazard_lines
from iommutui.core.address import Address
from iommutui.core.advice import no_iommu_advice
from iommutui.core.board import passable
from iommutui.core.command_line import Notice, notices_of
from iommutui.core.drivers import VFIO_PCI
from iommutui.core.errors import Exit, IommutuiError, UsageError
from iommutui.core.hazards import Hazard, hazards_of
from iommutui.core.host import Device, Group, Host
from iommutui.core.isolation import why_shared
from iommutui.core.labels import GLYPHS, device_name, driver_words, group_word, role_words, verdict_glyph, verdict_word
from iommutui.core.models import MODELS
from iommutui.core.models.base import Model
from iommutui.core.outcome import Verdict
from iommutui.core.plan.intents import Intent, goal_of
from iommutui.core.plan.presets import fix_for, why_no_fix
from iommutui.core.query import find_device
from iommutui.core.reasons import Reason, groupless
from iommutui.core.wording import sentence, state_words, verdict_sentence


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``why GROUP|DEVICE [--all-models] [--json]``, or ``why [GROUP|DEVICE] --error TEXT``."""
    parser.add_argument("subject", nargs="?", metavar="GROUP|DEVICE", help="a group's number, or a device")
    parser.add_argument(
        "--error", metavar="TEXT", help="an error message: print the causes of it that fit this machine"
    )
    parser.add_argument("--all-models", action="store_true", help="compare the verdicts of all models")
    add_json(parser)
    add_source(parser)


def run(options: Options) -> int:
    """Explains one group."""
    host = read_host(options)
    model = chosen_model(options, host)
    if options.error is not None:
        device, group = _subject(host, options.subject) if options.subject is not None else (None, None)
        return explain_error(options, host, model, device=device, group=group)
    if options.subject is None:
        raise UsageError("Name a group or a device.", "For example: iommutui why 14, or iommutui why 01:00.0")
    device, group = _subject(host, options.subject)
    if group is None:
        return _without_group(host, device, model, options.json)
    fix = _fix(host, device, group, model)
    models = list(MODELS.values()) if options.all_models else []
    if options.json:
        write_json(_document(host, device, group, model, fix, models))
    else:
        there = same_machine(options)
        lines = _lines(host, device, group, model, fix, models, there)
        write_lines([clean(said_of(options, line)) for line in lines])
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
    """``0-4``, ``7``: what follows each other as one."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = runs[-1][0], number
        else:
            runs.append((number, number))
    return [str(first) if first == last else f"{first}-{last}" for first, last in runs]


def _fix(host: Host, device: Device | None, group: Group, model: Model) -> tuple[Intent, ...] | None:
    """What to do for the device's card, or for the whole group; nothing where it can be had already or is in use."""
    verdict = model.verdict(host, group)
    if (verdict.viable and not verdict.refused) or group.claim is not None:
        return ()
    return fix_for(host, group, _asked(device), model)


def _asked(device: Device | None) -> Address | None:
    """The device whose card is wanted; None for the whole group, as for a bridge of it."""
    return device.address if device is not None and not device.is_bridge else None


def _hazards(host: Host, device: Device | None, group: Group, fix: tuple[Intent, ...] | None) -> list[Hazard]:
    """The impact of the fix; or, where there is none, of handing over the device or its group."""
    members = [device] if device is not None else host.members(group)
    alone = [Intent(m.address, VFIO_PCI) for m in members if m.driver is not None and not m.is_bridge]
    return hazards_of(host, [goal for i in fix or alone if (goal := goal_of(host, i)[0]) is not None])


def _notices(host: Host, device: Device | None, group: Group) -> list[Notice]:
    """Settings that were meant to put the device, or those of its group, on a VFIO driver and have not."""
    devices = host.members(group) if device is None else [device]
    return list(dict.fromkeys(notice for each in devices for notice in notices_of(host, each)))


def _document(
    host: Host, device: Device | None, group: Group, model: Model, fix: tuple[Intent, ...] | None, models: list[Model]
) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "host": host_document(host, model),
        "model": model.name,
        "device": device.address if device else None,
        "group": group_document(host, group, model.verdict(host, group)),
        "devices": [device_document(host, member, model) for member in host.members(group)],
        "shared": why_shared(host, group),
        "fix": intent_documents(fix),
        **({"no_fix": reason_documents(why_no_fix(host, group, _asked(device), model))} if fix is None else {}),
        "hazards": hazard_documents(_hazards(host, device, group, fix)),
        "notices": [notice._asdict() for notice in _notices(host, device, group)],
        **(
            {"models": {m.name: {**verdict_document(m.verdict(host, group)), "change": m.change} for m in models}}
            if models
            else {}
        ),
    }


def _lines(
    host: Host,
    device: Device | None,
    group: Group,
    model: Model,
    fix: tuple[Intent, ...] | None,
    models: list[Model],
    there: str,
) -> list[str]:
    verdict = model.verdict(host, group)
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
    if held:
        lines += _no_fix_lines(host, device, group, verdict, model) if fix is None else _fix_lines(fix, there)
    shared = why_shared(host, group) if verdict.viable is False else []
    if shared:
        lines += ["", "Why these share a group:", *(f"  {text}" for text in shared)]
        lines += ["  Another slot, firmware or kernel can group them otherwise; 'iommutui diff' compares two of them."]
    for notice in _notices(host, device, group):
        lines += ["", f"Note: {notice.text}", f"  {notice.remedy}"]
    hazards = _hazards(host, device, group, fix)
    if hazards:
        lines += ["", f"Impact on the host of handing over {device.address if device else f'group {group.id}'}:"]
        lines += [f"  {line}" if line else "" for line in hazard_lines(hazards)]
    if models:
        width = max(len(m.name) for m in models)
        lines.append("")
        for each in models:
            answer = each.verdict(host, group)
            word = f"{verdict_glyph(answer)} {verdict_word(answer)}"
            lines.append(f"  {each.name:{width}}  {word:<11}  claim: {answer.claim}")
            lines.append(f"  {'':{width}}  {each.change}")
    lines += ["", f"Model {model.name}: {model.title} (kernels: {model.kernels})."]
    return lines


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


def _no_fix_lines(host: Host, device: Device | None, group: Group, verdict: Verdict, model: Model) -> list[str]:
    """The reasons that no rebind removes, as far as the verdict does not name them already."""
    if verdict.refused:
        return []
    if verdict.viable is None:
        return ["", "Which rebinds would let a virtual machine have this group is not known either."]
    why = [reason for reason in why_no_fix(host, group, _asked(device), model) if reason not in verdict.reasons]
    return ["", "No rebind lets a virtual machine have it.", *(f"  {sentence(r)}" for r in why)]


def _fix_lines(fix: tuple[Intent, ...], there: str) -> list[str]:
    if not fix:
        return []
    words = " ".join(str(intent) for intent in fix)
    return ["", "Smallest fix:", f"  iommutui preview {words}{there}"]


def _without_group(host: Host, device: Device | None, model: Model, as_json: bool) -> int:
    assert device is not None
    reason = groupless(device)
    advice = no_iommu_advice(host)
    if as_json:
        write_json(
            {
                "schema": SCHEMA,
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
        write_lines([clean(line) for line in (f"✖ {sentence(reason)}", *advice)])
    return Exit.DONE


def explain_error(
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
    if options.json:
        causes = [dict(zip(cause._fields, cause, strict=True)) for cause in diagnosis.causes]
        document = {"schema": SCHEMA, "host": host_document(host, model), "message": None, "causes": causes}
        if diagnosis.messages:
            document |= {"message": diagnosis.messages[0], "messages": diagnosis.messages}
        write_json(document | ({"about": diagnosis.about} if diagnosis.about else {}))
    else:
        write_lines([clean(said_of(options, line)) for line in diagnosis.sentences])
    return Exit.DONE
