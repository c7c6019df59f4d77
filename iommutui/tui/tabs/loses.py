"""The tab Loses: what this machine no longer has once the selection is gone, with the evidence. Pure."""

from collections.abc import Sequence

from iommutui.core.drivers import VFIO_PCI
from iommutui.core.hazards import Hazard, hazards_of
from iommutui.core.host import Host
from iommutui.core.intents import Goal, Intent, goal_of
from iommutui.tui.blocks import bullet, heading, intent_line
from iommutui.tui.hazardlines import hazard_lines
from iommutui.tui.memo import last_call
from iommutui.tui.preview import selected_device, selected_devices
from iommutui.tui.spans import BLANK, Line, Span, line
from iommutui.tui.state import AppState
from iommutui.tui.wish import wish_of


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
    return tuple(hazards_of(host, goals))


def loses_tab(state: AppState) -> list[Line]:
    """The hazards, the worst first."""
    assert state.host is not None
    title, intents = supposed(state)
    if not intents:
        return [line(Span("Nothing here would be taken from this machine.", "muted"))]
    found = _found(state.host, intents)
    lines = [heading(title)]
    lines += hazard_lines(found) or [bullet("Nothing that this machine is known to use is among it.", "ok", "✔")]
    lines += [BLANK, heading("By these rebinds")]
    return lines + [intent_line(state, intent) for intent in intents if intent.device in state.host.devices]
