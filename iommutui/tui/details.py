"""The details pane: why the selection is as it is, and every fact that is known of it. Pure."""

from iommutui.core.drivers import VFIO_PCI
from iommutui.core.hazards import hazards_of
from iommutui.core.host import Device, Group, Host
from iommutui.core.intents import Intent, goal_of
from iommutui.core.labels import class_words, device_name, verdict_word
from iommutui.core.reasons import Code, Reason
from iommutui.core.targets import targets_of
from iommutui.core.wording import gap_words, hazard_sentence, sentence, state_words, verdict_sentence
from iommutui.tui.narrow import narrow
from iommutui.tui.preview import change_of, fix_of, selected_device, selected_group, target_of, verdicts
from iommutui.tui.spans import BLANK, Line, Span, line
from iommutui.tui.state import AppState, Phase
from iommutui.tui.view import VERDICT_STYLES, verdict_span
from iommutui.tui.words import STYLE_OF, device_facts, target_line


def heading(text: str) -> Line:
    """A heading within a pane."""
    return line(Span(text, "accent"))


def bullet(text: str, style: str = "muted", sign: str = "•") -> Line:
    """A sentence with a sign before it."""
    return line(Span(f"{sign} ", style), text, hang=2)


def details(state: AppState) -> tuple[Line, ...]:
    """What the pane says of the selection."""
    if state.host is None:
        return ()
    device = selected_device(state)
    group = selected_group(state)
    if device is not None:
        return tuple(_device(state, state.host, device, group))
    if group is not None:
        return tuple(_group(state, state.host, group))
    if not state.host.groups:
        return tuple(no_iommu(state.host))
    if state.selection is None:
        return (line(Span("Nothing is selected.", "muted")),)
    return (
        line(Span("These devices are in no IOMMU group", "strong")),
        BLANK,
        line("No IOMMU translates for them, so VFIO cannot take them. Their drivers can be changed all the same."),
    )


def no_iommu(host: Host) -> list[Line]:
    """Why there is no group at all, and what to do about it."""
    from iommutui.core.advice import no_iommu_advice

    lines = [line(Span("✖ This machine shows no IOMMU groups", "bad"), hang=2), BLANK]
    return [*lines, *(bullet(advice) for advice in no_iommu_advice(host))]


def _verdict_lines(state: AppState, group: Group) -> list[Line]:
    verdict = verdicts(state.host, state.model).of(group.id) if state.host else None
    assert verdict is not None
    style = VERDICT_STYLES[verdict_word(verdict)]
    glyph = verdict_span(verdict).text[0]
    lines = [line(Span(f"{glyph} {verdict_sentence(group, verdict)}", style), hang=2)]
    change = change_of(state, group.id)
    if change is not None:
        lines.append(line(Span("→ planned: ", "planned"), verdict_span(change.after), hang=2))
    return lines


def _why(state: AppState, group: Group, device: Device | None) -> list[Line]:
    assert state.host is not None
    reasons = list(verdicts(state.host, state.model).of(group.id).reasons)
    if device is not None:
        reasons.sort(key=lambda r: r.device != device.address)
    lines = [bullet(sentence(reason), *_sign(reason)) for reason in reasons]
    change = change_of(state, group.id)
    if change is not None and change.after.reasons:
        left = [r for r in change.after.reasons if r not in reasons]
        if left:
            lines += [BLANK, heading("Why, once the plan is applied")]
            lines += [bullet(sentence(reason), *_sign(reason)) for reason in left]
    return lines


def _sign(reason: Reason) -> tuple[str, str]:
    if reason.code in (Code.KERNEL_DRIVER, Code.FOREIGN_DOMAIN, Code.DIRECT_REGION):
        return "bad", "✖"
    return ("info", "●") if reason.code is Code.OWNED else ("warn", "?")


def _fix(state: AppState) -> list[Line]:
    fix = fix_of(state)
    if fix is None or fix.intents == ():
        return []
    lines = [BLANK]
    if fix.intents is None:
        lines.append(heading("Smallest fix"))
        lines.append(bullet("None: no rebind in this group makes it viable under this model.", "warn", "!"))
        return lines
    title = "Still needed" if fix.further else "Smallest fix"
    lines.append(line(Span(title, "accent"), "  ", Span("F", "key"), Span(" stages it", "muted")))
    return lines + [intent_line(state, intent) for intent in fix.intents]


def intent_line(state: AppState, intent: Intent, indent: str = "  ") -> Line:
    """``0000:01:00.0  nvidia → vfio-pci  GA104``."""
    device = state.host.devices.get(intent.device) if state.host else None
    actual = (device.driver or "free") if device else "gone"
    name = device.device_name if device and device.device_name else ""
    return line(
        indent,
        Span(intent.device, "strong"),
        f"  {actual}",
        Span(f" → {intent.target}", "planned"),
        Span(f"  {name}" if name else "", "muted"),
        cut=True,
    )


def _group(state: AppState, host: Host, group: Group) -> list[Line]:
    verdict = verdicts(host, state.model).of(group.id)
    lines = _verdict_lines(state, group)
    lines += _why(state, group, None)
    lines += _fix(state)
    lines += [BLANK, heading("Group")]
    lines.append(_fact("DMA", state_words(verdict.state)))
    if group.claim is not None:
        lines.append(_fact("Owner", group.claim.owner or "another process"))
    if group.name:
        lines.append(_fact("Name", group.name))
    gap = group.gap("type")
    absent = f"not known: {gap_words(gap.why)}" if gap else "not shown by the kernel"
    lines.append(_fact("Type", group.type or absent))
    lines.append(_fact("Claim", "would succeed" if verdict.claim == "ok" else f"would fail with {verdict.claim}"))
    for region in group.regions or ():
        lines.append(_fact("Reserved", f"{region.start:#x}-{region.end:#x} {region.type}"))
    lines += [BLANK, heading("Devices")]
    for device in host.members(group):
        lines.append(line(Span(device.address, "strong"), f"  {device.driver or 'free'}", hang=14))
        lines.append(line("  ", Span(device_name(device), "muted"), hang=2))
    missing = [address for address in group.members if address not in host.devices]
    lines += [line(Span(address, "strong"), Span("  nothing known", "warn")) for address in missing]
    return lines


def _fact(name: str, value: str, style: str = "plain") -> Line:
    return line(Span(f"{name:<11} ", "muted"), Span(value, style), hang=12)


def _device(state: AppState, host: Host, device: Device, group: Group | None) -> list[Line]:
    lines = [line(Span(device.address, "strong"), f"  {class_words(device)}", hang=2), line(device_name(device))]
    if group is not None:
        lines += _verdict_lines(state, group)
        lines += _why(state, group, device)
        lines += _fix(state)
    else:
        lines.append(bullet(sentence(Reason(Code.NO_GROUP, device=device.address)), "warn", "?"))
    lines += [BLANK, heading("Driver")]
    role = state.model.role(device, device.driver) if device.driver else None
    gap = device.gap("driver")
    if device.driver and role is not None:
        guess = ", assumed" if role.assumed else ""
        lines.append(_fact("Driver", f"{device.driver} (role {role.role}{guess})"))
    elif gap is not None:
        lines.append(_fact("Driver", f"not known: {gap_words(gap.why)}", "warn"))
    else:
        lines.append(_fact("Driver", "free: no driver"))
    gap = device.gap("driver_override")
    lines.append(_fact("Override", device.driver_override or (f"not known: {gap_words(gap.why)}" if gap else "none")))
    target = target_of(state, device.address)
    if target is not None:
        lines.append(_fact("Intent", f"→ {target}", "planned"))
    lines += _targets(host, device)
    lines += _hazards(state, host, device)
    lines += [BLANK, heading("Device"), *(_fact(name, value) for name, value in device_facts(host, device))]
    return lines


def _targets(host: Host, device: Device) -> list[Line]:
    targets = targets_of(host, device)
    if not targets:
        return [_fact("Targets", f"none: it is on the {device.bus} bus, and only PCI devices are rebound here")]
    lines = [BLANK, line(Span("Targets that fit", "accent"), "  ", Span("t", "key"), Span(" chooses", "muted"))]
    if device.fits is None:
        lines.append(bullet("Which kernel drivers know it was not recorded.", "muted", "?"))
    width = max(len(target.name) for target in targets)
    return lines + [target_line(target, width) for target in targets]


def _hazards(state: AppState, host: Host, device: Device) -> list[Line]:
    target = target_of(state, device.address) or (None if device.is_bridge else VFIO_PCI)
    if target is None:
        return []
    part = narrow(host, (device.address,))
    goals = [g for i in state.intents if i.device in part.devices and (g := goal_of(part, i)[0]) is not None]
    if all(goal.device != device.address for goal in goals):
        goal = goal_of(part, Intent(device.address, target))[0]
        goals += [goal] if goal is not None else []
    found = [h for h in hazards_of(part, goals) if device.address in (h.device, h.fact("moved"))]
    if not found:
        return []
    lines = [BLANK, heading(f"If it goes to {target}")]
    return lines + [bullet(hazard_sentence(h), *STYLE_OF[h.severity]) for h in found]


def scanning(state: AppState) -> tuple[Line, ...]:
    """The list's place while there is nothing to list."""
    if state.phase is Phase.FAILED and state.problem is not None:
        return (
            line(Span("✖ ", "bad"), Span(state.problem.what, "strong"), hang=2),
            BLANK,
            *((line(state.problem.remedy), BLANK) if state.problem.remedy else ()),
            line(Span("r", "key"), Span(" tries again   ", "muted"), Span("q", "key"), Span(" quits", "muted")),
        )
    where = "this machine" if state.source.real else state.source.label or "the machine"
    return (line(Span(f"scanning {where}…", "muted")),)
