"""Commands that move: cursor, folds, panes."""

from functools import partial

from iommutui.tui.commands.base import Command, Desk, needs_host
from iommutui.tui.rows import listing
from iommutui.tui.state import AppState, Key, Pane, View, folded
from iommutui.tui.widgets.dialogs import Opened
from iommutui.tui.widgets.lines import FAR

TOPIC = "Move"


def _no_folds(state: AppState) -> str | None:
    if state.view is not View.GROUPS:
        return "Only the list of groups folds; T or Esc goes back to it."
    return "Groups do not fold while a filter is on; Esc clears it." if state.filter.strip() else None


def _fold(shut: bool, desk: Desk) -> None:
    desk.update(folded(desk.state, desk.state.cursor.group, shut))


def _fold_all(desk: Desk) -> None:
    state = desk.state
    if state.collapsed:
        desk.update(state._replace(collapsed=frozenset()))
    else:
        desk.update(state._replace(collapsed=frozenset({*state.host.groups, None}), cursor=Key(state.cursor.group)))


def _cycle(step: int, desk: Desk) -> Opened:
    pane = desk.state.pane
    if pane is Pane.FILTER and step > 0:
        return desk.run_action("complete")
    panes = [Pane.LIST, Pane.DETAILS, Pane.PLAN]
    place = panes.index(pane) if pane in panes else -1 if step > 0 else 0
    desk.focus_pane(panes[(place + step) % len(panes)])
    return None


def _next_group(step: int, desk: Desk) -> None:
    found = listing(desk.state)
    here = found.places.get(desk.state.cursor)
    if here is None:
        return
    places = range(here + 1, len(found.keys)) if step > 0 else range(here - 1, -1, -1)
    group = desk.state.cursor.group
    for index in places:
        row = found.keys[index]
        if row.device is None if desk.state.view is View.GROUPS else row.group not in (None, group):
            desk.update(desk.state._replace(cursor=found.keys[index]))
            return


COMMANDS = (
    Command("Down", ("j", "down"), "One row down.", TOPIC, lambda d: d.move(1), palette=False),
    Command("Up", ("k", "up"), "One row up.", TOPIC, lambda d: d.move(-1), palette=False),
    Command("Page down", ("pagedown",), "One page down.", TOPIC, lambda d: d.move(d.page()), palette=False),
    Command("Page up", ("pageup",), "One page up.", TOPIC, lambda d: d.move(-d.page()), palette=False),
    Command("Half down", ("ctrl+d",), "Half a page down.", TOPIC, lambda d: d.move(d.page() // 2), palette=False),
    Command("Half up", ("ctrl+u",), "Half a page up.", TOPIC, lambda d: d.move(-d.page() // 2), palette=False),
    Command("Top", ("g", "home"), "The first row.", TOPIC, lambda d: d.move(-FAR), palette=False),
    Command("Bottom", ("G", "end"), "The last row.", TOPIC, lambda d: d.move(FAR), palette=False),
    Command("Next group", ("J", "right_square_bracket"), "The next group.", TOPIC, partial(_next_group, 1),
            (needs_host,), palette=False),
    Command("Previous group", ("K", "left_square_bracket"), "The group before.", TOPIC, partial(_next_group, -1),
            (needs_host,), palette=False),
    Command("Fold", ("h", "left"), "Fold the group.", TOPIC, partial(_fold, True),
            (needs_host, _no_folds), also="collapse hide"),
    Command("Open", ("l", "right"), "Open the group.", TOPIC, partial(_fold, False),
            (needs_host, _no_folds), also="expand unfold"),
    Command("Fold all", ("H",), "Fold every group, or open them all.", TOPIC, _fold_all, (needs_host, _no_folds),
            also="collapse expand unfold"),
    Command("Next pane", ("tab",), "The next pane; in the filter: complete the word.", TOPIC, partial(_cycle, 1),
            palette=False),
    Command("Previous pane", ("shift+tab",), "The pane before.", TOPIC, partial(_cycle, -1), palette=False),
    Command("Groups", ("1",), "Go to the list of groups.", TOPIC, lambda d: d.focus_pane(Pane.LIST), also="pane focus"),
    Command("Details", ("2",), "Go to the details.", TOPIC, lambda d: d.focus_pane(Pane.DETAILS), also="pane focus"),
    Command("Plan", ("3",), "Go to the plan.", TOPIC, lambda d: d.focus_pane(Pane.PLAN), also="pane focus staged"),
)  # fmt: skip
