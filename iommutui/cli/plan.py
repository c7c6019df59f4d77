"""``iommutui preview`` and ``iommutui plan``: what rebinds would do, as text or in a file for ``apply``."""

import argparse
from collections.abc import Sequence

from iommutui.apply.request import PLAN_KIND
from iommutui.apply.validation import to_object
from iommutui.cli.documents import intent_documents, plan_document, predicted_document
from iommutui.cli.options import parse_intents, read_machine, same_machine
from iommutui.cli.output import complain, deliver, json_text, write_json, write_lines
from iommutui.cli.parser import Options
from iommutui.cli.review import further_fix, plan_lines
from iommutui.core.address import Address
from iommutui.core.advice import turn_on_advice
from iommutui.core.chipset import chipset_part
from iommutui.core.errors import Exit, RefusedError, UsageError
from iommutui.core.hazards import accept_words, unaccepted
from iommutui.core.host import Host
from iommutui.core.labels import also_takes
from iommutui.core.models import Model
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import plan_intents
from iommutui.core.plan.presets import asked_of, beyond, free_devices, not_of_use, why_not_free
from iommutui.core.query import find_device
from iommutui.core.wording import effect, sentence


def add_arguments_preview(parser: argparse.ArgumentParser) -> None:
    words = "a target is vfio-pci, pci-stub, none (keep it free), default, or a driver that fits"
    parser.add_argument("intents", nargs="+", metavar="DEVICE=TARGET", help=words)


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
    words = "a target for one device, as for preview; or a device to free"
    parser.add_argument("intents", nargs="*", metavar="DEVICE=TARGET", help=words)
    free = "free these devices for a virtual machine, and whatever else their groups need"
    parser.add_argument("--free", nargs="+", action="extend", default=[], metavar="DEVICE", help=free)
    add_presets(parser)
    parser.add_argument("-o", "--output", metavar="FILE", help="write the plan to a file, for 'iommutui apply'")


def add_presets(parser: argparse.ArgumentParser) -> None:
    """Adds ``--card`` and ``--group``, which ``wanted_intents`` turns into intents."""
    card, group = "free every function of this device's card", "free every device of this IOMMU group"
    parser.add_argument("--card", action="append", default=[], metavar="DEVICE", help=card)
    parser.add_argument("--group", type=int, action="append", default=[], metavar="N", help=group)


def run(options: Options) -> int:
    """Prints the plan, or writes it; REFUSED where it is not permitted."""
    words = [*options.intents, *options.free]
    if not (words or options.card or options.group):
        raise UsageError("Name the devices to plan for.", "For example: iommutui plan --card 01:00.0 -o plan.json")
    host, model = read_machine(options)
    intents = wanted_intents(host, model, words, options.card, options.group)
    plan = plan_intents(host, intents, model)
    named = [find_device(host, word.partition("=")[0]).address for word in (*words, *options.card)]
    named += [address for number in options.group for address in host.groups[number].members]
    further = beyond(host, named, intents)
    left = unaccepted(plan.hazards, ())
    document = {
        "kind": PLAN_KIND,
        **plan_document(host, intents, plan, model),
        "intents": intent_documents(intents),
        "accept": [str(hazard.acceptance) for hazard in left if not hazard.refused],
        "counts": {
            "writes": len(plan.steps),
            "devices": len({step.device for step in plan.steps}),
            "no_ops": len(plan.no_ops),
            "modules": len(plan.modules),
            "groups": len(plan.groups),
        },
        "predicted": predicted_document(plan, model),
        "basis": to_object(plan.basis),
        "beyond": [device.address for device in further],
    }
    if options.json:
        write_json(document)
    else:
        more = also_takes(further)
        lines = [f"{more[0].upper()}{more[1:]}", ""] if more else []
        lines += plan_lines(host, plan, further_fix(host, intents, plan, model))
        if plan.permitted:
            lines += ["", effect(plan), *([accept_words(left)] if left else ())]
        write_lines(lines)
    if not plan.permitted:
        if options.output:
            complain(f"The plan is not permitted, so {options.output} was not written.")
        return Exit.REFUSED
    if options.output:
        where = " on that machine" if same_machine(options) else ""
        deliver(json_text(document), options.output, f"; 'iommutui apply {options.output}' applies it{where}.")
    return Exit.DONE


def wanted_intents(
    host: Host, model: Model, words: Sequence[str], cards: Sequence[str], groups: Sequence[int]
) -> list[Intent]:
    """The intents that free devices, cards and groups, and those given as ``DEVICE=TARGET``, which take precedence."""
    said = parse_intents(host, [word for word in words if "=" in word])
    asked = [[each.address for each in host.card(_of_use(host, text))] for text in cards]
    asked += [_members(host, number) for number in groups]
    asked += [[_of_use(host, word) for word in words if "=" not in word]]
    preset = [intent for devices in asked if devices for intent in _freeing(host, model, devices, said)]
    chosen = {intent.device: intent.target for intent in preset}
    for device, target in said:
        other = chosen.get(device, target)
        if other != target:
            complain(f"{device} will go to {target}, as requested; the rest of the request needs {other}.")
    return list({intent.device: intent for intent in (*preset, *said)}.values())


_MORE = "'iommutui why DEVICE' says more, and 'iommutui list' shows the devices."


def _of_use(host: Host, text: str) -> Address:
    """The device's address. Raises RefusedError if no virtual machine can have it, whatever is rebound."""
    device = find_device(host, text)
    why = not_of_use(host, device)
    if why is not None:
        raise RefusedError(sentence(why), _MORE)
    return device.address


def _members(host: Host, number: int) -> list[Address]:
    """The devices to free for a group."""
    group = host.groups.get(number)
    if group is None:
        raise UsageError(f"There is no IOMMU group {number}.", "'iommutui list' shows the groups.")
    found = asked_of(host, group)
    if all(host.devices[address].driver is None for address in found):
        raise RefusedError(
            f"No driver is bound in group {number}, so there is nothing to free.",
            "Name the device to hand it over: 'iommutui plan --card DEVICE'.",
        )
    return found


def _freeing(host: Host, model: Model, devices: list[Address], said: list[Intent]) -> tuple[Intent, ...]:
    """The intents that free these devices. Raises RefusedError with the reasons if no rebinds achieve that."""
    named = [intent for intent in said if chipset_part(host.devices[intent.device])]
    found = free_devices(host, devices, model, reached=True, said=named)
    if found is None:
        raise RefusedError(why_not_free(host, devices, model, named) or "", turn_on_advice(host) or _MORE)
    return found
