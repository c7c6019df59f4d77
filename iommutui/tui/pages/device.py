"""The page Device: every known fact; and the targets that fit it, with their effects. Pure."""

from iommutui.core.host import Device, Group
from iommutui.core.labels import class_words, describe_device, device_name, verdict_word
from iommutui.core.plan.intents import Intent, Target, TargetKind, targets_of
from iommutui.core.plan.planner import plan_intents
from iommutui.core.topology import narrow
from iommutui.core.wording import purpose
from iommutui.tui.derived import target_of
from iommutui.tui.keys import key_of
from iommutui.tui.pages.why import driver_lines
from iommutui.tui.state import AppState, staged
from iommutui.tui.text import (
    BLANK,
    ROLE_STYLES,
    ROLE_WORDS,
    Choice,
    Line,
    Span,
    bullet,
    fact,
    key_hint,
    line,
    verdict_span,
)


def device_page(state: AppState, device: Device | None, group: Group | None) -> list[Line]:
    """One device; on a group's row, each of its members in turn."""
    if device is not None:
        return [*_facts(state, device), *_targets(state, device)]
    assert group is not None
    members = state.host.members(group)
    if not members:
        return [line(Span(f"Group {group.id} has no devices.", "muted"))]
    return [each for member in members for each in (BLANK, *_facts(state, member))][1:]


def _facts(state: AppState, device: Device) -> list[Line]:
    lines = [line(Span(device.address, "strong"), f"  {class_words(device)}", hang=2), line(device_name(device)), BLANK]
    lines += driver_lines(state, device)
    return lines + [fact(name, value) for name, value in describe_device(state.host, device)]


def _targets(state: AppState, device: Device) -> list[Line]:
    targets = targets_of(state.host, device)
    if not targets:
        return [fact("Targets", f"none: it is on the {device.bus} bus, and only PCI devices are rebound here")]
    lines = [BLANK, line(Span("Drivers that fit", "accent"), "  ", *key_hint(key_of("target"), "chooses"))]
    if device.fits is None:
        lines.append(bullet("Which kernel drivers know it was not recorded.", "muted", "?"))
    width = max(len(target.name) for target in targets)
    for target in targets:
        lead = f"  {target.name:<{width}}  "
        lines.append(line(Span(lead), Span(purpose(target), "muted"), Span(loading(target), "warn"), hang=4))
    if device.is_bridge:
        lines.append(bullet("It is a bridge: it need not be handed over, and VFIO refuses it."))
    return lines


def loading(target: Target) -> str:
    """A note on the module that a target needs, or nothing."""
    return f" · loads {target.module}" if target.module and not target.loaded else ""


def target_choices(state: AppState, device: Device) -> list[Choice]:
    """Every target of a device with its effect, variant VFIO drivers first."""
    targets = targets_of(state.host, device)
    width = max((len(target.name) for target in targets), default=0)
    return [_choice(state, device, target, width) for target in targets]


def _choice(state: AppState, device: Device, target: Target, width: int) -> Choice:
    end = _consequence(state, device, target)
    row = _line(state, device, target, width)
    if end is None:
        row = line(*row.spans, Span(" · refused", "bad"))
        end = line("The kernel would refuse it now.")
    return Choice(target.name, row, (end,))


def _line(state: AppState, device: Device, target: Target, width: int) -> Line:
    role = _role(state, device, target)
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


def _role(state: AppState, device: Device, target: Target) -> str:
    """The role of the driver; empty if it depends on what the kernel chooses."""
    if target.kind is TargetKind.DEFAULT:
        return ""
    if target.kind is TargetKind.NONE:
        return "free"
    return ROLE_WORDS[state.model.role(state.host, device, target.name).role]


def _consequence(state: AppState, device: Device, target: Target) -> Line | None:
    """The group's verdict with this target and the other staged intents; None if the kernel refuses it."""
    after = staged(state, {device.address: target.name}).intents
    part = narrow(state.host, (device.address, *(intent.device for intent in after)))
    plan = plan_intents(part, after, state.model)
    own = plan_intents(part, [Intent(device.address, target.name)], state.model)
    if not own.permitted:
        return None
    change = next((change for change in plan.groups if change.group == device.group), None)
    if change is None:
        return line(Span("No verdict changes.", "muted"))
    still = "still " if verdict_word(change.after) == verdict_word(change.before) else ""
    return line(f"Group {change.group} is then {still}", verdict_span(change.after), ".")
