"""What the palette offers, and which of it fits what is typed. Pure."""

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from rich.cells import cell_len
from textual.fuzzy import FuzzySearch

from iommutui.tui.commands.base import Command
from iommutui.tui.registry import COMMANDS, key_names, reason_against
from iommutui.tui.text.spans import Line, Span, fit, line, pad
from iommutui.tui.state import AppState


class Entry(NamedTuple):
    """One thing that can be chosen."""

    id: str
    name: str
    keys: str = ""
    """What does the same, so that it is learnt."""
    words: str = ""
    why_not: str = ""
    """Why it cannot be done now."""
    also: str = ""
    """Words that find it and are not shown."""


class Found(NamedTuple):
    """An entry that fits, and the places of its name that the typed characters were found at."""

    entry: Entry
    places: tuple[int, ...] = ()


def command_entries(state: AppState) -> list[Entry]:
    """Every command by name; what cannot be done now says why."""
    return [
        Entry(c.id, name_of(c), key_names(c), c.help, reason_against(c.id, state) or "", c.also)
        for c in COMMANDS
        if c.palette
    ]


def theme_entries(names: Iterable[str], current: str) -> list[Entry]:
    """Every theme, the one on the screen first."""
    ordered = sorted(names, key=lambda name: (name != current, name))
    return [Entry(name, name, words="on the screen now" if name == current else "") for name in ordered]


class _Fit(NamedTuple):
    """How well an entry fits what is typed: the less, the better."""

    rank: int
    """0: a word of the name begins so; 1: the name contains it; 2: another word begins so; 3: the name has its letters,
    in order."""
    apart: float = 0
    """How far apart these letters are."""
    places: tuple[int, ...] = ()
    """Where the name has it."""


def search(entries: Sequence[Entry], text: str) -> list[Found]:
    """The entries that every typed word fits, the best first; all of them as they are while nothing is typed."""
    typed = text.lower().replace(":", " ").split()
    fuzzy = FuzzySearch()
    scored: list[tuple[int, float, Found]] = []
    for entry in entries:
        fits = [one for one in (_fit(entry, word, fuzzy) for word in typed) if one is not None]
        if len(fits) == len(typed):
            places = tuple(sorted({place for one in fits for place in one.places}))
            scored.append((sum(one.rank for one in fits), sum(one.apart for one in fits), Found(entry, places)))
    return [found for _, _, found in sorted(scored, key=lambda one: one[:2])]


def _fit(entry: Entry, word: str, fuzzy: FuzzySearch) -> _Fit | None:
    name = entry.name.lower()
    begins, contains = _beginning(word, name), name.find(word)
    if begins is not None:
        return _Fit(0, places=tuple(range(begins, begins + len(word))))
    if contains >= 0:
        return _Fit(1, places=tuple(range(contains, contains + len(word))))
    if any(_beginning(word, other.lower()) is not None for other in (entry.keys, entry.id, entry.also, entry.words)):
        return _Fit(2)
    score, places = fuzzy.match(word, name) if len(word) > 1 else (0, ())
    return _Fit(3, -score, tuple(places)) if score > 0 else None


def _beginning(typed: str, text: str) -> int | None:
    """Where a word of the text begins with what is typed."""
    found = re.search(rf"(?<!\w){re.escape(typed)}", text)
    return found.start() if found else None


def name_of(command: Command) -> str:
    """``Stage: vfio``."""
    return f"{command.topic}: {command.label.lower()}"


class Columns(NamedTuple):
    """Widths."""

    name: int
    keys: int


def columns(entries: Sequence[Entry]) -> Columns:
    """As wide as what stands in them."""
    return Columns(
        max((cell_len(entry.name) for entry in entries), default=0),
        max((cell_len(entry.keys) for entry in entries), default=0),
    )


def entry_row(found: Found, widths: Columns, width: int, here: bool) -> tuple[Span, ...]:
    """A row of the palette, ``width`` cells wide."""
    entry = found.entry
    style = "muted" if entry.why_not else "plain"
    spans = [Span("▌" if here else " ", "accent")]
    for hit, run in groupby(range(len(entry.name)), lambda place: place in found.places):
        spans.append(Span("".join(entry.name[place] for place in run), "key" if hit else style))
    spans.append(Span(" " * (widths.name - cell_len(entry.name) + 2)))
    if widths.keys:
        spans.append(Span(pad(entry.keys, widths.keys) + "  ", "muted" if entry.why_not else "key"))
    spans.append(Span(entry.words, "muted"))
    return fit(spans, width)


def about(entry: Entry) -> tuple[Line, ...]:
    """What a row has no room for."""
    if entry.why_not:
        return (line(Span("Not now: ", "warn"), entry.why_not, hang=2),)
    return (line(Span(entry.words, "muted")),)
