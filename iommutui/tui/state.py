"""What the program knows at one moment, and the pure steps from one moment to the next."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from iommutui.core.address import Address, sort_key
from iommutui.core.host import Device, Host
from iommutui.core.models import MODELS, model_for
from iommutui.core.models.base import Model
from iommutui.core.plan.intents import Intent, goal_of
from iommutui.core.wording import sentence
from iommutui.tui.narrow import narrow


class Kind(StrEnum):
    """Where the machine on the screen comes from."""

    LIVE = "live"
    SNAPSHOT = "snapshot"
    DEMO = "demo"


class Source(NamedTuple):
    """The machine on the screen."""

    kind: Kind
    label: str = ""
    """The snapshot's file name; on a live machine, the kernel that it is taken to have instead of its own."""
    writer: str | None = ""
    """Live: the program that makes the applying process root; empty if this is root already, None if there is none."""

    @property
    def real(self) -> bool:
        """Whether a write would reach hardware."""
        return self.kind is Kind.LIVE


class Phase(StrEnum):
    """What the program is doing."""

    SCANNING = "scanning"
    READY = "ready"
    FAILED = "failed"
    APPLYING = "applying"


class Problem(NamedTuple):
    """Why there is no machine to show, and what to do next."""

    what: str
    remedy: str = ""


class View(StrEnum):
    """What the main pane shows."""

    GROUPS = "groups"
    TOPOLOGY = "topology"
    LOG = "log"


class Tab(StrEnum):
    """What the details pane says of the selection."""

    WHY = "why"
    DEVICE = "device"
    LOSES = "loses"
    MODELS = "models"


class Sort(StrEnum):
    """The order of groups on the list."""

    NUMBER = "number"
    KIND = "kind"
    VERDICT = "verdict"


class Key(NamedTuple):
    """A row: of a group (``device`` is None) or of a device. Devices without a group stand under ``group`` None."""

    group: int | None
    device: Address | None = None


class Entry(NamedTuple):
    """A line of the log."""

    at: str
    text: str
    style: str = "plain"


class AppState(NamedTuple):
    """Everything that decides what is on the screen."""

    source: Source
    model: Model
    host: Host | None = None
    phase: Phase = Phase.SCANNING
    problem: Problem | None = None
    chosen_model: bool = False
    intents: tuple[Intent, ...] = ()
    """What is staged, in the order of addresses."""
    undo: tuple[tuple[Intent, ...], ...] = ()
    redo: tuple[tuple[Intent, ...], ...] = ()
    filter: str = ""
    search: str = ""
    """What is looked for in the topology, which hides nothing: a device's neighbours are why it is where it is."""
    view: View = View.GROUPS
    tab: Tab = Tab.WHY
    sort: Sort = Sort.NUMBER
    marks: frozenset[Address] = frozenset()
    """The person's own devices."""
    hints: bool = False
    """The orientation for somebody who is here for the first time."""
    collapsed: frozenset[int | None] = frozenset()
    cursor: Key | None = None
    empty: bool = False
    """No row passes the filter: nothing is selected, and the cursor waits where it was."""
    applies: int = 0
    """Applies of this program that can be taken back; a live system has its journal besides."""
    applied: bool = False
    """Something has been applied, whether it is still in effect or not."""
    live_lacks: str = ""
    """Why changes of the machine are not seen as they happen; empty where they are."""
    log: tuple[Entry, ...] = ()

    @property
    def selection(self) -> Key | None:
        """What verbs act on: never something that is not on the list."""
        return None if self.empty else self.cursor


UNDO_LIMIT = 200
"""Steps of staging that can be taken back."""


def start(source: Source, model: str | None = None, kernel: str | None = None) -> AppState:
    """The state before anything is known of the machine."""
    return AppState(source, MODELS[model] if model else model_for(kernel), chosen_model=model is not None)


def staged(state: AppState, targets: Mapping[Address, str | None]) -> AppState:
    """The intents after these devices get these targets; None takes a device's intent away."""
    wanted = {intent.device: intent.target for intent in state.intents}
    for device, target in targets.items():
        if target is None:
            wanted.pop(device, None)
        else:
            wanted[device] = target
    intents = tuple(Intent(device, wanted[device]) for device in sorted(wanted, key=sort_key))
    if intents == state.intents:
        return state
    return state._replace(intents=intents, undo=(*state.undo, state.intents)[-UNDO_LIMIT:], redo=())


def undone(state: AppState) -> AppState:
    """One step of staging taken back."""
    if not state.undo:
        return state
    return state._replace(intents=state.undo[-1], undo=state.undo[:-1], redo=(*state.redo, state.intents))


def redone(state: AppState) -> AppState:
    """One step that was taken back, done again."""
    if not state.redo:
        return state
    return state._replace(intents=state.redo[-1], redo=state.redo[:-1], undo=(*state.undo, state.intents))


def next_model(state: AppState) -> AppState:
    """The next model of the list, after the last the first."""
    names = list(MODELS)
    name = names[(names.index(state.model.name) + 1) % len(names)]
    return state._replace(model=MODELS[name], chosen_model=True)


def own_model(state: AppState) -> bool:
    """Whether the model is that of the machine's own kernel."""
    return state.host is None or state.model.name == model_for(state.host.kernel).name


def folded(state: AppState, group: int | None, shut: bool) -> AppState:
    """The group shut or open; its cursor moves to the group's row when it shuts."""
    collapsed = state.collapsed | {group} if shut else state.collapsed - {group}
    cursor = state.cursor
    if shut and cursor is not None and cursor.group == group:
        cursor = Key(group)
    return state._replace(collapsed=frozenset(collapsed), cursor=cursor)


def with_host(state: AppState, host: Host) -> tuple[AppState, tuple[str, ...]]:
    """The state with a fresh look at the machine, and what has to be said of the intents.

    Cursor, filter, folds and intents stay. An intent that is fulfilled by now is done with, one that has become
    impossible stays where the person put it, and the plan says why.
    """
    notes: list[str] = []
    kept: list[Intent] = []
    before = state.host
    for intent in state.intents:
        device = host.devices.get(intent.device)
        _, _, refusal = goal_of(host, intent)
        if refusal is not None:
            kept.append(intent)
            if before is None or goal_of(before, intent)[2] is None:
                notes.append(f"{intent} cannot be done any more. {sentence(refusal)}")
        elif _changed(before, device) and fulfilled(host, intent, state.model):
            notes.append(f"{intent} is so already; it is taken off the plan.")
        else:
            kept.append(intent)
    model = state.model if state.chosen_model else model_for(host.kernel)
    state = state._replace(host=host, model=model, intents=tuple(kept), phase=Phase.READY, problem=None)
    if state.cursor is None:
        state = state._replace(cursor=first_row(host))
    elif before is not None and state.cursor.device is not None:
        now = host.devices.get(state.cursor.device)
        if now is not None and now.group != state.cursor.group:
            state = state._replace(cursor=Key(now.group, now.address))
    return state, tuple(notes)


def first_row(host: Host) -> Key | None:
    """Where the cursor is at first: on the card that most people hand over, a display that the machine did not boot on.

    Without one on any display, else on the first group.
    """
    displays = [d for d in host.devices.values() if (d.class_code or "").startswith("03") and d.group in host.groups]
    chosen = min(displays, key=lambda d: bool(d.boot_vga), default=None)
    if chosen is not None:
        return Key(chosen.group, chosen.address)
    return Key(next(iter(host.groups), None)) if host.groups or host.devices else None


def _changed(before: Host | None, device: Device | None) -> bool:
    if before is None or device is None:
        return True
    was = before.devices.get(device.address)
    return was is None or (was.driver, was.driver_override) != (device.driver, device.driver_override)


def fulfilled(host: Host, intent: Intent, model: Model) -> bool:
    """Whether nothing is left to do for the intent."""
    from iommutui.core.plan.planner import plan_intents  # a machine is on the screen before anything is staged

    plan = plan_intents(narrow(host, (intent.device,)), (intent,), model)
    return plan.permitted and not plan.steps


def failed(state: AppState, problem: Problem) -> AppState:
    """The state after a scan that failed: what was seen before stays on the screen."""
    return state._replace(phase=Phase.FAILED if state.host is None else Phase.READY, problem=problem)


def logged(state: AppState, at: str, text: str, style: str = "plain") -> AppState:
    """The state with one more line in the log."""
    return state._replace(log=(*state.log, Entry(at, text, style)))
