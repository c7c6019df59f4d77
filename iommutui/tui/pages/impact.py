"""The page Impact: this machine's losses once the selection is handed over, with the evidence. Pure."""

from iommutui.core.drivers import VFIO_PCI
from iommutui.core.hazards import Hazard, hazards_of
from iommutui.core.host import Device, Group, Host
from iommutui.core.plan.intents import Intent, goals_of
from iommutui.tui.cache import last_call
from iommutui.tui.derived import freeing, selected_devices
from iommutui.tui.pages.plan import intent_line
from iommutui.tui.state import AppState
from iommutui.tui.text import BLANK, Line, Span, bullet, hazard_lines, heading, line


def _supposed(state: AppState, device: Device | None, group: Group | None) -> tuple[str, tuple[Intent, ...]]:
    """The page's intents and its title: the plan for the selection, or else those that would free it."""
    here = {device.address for device in selected_devices(state)}
    mine = tuple(intent for intent in state.intents if intent.device in here)
    if mine:
        return "What this machine loses with the plan", state.intents
    which = f"group {group.id}" if device is None and group is not None else "this card"
    title = f"What this machine would lose with {which}"
    free = freeing(state)
    if free is not None:
        return title, free
    alone = [d for d in selected_devices(state) if d.bus == "pci" and not d.is_bridge and d.driver is not None]
    return title, tuple(Intent(d.address, VFIO_PCI) for d in alone if d.group is not None)


@last_call
def _found(host: Host, intents: tuple[Intent, ...]) -> tuple[Hazard, ...]:
    return tuple(hazards_of(host, goals_of(host, intents)))


def impact_page(state: AppState, device: Device | None, group: Group | None) -> list[Line]:
    """The hazards, the worst first."""
    title, intents = _supposed(state, device, group)
    if not intents:
        return [line(Span("This machine loses nothing with it.", "muted"))]
    found = _found(state.host, intents)
    lines = [heading(title)]
    lines += hazard_lines(found) or [bullet("As far as is known, this machine uses none of it.", "ok", "✔")]
    lines += [BLANK, heading("With these rebinds")]
    return lines + [intent_line(state, intent) for intent in intents if intent.device in state.host.devices]
