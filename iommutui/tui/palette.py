"""What the palette offers, and which of it fits what is typed. Pure."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from rich.cells import cell_len
from textual.fuzzy import FuzzySearch

from iommutui.tui.commands.base import Command
from iommutui.tui.registry import COMMANDS, key_names, reason_against
from iommutui.tui.spans import Line, Span, fit, line, pad
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


class Found(NamedTuple):
    """An entry that fits, and the places of its name that the typed characters were found at."""

    entry: Entry
    places: tuple[int, ...] = ()


def command_entries(state: AppState) -> list[Entry]:
    """Every command by name; what cannot be done now says why."""
    return [
        Entry(c.id, name_of(c), key_names(c), c.help, reason_against(c.id, state) or "") for c in COMMANDS if c.palette
    ]


def theme_entries(names: Iterable[str], current: str) -> list[Entry]:
    """Every theme, the one on the screen first."""
    ordered = sorted(names, key=lambda name: (name != current, name))
    return [Entry(name, name, words="on the screen now" if name == current else "") for name in ordered]


def search(entries: Sequence[Entry], text: str) -> list[Found]:
    """The entries that fit, the best first; all of them as they are while nothing is typed."""
    if not text.strip():
        return [Found(entry) for entry in entries]
    fuzzy = FuzzySearch()
    scored: list[tuple[float, Found]] = []
    for entry in entries:
        score, places = fuzzy.match(text, entry.name)
        if score <= 0:
            score, places = fuzzy.match(text, entry.words)[0] / 2, ()
        if score > 0:
            scored.append((score, Found(entry, tuple(places))))
    return [found for _, found in sorted(scored, key=lambda pair: -pair[0])]


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
