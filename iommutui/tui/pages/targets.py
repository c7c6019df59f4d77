"""The drivers and other targets that fit a device, with what each does and what it makes of the group. Pure."""

from typing import NamedTuple

from iommutui.core.drivers import VFIO_PCI
from iommutui.core.host import Device, Host
from iommutui.core.labels import verdict_word
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.narrowing import narrow
from iommutui.core.plan.planner import plan_intents
from iommutui.core.plan.targets import Target, TargetKind, targets_of
from iommutui.core.wording import target_words
from iommutui.tui.derived import target_of
from iommutui.tui.state import AppState, staged
from iommutui.tui.text.blocks import ROLE_STYLES, ROLE_WORDS, verdict_span
from iommutui.tui.text.spans import Line, Span, line


def target_line(target: Target, width: int) -> Line:
    """``vfio-pci  hand it to a virtual machine (module vfio-pci is not loaded)``."""
    lead = f"  {target.name:<{width}}  "
    return line(Span(lead), Span(purpose(target), "muted"), Span(loading(target), "warn"), hang=4)


def purpose(target: Target) -> str:
    """What a target is for, in words."""
    if target.kind is TargetKind.KERNEL:
        return "let this machine use it"
    if target.kind is TargetKind.VFIO:
        made_for_it = "" if target.name == VFIO_PCI else ", with a driver made for it"
        return f"hand it to a virtual machine{made_for_it}"
    return target_words(target.name)


def loading(target: Target) -> str:
    """What has to be loaded for a target, or nothing."""
    return f" · loads {target.module}" if target.module and not target.loaded else ""


class Choice(NamedTuple):
    """One thing to choose: its name, its row in a list, and its description below."""

    name: str
    row: Line
    about: tuple[Line, ...] = ()


def target_choices(state: AppState, device: Device) -> list[Choice]:
    """Every target of a device with what comes of it, variant VFIO drivers first."""
    host = state.host
    assert host is not None
    targets = targets_of(host, device)
    width = max((len(target.name) for target in targets), default=0)
    return [_choice(state, host, device, target, width) for target in targets]


def _choice(state: AppState, host: Host, device: Device, target: Target, width: int) -> Choice:
    end = _consequence(state, host, device, target)
    row = _line(state, host, device, target, width)
    if end is None:
        row = line(*row.spans, Span(" · refused", "bad"))
        end = line("The kernel refuses it as things are.")
    return Choice(target.name, row, (end,))


def _line(state: AppState, host: Host, device: Device, target: Target, width: int) -> Line:
    role = _role(state, host, device, target)
    spans = [
        Span(f"{target.name:<{width}}  ", "strong"),
        Span(f"{role:<7}  ", ROLE_STYLES.get(role, "muted")),
        Span(purpose(target), "plain"),
        Span(loading(target), "warn"),
    ]
    if target_of(state, device.address) == target.name:
        spans.append(Span(" · staged", "planned"))
    elif target.name == device.driver:
        spans.append(Span(" · it is on this driver", "muted"))
    return line(*spans)


def _role(state: AppState, host: Host, device: Device, target: Target) -> str:
    """The role of the driver; empty where it depends on what the kernel chooses."""
    if target.kind is TargetKind.DEFAULT:
        return ""
    return "free" if target.kind is TargetKind.NONE else ROLE_WORDS[state.model.role(host, device, target.name).role]


def _consequence(state: AppState, host: Host, device: Device, target: Target) -> Line | None:
    """What the group would be with this target and what else is staged; None where the kernel refuses it."""
    after = staged(state, {device.address: target.name}).intents
    part = narrow(host, (device.address, *(intent.device for intent in after)))
    plan = plan_intents(part, after, state.model)
    own = plan_intents(part, [Intent(device.address, target.name)], state.model)
    if not own.permitted:
        return None
    change = next((change for change in plan.groups if change.group == device.group), None)
    if change is None:
        return line(Span("It changes no group.", "muted"))
    still = "still " if verdict_word(change.after) == verdict_word(change.before) else ""
    return line(f"Group {change.group} is then {still}", verdict_span(change.after), ".")
