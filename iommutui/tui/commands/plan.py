"""Commands that stage intents. Nothing here writes to anything."""

from collections.abc import Callable

from iommutui.core.address import Address
from iommutui.core.drivers import STUB, VFIO_PCI
from iommutui.core.hazards import Severity
from iommutui.core.host import Device
from iommutui.core.narrowing import narrow
from iommutui.core.outcome import State
from iommutui.core.plan.intents import DEFAULT, NONE, Intent, goal_of
from iommutui.core.reasons import Reason
from iommutui.core.wording import sentence
from iommutui.tui.commands.base import Command, Desk, Dialog, needs_host
from iommutui.tui.commands.staging import TOPIC, busy
from iommutui.tui.derived import (
    card_words,
    fix_of,
    preview,
    selected_device,
    selected_devices,
    selected_group,
    target_of,
    verdicts,
    way_back_of,
    why_no_wish,
    wish_of,
)
from iommutui.tui.state import AppState, Phase, fulfilled, redone, staged, undone

TOPIC = "Stage"


def busy(state: AppState) -> str | None:
    """Why nothing can be staged at the moment."""
    if state.phase is Phase.APPLYING:
        return "A plan is being applied; staging goes on when it is done."
    return needs_host(state)


def _refusal(state: AppState, device: Device, target: str) -> Reason | None:
    assert state.host is not None
    return goal_of(state.host, Intent(device.address, target))[2]


def cannot_stage(state: AppState, target: str) -> str | None:
    """Why the target does not fit what is selected."""
    why = busy(state)
    if why is not None:
        return why
    devices = selected_devices(state)
    if not devices:
        group = selected_group(state)
        if group is None:
            return "Select a device first."
        if not group.members:
            return f"Group {group.id} has no devices."
        return f"Group {group.id} holds nothing but bridges, which need not be handed over."
    refusals = [_refusal(state, device, target) for device in devices]
    if all(refusal is not None for refusal in refusals):
        first = refusals[0]
        return sentence(first) if first is not None else None
    return None


def stage(desk: Desk, target: str) -> None:
    """Stages a target for everything that is selected and that it fits."""
    state = desk.state
    host = state.host
    assert host is not None
    wanted: dict[Address, str | None] = {}
    already = []
    for device in selected_devices(state):
        if _refusal(state, device, target) is not None:
            continue
        if fulfilled(narrow(host, (device.address,)), Intent(device.address, target), state.model):
            already.append(device.address)
            wanted[device.address] = None
        else:
            wanted[device.address] = target
    after = staged(state, wanted)
    if after is state and already:
        which = already[0] if len(already) == 1 else f"All {len(already)} devices"
        is_now = {NONE: "kept free", DEFAULT: "on what the kernel chose"}.get(target, f"on {target}")
        desk.say(f"{which} {'is' if len(already) == 1 else 'are'} {is_now} already.")
    desk.update(after)


def _toggle(desk: Desk) -> None:
    state = desk.state
    devices = [d for d in selected_devices(state) if _refusal(state, d, VFIO_PCI) is None]
    if any(target_of(state, d.address) is not None for d in devices) and all(
        target_of(state, d.address) == VFIO_PCI or d.driver == VFIO_PCI for d in devices
    ):
        desk.update(staged(state, dict.fromkeys((d.address for d in devices), None)))
    else:
        stage(desk, VFIO_PCI)


def _verb(target: str) -> tuple[Callable[[Desk], None], Callable[[AppState], str | None]]:
    return (lambda desk: stage(desk, target)), (lambda state: cannot_stage(state, target))


def _staged_here(state: AppState) -> list[Address]:
    """Intents of the device, or on a group's row of all its members, bridges too."""
    device = selected_device(state)
    group = selected_group(state)
    here = {device.address} if device is not None else set(group.members) if group is not None else set()
    return [intent.device for intent in state.intents if intent.device in here]


def _cannot_unstage(state: AppState) -> str | None:
    return busy(state) or (None if _staged_here(state) else "Nothing is staged for the selection.")


def _cannot_clear(state: AppState) -> str | None:
    return busy(state) or (None if state.intents else "Nothing is staged.")


def _cannot_undo(state: AppState) -> str | None:
    return busy(state) or (None if state.undo else "There is no staging to take back. R reverts what was applied.")


def _cannot_redo(state: AppState) -> str | None:
    return busy(state) or (None if state.redo else "There is no staging to do again.")


def _cannot_fix(state: AppState) -> str | None:
    why = busy(state)
    if why is not None:
        return why
    fix = fix_of(state)
    if fix is None:
        return "The selection is in no IOMMU group, so there is nothing to fix."
    if fix.intents is None:
        return why_no_wish(state) or "No rebind in this group makes it viable under this model; the details say why."
    if not fix.intents:
        return "Nothing is needed: the group is viable" + (" once the plan is applied." if fix.further else ".")
    return None


def _fix(desk: Desk) -> None:
    fix = fix_of(desk.state)
    if fix is not None and fix.intents:
        desk.update(staged(desk.state, {intent.device: intent.target for intent in fix.intents}))


def _cannot_choose(state: AppState) -> str | None:
    why = busy(state)
    if why is not None:
        return why
    device = selected_device(state)
    if device is None:
        return "Select one device; a list of targets is made for one at a time."
    return cannot_stage(state, NONE)


_VFIO, _NO_VFIO = _verb(VFIO_PCI)
_STUB, _NO_STUB = _verb(STUB)
_FREE, _NO_FREE = _verb(NONE)
_DEFAULT, _NO_DEFAULT = _verb(DEFAULT)

COMMANDS = (
    Command("pass", ("space",), "Pass", "Stage passthrough (vfio-pci), or take it off the plan; on a group's row for "
            "every device of it but bridges.", TOPIC, _toggle, _NO_VFIO, footer=True, also="toggle vm bind"),
    Command("vfio", ("v",), "VFIO", "Stage vfio-pci: hand it to a virtual machine.", TOPIC, _VFIO, _NO_VFIO,
            also="passthrough vm bind"),
    Command("park", ("p",), "Park", "Stage pci-stub: park it on a driver that does nothing.", TOPIC, _STUB, _NO_STUB,
            also="blacklist disable bind"),
    Command("none", ("f",), "None", "Stage none: keep it free of any driver.", TOPIC, _FREE, _NO_FREE,
            also="unbind detach release"),
    Command("default", ("d",), "Default", "Stage default: clear the override and let the kernel choose.", TOPIC,
            _DEFAULT, _NO_DEFAULT, also="bind reset restore original automatic"),
    Command("target", ("t",), "Target", "Choose among all targets that fit the device, with what each does.", TOPIC,
            lambda d: d.open(Dialog.TARGETS), _cannot_choose, footer=True, also="rebind bind driver change"),
    Command("fix", ("F",), "Fix", "Stage the smallest fix that makes the group viable.", TOPIC, _fix, _cannot_fix,
            also="solve repair"),
    Command("unstage", ("x",), "Unstage", "Take the selection off the plan.", TOPIC,
            lambda d: d.update(staged(d.state, dict.fromkeys(_staged_here(d.state), None))), _cannot_unstage,
            also="remove drop cancel"),
    Command("clear", ("X",), "Clear", "Take everything off the plan.", TOPIC,
            lambda d: d.update(staged(d.state, dict.fromkeys((i.device for i in d.state.intents), None))),
            _cannot_clear, also="reset remove discard cancel"),
    Command("undo", ("z",), "Undo", "Take the last staging back.", TOPIC, lambda d: d.update(undone(d.state)),
            _cannot_undo),
    Command("redo", ("Z",), "Redo", "Do it again.", TOPIC, lambda d: d.update(redone(d.state)), _cannot_redo,
            also="repeat"),
)  # fmt: skip


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


TOPIC = "Apply"

NO_WRITER = "Writing needs root, and none of sudo, pkexec and run0 is installed. Start iommutui as root to apply."


def _cannot_write(state: AppState) -> str | None:
    why = needs_host(state)
    if why is not None:
        return why
    if state.phase is Phase.APPLYING:
        return "A plan is being applied already."
    return NO_WRITER if state.source.writer is None else None


def _cannot_apply(state: AppState) -> str | None:
    why = _cannot_write(state)
    if why is not None:
        return why
    return None if state.intents else "Nothing is staged; space, v, p, f, d or t stage a target for the selection."


def nothing_to_revert(state: AppState) -> str:
    """Why there is no way back."""
    if state.applied:
        return "Everything that was applied here has been taken back."
    return "Nothing has been applied yet, so there is nothing to revert."


def _cannot_revert(state: AppState) -> str | None:
    why = _cannot_write(state)
    if why is not None or state.source.real:
        return why
    return None if state.applies else nothing_to_revert(state)


COMMANDS = (
    Command("apply", ("a",), "Apply", "Review the exact writes, then apply them.", TOPIC,
            lambda d: d.open(Dialog.REVIEW), _cannot_apply, footer=True, also="commit execute save preview"),
    Command("revert", ("R",), "Revert", "Take back what was applied last.", TOPIC,
            lambda d: d.open(Dialog.REVERT), _cannot_revert, also="rollback undo restore"),
)  # fmt: skip
