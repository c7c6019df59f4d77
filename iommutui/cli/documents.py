"""JSON documents of the reading commands. ``schema`` grows when a field changes its meaning or goes away."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from iommutui.core.address import Address
from iommutui.core.advice import no_iommu_advice
from iommutui.core.board import passable
from iommutui.core.drivers import VFIO_PCI
from iommutui.core.hazards import Hazard, hazards_of
from iommutui.core.hazards.base import on_kernel_driver
from iommutui.core.host import Details, Device, Group, Host
from iommutui.core.labels import device_name, owner_of
from iommutui.core.models.base import Model
from iommutui.core.outcome import Outcome, Verdict
from iommutui.core.plan.drift import Basis
from iommutui.core.plan.fix import fix_hazards, smallest_fix
from iommutui.core.plan.intents import Intent, goal_of
from iommutui.core.plan.planner import Plan
from iommutui.core.plan.presets import free_card, why_not_free
from iommutui.core.plan.targets import targets_of
from iommutui.core.reasons import Reason
from iommutui.core.use_labels import use_labels
from iommutui.core.wording import hazard_advice, hazard_loss, sentence

Document = dict[str, Any]
"""The one place where a value is a plain dictionary: on its way out."""

SCHEMA = 1


def reason_document(reason: Reason) -> Document:
    """A reason with its sentence."""
    return {
        "code": reason.code,
        "group": reason.group,
        "device": reason.device,
        "driver": reason.driver,
        **({"facts": dict(reason.facts)} if reason.facts else {}),
        "text": sentence(reason),
    }


def reason_documents(reasons: Iterable[Reason]) -> list[Document]:
    """Several reasons."""
    return [reason_document(reason) for reason in reasons]


def verdict_document(verdict: Verdict) -> Document:
    """``viable`` is null where the source does not hold what the answer depends on."""
    return {
        "viable": verdict.viable,
        "state": verdict.state,
        "claim": verdict.claim,
        "reasons": reason_documents(verdict.reasons),
    }


def group_document(host: Host, group: Group, verdict: Verdict) -> Document:
    """A group with its verdict."""
    return {
        "id": group.id,
        "viable": verdict.viable,
        "passable": passable(host, group),
        "state": verdict.state,
        "claim": verdict.claim,
        "owner": owner_of(group),
        "type": group.type,
        "name": group.name,
        "reserved_regions": None
        if group.regions is None
        else [{"start": f"{r.start:#x}", "end": f"{r.end:#x}", "type": r.type} for r in group.regions],
        "reasons": reason_documents(verdict.reasons),
        "devices": list(group.members),
        **_gaps(group),
    }


def device_document(host: Host, device: Device, model: Model) -> Document:
    """Everything that is known of a device. A null is an absent attribute unless ``gaps`` names it."""
    role = model.role(host, device, device.driver) if device.driver is not None else None
    return {
        "address": device.address,
        "bus": device.bus,
        "vendor_id": device.vendor_id,
        "device_id": device.device_id,
        "subsystem_vendor_id": device.subsystem_vendor_id,
        "subsystem_device_id": device.subsystem_device_id,
        "class": device.class_code,
        "revision": device.revision,
        "name": device_name(device),
        "vendor_name": device.vendor_name,
        "device_name": device.device_name,
        "class_name": device.class_name,
        "driver": device.driver,
        "role": None if role is None else role.role,
        "role_assumed": role is not None and role.assumed,
        "driver_override": device.driver_override,
        "group": device.group,
        "header_type": device.header_type,
        "pcie_type": device.pcie_type,
        "modalias": device.modalias,
        "parent": device.parent,
        "boot_vga": device.boot_vga,
        "boot_display": device.boot_display,
        "physfn": device.physfn,
        "virtfns": list(device.virtfns),
        "vfio_dev": None if device.vfio_dev is None else list(device.vfio_dev),
        "iommu": device.iommu,
        "interfaces": list(device.interfaces),
        "targets": [_plain(target) for target in targets_of(host, device)],
        **_details(device.details),
        **_gaps(device),
    }


def _plain(value: NamedTuple) -> Document:
    return dict(zip(value._fields, value, strict=True))


def _details(details: Details | None) -> Document:
    if details is None:
        return {}
    document = _plain(details)
    if details.bars is not None:
        document["bars"] = [
            {"number": bar.number, "start": f"{bar.start:#x}", "size": bar.size, "flags": f"{bar.flags:#x}"}
            for bar in details.bars
        ]
    return document


def _gaps(value: Device | Group | Host) -> Document:
    """What exists but is not known, and why: ``{"gaps": {"reset_method": "EACCES"}}``."""
    return {"gaps": {gap.attribute: gap.why for gap in value.gaps}} if value.gaps else {}


def host_document(host: Host, model: Model) -> Document:
    """The machine as a whole."""
    return {
        "kernel": host.kernel,
        "cmdline": host.cmdline,
        "cpu_vendor": host.cpu_vendor,
        "hypervisor": host.hypervisor,
        "lacks": list(host.lacks),
        "interrupt_remapping": host.interrupt_remapping,
        "vfio_parameters": _plain(host.vfio),
        "model": model.name,
        "iommus": None if host.iommus is None else [_plain(iommu) for iommu in host.iommus],
        "drivers": None if host.drivers is None else [_plain(driver) for driver in host.drivers],
        **_gaps(host),
    }


def list_document(host: Host, model: Model, devices: Sequence[Device]) -> Document:
    """``iommutui list --json``: the devices that the filter lets through, and their groups."""
    shown = {device.address for device in devices}
    marks = use_labels(host)
    advice = no_iommu_advice(host)
    return {
        "schema": SCHEMA,
        "host": host_document(host, model),
        "groups": [
            group_document(host, group, model.verdict(host, group))
            for group in host.groups.values()
            if any(address in shown for address in group.members) or not group.members
        ],
        "devices": [_listed_device(host, device, model, marks) for device in devices],
        "uses": uses_document(host),
        **({"advice": advice} if advice else {}),
    }


def report_document(host: Host, model: Model, address: Address | None) -> Document:
    """``iommutui report --json``: everything, and what frees the card in question, or why nothing does."""
    document = list_document(host, model, [*host.devices.values()])
    if address is not None:
        intents = free_card(host, address, model)
        goals = [goal for intent in intents or () if (goal := goal_of(host, intent)[0]) is not None]
        document["question"] = {
            "device": address,
            "fix": intent_documents(intents),
            "no_fix": why_not_free(host, [address], model) if intents is None else None,
            "hazards": hazard_documents(hazards_of(host, goals)),
        }
    return document


def _listed_device(host: Host, device: Device, model: Model, marks: dict[Address, tuple[str, ...]]) -> Document:
    """A device, with what the host does with it and what the host would lose with it."""
    lost = on_kernel_driver(host, device) and not device.is_bridge
    goal = goal_of(host, Intent(device.address, VFIO_PCI))[0] if lost else None
    return {
        **device_document(host, device, model),
        "used_for": list(marks.get(device.address, ())),
        "hazards": [] if goal is None else hazard_documents(hazards_of(host, [goal])),
    }


def intent_documents(intents: Iterable[Intent] | None) -> list[Document] | None:
    """Intents; None stays null."""
    return None if intents is None else [_plain(intent) for intent in intents]


def hazard_document(hazard: Hazard) -> Document:
    """A hazard with its sentence."""
    return {
        "code": hazard.code,
        "severity": hazard.severity,
        "topic": hazard.topic,
        "device": hazard.device,
        **({"facts": dict(hazard.facts)} if hazard.facts else {}),
        "unknown": hazard.unknown or None,
        "refused": hazard.refused,
        "text": hazard_loss(hazard),
        "advice": hazard_advice(hazard),
    }


def hazard_documents(hazards: Iterable[Hazard]) -> list[Document]:
    """Several hazards."""
    return [hazard_document(hazard) for hazard in hazards]


def uses_document(host: Host) -> Document | None:
    """What the machine does with its devices; a field that ``gaps`` names may be incomplete. Null: not known."""
    uses = host.uses
    if uses is None:
        return None
    fields = {name: [_plain(each) for each in value] for name, value in uses._asdict().items() if name != "gaps"}
    return {**fields, "gaps": {gap.attribute: gap.why for gap in uses.gaps}}


def plan_document(host: Host, intents: Sequence[Intent], plan: Plan, model: Model) -> Document:
    """``iommutui preview --json``."""
    touched = [host.groups[change.group] for change in plan.groups]
    fix = smallest_fix(host, intents, touched, model)
    return {
        "schema": SCHEMA,
        "model": plan.model,
        "permitted": plan.permitted,
        "refusals": reason_documents(plan.refusals),
        "modules": list(plan.modules),
        "steps": [
            {
                "op": step.op,
                "device": step.device,
                "value": step.value,
                "path": step.path,
                "data": step.data,
                "outcome": step.outcome,
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


def basis_document(basis: Basis) -> Document:
    """The facts that a plan was computed from."""
    return {
        "kernel": basis.kernel,
        "devices": [_plain(facts) for facts in basis.devices],
        "claims": [list(claim) for claim in basis.claims],
        "claims_known": basis.claims_known,
    }


def predicted_document(plan: Plan, model: Model) -> Document:
    """What every touched group and its devices are predicted to be after the plan, and the devices without a group."""
    after = plan.predicted
    groups = [after.groups[change.group] for change in plan.groups]
    addresses = dict.fromkeys([a for group in groups for a in group.members] + [goal.device for goal in plan.goals])
    devices = [after.devices[address] for address in addresses if address in after.devices]
    return {
        "groups": [{"id": group.id, **verdict_document(model.verdict(after, group))} for group in groups],
        "devices": [
            {"address": d.address, "driver": d.driver, "driver_override": d.driver_override, "group": d.group}
            for d in devices
        ],
    }


def outcome_document(number: int, line: Document, outcome: Outcome, model: Model) -> Document:
    """``iommutui simulate``: the answer to one event, and the groups that it concerns as they are afterwards."""
    host = outcome.host
    device = host.devices.get(line["device"]) if "device" in line else None
    groups = [host.groups[n] for n in outcome.groups if n in host.groups]
    return {
        "n": number,
        "op": line["op"],
        "result": outcome.result,
        "crash": outcome.crash is not None,
        **({"crash_text": outcome.crash} if outcome.crash else {}),
        "blocks": outcome.blocks,
        "device": line.get("device"),
        "driver": device.driver if device is not None else None,
        "groups": {
            str(group.id): {
                "viable": model.verdict(host, group).viable,
                "owner": owner_of(group),
                "members": {
                    address: (member.driver if (member := host.devices.get(address)) is not None else None)
                    for address in group.members
                },
            }
            for group in groups
        },
        "reasons": reason_documents(outcome.reasons),
    }
