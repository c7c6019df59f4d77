"""From a text to what its lines are taken for: which importer reads which of them."""

import re
from collections import Counter
from typing import NamedTuple

from iommutui.core.errors import SourceError
from iommutui.sources.listings.base import BOUNDARIES, BOUNDARY, Importer, Piece, Taken, Text
from iommutui.sources.listings.lines import Lines

LIMIT = 1 << 24
"""Characters of the longest text that is read."""

_PATIENCE = 1000
"""How often an importer may find nothing where it was asked to read, before it is asked no more about this text."""


class Reading(NamedTuple):
    """A text that was read, and by which importers."""

    name: str
    text: Text
    pieces: list[tuple[Importer, Piece]]

    def taken(self) -> list[Taken]:
        """What was taken for something, in the order of the text."""
        return [taken for _, piece in self.pieces for taken in piece.taken]

    def ignored(self) -> int:
        """How many lines that are not blank were taken for nothing."""
        written = [bool(line.strip()) for line in self.text.lines.all]
        return sum(written) - sum(sum(written[each.first : each.end]) for each in self.taken())

    def explained(self) -> list[str]:
        """Every line that is not blank, with what it was taken for."""
        what: dict[int, str] = {}
        for taken in self.taken():
            what.update((line, taken.what) for line in range(taken.first, taken.end))
        lines = ((n, line) for n, line in enumerate(self.text.lines.all) if line.strip())
        return [f"{self.name}:{n + 1}: {what.get(n, 'ignored')}: {line.strip()[:100]}" for n, line in lines]


def read_text(content: str, name: str, importers: tuple[Importer, ...]) -> Reading:
    """Reads a text: one look at every line for who may read on from there, and then they read."""
    if len(content) > LIMIT:
        raise SourceError(
            f"{name} is larger than {LIMIT >> 20} MiB, which is too large for a listing of one machine.",
            "Cut out what lspci, the groups' script or the kernel's log printed.",
        )
    lines = Lines(content)
    able = [each for each in importers if not each.needs or any(word in lines.text for word in each.needs)]
    ranked = sorted(able, key=lambda importer: -importer.score)
    opens = [f"({_uncounted(importer.opens)})" for importer in ranked]
    match = re.compile("|".join([*opens, f"({BOUNDARIES})"])).match
    names = [None, *(importer.name for importer in ranked), BOUNDARY]
    found = map(match, lines.all)
    text = Text(lines, [None if each is None else names[each.lastindex or 0] for each in found])
    by_name = {importer.name: importer for importer in importers}
    pieces: list[tuple[Importer, Piece]] = []
    vain: Counter[str] = Counter()
    at = 0
    for start, kind in enumerate(text.kinds):
        if kind is None or start < at or kind == BOUNDARY or vain[kind] > _PATIENCE:
            continue
        piece = by_name[kind].read(text, start)
        at = max(piece.end, start + 1)
        if piece.taken:
            pieces.append((by_name[kind], piece))
        else:
            vain[kind] += 1
    return Reading(name, text, pieces)


def _uncounted(pattern: str) -> str:
    """A pattern whose groups count for nothing, so that the last one that matched is the importer's."""
    return re.sub(r"(?<!\\)\((?!\?)", "(?:", pattern)
