"""Listings that people paste: scripts' groups, ``lspci``, kernel logs, what other tools print. A text -> `Host`.

``text`` cleans the lines; an importer (``base``; each is an entry of `IMPORTERS`) makes records of them, as ``reading``
asks it to; ``states`` distinguishes states, and ``merging`` makes a Host.
"""

from collections.abc import Callable
from itertools import groupby

from iommutui.core.errors import SourceError
from iommutui.core.host import Host
from iommutui.sources.listings import fields, groups, kernel, lspci
from iommutui.sources.listings.base import Importer
from iommutui.sources.listings.merging import merge
from iommutui.sources.listings.reading import nothing_found, parse_text
from iommutui.sources.listings.states import State, joined, states_of
from iommutui.sources.names import names_for
from iommutui.sources.tree import Tree

IMPORTERS: tuple[Importer, ...] = (
    fields.UMOCKDEV,
    fields.JSON,
    fields.NODEDEV,
    fields.RECORDS,
    groups.IMPORTER,
    fields.TABLE,
    kernel.PATHS,
    kernel.SYSTEM,
    kernel.LOG,
    lspci.IMPORTER,
)
"""Where several match a line, the first has it."""


def read_listings(
    texts: list[tuple[str, str, int | None]],
) -> tuple[Host, tuple[str, ...], Callable[[], list[str]]]:
    """One machine from texts: (name, content, number of the state from 1, None for the fullest).

    With it, sentences on how it was read, and a function that shows how each line was read. Raises SourceError if there
    is nothing to read in any text, or they contradict each other.
    """
    readings = [parse_text(content, name, IMPORTERS) for name, content, _ in texts]
    told = [states_of(reading.sections) for reading in readings]
    if not any(state.functions for states in told for state in states):
        raise nothing_found(readings[0], IMPORTERS)
    chosen: list[State] = []
    notes: list[str] = []
    ignored: list[str] = []
    for reading, states, (name, _, number) in zip(readings, told, texts, strict=True):
        with_functions = [state for state in states if state.functions]
        if not with_functions:
            chosen += states
            notes.append(f"{name} names no PCI device.")
            continue
        chosen.append(_choose(with_functions, number, name, notes))
        if count := reading.ignored():
            lines = "line was" if count == 1 else "lines were"
            explain = f"'iommutui snapshot --from {name} --explain' shows which"
            ignored.append(f"{name}: {count} {lines} ignored; {explain}.")
    machine = joined(chosen)
    unsettled = {(clash.one.address, clash.one.field): clash for clash in machine.unsettled}
    clashing = {address for address, _ in unsettled if address is not None}
    host = merge(machine.sections, clashing, names_for(Tree("/")))
    for (address, _), clash in unsettled.items():
        used = "What stands first" if address is None else "The function with the most facts"
        notes.append(f"{clash.words()} {used} was used.")
    for name, apart in groupby(machine.apart, lambda section: section.name):
        begins = (
            f"{name}: the part from line {next(apart).records[0].line + 1} shares no function with the parts before it"
        )
        notes.append(f"{begins}. It is assumed to show the same machine.")

    def explained() -> list[str]:
        """Every line with how it was read, and the notes."""
        lines = [line for reading in readings for line in reading.explained()]
        return [*lines, *(f"Note: {note}" for note in notes)]

    return host, (*notes, *ignored), explained


def _choose(states: list[State], number: int | None, name: str, notes: list[str]) -> State:
    """The chosen state: without a number the fullest, and of several such the last."""
    if number is not None and not 1 <= number <= len(states):
        raise SourceError(f"{name} has no state {number}: it has {len(states)}.", f"Give {name}#1, or {name}.")
    at = number - 1 if number is not None else max(range(len(states)), key=lambda n: (states[n].size(), n))
    if number is None and len(states) > 1:
        notes.append(
            f"{name} describes {len(states)} states of the machine, or several machines, that contradict each other. "
            f"This is state {at + 1}; '--from {name}#N' shows state N, from 1 on."
        )
    return states[at]
