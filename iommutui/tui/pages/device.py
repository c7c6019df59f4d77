"""The page of a device: every fact that is known of it, and the drivers that fit it. Pure."""

from iommutui.core.device_facts import device_facts
from iommutui.core.host import Device, Group, Host
from iommutui.core.labels import class_words, device_name
from iommutui.core.plan.targets import targets_of
from iommutui.tui.keys import key_of
from iommutui.tui.pages.targets import target_line
from iommutui.tui.pages.why import driver_lines
from iommutui.tui.state import AppState
from iommutui.tui.text.blocks import bullet, fact, key_hint
from iommutui.tui.text.spans import BLANK, Line, Span, line


def device_page(state: AppState, host: Host, device: Device | None, group: Group | None) -> list[Line]:
    """One device; on a group's row, each of its members in turn."""
    if device is not None:
        return [*_facts(state, host, device), *_targets(state, host, device)]
    assert group is not None
    members = host.members(group)
    if not members:
        return [line(Span(f"Group {group.id} has no devices.", "muted"))]
    lines: list[Line] = []
    for member in members:
        lines += [*([BLANK] if lines else []), *_facts(state, host, member)]
    return lines


def _facts(state: AppState, host: Host, device: Device) -> list[Line]:
    lines = [line(Span(device.address, "strong"), f"  {class_words(device)}", hang=2), line(device_name(device)), BLANK]
    lines += driver_lines(state, host, device)
    return lines + [fact(name, value) for name, value in device_facts(host, device)]


def _targets(state: AppState, host: Host, device: Device) -> list[Line]:
    targets = targets_of(host, device)
    if not targets:
        return [fact("Targets", f"none: it is on the {device.bus} bus, and only PCI devices are rebound here")]
    lines = [BLANK, line(Span("Drivers that fit", "accent"), "  ", *key_hint(key_of("target"), "chooses"))]
    if device.fits is None:
        lines.append(bullet("Which kernel drivers know it was not recorded.", "muted", "?"))
    width = max(len(target.name) for target in targets)
    lines += [target_line(target, width) for target in targets]
    if device.is_bridge:
        lines.append(bullet("It is a bridge: it need not be handed over, and VFIO refuses it.", "muted", "•"))
    return lines
