"""Sorts the sections of a text into states: of one machine at several times, or of several machines.

Sections that do not contradict each other are one *state*; a contradiction, as in listings before and after or by two
people, begins the next state.
"""

from collections.abc import Iterator
from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.drivers import underscored
from iommutui.core.errors import SourceError
from iommutui.sources.listings.base import Record
from iommutui.sources.listings.reading import Excerpt, Section

_MARGIN = 2
"""Functions that have to come again before a contradiction counts as another listing, and not as a damaged line."""

_FIRST = Address("0000:00:00.0")
"""The host bridge: another one is another machine, and not another card."""

_REMEDY = "These are not listings of one machine at one time: leave one out, or compare them with 'iommutui diff'."


class Said(NamedTuple):
    """A line's statement on a fact that has one value at a time, of a function or of the machine."""

    address: Address | None
    field: str
    value: str
    """As it can be compared and printed; ``none`` where there is no driver."""
    line: int
    name: str
    """Of the text."""

    def agrees(self, other: "Said") -> bool:
        """Whether both can be so: people shorten releases, and leave out members of a group."""
        if self.field.startswith("members"):
            return not {*self.value.split()}.isdisjoint(other.value.split())
        if self.field == "kernel":
            return self.value.startswith(other.value) or other.value.startswith(self.value)
        return self.value == other.value


class Clash(NamedTuple):
    """Two things that cannot both be so."""

    one: Said
    other: Said

    def is_settled_by_order(self) -> bool:
        """Whether it is no other state: of two cards in one slot, or two kernels in one text, one is used."""
        return self.one.field == "ids" or self.one.address is None

    def words(self) -> str:
        """Both lines and their statements."""
        values = ["" if said.field in _PRIVATE else f" {said.value}" for said in self]
        first, second = (f"{s.name}, line {s.line + 1}: {s.field}{v}" for s, v in zip(self, values, strict=True))
        return f"{self.one.address or 'The machine'} is described in two ways ({first}; {second})."


class State(NamedTuple):
    """Sections that agree with each other, in the order of the text."""

    sections: list[Section]
    known: dict[tuple[Address | None, str], Said]
    """By address and field, what was said first."""
    functions: set[Address]
    unsettled: list[Clash]
    """Functions that have other ids in another listing: another card in the same slot, or a damaged line; and what is
    told of the machine in two ways."""
    apart: list[Section]
    """Sections that share no function with those before them: whether they are of the same machine is not told."""

    def size(self) -> int:
        """Its size: functions, and groups of functions."""
        return len(self.functions) + sum(1 for _, field in self.known if field == "group")

    def clashes(self, other: "State") -> list[Clash]:
        """The statements that another one must not contradict."""
        both = ((self.known[key], said) for key, said in other.known.items() if key in self.known)
        return [Clash(one, two) for one, two in both if not one.agrees(two)]

    def join(self, other: "State") -> None:
        """Adds another one, which differs at most in the ids of some functions, and in what is told of the machine."""
        last = other.sections[-1]
        whole = last.importer.once and last.picked is not Excerpt.LINES
        if whole and self.functions and other.functions and self.functions.isdisjoint(other.functions):
            self.apart.append(last)
        self.apart.extend(other.apart)
        self.unsettled.extend([*other.unsettled, *filter(Clash.is_settled_by_order, self.clashes(other))])
        self.sections.extend(other.sections)
        self.functions.update(other.functions)
        for key, said in other.known.items():
            self.known.setdefault(key, said)


def states_of(sections: list[Section]) -> list[State]:
    """The states in a text. Raises SourceError if it contradicts itself within one listing."""
    states: list[State] = []
    above = State([], {}, set(), [], [])
    first = bool(sections) and not sections[0].functions()
    for section in sections:
        now = _state_of(section)
        if not now.functions and (first or not states or not _is_same(states[-1], now)):
            above.join(now)  # text above a listing belongs to that listing
            continue
        above.join(now)
        if states and _is_same(states[-1], above):
            states[-1].join(above)
        else:
            states.append(above)
        above = State([], {}, set(), [], [])
    if above.sections and states:
        states[-1].join(above)
    elif above.sections:
        states.append(above)
    return states


def joined(states: list[State]) -> State:
    """The state of one machine from several texts.

    Raises SourceError if two of them are of different machines, or of one at different times.
    """
    first, *others = states
    for state in others:
        if not _is_same(first, state):
            raise SourceError(first.clashes(state)[0].words(), _REMEDY)
        first.join(state)
    return first


def _is_same(last: State, now: State) -> bool:
    """Whether both can describe one machine at one time. Raises SourceError for a line that is damaged."""
    clashes = last.clashes(now)
    shared = last.functions & now.functions
    again = len(shared) * 2 >= len(now.functions) and len(shared) >= min(_MARGIN, len(last.functions))
    fields = {clash.one.field for clash in clashes if clash.one.address is None}
    if fields and (fields != {"command line"} or not shared or (again and not _adds(now, last))):
        return False
    swapped, moved, rebound = (
        {clash.one.address for clash in clashes if clash.one.field == field} for field in ("ids", "group", "driver")
    )
    wrong = swapped | moved
    mostly = len(wrong) >= _MARGIN and len(wrong) * 2 > len(shared)
    if not again and not mostly:
        _refuse_groups(clashes)
    if moved or rebound or _FIRST in swapped or mostly:
        return False
    return not again or len(swapped) * 2 <= len(last.functions)


def _adds(now: State, last: State) -> bool:
    """Whether it adds another kind of fact: drivers to groups, for example."""
    return not {field for _, field in now.known} <= {field for _, field in last.known}


def _state_of(section: Section) -> State:
    """What a section tells."""
    state = State([section], {}, set(), [], [])
    within: list[Clash] = []
    if section.host:
        state.known[None, "name"] = Said(None, "name", section.host, section.records[0].line, section.name)
    for record in section.records:
        if record.address is not None:
            state.functions.add(record.address)
        for address, field, value in _told(record):
            said = Said(address, field, value, record.line, section.name)
            one = state.known.setdefault((address, field), said)
            if (address is not None or field == "kernel") and not one.agrees(said):
                within.append(Clash(one, said))
    _refuse_groups(within)
    state.unsettled.extend(filter(Clash.is_settled_by_order, within))
    return state


_OF_MACHINE = {"kernel": "kernel", "cmdline": "command line", "cpu_vendor": "processor"}
_PRIVATE = ("command line", "name")
"""What is not printed in a message."""
_CHIPSETS = {"8086": "Intel", "1022": "AMD"}


def _told(record: Record) -> Iterator[tuple[Address | None, str, str]]:
    facts, address = record.facts, record.address
    if record.machine is not None:
        field, value = record.machine
        yield None, _OF_MACHINE.get(field, field), value
    if address is None:
        return
    if (group := facts.get("group")) is not None:
        yield address, "group", str(group)
    if "vendor_id" in facts and "device_id" in facts:
        yield address, "ids", f"{facts['vendor_id']}:{facts['device_id']}"
    if "driver" in facts:
        # Modules and drivers spell - and _ as they like.
        yield address, "driver", underscored(facts["driver"] or "none")
    maker = _CHIPSETS.get(facts.get("vendor_id", ""))
    if maker is not None and address.startswith("0000:00:") and facts.get("class_code", "").startswith("06"):
        yield None, "chipset", maker


def _refuse_groups(clashes: list[Clash]) -> None:
    """Raises SourceError if a function is in two groups: nothing says which line is wrong."""
    remedy = "Leave out the line or the text that is wrong; 'iommutui diff' compares two of them."
    for clash in clashes:
        if clash.one.field == "group":
            raise SourceError(clash.words(), remedy)
