"""The rows of the main pane, as a list of groups or as a tree. Pure."""

from iommutui.core.host import Host
from iommutui.tui.derived import verdicts
from iommutui.tui.rows.base import Listing, every
from iommutui.tui.rows.groups import groups_head, groups_listing, groups_row, ordered
from iommutui.tui.rows.topology import topology_head, topology_listing, topology_row
from iommutui.tui.state import AppState, Key, Sort, View
from iommutui.tui.text.spans import Span


def listing(state: AppState) -> Listing:
    """The rows of this state."""
    return topology_listing(state.host) if state.view is View.TOPOLOGY else groups_listing(state, state.host)


def row(state: AppState, key: Key, width: int, here: bool = False) -> tuple[Span, ...]:
    """What stands in a row, ``width`` cells wide, with or without the cursor."""
    return (topology_row if state.view is View.TOPOLOGY else groups_row)(state, key, width, here)


def head(state: AppState) -> str:
    """The heads of the columns."""
    if not state.host.devices:
        return ""
    return topology_head(state.host) if state.view is View.TOPOLOGY else groups_head(state.host)


def cursor_index(state: AppState, hint: int = 0) -> int:
    """The row that the cursor is on, or the one nearest to where it would be."""
    found = listing(state)
    place = found.place(state.cursor)
    if place is not None or not found.keys:
        return place or 0
    if state.view is View.TOPOLOGY:
        return next((index for index, key in enumerate(found.keys) if key.group == state.cursor.group), 0)
    return _nearest(state, state.host, state.cursor, found, hint)


def _nearest(state: AppState, host: Host, cursor: Key, found: Listing, hint: int) -> int:
    judged = verdicts(host, state.model) if state.sort is Sort.VERDICT else None
    order = [key for number in ordered(host, judged, state.sort) for key in every(host).blocks[number]]
    if cursor not in order:
        return min(hint, len(found.keys) - 1)
    for key in order[order.index(cursor) :]:
        here = found.place(key)
        if here is not None and (key.device is not None or key.group in state.collapsed):
            return here
    return len(found.keys) - 1


def settled(state: AppState, hint: int = 0) -> AppState:
    """The state with its cursor on a row that exists. Where no row passes the filter it stays, and selects nothing."""
    found = listing(state)
    empty = not found.keys
    key = state.cursor if empty else found.keys[cursor_index(state, hint)]
    return state if (key, empty) == (state.cursor, state.empty) else state._replace(cursor=key, empty=empty)
