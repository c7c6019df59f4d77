"""Wishes for the selection: free this card or group for a virtual machine, give it back. Remembered."""

from iommutui.core.address import Address, card_of
from iommutui.core.host import Host
from iommutui.core.models.base import Model
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.presets import asked_of, free_card, free_group, give_back, why_not_free
from iommutui.tui.memo import last_call
from iommutui.tui.narrow import narrow
from iommutui.tui.state import AppState, Key


def _around(host: Host, key: Key) -> Host:
    """What a wish for this row can touch: its group, its card, and the groups of the card's functions."""
    addresses: set[Address] = set()
    if key.device is not None and key.device in host.devices:
        addresses |= {key.device, *(other.address for other in host.same_card(key.device))}
    group = host.groups.get(key.group) if key.group is not None else None
    if group is not None:
        addresses |= {a for a in group.members if a in host.devices}
    return narrow(host, addresses)


@last_call
def _free(host: Host, model: Model, key: Key) -> tuple[Intent, ...] | None:
    part = _around(host, key)
    if key.device is not None:
        device = part.devices.get(key.device)
        if device is None or device.bus != "pci" or device.is_bridge:
            return None
        return free_card(part, key.device, model)
    group = part.groups.get(key.group) if key.group is not None else None
    return free_group(part, group, model) if group is not None else None


def wish_of(state: AppState) -> tuple[Intent, ...] | None:
    """What frees the card under the cursor, or the group; empty if it is free already, None if nothing frees it."""
    if state.host is None or state.selection is None:
        return None
    return _free(state.host, state.model, state.selection)


@last_call
def _back(host: Host, key: Key) -> tuple[Intent, ...]:
    part = _around(host, key)
    if key.device is not None:
        return give_back(part, [key.device]) if key.device in part.devices else ()
    group = part.groups.get(key.group) if key.group is not None else None
    return give_back(part, [a for a in group.members if a in part.devices]) if group is not None else ()


def way_back_of(state: AppState) -> tuple[Intent, ...]:
    """What gives the card and its group back to the kernel; empty where nothing of it was set aside."""
    if state.host is None or state.selection is None:
        return ()
    return _back(state.host, state.selection)


@last_call
def _why_not(host: Host, model: Model, key: Key) -> str | None:
    part = _around(host, key)
    if key.device is not None:
        asked = [key.device, *(other.address for other in part.same_card(key.device))]
    else:
        group = part.groups.get(key.group) if key.group is not None else None
        asked = asked_of(part, group) if group is not None else []
    return why_not_free(part, asked, model)


def why_no_wish(state: AppState) -> str | None:
    """Why nothing frees the card under the cursor, or the group, as a sentence; None where something does."""
    if state.host is None or state.selection is None:
        return None
    return _why_not(state.host, state.model, state.selection)


def card_words(state: AppState) -> str:
    """``the card 0000:09:00`` or ``group 17``."""
    if state.cursor is None:
        return "the selection"
    if state.cursor.device is not None:
        device = state.host.devices.get(state.cursor.device) if state.host is not None else None
        virtual = device is not None and device.physfn is not None
        return state.cursor.device if virtual else f"the card {card_of(state.cursor.device)}"
    return f"group {state.cursor.group}"
