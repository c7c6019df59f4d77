"""Wishes: what somebody wants of a whole card or group, staged in one go. Nothing here writes to anything."""

from iommutui.core.address import Address
from iommutui.core.hazards import Severity
from iommutui.core.outcome import State
from iommutui.tui.commands.base import Command, Desk
from iommutui.tui.commands.staging import TOPIC, busy
from iommutui.tui.preview import preview, selected_device, selected_devices, selected_group, verdicts
from iommutui.tui.state import AppState, staged
from iommutui.tui.wish import card_words, way_back_of, why_no_wish, wish_of


def _cannot_free(state: AppState) -> str | None:
    why = busy(state)
    if why is not None:
        return why
    device, group = selected_device(state), selected_group(state)
    if state.host is not None and not state.host.groups:
        return "This machine shows no IOMMU groups, so no virtual machine can have a device; 2 says what to do."
    if device is None and group is None:
        return "Select a device or a group first."
    if device is not None and device.is_bridge:
        return f"{device.address} is a bridge: it need not be handed over. Select the card behind it."
    if device is not None and device.bus != "pci":
        return f"{device.address} is on the {device.bus} bus; only PCI devices can be rebound here."
    if device is not None and group is None:
        return f"{device.address} is in no IOMMU group, so no virtual machine can have it."
    verdict = verdicts(state.host, state.model).of(group.id) if group is not None and state.host is not None else None
    if group is not None and verdict is not None and verdict.state is State.USER:
        owner = group.claim.owner if group.claim is not None else ""
        return f"Nothing is needed: group {group.id} is handed over already, and in use by {owner or 'a program'}."
    wish = wish_of(state)
    if wish is None and group is not None:
        if device is None and verdict is not None and verdict.viable and not verdict.refused:
            return f"Nothing is needed: group {group.id} is viable, and nothing in it is to be taken from a driver."
        return why_no_wish(state) or f"No rebind frees {card_words(state)} under this model; the details say why."
    if not wish:
        return f"Nothing is needed: {card_words(state)} is free for a virtual machine already."
    if all(intent in state.intents for intent in wish):
        return f"All that frees {card_words(state)} is staged already; a shows the writes."
    return None


def _free(desk: Desk) -> None:
    wish = wish_of(desk.state)
    if wish:
        state = staged(desk.state, {intent.device: intent.target for intent in wish})
        desk.update(state)
        found = preview(state)
        dangers = [h for h in found.plan.hazards if h.severity is Severity.DANGER] if found is not None else []
        if dangers:
            desk.say("This takes something that the machine is using; e in the details shows what it loses.", "warning")


def _cannot_give_back(state: AppState) -> str | None:
    why = busy(state)
    if why is not None:
        return why
    if state.cursor is None:
        return "Select a device or a group first."
    if not way_back_of(state):
        off = " x takes it off the plan." if any(i.device in _here(state) for i in state.intents) else ""
        return f"Nothing of {card_words(state)} is set aside: the kernel has it.{off}"
    return None


def _here(state: AppState) -> set[Address]:
    return {device.address for device in selected_devices(state)}


def _give_back(desk: Desk) -> None:
    desk.update(staged(desk.state, {intent.device: intent.target for intent in way_back_of(desk.state)}))


COMMANDS = (
    Command("free", ("c",), "Free", "Free this card for a virtual machine: stage all that it takes, and no "
            "more; on a group's row for the group.", TOPIC, _free, _cannot_free, footer=True,
            also="passthrough vm detach isolate release"),
    Command("give-back", ("C",), "Give back", "Give the card and its group back to the kernel: stage the reverse.",
            TOPIC, _give_back, _cannot_give_back, also="return restore reattach host"),
)  # fmt: skip
