"""From what was read to the states of a machine that it tells of.

A *section* is a run of one format in which no function comes twice. Sections that do not contradict each other are one
*state*; where one does, as in a listing before and one after, the next state begins.
"""

from collections.abc import Iterable
from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.drivers import underscored
from iommutui.core.errors import SourceError
from iommutui.sources.listings.base import DRIVER, NOTHING, UNTOLD, Importer, Piece, Sighting
from iommutui.sources.listings.reading import Reading

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
        return f"{self.one.address} is told of in two ways ({first}; {second})."


class Section(NamedTuple):
    """What one listing says."""

    importer: Importer
    sightings: list[Sighting]
    pieces: list[Piece]

    def tells(self) -> frozenset[str]:
        """What it tells of every function: what it tells of one, where it names each once."""
        every = [piece.tells for piece in self.pieces]
        every += [sighting.tells for sighting in self.sightings] if self.importer.once else []
        return NOTHING.union(*every) - UNTOLD


class State(NamedTuple):
    """Sections that agree with each other, in the order in which they were told."""

    name: str
    sections: list[Section]
    known: Known
    swapped: list[Clash]
    """Functions that have other ids in another listing: another card in the same slot, or a damaged line."""
    functions: set[str]

    def size(self) -> int:
        """How much it tells: functions, and groups of functions."""
        return len(self.functions) + sum(1 for _, field in self.known if field == "group")

    def lines(self) -> tuple[int, int]:
        """The first and the last line of it, as people count."""
        every = [taken for section in self.sections for piece in section.pieces for taken in piece.taken]
        return min((taken.first for taken in every), default=0) + 1, max((taken.end for taken in every), default=1)


def states_of(reading: Reading) -> list[State]:
    """The states that a text tells of; SourceError where it contradicts itself within one listing."""
    states: list[State] = []
    for section in _sections(reading):
        said = _said(section, reading.name)
        known: Known = {}
        for each in said:
            known.setdefault((each.address, each.field), each)
        within = [] if section.importer.once else clashes(known, said)
        found = clashes(states[-1].known, said) if states else []
        functions = {sighting.function() for sighting in section.sightings}
        another = bool(states) and _is_another(states[-1].functions, functions)
        refuse_groups(within if another else within + found)
        swapped = [clash for clash in within + found if clash.one.field == "ids"]
        moved = any(clash.one.field != "ids" for clash in found)
        if not states or moved or (another and too_many(swapped, states[-1].functions)):
            states.append(State(reading.name, [], {}, [], set()))
            swapped = [clash for clash in within if clash.one.field == "ids"]
        state = states[-1]
        state.sections.append(section)
        state.swapped.extend(swapped)
        state.functions.update(functions)
        for key, each in known.items():
            state.known.setdefault(key, each)
    return states


def _sections(reading: Reading) -> list[Section]:
    sections: list[Section] = []
    seen: set[str] = set()
    for importer, piece in reading.pieces:
        found = {sighting.function() for sighting in piece.sightings}
        if not sections or sections[-1].importer is not importer or not importer.once or not seen.isdisjoint(found):
            sections.append(Section(importer, [], []))
            seen = set()
        seen |= found
        sections[-1].pieces.append(piece)
        sections[-1].sightings.extend(piece.sightings)
    return sections


def _said(section: Section, name: str) -> list[Said]:
    said = []
    drivers = section.tells() >= DRIVER
    for line, address, facts, tells, _, _ in section.sightings:
        if "group" in facts:
            said.append(Said(address, "group", str(facts["group"]), line, name))
        if "vendor_id" in facts and "device_id" in facts:
            said.append(Said(address, "ids", f"{facts['vendor_id']}:{facts['device_id']}", line, name))
        if facts.get("driver") or tells >= DRIVER or (drivers and not tells >= UNTOLD):
            # A module and a driver spell - and _ as they like.
            said.append(Said(address, "driver", underscored(facts.get("driver") or "none"), line, name))
    return said


def clashes(known: Known, said: list[Said]) -> list[Clash]:
    """What cannot be so if what is known is."""
    before = ((known.get((each.address, each.field)), each) for each in said)
    return [Clash(one, other) for one, other in before if one is not None and one.value != other.value]


def _is_another(before: set[str], now: set[str]) -> bool:
    """Whether a section is a listing of its own, which names most of what is in the state again."""
    again = len(before & now)
    return again * 2 >= len(now) and again >= min(_MARGIN, len(before))


def too_many(swapped: list[Clash], functions: Iterable[str]) -> bool:
    """Whether so many functions have other ids that it is another machine."""
    return len({clash.one.address for clash in swapped}) * 2 > len(set(functions))


def refuse_groups(found: list[Clash]) -> None:
    """SourceError where a function is in two groups: nothing says which line is wrong."""
    clash = next((clash for clash in found if clash.one.field == "group"), None)
    if clash is not None:
        remedy = "Leave out the line or the text that is wrong; 'iommutui diff' compares two of them."
        raise SourceError(clash.words(), remedy)


def agreeing(states: list[State]) -> list[Clash]:
    """The functions that have two pairs of ids in these states, each of another text.

    SourceError where two of them are of different machines, or of one at different times.
    """
    known: Known = {}
    swapped = [clash for state in states for clash in state.swapped]
    for state in states:
        functions = {address for address, _ in known}
        found = clashes(known, [*state.known.values()])
        refuse_groups(found)
        ids = [clash for clash in found if clash.one.field == "ids"]
        moved = next((clash for clash in found if clash.one.field == "driver"), None)
        if moved is not None and moved.one.address not in {clash.one.address for clash in ids}:
            raise SourceError(moved.words(), "One is older: leave it out, or compare them with 'iommutui diff'.")
        if ids and too_many(ids, functions & state.functions):
            raise SourceError(ids[0].words(), "These are not listings of one machine; 'iommutui diff' compares them.")
        swapped += ids
        known = {**state.known, **known}
    return swapped
