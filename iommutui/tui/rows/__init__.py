"""The rows of the main pane, as a list of groups or as a tree. Pure."""

def listing(state: AppState) -> Listing:
    """The rows of this state."""
    host = state.host
    if host is None:
        return EMPTY
    if state.view is View.TOPOLOGY:
        from iommutui.tui.rows.topology import topology_listing

        return topology_listing(host)
    found = _judged(host, state.model, parse_query(state.filter).terms, state.sort)
    return _listing(host, found, state.filter, state.collapsed, state.sort)


def cursor_index(state: AppState, hint: int = 0) -> int:
    """The row that the cursor is on, or the one nearest to where it would be."""
    found = listing(state)
    if not found.keys or state.cursor is None or state.host is None:
        return 0
    place = found.place(state.cursor)
    if place is not None:
        return place
    if state.view is View.TOPOLOGY:
        return next((index for index, key in enumerate(found.keys) if key.group == state.cursor.group), 0)
    blocks = every(state.host).blocks
    judged = verdicts(state.host, state.model) if state.sort is Sort.VERDICT else None
    order = [key for number in _ordered(state.host, judged, state.sort) for key in blocks[number]]
    if state.cursor in order:
        for key in order[order.index(state.cursor) :]:
            here = found.place(key)
            if here is not None and (key.device is not None or key.group in state.collapsed):
                return here
        return len(found.keys) - 1
    return min(hint, len(found.keys) - 1)


def settled(state: AppState, hint: int = 0) -> AppState:
    """The state with its cursor on a row that exists. Where no row passes the filter it stays, and selects nothing."""
    found = listing(state)
    empty = not found.keys
    key = state.cursor if empty else found.keys[cursor_index(state, hint)]
    return state if (key, empty) == (state.cursor, state.empty) else state._replace(cursor=key, empty=empty)
