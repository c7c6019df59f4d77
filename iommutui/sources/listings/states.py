"""From sections to the states of a machine that a text tells of.

Sections that do not contradict each other are one *state*; where one does, as in a listing before and one after, the
next state begins.
"""

from collections.abc import Iterator
from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.drivers import underscored
from iommutui.core.errors import SourceError
from iommutui.sources.listings.base import Facts
from iommutui.sources.listings.reading import Section

_MARGIN = 2
"""Functions that have to come again before a contradiction counts as another listing, and not as a damaged line."""


class Said(NamedTuple):
    """What a line says of a function, of that which has one value at a time: its group, its ids, or its driver."""

    address: Address
    field: str
    value: str
    """As it can be compared and printed; ``none`` where there is no driver."""
    line: int
    name: str
    """Of the text."""


class Clash(NamedTuple):
    """Two things that cannot both be so."""

    one: Said
    other: Said

    def words(self) -> str:
        """Both lines, and what they say."""
        first, second = (f"{s.name}, line {s.line + 1}: {s.field} {s.value}" for s in self)
        return f"{self.one.address} is described in two ways ({first}; {second})."


class State(NamedTuple):
    """Sections that agree with each other, in the order of the text."""

    sections: list[Section]
    known: dict[tuple[Address, str], Said]
    """By address and field, what was said first."""
    functions: set[Address]
    swapped: list[Clash]
    """Functions that have other ids in another listing: another card in the same slot, or a damaged line."""

    def size(self) -> int:
        """How much it holds: functions, and groups of functions."""
        return len(self.functions) + sum(1 for _, field in self.known if field == "group")

    def lines(self) -> tuple[int, int]:
        """The first and the last line of it, as people count."""
        records = [record for section in self.sections for record in section.records]
        return records[0].line + 1, max(record.end for record in records)

    def clashes(self, other: "State") -> list[Clash]:
        """What cannot be so in another one, if this one is so."""
        both = ((self.known[key], said) for key, said in other.known.items() if key in self.known)
        return [Clash(one, two) for one, two in both if one.value != two.value]

    def join(self, other: "State", swapped: list[Clash]) -> None:
        """Adds another one, which differs from this only in the ids of these functions."""
        self.sections.extend(other.sections)
        self.functions.update(other.functions)
        self.swapped.extend(other.swapped + swapped)
        for key, said in other.known.items():
            self.known.setdefault(key, said)


def states_of(sections: list[Section]) -> list[State]:
    """The states that a text tells of; SourceError where it contradicts itself within one listing."""
    states: list[State] = []
    for section in sections:
        now = _state_of(section)
        last = states[-1] if states else now
        clashes = last.clashes(now)
        again = len(last.functions & now.functions)
        another = again * 2 >= len(now.functions) and again >= min(_MARGIN, len(last.functions))
        if not another:
            _refuse_groups(clashes)
        swapped = _of("ids", clashes)
        if last is now or len(swapped) < len(clashes) or (another and _too_many(swapped, last.functions)):
            states.append(now)
        else:
            last.join(now, swapped)
    return states


def joined(states: list[State]) -> State:
    """What several texts tell of one machine.

    SourceError where two of them are of different machines, or of one at different times.
    """
    first, *others = states
    for state in others:
        clashes = first.clashes(state)
        _refuse_groups(clashes)
        ids = _of("ids", clashes)
        cards = {clash.one.address for clash in ids}
        moved = next((clash for clash in _of("driver", clashes) if clash.one.address not in cards), None)
        if moved is not None:
            raise SourceError(moved.words(), "One is older: leave it out, or compare them with 'iommutui diff'.")
        if ids and _too_many(ids, first.functions & state.functions):
            raise SourceError(ids[0].words(), "These are not listings of one machine; 'iommutui diff' compares them.")
        first.join(state, ids)
    return first


def _state_of(section: Section) -> State:
    state = State([section], {}, set(), [])
    within: list[Clash] = []
    for address, record in section.functions():
        state.functions.add(address)
        for field, value in _told(record.facts):
            said = Said(address, field, value, record.line, section.name)
            if (one := state.known.setdefault((address, field), said)).value != value:
                within.append(Clash(one, said))
    _refuse_groups(within)
    return state._replace(swapped=_of("ids", within))


def _told(facts: Facts) -> Iterator[tuple[str, str]]:
    if (group := facts.get("group")) is not None:
        yield "group", str(group)
    if "vendor_id" in facts and "device_id" in facts:
        yield "ids", f"{facts['vendor_id']}:{facts['device_id']}"
    if "driver" in facts:
        yield "driver", underscored(facts["driver"] or "none")  # a module and a driver spell - and _ as they like


def _of(field: str, clashes: list[Clash]) -> list[Clash]:
    return [clash for clash in clashes if clash.one.field == field]


def _too_many(swapped: list[Clash], functions: set[Address]) -> bool:
    """Whether so many functions have other ids that it is another machine."""
    return len({clash.one.address for clash in swapped}) * 2 > len(functions)


def _refuse_groups(clashes: list[Clash]) -> None:
    """SourceError where a function is in two groups: nothing says which line is wrong."""
    for clash in _of("group", clashes):
        remedy = "Leave out the line or the text that is wrong; 'iommutui diff' compares two of them."
        raise SourceError(clash.words(), remedy)
