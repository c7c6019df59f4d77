"""From sections to the states of a machine that a text tells of.

Sections that do not contradict each other are one *state*; where one does, as in a listing before and one after, the
next state begins.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.drivers import underscored
from iommutui.core.errors import SourceError
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


Known = dict[tuple[Address, str], Said]
"""By address and field, what was said first."""


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
    known: Known
    swapped: list[Clash]
    """Functions that have other ids in another listing: another card in the same slot, or a damaged line."""
    functions: set[Address]

    def size(self) -> int:
        """How much it holds: functions, and groups of functions."""
        return len(self.functions) + sum(1 for _, field in self.known if field == "group")

    def lines(self) -> tuple[int, int]:
        """The first and the last line of it, as people count."""
        records = [record for section in self.sections for record in section.records]
        return records[0].line + 1, max(record.end for record in records)


def states_of(sections: list[Section]) -> list[State]:
    """The states that a text tells of; SourceError where it contradicts itself within one listing."""
    states: list[State] = []
    for section in sections:
        said = _said(section)
        known: Known = {}
        for each in said:
            known.setdefault((each.address, each.field), each)
        within = [] if section.importer.once else _clashes(known, said)
        last = states[-1] if states else State([], {}, [], set())
        found = _clashes(last.known, said)
        functions = {address for address, _ in section.functions()}
        again = len(last.functions & functions)
        another = bool(states) and again * 2 >= len(functions) and again >= min(_MARGIN, len(last.functions))
        _refuse_groups(within if another else within + found)
        swapped = _of("ids", found)
        if not states or len(swapped) < len(found) or (another and _too_many(swapped, last.functions)):
            states.append(last := State([], {}, [], set()))
            swapped = []
        last.sections.append(section)
        last.swapped.extend(swapped + _of("ids", within))
        last.functions.update(functions)
        for key, each in known.items():
            last.known.setdefault(key, each)
    return states


def agreeing(states: list[State]) -> list[Clash]:
    """The functions that have two pairs of ids in these states, each of another text.

    SourceError where two of them are of different machines, or of one at different times.
    """
    known: Known = {}
    functions: set[Address] = set()
    swapped: list[Clash] = []
    for state in states:
        found = _clashes(known, state.known.values())
        _refuse_groups(found)
        ids = _of("ids", found)
        cards = {clash.one.address for clash in ids}
        moved = next((clash for clash in _of("driver", found) if clash.one.address not in cards), None)
        if moved is not None:
            raise SourceError(moved.words(), "One is older: leave it out, or compare them with 'iommutui diff'.")
        if ids and _too_many(ids, functions & state.functions):
            raise SourceError(ids[0].words(), "These are not listings of one machine; 'iommutui diff' compares them.")
        swapped += state.swapped + ids
        functions |= state.functions
        known = {**state.known, **known}
    return swapped


def _said(section: Section) -> list[Said]:
    said = []
    for address, record in section.functions():
        facts = record.facts
        if (group := facts.get("group")) is not None:
            said.append(Said(address, "group", str(group), record.line, section.name))
        if "vendor_id" in facts and "device_id" in facts:
            said.append(Said(address, "ids", f"{facts['vendor_id']}:{facts['device_id']}", record.line, section.name))
        if "driver" in facts:
            # A module and a driver spell - and _ as they like.
            said.append(Said(address, "driver", underscored(facts["driver"] or "none"), record.line, section.name))
    return said


def _clashes(known: Known, said: Iterable[Said]) -> list[Clash]:
    """What cannot be so if what is known is."""
    before = ((known.get((each.address, each.field)), each) for each in said)
    return [Clash(one, other) for one, other in before if one is not None and one.value != other.value]


def _of(field: str, clashes: list[Clash]) -> list[Clash]:
    return [clash for clash in clashes if clash.one.field == field]


def _too_many(swapped: list[Clash], functions: Collection[Address]) -> bool:
    """Whether so many functions have other ids that it is another machine."""
    return len({clash.one.address for clash in swapped}) * 2 > len(functions)


def _refuse_groups(found: list[Clash]) -> None:
    """SourceError where a function is in two groups: nothing says which line is wrong."""
    for clash in _of("group", found):
        remedy = "Leave out the line or the text that is wrong; 'iommutui diff' compares two of them."
        raise SourceError(clash.words(), remedy)
