"""The rows of the main pane, as a list of groups or as a tree. Pure."""

from collections.abc import Sequence

from iommutui.tui.derived import verdicts
from iommutui.tui.rows.base import Listing, every
from iommutui.tui.rows.groups import groups_head, groups_listing, groups_row, ordered
from iommutui.tui.rows.topology import topology_head, topology_listing, topology_row
from iommutui.tui.state import AppState, Key, Sort, View
from iommutui.tui.text import Span


def listing(state: AppState) -> Listing:
    """The rows of this state."""
    return topology_listing(state) if state.view is View.TOPOLOGY else groups_listing(state)


def row(state: AppState, key: Key, width: int, here: bool = False) -> tuple[Span, ...]:
    """The text of a row, ``width`` cells wide, with or without the cursor."""
    return (topology_row if state.view is View.TOPOLOGY else groups_row)(state, key, width, here)


def head(state: AppState) -> str:
    """The headings of the columns."""
    if not state.host.devices:
        return ""
    return topology_head(state.host) if state.view is View.TOPOLOGY else groups_head(state.host)


def settled(state: AppState, hint: int = 0) -> AppState:
    """The state with its cursor on a row that exists: the one nearest to where it would be, or that of the hint.

    Where no row passes the filter it stays, and selects nothing.
    """
    keys = listing(state).keys
    empty = not keys
    key = state.cursor if empty or state.cursor in listing(state).places else _nearest(state, keys, hint)
    return state if (key, empty) == (state.cursor, state.empty) else state._replace(cursor=key, empty=empty)


def _nearest(state: AppState, keys: Sequence[Key], hint: int) -> Key:
    host, cursor = state.host, state.cursor
    if state.view is View.TOPOLOGY:
        return next((key for key in keys if key.group == cursor.group), keys[0])
    judged = verdicts(host, state.model) if state.sort is Sort.VERDICT else None
    order = [key for number in ordered(host, judged, state.sort) for key in every(host).blocks[number]]
    if cursor not in order:
        return keys[min(hint, len(keys) - 1)]
    shown = frozenset(keys)
    rest = (key for key in order[order.index(cursor) :] if key.device is not None or key.group in state.collapsed)
    return next((key for key in rest if key in shown), keys[-1])
