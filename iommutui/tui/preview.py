"""What the engine says of a state: verdicts, what the staged intents would change, and the smallest fix. Remembered."""

from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from iommutui.core.address import Address
from iommutui.core.hazards import hazards_of
from iommutui.core.host import Device, Group, Host
from iommutui.core.labels import verdict_word
from iommutui.core.models import MODELS
from iommutui.core.models.base import Model
from iommutui.core.outcome import Verdict
from iommutui.core.plan.fix import smallest_fix
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.presets import fix_for
from iommutui.core.reasons import Code
from iommutui.tui.memo import last_call
from iommutui.tui.narrow import narrow
from iommutui.tui.state import AppState, Key

if TYPE_CHECKING:
    from iommutui.core.plan.planner import GroupChange, Plan


class Verdicts:
    """The verdicts of a machine's groups under one model, each computed when it is first asked for.

    What is kept of every group is the verdict's word; a whole verdict is kept where somebody has looked at it.
    """

    def __init__(self, host: Host, model: Model) -> None:
        self._host = host
        self._model = model
        self._known: dict[int, Verdict] = {}
        self._words: dict[int, str] = {}
        self._waiting = iter(host.groups)

    def of(self, group: int) -> Verdict:
        """The verdict on a group."""
        verdict = self._known.get(group)
        if verdict is None:
            verdict = self._known[group] = self._model.verdict(self._host, self._host.groups[group])
        return verdict

    def word(self, group: int) -> str:
        """The verdict in a word or two."""
        word = self._words.get(group)
        if word is None:
            verdict = self._known.get(group) or self._model.verdict(self._host, self._host.groups[group])
            word = self._words[group] = verdict_word(verdict)
        return word

    def advance(self, limit: int) -> bool:
        """Looks at so many more groups; True when all are known."""
        for group in islice(self._waiting, limit):
            self.word(group)
        return len(self._words) == len(self._host.groups)

    @cached_property
    def viable(self) -> int:
        """How many groups can be handed over."""
        return sum(self.word(group) == "viable" for group in self._host.groups)

    def blockers(self, group: int) -> set[Address]:
        """The devices whose driver stands in the way."""
        return {r.device for r in self.of(group).reasons if r.code is Code.KERNEL_DRIVER and r.device is not None}


@last_call
def _by_model(host: Host) -> dict[str, Verdicts]:
    return {}


def verdicts(host: Host, model: Model) -> Verdicts:
    """The verdicts of this machine under this model."""
    known = _by_model(host)
    if model.name not in known:
        known[model.name] = Verdicts(host, model)
    return known[model.name]


def count_on(host: Host, model: Model, limit: int) -> None:
    """Judges so many more groups by this model, and once that is done by the others.

    Another model is a key away, and that key shows how many groups are viable under it.
    """
    next((name for name in (model.name, *MODELS) if not verdicts(host, MODELS[name]).advance(limit)), None)


def counted(host: Host) -> bool:
    """Whether every model has judged every group."""
    known = _by_model(host)
    return len(known) == len(MODELS) and all(found.advance(0) for found in known.values())


class Preview(NamedTuple):
    """The staged intents, computed."""

    plan: "Plan"
    changes: "dict[int, GroupChange]"
    targets: dict[Address, str]


@last_call
def _preview(host: Host, model: Model, intents: tuple[Intent, ...]) -> Preview:
    from iommutui.core.plan.planner import plan_intents  # not before something is staged

    plan = plan_intents(narrow(host, (i.device for i in intents)), intents, model)
    # What the machine loses depends on what remains to it, so that is asked of the whole.
    goals = [goal for goal in plan.goals if goal.device in host.devices]
    plan = plan._replace(hazards=tuple(hazards_of(host, goals)))
    return Preview(plan, {change.group: change for change in plan.groups}, {i.device: i.target for i in intents})


def preview(state: AppState) -> Preview | None:
    """What the staged intents would do; None without a machine or without intents."""
    if state.host is None or not state.intents:
        return None
    return _preview(state.host, state.model, state.intents)


def change_of(state: AppState, group: int | None) -> "GroupChange | None":
    """What the staged intents do to a group."""
    found = preview(state)
    return found.changes.get(group) if found is not None and group is not None else None


def target_of(state: AppState, device: Address) -> str | None:
    """The target that is staged for a device."""
    found = preview(state)
    return found.targets.get(device) if found is not None else None


def selected_device(state: AppState) -> Device | None:
    """The device under the cursor."""
    selection = state.selection
    if state.host is None or selection is None or selection.device is None:
        return None
    return state.host.devices.get(selection.device)


def selected_group(state: AppState) -> Group | None:
    """The group under the cursor, or that of the device under it."""
    selection = state.selection
    if state.host is None or selection is None or selection.group is None:
        return None
    return state.host.groups.get(selection.group)


def selected_devices(state: AppState) -> list[Device]:
    """What a verb acts on: the device, or on a group's row every device of it that is not a bridge."""
    device = selected_device(state)
    if device is not None:
        return [device]
    group = selected_group(state)
    if group is None or state.host is None:
        return []
    return [d for d in state.host.members(group) if d.bus == "pci" and not d.is_bridge]


class Fix(NamedTuple):
    """The smallest fix of a group: None if there is none, empty if nothing is needed."""

    intents: tuple[Intent, ...] | None
    further: bool
    """It completes what is staged in the group, rather than starting from the group as it is."""


@last_call
def _fix(host: Host, model: Model, intents: tuple[Intent, ...], key: Key) -> Fix | None:
    if key.group is None or key.group not in host.groups:
        return None
    group = host.groups[key.group]
    part = narrow(host, (*group.members, *(i.device for i in intents)))
    mine = [i for i in intents if i.device in group.members]
    if mine:
        return Fix(smallest_fix(part, intents, [group], model), further=True)
    verdict = model.verdict(part, group)
    if verdict.viable and not verdict.refused:
        return Fix((), further=False)
    device = host.devices.get(key.device) if key.device is not None else None
    wanted = device.address if device is not None and device.bus == "pci" and not device.is_bridge else None
    return Fix(fix_for(part, group, wanted, model), further=False)


def fix_of(state: AppState) -> Fix | None:
    """The smallest fix for the group of the selection; None where the selection has no group."""
    if state.host is None or state.selection is None:
        return None
    return _fix(state.host, state.model, state.intents, state.selection)
