"""The state of the screen, and the pure steps from one state to the next."""

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from iommutui.core.address import Address, sort_key
from iommutui.core.drivers import STUB
from iommutui.core.errors import IommutuiError
from iommutui.core.host import Device, Host
from iommutui.core.models import MODELS, Model, model_for
from iommutui.core.plan.intents import DEFAULT, NONE, Intent, refusal_of
from iommutui.core.plan.planner import Plan, plan_intents
from iommutui.core.topology import narrow
from iommutui.core.wording import sentence


class SourceKind(StrEnum):
    """The source of the machine on the screen."""

    LIVE = "live"
    SNAPSHOT = "snapshot"
    DEMO = "demo"


class Source(NamedTuple):
    """The machine on the screen."""

    kind: SourceKind
    label: str = ""
    """The snapshot's file name; on a live machine, the kernel that it is taken to have instead of its own."""
    writer: str | None = ""
    """Live: the program that makes the applying process root; empty if this is root already, None if there is none."""

    @property
    def real(self) -> bool:
        """Whether a write would reach hardware."""
        return self.kind is SourceKind.LIVE


class Phase(StrEnum):
    """The program's current activity."""

    SCANNING = "scanning"
    READY = "ready"
    FAILED = "failed"
    APPLYING = "applying"


class View(StrEnum):
    """The view in the main pane."""

    GROUPS = "groups"
    TOPOLOGY = "topology"
    LOG = "log"


class Pane(StrEnum):
    """The panes that can have the focus."""

    LIST = "list"
    DETAILS = "details"
    PLAN = "plan"
    FILTER = "filter"


class Tab(StrEnum):
    """The page of the details pane for the selection."""

    WHY = "why"
    DEVICE = "device"
    IMPACT = "impact"
    MODELS = "models"


class Sort(StrEnum):
    """The order of groups in the list."""

    NUMBER = "number"
    KIND = "kind"
    VERDICT = "verdict"


class Key(NamedTuple):
    """A row of a group (``device`` is None) or of a device. Devices without a group have ``group`` None."""

    group: int | None
    device: Address | None = None


class LogLine(NamedTuple):
    """A line of the log."""

    at: str
    text: str
    style: str = "plain"


LIST_SHARE = 62
"""The default share of the list."""
SHARES = range(20, 85)
"""The shares that the list can have, in percent."""
UNDO_LIMIT = 200
"""Steps of staging that can be undone."""
NOTHING = Host({}, {})
"""The machine before its first scan."""


class AppState(NamedTuple):
    """The whole state of the screen."""

    source: Source
    model: Model
    host: Host = NOTHING
    phase: Phase = Phase.SCANNING
    problem: IommutuiError | None = None
    """Why there is no machine to show, and what to do next."""
    chosen_model: bool = False
    intents: tuple[Intent, ...] = ()
    """The staged intents, in the order of addresses."""
    undo: tuple[tuple[Intent, ...], ...] = ()
    redo: tuple[tuple[Intent, ...], ...] = ()
    filter: str = ""
    """The filter of the list. The topology hides nothing, because a device's neighbours explain its place."""
    view: View = View.GROUPS
    tab: Tab = Tab.WHY
    pane: Pane = Pane.LIST
    """The pane with the focus."""
    zoomed: bool = False
    """The pane with the focus has the whole screen."""
    share: int = LIST_SHARE
    """Percent of the width or height for the list; the details get the rest."""
    bridges: bool = True
    """Groups that hold nothing but bridges are on the list."""
    sort: Sort = Sort.NUMBER
    marks: frozenset[Address] = frozenset()
    """The user's own devices."""
    hints: bool = False
    """Whether the orientation of a first start is shown."""
    collapsed: frozenset[int | None] = frozenset()
    cursor: Key = Key(None)
    selected: frozenset[Key] = frozenset()
    """Rows that commands act on together, in place of the one under the cursor."""
    planned: Address | None = None
    """The intent under the plan's own cursor."""
    empty: bool = False
    """No row passes the filter: nothing is selected, and the cursor waits where it was."""
    applies: int = 0
    """Applies of this program that can be reverted; a live system also has its journal."""
    applied: bool = False
    """Something has been applied, whether it is still in effect or not."""
    beyond: tuple[Address, ...] = ()
    """Devices that a preset staged beyond the selection; shown on top of the plan."""
    freed: tuple[Address, ...] = ()
    """Devices that the last apply put on a VFIO driver, until something else is staged."""
    before_boot: Host | None = None
    """The machine as it was in the previous boot, if known."""
    live_lacks: str = ""
    """Why changes of the machine are not seen as they happen; empty if they are."""
    log: tuple[LogLine, ...] = ()

    @property
    def seen(self) -> bool:
        """Whether the machine has been scanned."""
        return self.host is not NOTHING

    @property
    def selection(self) -> Key | None:
        """The row that commands act on: never one that is not in the list, nor one behind the log."""
        return None if self.empty or self.view is View.LOG else self.cursor


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
    undo = (*state.undo, state.intents)[-UNDO_LIMIT:]
    return state._replace(intents=intents, undo=undo, redo=(), selected=frozenset(), beyond=(), freed=())


def planned_intent(state: AppState) -> Intent | None:
    """The intent under the plan's cursor; the first one if the cursor is on none."""
    found = next((intent for intent in state.intents if intent.device == state.planned), None)
    return found or (state.intents[0] if state.intents else None)


def planned_moved(state: AppState, lines: int) -> AppState:
    """The state with the plan's cursor moved by this many intents."""
    here = planned_intent(state)
    if here is None:
        return state
    place = max(0, min(len(state.intents) - 1, state.intents.index(here) + lines))
    return state._replace(planned=state.intents[place].device)


def unplanned(state: AppState, intent: Intent) -> AppState:
    """The state without this intent; the plan's cursor is on the one in its place."""
    place = state.intents.index(intent)
    state = staged(state, {intent.device: None})
    left = state.intents[min(place, len(state.intents) - 1)].device if state.intents else None
    return state._replace(planned=left)


def undone(state: AppState) -> AppState:
    """Undoes one step of staging."""
    if not state.undo:
        return state
    return state._replace(intents=state.undo[-1], undo=state.undo[:-1], redo=(*state.redo, state.intents))


def redone(state: AppState) -> AppState:
    """Redoes one step that was undone."""
    if not state.redo:
        return state
    return state._replace(intents=state.redo[-1], redo=state.redo[:-1], undo=(*state.undo, state.intents))


def own_model(state: AppState) -> bool:
    """Whether the model is that of the machine's own kernel."""
    return not state.seen or state.model.name == model_for(state.host.kernel).name


def folded(state: AppState, group: int | None, shut: bool) -> AppState:
    """Folds or opens the group; when it folds, the cursor moves to the group's row."""
    collapsed = state.collapsed | {group} if shut else state.collapsed - {group}
    cursor = Key(group) if shut and state.cursor.group == group else state.cursor
    return state._replace(collapsed=frozenset(collapsed), cursor=cursor)


def divided(state: AppState, share: int) -> AppState:
    """The room divided anew, as far as both panes keep some of it."""
    return state._replace(share=max(SHARES.start, min(SHARES.stop - 1, share)), zoomed=False)


def with_host(state: AppState, host: Host) -> tuple[AppState, tuple[str, ...]]:
    """The state after a scan, and messages about the intents.

    Cursor, filter, folds and intents stay. An intent fulfilled by now is dropped; one that has become impossible
    stays, and the plan says why.
    """
    notes: list[str] = []
    kept: list[Intent] = []
    before, first = state.host, not state.seen
    for intent in state.intents:
        refusal = refusal_of(host, intent)
        if refusal is not None:
            kept.append(intent)
            if refusal_of(before, intent) is None:
                notes.append(f"{intent} is no longer possible. {sentence(refusal)}")
        elif _changed(before, host.devices[intent.device]) and fulfilled(host, intent, state.model):
            notes.append(f"{intent} is done already; it is removed from the plan.")
        else:
            kept.append(intent)
    model = state.model if state.chosen_model else model_for(host.kernel)
    state = state._replace(host=host, model=model, intents=tuple(kept), phase=Phase.READY, problem=None)
    now = host.devices.get(state.cursor.device) if state.cursor.device is not None else None
    if first:
        state = state._replace(cursor=first_row(host))
    elif now is not None:
        state = state._replace(cursor=Key(now.group, now.address))
    return state, tuple(notes)


_MANAGEMENT = ("1a03", "102b")
"""Vendors of the displays of management controllers: ASPEED and Matrox."""


def first_row(host: Host) -> Key:
    """The first row of the cursor: the card that most people hand over.

    That is a display that the machine is known not to have booted on, on its own card, not in the processor or a
    management controller. Otherwise any display, else the first group.
    """

    def unlikely(device: Device) -> tuple[bool, ...]:
        on_board = device.address.partition(":")[2].startswith("00:")
        return device.vendor_id in _MANAGEMENT, device.boot_vga is not False, on_board, device.boot_vga is True

    displays = [d for d in host.devices.values() if (d.class_code or "").startswith("03") and d.group in host.groups]
    chosen = min(displays, key=unlikely, default=None)
    if chosen is not None:
        return Key(chosen.group, chosen.address)
    return Key(next(iter(host.groups), None))


def _changed(before: Host, device: Device) -> bool:
    was = before.devices.get(device.address)
    return was is None or (was.driver, was.driver_override) != (device.driver, device.driver_override)


def fulfilled(host: Host, intent: Intent, model: Model) -> bool:
    """Whether nothing is left to do for the intent."""
    plan = plan_intents(narrow(host, (intent.device,)), (intent,), model)
    return plan.permitted and not plan.steps


def failed(state: AppState, problem: IommutuiError) -> AppState:
    """The state after a failed scan: the machine seen before stays on the screen."""
    return state._replace(phase=Phase.READY if state.seen else Phase.FAILED, problem=problem)


def ended(state: AppState, plan: Plan, *, revert: bool) -> AppState:
    """The state after a successful apply: nothing is staged, and the cursor is on a device that was moved."""
    state = state._replace(phase=Phase.READY, applied=True, cursor=_changed_row(state, plan))
    if revert:
        return state._replace(applies=max(0, state.applies - 1), freed=())
    freed = tuple(intent.device for intent in state.intents if intent.target not in (NONE, DEFAULT, STUB))
    applies = state.applies + bool(plan.steps)
    return state._replace(applies=applies, intents=(), undo=(), redo=(), beyond=(), freed=freed)


def _changed_row(state: AppState, plan: Plan) -> Key:
    """The first device that was moved, unless the cursor is on one of them or on their group already."""
    addresses = dict.fromkeys(step.device for step in plan.steps)
    moved = [Key(device.group, a) for a in addresses if (device := state.host.devices.get(a)) is not None]
    cursor = state.cursor
    if not moved or cursor in moved or cursor in [Key(key.group) for key in moved]:
        return cursor
    return moved[0]
