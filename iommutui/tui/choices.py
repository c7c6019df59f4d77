"""The drivers and other targets that fit a device, with what each does and what it makes of the group. Pure."""

from typing import NamedTuple

from iommutui.core.host import Device, Host
from iommutui.core.intents import Intent
from iommutui.core.labels import verdict_glyph, verdict_word
from iommutui.core.planner import plan_intents
from iommutui.core.targets import Kind, Target, targets_of
from iommutui.tui.narrow import narrow
from iommutui.tui.preview import target_of
from iommutui.tui.spans import Line, Span, line
from iommutui.tui.state import AppState, staged
from iommutui.tui.words import loading, purpose


class Choices(NamedTuple):
    """Name and rows of every target, variant VFIO drivers first, and what there is to say of all of them."""

    entries: tuple[tuple[str, tuple[Line, ...]], ...]
    note: Line | None


def target_choices(state: AppState, device: Device) -> Choices:
    """The targets of a device. What comes of each is said once where it is the same whichever is chosen."""
    assert state.host is not None
    targets = targets_of(state.host, device)
    width = max((len(target.name) for target in targets), default=0)
    ends = [_consequence(state, state.host, device, target) for target in targets]
    same = len(ends) > 1 and all(end == ends[0] for end in ends)
    entries = []
    for target, end in zip(targets, ends, strict=True):
        below = () if same else (line(Span(" " * (width + 2)), *end),)
        entries.append((target.name, (_line(state, device, target, width), *below)))
    note = line(Span("Whichever is chosen, ", "muted"), *ends[0]) if same else None
    return Choices(tuple(entries), note)


def _line(state: AppState, device: Device, target: Target, width: int) -> Line:
    role = _role(state, device, target)
    spans = [
        Span(f"{target.name:<{width}}  ", "strong"),
        Span(f"{role:<6}  ", {"kernel": "warn", "user": "ok"}.get(role, "muted")),
        Span(purpose(target), "plain"),
        Span(loading(target), "warn"),
    ]
    if target_of(state, device.address) == target.name:
        spans.append(Span(" · staged", "planned"))
    elif target.name == device.driver:
        spans.append(Span(" · it is on this driver", "muted"))
    return line(*spans)


def _role(state: AppState, device: Device, target: Target) -> str:
    """The role of the driver in the model's terms; empty where it depends on what the kernel chooses."""
    if target.kind is Kind.DEFAULT:
        return ""
    return "free" if target.kind is Kind.NONE else state.model.role(device, target.name).role.value


def _consequence(state: AppState, host: Host, device: Device, target: Target) -> list[Span]:
    """What the group of the device would be with this target, together with what else is staged."""
    after = staged(state, {device.address: target.name}).intents
    part = narrow(host, (device.address, *(intent.device for intent in after)))
    plan = plan_intents(part, after, state.model)
    own = plan_intents(part, [Intent(device.address, target.name)], state.model)
    if not own.permitted:
        return [Span("refused by the kernel as things are", "bad")]
    change = next((change for change in plan.groups if change.group == device.group), None)
    if change is None:
        return [Span("changes no group", "muted")]
    word = verdict_word(change.after)
    still = "still " if word == verdict_word(change.before) else ""
    return [Span(f"group {change.group} is then {still}{verdict_glyph(change.after)} {word}", "muted")]
