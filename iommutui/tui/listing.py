"""Which rows are on the list, and in which order. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from iommutui.core.address import Address, sort_key
from iommutui.core.host import Host
from iommutui.core.models.base import Model
from iommutui.core.query import Query, Term, parse_query, searched_text
from iommutui.tui.kinds import bridges_only, rank
from iommutui.tui.memo import last_call
from iommutui.tui.preview import Verdicts, verdicts
from iommutui.tui.state import AppState, Key, Sort, View


class Listing(NamedTuple):
    """The rows that are on the list, in order."""

    keys: tuple[Key, ...]
    begins: Mapping[Key, int]
    """Where the rows of groups are; in the topology, which has none, where every row is."""
    shown: int
    total: int
    """Devices that pass the filter, and all of them."""

    def place(self, key: Key | None) -> int | None:
        """Where a row is, or None where it is not on the list."""
        if key is None or key in self.begins:
            return None if key is None else self.begins[key]
        first = self.begins.get(Key(key.group))
        if first is not None:
            for index in range(first + 1, len(self.keys)):
                if self.keys[index] == key:
                    return index
                if self.keys[index].device is None:
                    break
        return None


EMPTY = Listing((), {}, 0, 0)


class Every(NamedTuple):
    """Every row of a machine, folded or not, and the widths of its columns."""

    blocks: dict[int | None, tuple[Key, ...]]
    """Of each group its own row, and those of its members."""
    address: int
    number: int


@last_call
def every(host: Host) -> Every:
    """The rows of a machine."""
    blocks: dict[int | None, tuple[Key, ...]] = {}
    for number, group in host.groups.items():
        members = group.members
        if len(members) > 1:
            members = tuple(sorted(members, key=sort_key))
        blocks[number] = (Key(number), *[Key(number, a) for a in members if a in host.devices])
    alone = [Key(None, d.address) for d in host.devices.values() if d.group is None or d.group not in host.groups]
    if alone:
        blocks[None] = (Key(None), *alone)
    return Every(
        blocks,
        max([12, *(len(address) for address in host.devices)]),
        max([2, *(len(str(number)) for number in host.groups)]),
    )


@last_call
def texts(host: Host) -> dict[Address, str]:
    """What a filter's words are looked for in."""
    return {device.address: searched_text(device) for device in host.devices.values()}


def _matching(host: Host, terms: tuple[Term, ...], found: Verdicts | None) -> set[Address]:
    every_text = texts(host)
    matched = set(every_text)
    for term in terms:
        if not term.key:
            matched = {address for address in matched if (term.value in every_text[address]) != term.negated}
    query = Query(tuple(term for term in terms if term.key))
    if not query.terms:
        return matched
    for address in tuple(matched):
        device = host.devices[address]
        verdict = found.of(device.group) if found is not None and device.group in host.groups else None
        if not query.matches(device, verdict):
            matched.discard(address)
    return matched


def _judged(host: Host, model: Model, terms: tuple[Term, ...], sort: Sort) -> Verdicts | None:
    """The verdicts, where the rows depend on them: otherwise they are the same under every model."""
    asked = sort is Sort.VERDICT or any(term.key == "viable" for term in terms)
    return verdicts(host, model) if asked else None


_WORDS = ("viable", "in use", "blocked", "refused", "unknown")


@last_call
def _ordered(host: Host, found: Verdicts | None, sort: Sort) -> tuple[int | None, ...]:
    """The groups in the order that was asked for; what has no group comes last."""
    blocks = every(host).blocks
    numbers = [number for number in blocks if number is not None]
    if sort is Sort.KIND:
        numbers.sort(key=lambda n: min((rank(host.devices[k.device]) for k in blocks[n] if k.device), default=9))
    elif found is not None:
        bridges = bridges_only(host)
        numbers.sort(key=lambda n: (_WORDS.index(found.word(n)), n in bridges))
    return (*numbers, None) if None in blocks else tuple(numbers)


@last_call
def _listing(host: Host, found: Verdicts | None, text: str, shut: frozenset[int | None], sort: Sort) -> Listing:
    blocks = every(host).blocks
    matched = _matching(host, parse_query(text).terms, found) if text.strip() else None
    keys: list[Key] = []
    begins: dict[Key, int] = {}
    for number in _ordered(host, found if sort is Sort.VERDICT else None, sort):
        rows = blocks[number]
        if matched is not None:
            left = [key for key in rows if key.device in matched]
            if not left:
                continue
            rows = rows if len(left) == len(rows) - 1 else (rows[0], *left)
        elif number in shut:
            rows = rows[:1]
        begins[rows[0]] = len(keys)
        keys += rows
    return Listing(tuple(keys), begins, len(host.devices) if matched is None else len(matched), len(host.devices))


def listing(state: AppState) -> Listing:
    """The rows of this state."""
    host = state.host
    if host is None:
        return EMPTY
    if state.view is View.TOPOLOGY:
        from iommutui.tui.topology import topology_listing

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
