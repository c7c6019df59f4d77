"""Values derived from a state: verdicts, the selection, the plan's effect, the smallest fix, presets."""

from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple

from iommutui.core.address import Address, card_of
from iommutui.core.hazards import hazards_of
from iommutui.core.host import Device, Group, Host
from iommutui.core.labels import NOTHING_TO_PASS, group_word
from iommutui.core.models import MODELS, Model
from iommutui.core.plan.intents import NONE, Intent
from iommutui.core.plan.planner import GroupChange, Plan, judged, plan_intents
from iommutui.core.plan.presets import (
    asked_of,
    beyond,
    fix_for,
    free_devices,
    give_back,
    smallest_fix,
    why_no_fix,
    why_not_free,
)
from iommutui.core.reasons import Code, Reason, Verdict
from iommutui.core.topology import chipset_part, narrow
from iommutui.tui.cache import last_call
from iommutui.tui.state import AppState, Key


class Verdicts:
    """The verdicts of a machine's groups under one model.

    The verdict's word is cached for every group, a whole verdict only for groups that have been viewed.
    """

    def __init__(self, host: Host, model: Model) -> None:
        self._host = host
        self._model = model
        self._known: dict[int, Verdict] = {}

    def of(self, group: int) -> Verdict:
        """The verdict on a group."""
        if group not in self._known:
            self._known[group] = self._model.verdict(self._host, self._host.groups[group])
        return self._known[group]

    @cached_property
    def words(self) -> dict[int, str]:
        """Every verdict in a word or two."""
        host = self._host
        return {n: group_word(host, group, self._model.verdict(host, group)) for n, group in host.groups.items()}

    @property
    def viable(self) -> int:
        """How many groups can be handed over."""
        return list(self.words.values()).count("viable")

    @property
    def passable(self) -> int:
        """How many groups have something to pass through."""
        return len(self.words) - list(self.words.values()).count(NOTHING_TO_PASS)

    def blockers(self, group: int) -> set[Address]:
        """The devices whose drivers block the group."""
        return {r.device for r in self.of(group).reasons if r.code is Code.KERNEL_DRIVER and r.device is not None}


@last_call
def _by_model(host: Host) -> dict[str, Verdicts]:
    return {name: Verdicts(host, model) for name, model in MODELS.items()}


def verdicts(host: Host, model: Model) -> Verdicts:
    """The verdicts of this machine under this model."""
    return _by_model(host)[model.name]


@last_call
def _preview(host: Host, model: Model, intents: tuple[Intent, ...]) -> Plan:
    plan = plan_intents(narrow(host, (i.device for i in intents)), intents, model)
    # The impact depends on what remains, so it is computed for the whole machine.
    goals = [goal for goal in plan.goals if goal.device in host.devices]
    return judged(plan, hazards_of(host, goals))


def preview(state: AppState) -> Plan | None:
    """The plan of the staged intents; None if there are none."""
    return _preview(state.host, state.model, state.intents) if state.intents else None


def change_of(state: AppState, group: int | None) -> GroupChange | None:
    """The change that the staged intents make to a group; none if the plan is refused."""
    plan = preview(state)
    if plan is None or not plan.permitted:
        return None
    return next((change for change in plan.groups if change.group == group), None)


def target_of(state: AppState, device: Address) -> str | None:
    """The target that is staged for a device."""
    return next((intent.target for intent in state.intents if intent.device == device), None)


def arrow(device: Device, target: str) -> str:
    """`` → vfio-pci``; if it is on that driver already, the rest to do."""
    return " → sets override" if target == (device.driver or NONE) != device.driver_override else f" → {target}"


# -- the selection


def device_at(host: Host, key: Key | None) -> Device | None:
    """The device of a row."""
    return host.devices.get(key.device) if key is not None and key.device is not None else None


def group_at(host: Host, key: Key | None) -> Group | None:
    """The group of a row, or that of the device in it."""
    return host.groups.get(key.group) if key is not None and key.group is not None else None


def selected_device(state: AppState) -> Device | None:
    """The device under the cursor."""
    return device_at(state.host, state.selection)


def selected_group(state: AppState) -> Group | None:
    """The group under the cursor, or that of the device under it."""
    return group_at(state.host, state.selection)


def selected_rows(state: AppState) -> tuple[Key, ...]:
    """The rows that commands act on: those selected together, or else the one under the cursor."""
    if state.selected:
        return tuple(sorted(state.selected, key=lambda key: (key.group is None, key.group or 0, key.device or "")))
    return (state.selection,) if state.selection is not None else ()


def selected_devices(state: AppState) -> list[Device]:
    """The devices that a command acts on; for a group's row, every device of it that is not a bridge."""
    host = state.host
    found: dict[Address, Device] = {}
    for key in selected_rows(state):
        device, group = device_at(host, key), group_at(host, key)
        if device is not None:
            found[device.address] = device
        elif key.device is None and group is not None:
            found |= {d.address: d for d in host.members(group) if d.bus == "pci" and not d.is_bridge}
    return list(found.values())


def selection_words(state: AppState) -> str:
    """``the card 0000:09:00``, ``group 17`` or ``the 3 selected rows``."""
    if len(state.selected) > 1:
        return f"the {len(state.selected)} selected rows"
    key = next(iter(selected_rows(state)), None)
    if key is None:
        return "the selection"
    if key.device is not None:
        device = device_at(state.host, key)
        virtual = device is not None and device.physfn is not None
        return key.device if virtual else f"the card {card_of(key.device)}"
    return f"group {key.group}"


# -- presets: fix, free, give back


class Fix(NamedTuple):
    """The smallest fix of a group: None if there is none, empty if nothing is needed."""

    intents: tuple[Intent, ...] | None
    further: bool
    """It completes what is staged in the group, rather than starting from the group as it is."""
    why: tuple[Reason, ...] = ()
    """Where there is none: what is in no fix, and what no rebind removes."""


@last_call
def _fix(host: Host, model: Model, intents: tuple[Intent, ...], key: Key) -> Fix | None:
    group = group_at(host, key)
    if group is None:
        return None
    part = narrow(host, (*group.members, *(i.device for i in intents)))
    if any(i.device in group.members for i in intents):
        return Fix(smallest_fix(part, intents, [group], model), further=True)
    verdict = model.verdict(part, group)
    if verdict.viable and not verdict.refused:
        return Fix((), further=False)
    device = device_at(host, key)
    wanted = device.address if device is not None and device.bus == "pci" and not device.is_bridge else None
    found = fix_for(part, group, wanted, model)
    return Fix(found, further=False, why=why_no_fix(part, group, wanted, model) if found is None else ())


def fix_of(state: AppState) -> Fix | None:
    """The smallest fix for the group of the selection; None if the selection has no group."""
    return _fix(state.host, state.model, state.intents, state.selection) if state.selection is not None else None


class PresetScope(NamedTuple):
    """The devices that a preset for a row can move, and those that it is for."""

    part: Host
    """What of the machine it can touch: the row's group, its card, and the groups of the card's functions."""
    devices: list[Device]
    """The row's device and the others of the card; of a group's row, the members."""
    group: Group | None
    """The group of a group's row."""


def scope_of(host: Host, key: Key) -> PresetScope:
    """The devices that a preset for this row is about."""
    device, group = device_at(host, key), group_at(host, key)
    members = host.members(group) if group is not None else []
    if key.device is None:
        return PresetScope(narrow(host, (d.address for d in members)), members, group)
    devices = host.card(device.address) if device is not None else []
    return PresetScope(narrow(host, (d.address for d in (*devices, *members))), devices, None)


@last_call
def _free(host: Host, model: Model, key: Key, said: tuple[Intent, ...]) -> tuple[Intent, ...] | None:
    part, devices, group = scope_of(host, key)
    asked = [device.address for device in devices if group is None or device.driver is not None]
    return free_devices(part, asked, model, said=said)


def _said(state: AppState) -> tuple[Intent, ...]:
    """Staged intents for chipset functions: no preset moves one that was not named."""
    devices = state.host.devices
    return tuple(i for i in state.intents if i.device in devices and chipset_part(devices[i.device]))


def freeing(state: AppState) -> tuple[Intent, ...] | None:
    """The intents that free the selected cards and groups; empty if they are free, None if one cannot be."""
    found = [_free(state.host, state.model, key, _said(state)) for key in selected_rows(state)]
    return None if not found or None in found else _united(found)


def taken_beyond(state: AppState, intents: Iterable[Intent]) -> list[Device]:
    """The devices that a preset moves besides the selected cards and groups."""
    asked = [device.address for device in selected_devices(state)]
    cards = (other.address for each in asked for other in state.host.card(each))
    return beyond(state.host, cards, intents)


def _united(parts: Iterable[tuple[Intent, ...] | None]) -> tuple[Intent, ...]:
    return tuple({intent.device: intent for part in parts for intent in part or ()}.values())


def giving_back(state: AppState) -> tuple[Intent, ...]:
    """The intents that give the selected cards and groups back to the kernel; empty if the host has them all."""
    scopes = (scope_of(state.host, key) for key in selected_rows(state))
    return _united(give_back(scope.part, [device.address for device in scope.devices]) for scope in scopes)


def why_not_freed(state: AppState) -> str | None:
    """Why the selection cannot be freed, as a sentence; None if it can."""
    for key in selected_rows(state):
        part, devices, group = scope_of(state.host, key)
        asked = asked_of(part, group) if group is not None else [device.address for device in devices]
        why = why_not_free(part, asked, state.model, _said(state))
        if why is not None:
            return why
    return None
