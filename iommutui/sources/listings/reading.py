"""From a text to the states of a machine in it: which importer reads which lines, and what belongs together.

A *section* is a run of one format in which no function comes twice. Sections that do not contradict each other are one
*state*; where one does, as in a listing before and one after, the next state begins.
"""

import re
from collections import Counter
from typing import NamedTuple

from iommutui.core.drivers import underscored
from iommutui.core.errors import SourceError
from iommutui.sources.listings.base import BOUNDARIES, BOUNDARY, NOTHING, UNTOLD, Importer, Piece, Sighting, Taken, Text
from iommutui.sources.listings.lines import Lines

LIMIT = 1 << 24
"""Characters of the longest text that is read."""

_PATIENCE = 1000
"""How often an importer may find nothing where it was asked to read, before it is asked no more about this text."""

_MARGIN = 2
"""Functions that have to come again before a contradiction counts as another listing, and not as a damaged line."""


Known = dict[tuple[str, str], tuple[str, Sighting]]
"""By address and field: the first sighting that says something of it, and the name of its text."""

FIELDS = ("group", "ids", "driver")
"""What a function has one value of at a time. Drivers change while a machine runs; groups and ids do not."""


class Section(NamedTuple):
    """What one listing says."""

    importer: Importer
    sightings: list[Sighting]
    pieces: list[Piece]


class State(NamedTuple):
    """Sections that agree with each other, in the order of the text."""

    name: str
    sections: list[Section]
    known: Known
    swapped: list["Clash"]
    """Functions that have other ids in another listing: another card in the same slot, or a damaged line."""
    functions: set[str]
    """The addresses of the functions in it."""

    def size(self) -> int:
        """How much it holds: functions, and groups of functions."""
        return len(self.functions) + sum(1 for _, field in self.known if field == "group")

    def lines(self) -> tuple[int, int]:
        """The first and the last line of it, as people count."""
        every = [taken for section in self.sections for piece in section.pieces for taken in piece.taken]
        return min((taken.first for taken in every), default=0) + 1, max((taken.end for taken in every), default=1)


def _function(sighting: Sighting) -> str:
    return sighting.way or sighting.device.address


class Reading(NamedTuple):
    """A text that was read."""

    name: str
    text: Text
    states: list[State]
    taken: list[Taken]

    @property
    def ignored(self) -> int:
        """How many lines that are not blank were taken for nothing."""
        return sum(1 for line in self.text.lines.all if line.strip()) - sum(
            1 for taken in self.taken for line in self.text.lines.all[taken.first : taken.end] if line.strip()
        )


def read_text(content: str, name: str, importers: tuple[Importer, ...]) -> Reading:
    """Reads a text; SourceError where it contradicts itself within one listing."""
    if len(content) > LIMIT:
        raise SourceError(
            f"{name} is larger than {LIMIT >> 20} MiB, which is too large for a listing of one machine.",
            "Cut out what lspci, the groups' script or the kernel's log printed.",
        )
    lines = Lines(content)
    able = [each for each in importers if not each.needs or any(word in lines.text for word in each.needs)]
    ranked = sorted(able, key=lambda importer: -importer.score)
    opens = [f"(?P<k{n}>{_unnamed(importer.opens)})" for n, importer in enumerate(ranked)]
    match = re.compile("|".join([*opens, f"(?P<{BOUNDARY}>{BOUNDARIES})"])).match
    names = {f"k{n}": importer.name for n, importer in enumerate(ranked)} | {BOUNDARY: BOUNDARY}
    kinds = [names[found.lastgroup or ""] if (found := match(line)) is not None else None for line in lines.all]
    text = Text(lines, kinds)
    by_name = {importer.name: importer for importer in importers}
    pieces: list[tuple[Importer, Piece]] = []
    vain: Counter[str] = Counter()
    at = 0
    for start, kind in enumerate(kinds):
        if start < at or kind is None or kind == BOUNDARY or vain[kind] > _PATIENCE:
            continue
        piece = by_name[kind].read(text, start)
        at = max(piece.end, start + 1)
        if piece.taken:
            pieces.append((by_name[kind], piece))
        else:
            vain[kind] += 1
    taken = [taken for _, piece in pieces for taken in piece.taken]
    return Reading(name, text, _states(_sections(pieces), name), taken)


def _unnamed(pattern: str) -> str:
    """A pattern whose groups count for nothing, so that the name of the importer is the last one that matched."""
    return re.sub(r"(?<!\\)\((?!\?)", "(?:", pattern)


def _sections(pieces: list[tuple[Importer, Piece]]) -> list[Section]:
    sections: list[Section] = []
    seen: set[str] = set()
    for importer, piece in pieces:
        found = set(map(_function, piece.sightings))
        if not sections or sections[-1].importer is not importer or not importer.once or seen & found:
            sections.append(Section(importer, [], []))
            seen = set()
        seen |= found
        sections[-1].pieces.append(piece)
        sections[-1].sightings.extend(piece.sightings)
    for section in sections:
        if section.importer.once:
            tells = NOTHING.union(*(sighting.tells for sighting in section.sightings)) - UNTOLD
            section.sightings[:] = [
                s if s.tells == tells or UNTOLD & s.tells else s._replace(tells=tells) for s in section.sightings
            ]
    return sections


class Clash(NamedTuple):
    """Two sightings of a function that cannot both be so, and the names of the texts that they are in."""

    field: str
    one: Sighting
    other: Sighting
    name: str
    other_name: str

    def words(self) -> str:
        """Both lines, and what they say."""
        told = ((self.name, self.one), (self.other_name, self.other))
        first, second = (f"{n}, line {s.line + 1}: {self.field} {value_of(s, self.field) or 'none'}" for n, s in told)
        return f"{self.one.device.address} is described in two ways ({first}; {second})."


def clashes(known: Known, sightings: list[Sighting], name: str) -> list[Clash]:
    """What sightings in the text of this name say of functions that cannot be so if what is known is."""
    found = []
    for sighting in sightings:
        for field in FIELDS:
            before = known.get((sighting.device.address, field))
            if before is not None and says(sighting, field):
                one, other = value_of(before[1], field), value_of(sighting, field)
                if one != other:
                    found.append(Clash(field, before[1], sighting, before[0], name))
    return found


def known_of(sightings: list[Sighting], name: str) -> Known:
    """The first sighting that says something, for each field of each function."""
    known: Known = {}
    for sighting in sightings:
        for field in FIELDS:
            if says(sighting, field):
                known.setdefault((sighting.device.address, field), (name, sighting))
    return known


def says(sighting: Sighting, field: str) -> bool:
    """Whether the sighting has the field, even as absent."""
    return value_of(sighting, field) is not None or (field == "driver" and field in sighting.tells)


def value_of(sighting: Sighting, field: str) -> str | None:
    """A value as it can be compared and printed: module and driver spell ``-`` and ``_`` as they like."""
    device = sighting.device
    if field == "group":
        return None if device.group is None else str(device.group)
    if field == "driver":
        return None if device.driver is None else underscored(device.driver)
    return f"{device.vendor_id}:{device.device_id}" if device.vendor_id and device.device_id else None


def _states(sections: list[Section], name: str) -> list[State]:
    states: list[State] = []
    for section in sections:
        known = known_of(section.sightings, name)
        within = [] if section.importer.once else clashes(known, section.sightings, name)
        found = clashes(states[-1].known, section.sightings, name) if states else []
        swapped = [clash for clash in (*within, *found) if clash.field == "ids"]
        others = [clash for clash in found if clash.field != "ids"]
        another = bool(states) and _is_another(states[-1], section)
        refuse([c for c in within if c.field == "group"] + ([] if another else found))
        if not states or others or (another and too_many(swapped, states[-1].functions)):
            states.append(State(name, [], {}, [], set()))
            swapped = [clash for clash in within if clash.field == "ids"]
        states[-1].sections.append(section)
        states[-1].swapped.extend(swapped)
        states[-1].functions.update(map(_function, section.sightings))
        for key, sighting in known.items():
            states[-1].known.setdefault(key, sighting)
    return states


def _is_another(state: State, section: Section) -> bool:
    """Whether a section is a listing of its own, which names most of what is in the state again."""
    before, now = state.functions, set(map(_function, section.sightings))
    again = len(before & now)
    return again * 2 >= len(now) and again >= min(_MARGIN, len(before))


def too_many(swapped: list[Clash], functions: set[str]) -> bool:
    """Whether so many functions have other ids that it is another machine."""
    return len({clash.one.device.address for clash in swapped}) * 2 > len(functions)


def refuse(found: list[Clash]) -> None:
    """SourceError where a function is in two groups: nothing says which line is wrong."""
    clash = next((clash for clash in found if clash.field == "group"), None)
    if clash is not None:
        remedy = "Leave out the line or the text that is wrong; 'iommutui diff' compares two of them."
        raise SourceError(clash.words(), remedy)


def explained(reading: Reading) -> list[str]:
    """Every line that is not blank, with what it was taken for."""
    what: dict[int, str] = {}
    for taken in reading.taken:
        what.update((line, taken.what) for line in range(taken.first, taken.end))
    lines = ((n, line) for n, line in enumerate(reading.text.lines.all) if line.strip())
    return [f"{reading.name}:{n + 1}: {what.get(n, 'ignored')}: {line.strip()[:100]}" for n, line in lines]
