"""Commands of the plan: free, stage, unstage, undo, and those that open a review. Nothing here writes."""

from iommutui.core.address import Address
from iommutui.core.drivers import STUB, VFIO_PCI
from iommutui.core.hazards import Severity
from iommutui.core.host import Device
from iommutui.core.labels import also_takes
from iommutui.core.plan.intents import DEFAULT, NONE, Intent, refusal_of
from iommutui.core.reasons import Reason, State
from iommutui.core.topology import narrow, passable
from iommutui.core.wording import sentence
from iommutui.tui.commands.base import Command, Desk, needs_host, unless
from iommutui.tui.derived import (
    fix_of,
    freeing,
    giving_back,
    group_at,
    preview,
    selected_device,
    selected_devices,
    selected_group,
    selected_rows,
    selection_words,
    taken_beyond,
    target_of,
    verdicts,
    why_not_freed,
)
from iommutui.tui.keys import key_of
from iommutui.tui.pages.device import target_choices
from iommutui.tui.state import AppState, Pane, Phase, fulfilled, planned_intent, redone, staged, undone, unplanned
from iommutui.tui.widgets.dialogs import ChooseScreen, Opened

STAGE, APPLY = "Stage", "Apply"

NO_WRITER = "Writing needs root, and none of sudo, pkexec and run0 is installed. Start iommutui as root to apply."


def _busy(state: AppState) -> str | None:
    """Why nothing can be staged now."""
    if state.phase is Phase.APPLYING:
        return "A plan is being applied; you can stage again when it is done."
    return needs_host(state)


def _refusal(state: AppState, device: Device, target: str) -> Reason | None:
    return refusal_of(state.host, Intent(device.address, target))


def cannot_stage(state: AppState, target: str) -> str | None:
    """Why the target does not fit the selection."""
    devices = selected_devices(state)
    if not devices:
        group = selected_group(state)
        if group is None:
            return "Select a device first."
        if not group.members:
            return f"Group {group.id} has no devices."
        return f"Group {group.id} holds nothing to pass through."
    refusals = [_refusal(state, device, target) for device in devices]
    first = refusals[0]
    return sentence(first) if first is not None and None not in refusals else None


def stage(desk: Desk, target: str) -> None:
    """Stages a target for every selected device that it fits."""
    state = desk.state
    wanted: dict[Address, str | None] = {}
    already = []
    for device in selected_devices(state):
        if _refusal(state, device, target) is not None:
            continue
        reached = fulfilled(narrow(state.host, (device.address,)), Intent(device.address, target), state.model)
        wanted[device.address] = None if reached else target
        already += [device.address] if reached else []
    after = staged(state, wanted)
    if after is state and already:
        which = already[0] if len(already) == 1 else f"All {len(already)} devices"
        is_now = {NONE: "kept free", DEFAULT: "on the kernel's choice"}.get(target, f"on {target}")
        desk.say(f"{which} {'is' if len(already) == 1 else 'are'} {is_now} already.")
    desk.update(after)


def _toggle(desk: Desk) -> None:
    state = desk.state
    if state.pane is Pane.DETAILS:  # space is a page down there, as in every dialog
        desk.move(desk.page())
        return
    devices = [d for d in selected_devices(state) if _refusal(state, d, VFIO_PCI) is None]
    if any(target_of(state, d.address) is not None for d in devices) and all(
        target_of(state, d.address) == VFIO_PCI or d.driver == VFIO_PCI for d in devices
    ):
        desk.update(staged(state, dict.fromkeys((d.address for d in devices), None)))
    else:
        stage(desk, VFIO_PCI)


def _cannot_toggle(state: AppState) -> str | None:
    return None if state.pane is Pane.DETAILS else cannot_stage(state, VFIO_PCI)


def _target(label: str, keys: tuple[str, ...], words: str, target: str, also: str) -> Command:
    disabled = (_busy, lambda state: cannot_stage(state, target))
    return Command(label, keys, words, STAGE, lambda desk: stage(desk, target), disabled, also=also)


def _choose(desk: Desk) -> Opened:
    state = desk.state
    device = selected_device(state)
    assert device is not None
    title = f"Target for {device.address}, now {device.driver or 'free'}"
    chosen = target_of(state, device.address)
    dialog = ChooseScreen(title, target_choices(state, device), "stage", chosen)
    return desk.ask(dialog, lambda name: stage(desk, name))


def _cannot_choose(state: AppState) -> str | None:
    if len(selected_rows(state)) > 1 or selected_device(state) is None:
        return "Select one device; targets are listed for one at a time."
    return cannot_stage(state, NONE)


# -- a card or a group


def _cannot_free(state: AppState) -> str | None:
    if not state.host.groups:
        return "This machine shows no IOMMU groups, so no virtual machine can use a device; 2 says what to do."
    if not selected_rows(state):
        return "Select a device or a group first."
    group = selected_group(state)
    if group is not None and not state.selected and verdicts(state.host, state.model).of(group.id).state is State.USER:
        owner = group.claim.owner if group.claim is not None else ""
        return f"Nothing is needed: group {group.id} is handed over already, and in use by {owner or 'a program'}."
    found, words = freeing(state), selection_words(state)
    if found is None:
        return why_not_freed(state) or f"Nothing is needed: no driver has to leave {words}."
    if not found:
        return f"Nothing is needed: {words} is free for a virtual machine already."
    if all(intent in state.intents for intent in found):
        return f"All that frees {words} is staged already; {key_of('apply')} shows the writes."
    return None


def _free(desk: Desk) -> None:
    before = desk.state
    intents = freeing(before) or ()
    more = taken_beyond(before, intents)
    state = staged(before, dict(intents))
    desk.update(state._replace(beyond=tuple(device.address for device in more)))
    plan, said = preview(state), []
    if more:
        said.append(f"This {also_takes(more)}.")
    if plan is not None and any(hazard.severity is Severity.DANGER for hazard in plan.hazards):
        said.append(f"This machine is using part of it; {key_of('impact')} shows the impact.")
    if said:
        desk.say(" ".join(said), "warning")


def _cannot_give_back(state: AppState) -> str | None:
    if not selected_rows(state):
        return "Select a device or a group first."
    if giving_back(state):
        return None
    here = {device.address for device in selected_devices(state)}
    off = f" {key_of('unstage')} removes it from the plan." if any(i.device in here for i in state.intents) else ""
    return f"Nothing to give back: the host has {selection_words(state)}.{off}"


def _give_back(desk: Desk) -> None:
    desk.update(staged(desk.state, dict(giving_back(desk.state))))


def _cannot_fix(state: AppState) -> str | None:
    fix = fix_of(state)
    if fix is None:
        return "The selection is in no IOMMU group, so there is nothing to fix."
    if fix.intents is None:
        return (
            why_not_freed(state) or "No rebind lets a virtual machine use it under these kernel rules; see the details."
        )
    if not fix.intents:
        group = selected_group(state)
        if group is not None and not passable(state.host, group):
            return f"Group {group.id} holds nothing to pass through."
        return "Nothing is needed: the group is viable" + (" once the plan is applied." if fix.further else ".")
    return None


def _fix(desk: Desk) -> None:
    fix = fix_of(desk.state)
    if fix is not None and fix.intents:
        desk.update(staged(desk.state, dict(fix.intents)))


def _staged_here(state: AppState) -> list[Address]:
    """Intents of the selected devices, and of a selected group all its members, bridges too."""
    here: set[Address] = set()
    for key in selected_rows(state):
        group = group_at(state.host, key)
        here |= {key.device} if key.device is not None else set(group.members) if group is not None else set()
    return [intent.device for intent in state.intents if intent.device in here]


def _unstage(desk: Desk) -> None:
    intent = planned_intent(desk.state) if desk.state.pane is Pane.PLAN else None
    if intent is not None:
        desk.update(unplanned(desk.state, intent))
    else:
        desk.update(staged(desk.state, dict.fromkeys(_staged_here(desk.state), None)))


def _cannot_unstage(state: AppState) -> str | None:
    if state.pane is Pane.PLAN:
        return _anything(state)
    return None if _staged_here(state) else "Nothing is staged for the selection."


_anything = unless(lambda s: s.intents, "Nothing is staged.")
_intended = unless(lambda s: s.intents, "Nothing is staged; space, v, p, f, d or t stage a target for the selection.")


# -- writes


def _cannot_write(state: AppState) -> str | None:
    if state.phase is Phase.APPLYING:
        return "A plan is being applied already."
    return NO_WRITER if state.source.writer is None else None


def nothing_to_revert(state: AppState) -> str:
    """Why there is nothing to revert."""
    if state.applied:
        return "Everything that was applied here has been reverted."
    return "Nothing has been applied yet, so there is nothing to revert."


def _cannot_revert(state: AppState) -> str | None:
    return None if state.source.real or state.applies else nothing_to_revert(state)


COMMANDS = (
    Command("Free", ("c",), "Free this card for a virtual machine: stage what that takes, and no more; on a group's "
            "row, for the group.", STAGE, _free, (_busy, _cannot_free), also="passthrough vm detach isolate release"),
    Command("Give back", ("C",), "Give the card and its group back to the host: stage the reverse.", STAGE, _give_back,
            (_busy, _cannot_give_back), also="return restore reattach kernel"),
    Command("Pass", ("space",), "Stage vfio-pci, or unstage it; on a group's row, for every device except bridges. "
            "In the details: a page down.", STAGE, _toggle, (_busy, _cannot_toggle), also="toggle vm bind"),
    _target("VFIO", ("v",), "Stage vfio-pci: hand it to a virtual machine.", VFIO_PCI, "passthrough vm bind"),
    _target("Park", ("p",), "Stage pci-stub: park it on a driver that does nothing.", STUB, "blacklist disable bind"),
    _target("None", ("f",), "Stage none: keep it free of any driver.", NONE, "unbind detach release"),
    _target("Default", ("d",), "Stage default: clear the override and let the kernel choose.", DEFAULT,
            "bind reset restore original automatic"),
    Command("Target", ("t",), "Choose among all targets that fit the device; each shows its effect.", STAGE, _choose,
            (_busy, _cannot_choose), also="rebind bind driver change"),
    Command("Fix", ("F",), "Stage the smallest fix that makes the group viable.", STAGE, _fix, (_busy, _cannot_fix),
            also="solve repair"),
    Command("Unstage", ("x",), "Remove the selection from the plan; in the plan, the line under its cursor.", STAGE,
            _unstage, (_busy, _cannot_unstage), also="remove drop cancel"),
    Command("Clear", ("X",), "Remove everything from the plan.", STAGE,
            lambda d: d.update(staged(d.state, dict.fromkeys((i.device for i in d.state.intents), None))),
            (_busy, _anything), also="reset remove discard cancel"),
    Command("Undo", ("z",), "Undo the last change of the plan.", STAGE, lambda d: d.update(undone(d.state)),
            (_busy, unless(lambda s: s.undo, "There is nothing to undo. R reverts what was applied."))),
    Command("Redo", ("Z",), "Redo the change that was undone last.", STAGE, lambda d: d.update(redone(d.state)),
            (_busy, unless(lambda s: s.redo, "There is nothing to redo.")), also="repeat again"),
    Command("Apply", ("a",), "Review the exact writes, then apply them.", APPLY, lambda d: d.review(),
            (needs_host, _cannot_write, _intended), also="commit execute save preview"),
    Command("Revert", ("R",), "Revert the last apply.", APPLY, lambda d: d.review(revert=True),
            (needs_host, _cannot_write, _cannot_revert), also="rollback undo restore"),
)  # fmt: skip
