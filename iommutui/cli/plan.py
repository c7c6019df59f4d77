"""``iommutui preview`` and ``iommutui plan``: what rebinds would do, on the screen or in a file for ``apply``."""

import argparse
from collections.abc import Sequence

from iommutui.apply.request import PLAN_KIND
from iommutui.apply.validation import to_object
from iommutui.cli.documents import Document, intent_documents, plan_document, predicted_document
from iommutui.cli.options import parse_intents, read_machine, same_machine
from iommutui.cli.output import complain, json_text, write_json, write_lines
from iommutui.cli.parser import Options
from iommutui.cli.review import further_fix, plan_lines
from iommutui.core.address import Address
from iommutui.core.advice import turn_on_advice
from iommutui.core.errors import Exit, RefusedError, UsageError
from iommutui.core.hazards import accept_words, unaccepted
from iommutui.core.host import Device, Host
from iommutui.core.labels import also_takes
from iommutui.core.models import Model
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import Plan, plan_intents
from iommutui.core.plan.presets import asked_of, beyond, free_devices, not_of_use, why_not_free
from iommutui.core.query import find_device
from iommutui.core.topology import chipset_part, is_of_use
from iommutui.core.wording import counts_of, effect, sentence


def add_arguments_preview(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "intents",
        nargs="+",
        metavar="DEVICE=TARGET",
        help="a target is vfio-pci, pci-stub, none (keep it free), default, or a driver that fits",
    )


def run_preview(options: Options) -> int:
    """Prints the plan; REFUSED where it is not permitted."""
    host, model = read_machine(options)
    intents = parse_intents(host, options.intents)
    plan = plan_intents(host, intents, model)
    if options.json:
        write_json(plan_document(host, intents, plan, model))
    else:
        write_lines(plan_lines(host, plan, further_fix(host, intents, plan, model)))
    return Exit.DONE if plan.permitted else Exit.REFUSED


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("intents", nargs="*", metavar="DEVICE=TARGET", help="a target for one device, as for preview")
    parser.add_argument(
        "--free",
        nargs="+",
        action="extend",
        default=[],
        metavar="DEVICE",
        help="free these devices for a virtual machine, and whatever else their groups need",
    )
    add_presets(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="write the plan to a file, for 'iommutui apply'")


def add_presets(parser: argparse.ArgumentParser) -> None:
    """Adds ``--card`` and ``--group``, which ``wanted_intents`` turns into intents."""
    parser.add_argument(
        "--card", action="append", default=[], metavar="DEVICE", help="free every function of this device's card"
    )
    parser.add_argument(
        "--group", type=_group, action="append", default=[], metavar="N", help="free every device of this IOMMU group"
    )


def _group(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a group number; 'iommutui list' shows the groups") from None


def run(options: Options) -> int:
    """Prints the plan, or writes it; REFUSED where it is not permitted."""
    if not (options.intents or options.free or options.card or options.group):
        raise UsageError("Name the devices to plan for.", "For example: iommutui plan --card 01:00.0 -o plan.json")
    host, model = read_machine(options)
    intents = wanted_intents(host, model, options.intents, options.free, options.card, options.group)
    plan = plan_intents(host, intents, model)
    further = beyond(host, _selected(host, options), intents)
    document = {**_document(host, intents, plan, model), "beyond": [device.address for device in further]}
    if options.json:
        write_json(document)
    else:
        write_lines(_lines(host, intents, plan, model, also_takes(further)))
    if not plan.permitted:
        if options.output:
            complain(f"The plan is not permitted, so {options.output} was not written.")
        return Exit.REFUSED
    if options.output:
        from iommutui.sources.snapshot import save

        save(json_text(document), options.output)
        where = " on that machine" if same_machine(options) else ""
        complain(f"Wrote {options.output}; 'iommutui apply {options.output}' applies it{where}.")
    return Exit.DONE


def wanted_intents(
    host: Host, model: Model, intents: Sequence[str], free: Sequence[str], cards: Sequence[str], groups: Sequence[int]
) -> list[Intent]:
    """The intents that free devices, cards and groups, and those given as ``DEVICE=TARGET``, which take precedence."""
    # An option that takes a list of devices takes every word after it, intents as well.
    said = parse_intents(host, [*intents, *(word for word in free if "=" in word)])
    named = [intent for intent in said if chipset_part(host.devices[intent.device])]
    preset: list[Intent] = []
    for text in cards:
        functions = [each.address for each in host.card(_of_use(host, find_device(host, text)))]
        preset += _found(host, free_devices(host, functions, model, reached=True, said=named), functions, model, named)
    for number in groups:
        group = host.groups.get(number)
        if group is None:
            raise UsageError(f"There is no IOMMU group {number}.", "'iommutui list' shows the groups.")
        driven = [device.address for device in host.members(group) if device.driver is not None]
        found = free_devices(host, driven, model, reached=True, said=named)
        preset += _found(host, found, asked_of(host, group), model, named)
    devices = [_of_use(host, find_device(host, word)) for word in free if "=" not in word]
    if devices:
        preset += _found(host, free_devices(host, devices, model, reached=True, said=named), devices, model, named)
    chosen = {intent.device: intent.target for intent in preset}
    for device, target in said:
        other = chosen.get(device, target)
        if other != target:
            complain(f"{device} will go to {target}, as requested; the rest of the request needs {other}.")
    return list({intent.device: intent for intent in (*preset, *said)}.values())


def _selected(host: Host, options: Options) -> list[Address]:
    """The devices that were named; a plan may need others."""
    words = [*options.card, *(word.partition("=")[0] for word in (*options.intents, *options.free))]
    members = [address for number in options.group for address in host.groups[number].members]
    return [*(find_device(host, word).address for word in words), *members]


_INSTEAD = "Name the device to hand to the virtual machine; 'iommutui list' shows them."


def _of_use(host: Host, device: Device) -> Address:
    """The device's address. Raises RefusedError if no virtual machine can have it, whatever is rebound."""
    why = not_of_use(host, device)
    if why is not None:
        raise RefusedError(sentence(why), _INSTEAD)
    return device.address


def _found(
    host: Host, intents: tuple[Intent, ...] | None, devices: list[Address], model: Model, said: list[Intent]
) -> tuple[Intent, ...]:
    """The intents of a preset for these devices. Raises RefusedError with the reasons if no rebinds achieve that."""
    if intents is not None:
        return intents
    why = why_not_free(host, devices, model, said)
    if why is None:
        raise RefusedError(
            f"No driver is bound to {', '.join(devices)}, so there is nothing to free.",
            "Name the device to hand it over: 'iommutui plan --card DEVICE'.",
        )
    if not any(is_of_use(host, host.devices[address]) for address in devices):
        raise RefusedError(why, _INSTEAD)
    raise RefusedError(why, turn_on_advice(host) or "'iommutui why DEVICE' says more.")


def _lines(host: Host, intents: list[Intent], plan: Plan, model: Model, more: str) -> list[str]:
    lines = [f"{more[0].upper()}{more[1:]}", ""] if more else []
    lines += plan_lines(host, plan, further_fix(host, intents, plan, model))
    if plan.permitted:
        lines += ["", effect(plan)]
        left = unaccepted(plan.hazards, ())
        if left:
            lines.append(accept_words(left))
    return lines


def _document(host: Host, intents: list[Intent], plan: Plan, model: Model) -> Document:
    return {
        "kind": PLAN_KIND,
        **plan_document(host, intents, plan, model),
        "intents": intent_documents(intents),
        "accept": [str(hazard.acceptance) for hazard in unaccepted(plan.hazards, ()) if not hazard.refused],
        "counts": counts_of(plan)._asdict(),
        "predicted": predicted_document(plan, model),
        "basis": to_object(plan.basis),
    }
