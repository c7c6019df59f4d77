"""The tab Loses: what this machine no longer has once the selection is gone, with the evidence. Pure."""

from collections.abc import Sequence

from iommutui.core.drivers import VFIO_PCI
from iommutui.core.hazards import Hazard, Severity, hazards_of
from iommutui.core.host import Host
from iommutui.core.intents import Goal, Intent, goal_of
from iommutui.core.wording import gap_words, hazard_sentence
from iommutui.tui.blocks import bullet, heading
from iommutui.tui.memo import last_call
from iommutui.tui.preview import selected_device, selected_devices
from iommutui.tui.spans import BLANK, Line, Span, line
from iommutui.tui.state import AppState
from iommutui.tui.wish import wish_of
from iommutui.tui.words import STYLE_OF

_ORDER = {Severity.DANGER: 0, Severity.WARN: 1, Severity.INFO: 2}
_WORDS = {Severity.DANGER: "danger", Severity.WARN: "warning", Severity.INFO: "good to know"}


def supposed(state: AppState) -> tuple[str, tuple[Intent, ...]]:
    """The intents that the tab is about, and their title: the plan for the selection, or else what would free it."""
    here = {device.address for device in selected_devices(state)}
    mine = tuple(intent for intent in state.intents if intent.device in here)
    if mine:
        return "What this machine loses by the plan", state.intents
    wish = wish_of(state)
    if wish:
        which = "this card" if selected_device(state) is not None else "this group"
        return f"What this machine would lose with {which}", wish
    device = selected_device(state)
    if device is not None and device.bus == "pci" and not device.is_bridge:
        return f"What this machine would lose with {device.address}", (Intent(device.address, VFIO_PCI),)
    return "", ()


@last_call
def _found(host: Host, intents: tuple[Intent, ...]) -> tuple[Hazard, ...]:
    goals: Sequence[Goal] = [goal for intent in intents if (goal := goal_of(host, intent)[0]) is not None]
    return tuple(sorted(hazards_of(host, goals), key=lambda hazard: _ORDER[hazard.severity]))


def loses_tab(state: AppState) -> list[Line]:
    """The hazards, the worst first."""
    assert state.host is not None
    title, intents = supposed(state)
    if not intents:
        return [line(Span("Nothing here would be taken from this machine.", "muted"))]
    found = _found(state.host, intents)
    lines = [heading(title)]
    moved = [i for i in intents if i.device in state.host.devices]
    lines += [
        line("  ", Span(i.device, "strong"), f"  {state.host.devices[i.device].driver or 'free'}",
             Span(f" → {i.target}", "planned"), cut=True)
        for i in moved
    ]  # fmt: skip
    lines.append(BLANK)
    if not found:
        return [*lines, bullet("Nothing that this machine is known to use is among it.", "ok", "✔")]
    for hazard in found:
        lines += _hazard(hazard)
    return lines


def _hazard(hazard: Hazard) -> list[Line]:
    style, sign = STYLE_OF[hazard.severity]
    word = "not known" if hazard.unknown else _WORDS[hazard.severity]
    lines = [line(Span(f"{sign} {word} ", style), Span(hazard.topic.value, "muted"), "  ", hazard_sentence(hazard),
                  hang=2)]  # fmt: skip
    evidence = [f"{name} {value}" for name, value in hazard.facts if value]
    if hazard.unknown:
        evidence.append(gap_words(hazard.unknown))
    if evidence:
        lines.append(line(Span("  evidence: " + ", ".join(evidence), "muted"), hang=4))
    return lines
