"""The details pane: the page Why of the selection, and the way to the other pages. Pure."""

from iommutui.core.advice import no_iommu_advice, not_recorded
from iommutui.core.device import gap_words
from iommutui.core.host import Device, Group, Host
from iommutui.core.labels import class_words, describe_group, device_name, verdict_word
from iommutui.core.reasons import Verdict, groupless
from iommutui.core.topology import why_shared
from iommutui.core.wording import sentence, verdict_sentence
from iommutui.tui.cache import last_call
from iommutui.tui.derived import change_of, fix_of, target_of, verdicts
from iommutui.tui.keys import key_of
from iommutui.tui.pages.plan import intent_line, reason_lines
from iommutui.tui.state import AppState, Phase, Source, SourceKind
from iommutui.tui.text import (
    BLANK,
    ROLE_NAMES,
    VERDICT_STYLES,
    Line,
    Span,
    bullet,
    fact,
    heading,
    key_hint,
    line,
    verdict_span,
)


def why_page(state: AppState, device: Device | None, group: Group | None) -> list[Line]:
    """The verdict with its reasons, the smallest fix, and what is unknown about the machine."""
    lines = _why_device(state, device, group) if device is not None else _why_group(state, group)
    return [*lines, *_lacking(state.host, state.source)]


@last_call
def _lacking(host: Host, source: Source) -> tuple[Line, ...]:
    found = not_recorded(host) if source.kind is SourceKind.SNAPSHOT else ""
    return (BLANK, heading("Not known of this machine"), bullet(found, "warn", "?")) if found else ()


def no_group(state: AppState) -> list[Line]:
    """The page for a selection without a group; if no PCI device has one, what to do about it."""
    advice = [bullet(text) for text in no_iommu_advice(state.host)]
    if not state.host.groups:
        return [line(Span("✖ This machine shows no IOMMU groups", "bad"), hang=2), BLANK, *advice]
    if state.selection is None:
        return [line(Span("Nothing is selected.", "muted"))]
    return [
        line(Span("These devices are in no IOMMU group", "strong")),
        BLANK,
        line("No IOMMU translates for them, so VFIO cannot take them. Their drivers can still be changed."),
        *advice,
    ]


def _verdict(state: AppState, group: Group, device: Device | None) -> list[Line]:
    """The verdict as a sentence, the planned one, the reasons, and the smallest fix."""
    verdict, change = verdicts(state.host, state.model).of(group.id), change_of(state, group.id)
    style = VERDICT_STYLES[verdict_word(verdict)]
    glyph = verdict_span(verdict).text[0]
    lines = [line(Span(f"{glyph} {verdict_sentence(state.host, group, verdict)}", style), hang=2)]
    if change is not None:
        lines.append(line(Span("→ planned: ", "planned"), verdict_span(change.after), hang=2))
    reasons = sorted(verdict.reasons, key=lambda r: device is not None and r.device != device.address)
    lines += reason_lines(state.host, reasons)
    left = [r for r in change.after.reasons if r not in reasons] if change is not None else []
    if left:
        lines += [BLANK, heading("Why, once the plan is applied"), *reason_lines(state.host, left)]
    return lines + _fix(state, verdict)


def _fix(state: AppState, verdict: Verdict) -> list[Line]:
    fix = fix_of(state)
    if fix is None or fix.intents == ():
        return []
    if fix.intents is None:
        if verdict.refused and not fix.further:  # as the reasons above say
            return []
        further = "with what is staged, no further" if fix.further else "no"
        words = f"None: {further} rebind lets a virtual machine use it."
        if verdict.viable is None:
            words = "Not known: which rebinds would let a virtual machine use it."
        why = [bullet(sentence(reason)) for reason in fix.why if reason not in verdict.reasons]
        return [BLANK, heading("Smallest fix"), bullet(words, "warn", "!"), *why]
    title = "Still needed" if fix.further else "Smallest fix"
    lines = [BLANK, line(Span(title, "accent"), "  ", *key_hint(key_of("fix"), "stages it"))]
    return lines + [intent_line(state, intent) for intent in fix.intents]


def _why_group(state: AppState, group: Group | None) -> list[Line]:
    assert group is not None
    host = state.host
    verdict = verdicts(host, state.model).of(group.id)
    advice = map(bullet, no_iommu_advice(host))
    lines = [*_verdict(state, group, None), *advice, BLANK, heading("Devices")]
    for device in host.members(group):
        lines.append(line(Span(device.address, "strong"), f"  {device.driver or 'free'}", hang=14))
        lines.append(line("  ", Span(device_name(device), "muted"), hang=2))
    missing = [address for address in group.members if address not in host.devices]
    lines += [line(Span(address, "strong"), Span("  nothing known", "warn")) for address in missing]
    lines += _shared(host, group)
    lines += [BLANK, heading("Group")]
    return lines + [fact(name, value) for name, value in describe_group(group, verdict)]


def _why_device(state: AppState, device: Device, group: Group | None) -> list[Line]:
    lines = [line(Span(device.address, "strong"), f"  {class_words(device)}", hang=2), line(device_name(device))]
    if group is not None:
        lines += _verdict(state, group, device)
    else:
        lines += [bullet(sentence(groupless(device)), "warn", "?"), *map(bullet, no_iommu_advice(state.host))]
    lines += [BLANK, heading("Driver"), *driver_lines(state, device)]
    return lines + (_shared(state.host, group) if group is not None else [])


def _shared(host: Host, group: Group) -> list[Line]:
    found = why_shared(host, group)
    return [BLANK, heading("Why these share a group"), *(bullet(text) for text in found)] if found else []


def driver_lines(state: AppState, device: Device) -> list[Line]:
    """The driver and its role, the override, and what is staged."""
    lines = []
    role = state.model.role(state.host, device, device.driver) if device.driver else None
    gap = device.gap("driver")
    if device.driver and role is not None:
        guess = ", assumed" if role.assumed else ""
        lines.append(fact("Driver", f"{device.driver} ({ROLE_NAMES[role.role]}{guess})"))
    elif gap is not None:
        lines.append(fact("Driver", f"not known: {gap_words(gap.why)}", "warn"))
    else:
        lines.append(fact("Driver", "none: the device is free"))
    gap = device.gap("driver_override")
    lines.append(fact("Override", device.driver_override or (f"not known: {gap_words(gap.why)}" if gap else "none")))
    target = target_of(state, device.address)
    if target is not None:
        lines.append(fact("Staged", f"→ {target}", "planned"))
    return lines


def scanning(state: AppState) -> tuple[Line, ...]:
    """The text in place of the list while there is nothing to list."""
    if state.phase is Phase.FAILED:
        return (
            line(Span("✖ ", "bad"), Span("There is no machine to show.", "strong"), hang=2),
            BLANK,
            line(*key_hint(key_of("rescan"), "tries again   "), *key_hint(key_of("open-machine"), "opens another   "),
                 *key_hint(key_of("quit"), "quits")),
        )  # fmt: skip
    where = "this machine" if state.source.real else state.source.label or "the machine"
    return (line(Span(f"scanning {where}…", "muted")),)
