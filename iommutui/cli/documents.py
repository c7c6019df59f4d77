"""JSON documents of the reading commands: the values themselves, and what is computed from them."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from iommutui.apply.validation import to_object
from iommutui.cli.review import further_fix
from iommutui.core.address import Address
from iommutui.core.advice import no_iommu_advice
from iommutui.core.drivers import VFIO_PCI
from iommutui.core.hazards import Hazard, hazard_advice, hazard_loss, hazards_of
from iommutui.core.host import Device, Group, Host, serves_host
from iommutui.core.labels import device_name, use_labels
from iommutui.core.models import Model
from iommutui.core.plan.intents import Intent, goals_of, targets_of
from iommutui.core.plan.planner import Plan
from iommutui.core.plan.presets import fix_hazards, free_devices, why_not_free
from iommutui.core.reasons import Outcome, Reason, Verdict
from iommutui.core.redact import redact_cmdline
from iommutui.core.topology import passable
from iommutui.core.uses import Uses
from iommutui.core.wording import sentence

Document = dict[str, Any]
"""A JSON object; only documents use plain dictionaries."""


def _fields(value: NamedTuple, *without: str) -> Document:
    return to_object({name: part for name, part in value._asdict().items() if name not in without})


def _with_facts(value: Reason | Hazard) -> Document:
    return {**_fields(value, "facts"), **({"facts": dict(value.facts)} if value.facts else {})}


def _gaps(value: Device | Group | Host | Uses) -> Document:
    """Fields that exist but are unknown, and why: ``{"gaps": {"reset_method": "EACCES"}}``."""
    return {"gaps": {gap.attribute: gap.why for gap in value.gaps}} if value.gaps else {}


def _hex(document: Document, *names: str) -> Document:
    return {**document, **{name: f"{document[name]:#x}" for name in names}}


def reason_documents(reasons: Iterable[Reason]) -> list[Document]:
    """Reasons with their sentences."""
    return [{**_with_facts(reason), "text": sentence(reason)} for reason in reasons]


def hazard_documents(hazards: Iterable[Hazard]) -> list[Document]:
    """Hazards with their sentences and advice."""
    return [
        {**_with_facts(h), "unknown": h.unknown or None, "text": hazard_loss(h), "advice": hazard_advice(h)}
        for h in hazards
    ]


def intent_documents(intents: Iterable[Intent] | None) -> list[Document] | None:
    """Intents; None stays null."""
    return None if intents is None else [_fields(intent) for intent in intents]


def verdict_document(verdict: Verdict) -> Document:
    """``viable`` is null if the source does not hold what the answer depends on."""
    return {**_fields(verdict, "reasons"), "reasons": reason_documents(verdict.reasons)}


def group_document(host: Host, group: Group, verdict: Verdict) -> Document:
    """A group with its verdict."""
    regions = None if group.regions is None else [_hex(_fields(r), "start", "end") for r in group.regions]
    return {
        **_fields(group, "members", "regions", "claim", "foreign", "gaps"),
        "passable": passable(host, group),
        **verdict_document(verdict),
        "owner": group.owner,
        "reserved_regions": regions,
        "devices": list(group.members),
        **_gaps(group),
    }


def device_document(host: Host, device: Device, model: Model) -> Document:
    """Everything known about a device. A null is an absent attribute unless ``gaps`` names it."""
    role = model.role(host, device, device.driver) if device.driver is not None else None
    details = {} if device.details is None else _fields(device.details)
    if details.get("bars") is not None:
        details["bars"] = [_hex(bar, "start", "flags") for bar in details["bars"]]
    return {
        **_fields(device, "class_code", "multifunction", "fits", "details", "gaps", "not_isolated_from"),
        "class": device.class_code,
        "name": device_name(device),
        "role": None if role is None else role.role,
        "role_assumed": role is not None and role.assumed,
        "targets": [_fields(target) for target in targets_of(host, device)],
        **details,
        **_gaps(device),
    }


def host_document(host: Host, model: Model) -> Document:
    """The machine as a whole; documents are shared, so its command line is redacted."""
    if host.cmdline is not None:
        host = host._replace(cmdline=redact_cmdline(host.cmdline))
    shown = ("kernel", "cmdline", "cpu_vendor", "hypervisor", "lacks", "interrupt_remapping", "iommus", "drivers")
    return {
        **to_object({name: getattr(host, name) for name in shown}),
        "vfio_parameters": _fields(host.vfio),
        "model": model.name,
        **_gaps(host),
    }


def list_document(host: Host, model: Model, devices: Sequence[Device]) -> Document:
    """``iommutui list --json``: the devices that the filter lets through, their groups, and what the host loses."""
    shown = {device.address for device in devices}
    labels = use_labels(host)
    advice = no_iommu_advice(host)
    return {
        "host": host_document(host, model),
        "groups": [
            group_document(host, group, model.verdict(host, group))
            for group in host.groups.values()
            if not shown.isdisjoint(group.members) or not group.members
        ],
        "devices": [
            {
                **device_document(host, device, model),
                "used_for": list(labels.get(device.address, ())),
                "hazards": hazard_documents(_impact(host, device)),
            }
            for device in devices
        ],
        "uses": uses_document(host.uses),
        **({"advice": advice} if advice else {}),
    }


def report_document(host: Host, model: Model, address: Address | None) -> Document:
    """``iommutui report --json``: the whole machine, and the intents that free the card in question, or why none do."""
    document = list_document(host, model, [*host.devices.values()])
    if address is not None:
        intents = free_devices(host, [each.address for each in host.card(address)], model)
        goals = goals_of(host, intents or ())
        document["question"] = {
            "device": address,
            "fix": intent_documents(intents),
            "no_fix": why_not_free(host, [address], model) if intents is None else None,
            "hazards": hazard_documents(hazards_of(host, goals)),
        }
    return document


def _impact(host: Host, device: Device) -> Sequence[Hazard]:
    """The impact on the host if the device is handed over."""
    if not serves_host(host, device, device.driver) or device.is_bridge:
        return []
    return hazards_of(host, goals_of(host, [Intent(device.address, VFIO_PCI)]))


def uses_document(uses: Uses | None) -> Document | None:
    """What the machine does with its devices; a field that ``gaps`` names may be incomplete. Null: not known."""
    return None if uses is None else {**_fields(uses, "gaps"), "gaps": {}, **_gaps(uses)}


def plan_document(host: Host, intents: Sequence[Intent], plan: Plan, model: Model) -> Document:
    """``iommutui preview --json``."""
    fix = further_fix(host, intents, plan, model)
    return {
        "model": plan.model,
        "permitted": plan.permitted,
        "refusals": reason_documents(plan.refusals),
        "modules": list(plan.modules),
        "steps": [
            {
                **_fields(step, "reasons"),
                "data": step.data,
                **({"reasons": reason_documents(step.reasons)} if step.reasons else {}),
            }
            for step in plan.steps
        ],
        "no_ops": [
            {"device": goal.device, "driver": goal.driver, "driver_override": goal.override} for goal in plan.no_ops
        ],
        "groups": [
            {"id": change.group, "before": verdict_document(change.before), "after": verdict_document(change.after)}
            for change in plan.groups
        ],
        "hazards": hazard_documents(plan.hazards),
        "fix": intent_documents(fix),
        "fix_hazards": hazard_documents(fix_hazards(host, plan.goals, fix)),
    }


def predicted_document(plan: Plan, model: Model) -> Document:
    """The predicted state of every touched group and its devices, and of the devices without a group."""
    after = plan.predicted
    groups = [after.groups[change.group] for change in plan.groups]
    addresses = dict.fromkeys([a for group in groups for a in group.members] + [goal.device for goal in plan.goals])
    shown = ("address", "driver", "driver_override", "group")
    return {
        "groups": [{"id": group.id, **verdict_document(model.verdict(after, group))} for group in groups],
        "devices": [{name: getattr(after.devices[a], name) for name in shown} for a in addresses if a in after.devices],
    }


def outcome_document(number: int, line: Document, outcome: Outcome, model: Model) -> Document:
    """``iommutui simulate``: the answer to one event, and the groups that it concerns as they are afterwards."""
    host = outcome.host
    drivers = {address: device.driver for address, device in host.devices.items()}
    groups = [host.groups[n] for n in outcome.groups if n in host.groups]
    return {
        "n": number,
        "op": line["op"],
        "result": outcome.result,
        "crash": outcome.crash is not None,
        **({"crash_text": outcome.crash} if outcome.crash else {}),
        "blocks": outcome.blocks,
        "device": line.get("device"),
        "driver": drivers.get(line.get("device", "")),
        "groups": {
            str(group.id): {
                "viable": model.verdict(host, group).viable,
                "owner": group.owner,
                "members": {address: drivers.get(address) for address in group.members},
            }
            for group in groups
        },
        "reasons": reason_documents(outcome.reasons),
    }
