"""A machine as text to paste when asking for help; ``--from`` opens it again. Redacted, always."""

from collections.abc import Iterable, Iterator

from iommutui.core.address import Address
from iommutui.core.device import gap_words
from iommutui.core.hazards import hazard_loss, hazards_of
from iommutui.core.host import Device, Group, Host
from iommutui.core.labels import class_words, device_name, verdict_word
from iommutui.core.models import Model
from iommutui.core.plan.intents import goals_of
from iommutui.core.plan.presets import free_devices, why_not_free
from iommutui.core.printable import printable
from iommutui.core.reasons import groupless
from iommutui.core.redact import redact
from iommutui.core.wording import sentence, verdict_sentence


def report(host: Host, model: Model, device: Address | None = None, *, markdown: bool = True) -> str:
    """The machine, the device in question first; as Markdown or as plain text."""
    host = redact(host)
    title, fence = ("## ", ["```"]) if markdown else ("", [])
    lines = _machine(host, model, markdown)
    if device is not None:
        lines += ["", f"{title}The question: {device}", "", *map(printable, _answers(host, model, device))]
    lines += ["", f"{title}Groups", "", *fence]
    for group in host.groups.values():
        lines += _group(host, group, model)
    rest = [device for device in host.devices.values() if device.group is None]
    alone = [text for each in rest if each.gap("iommu_group") is None for text in _function(each, "\t")]
    lines += ["No IOMMU group:", *alone] if alone else []
    lines += [text for each in rest if each.gap("iommu_group") is not None for text in _function(each, "")]
    return "".join(f"{text}\n" for text in [*lines, *fence])


def _machine(host: Host, model: Model, markdown: bool) -> list[str]:
    mark = "- " if markdown else ""
    units = ", ".join(unit.name for unit in host.iommus or ())
    facts = [
        ("Kernel", host.kernel),
        ("Command line", f"`{host.cmdline}`" if host.cmdline is not None else None),
        ("Processor", host.cpu_vendor),
        ("IOMMU", units or ("none is active" if host.iommus == () else None)),
        ("Rules", model.name),
    ]
    lines = [f"{mark}{label}: {printable(value)}" for label, value in facts if value is not None]
    missing = [f"{gap.attribute} ({gap_words(gap.why)})" for gap in host.gaps]
    lines += [f"{mark}Not known: {', '.join(missing)}"] if missing else []
    return lines


def _answers(host: Host, model: Model, address: Address) -> Iterator[str]:
    device = host.devices[address]
    group = host.group_of(address)
    yield f"{class_words(device)}: {device_name(device)}, driver {device.driver or 'none'}"
    if group is None:
        yield sentence(groupless(device))
        return
    verdict = model.verdict(host, group)
    yield verdict_sentence(host, group, verdict)
    yield from (f"- {sentence(reason)}" for reason in verdict.reasons)
    intents = free_devices(host, [each.address for each in host.card(address)], model)
    if intents is None:
        yield why_not_free(host, [address], model) or ""
        return
    if intents:
        yield f"What frees the card: {' '.join(str(intent) for intent in intents)}"
    hazards = hazards_of(host, goals_of(host, intents))
    yield from (f"- {hazard.severity}: {hazard_loss(hazard)}" for hazard in hazards)


def _group(host: Host, group: Group, model: Model) -> list[str]:
    verdict = model.verdict(host, group)
    members = host.members(group)
    others = (f"{d.address} ({d.bus}), driver {d.driver or 'none'}" for d in members if d.bus != "pci")
    return [
        f"IOMMU Group {group.id} ({verdict_word(verdict)}):",
        *(text for device in members if device.bus == "pci" for text in _function(device, "\t")),
        *("\t" + printable(f"# {text}") for text in (*others, *map(sentence, verdict.reasons))),
    ]


def _function(device: Device, indent: str) -> Iterable[str]:
    """As ``lspci -nnk`` has it. ``none`` says that there is no driver, ``?`` that it is not known."""
    code = device.class_code or ""
    ids = f" [{device.ids}]" if device.ids else ""
    revision = f" (rev {device.revision})" if device.revision not in (None, "00") else ""
    interface = f" (prog-if {code[4:]})" if len(code) == 6 else ""
    name = device_name(device).removesuffix(ids)
    kind = f"{class_words(device)} [{code[:4]}]" if code else class_words(device)
    yield indent + printable(f"{device.address} {kind}: {name}{ids}{revision}{interface}")
    if device.board:
        yield f"{indent}\tSubsystem: [{device.board}]"
    unknown = device.driver is None and device.gap("driver") is not None
    yield f"{indent}\tKernel driver in use: {'?' if unknown else printable(device.driver or 'none')}"
    if device.driver_override is not None:
        yield f"{indent}\tDriver override: {printable(device.driver_override)}"
