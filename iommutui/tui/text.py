"""The text of every view. Independent of Textual.

Spans have a meaning instead of a colour, and are wrapped and fitted by cells; pages are made of headings, sentences
with a sign, facts and hazards. Names come from hardware, files and errors, so unprintable characters are replaced
here, on the way to any widget.
"""

from collections.abc import Iterable
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from iommutui.core.drivers import Role
from iommutui.core.hazards import Hazard, Severity, hazard_advice, hazard_loss
from iommutui.core.labels import GLYPHS, NO_ISOLATION, NOTHING_TO_PASS, verdict_word
from iommutui.core.printable import printable
from iommutui.core.reasons import Code, Reason, Verdict
from iommutui.core.wording import sentence


class Span(NamedTuple):
    """A piece of text and its meaning, a key of ``content.COLOURS``."""

    text: str
    style: str = "plain"
    command: str = ""
    """The command of the desk that a click on it runs; in titles and bars."""


class Line(NamedTuple):
    """A line before wrapping; continuation rows are indented by ``hang`` cells. With ``cut`` it is cut instead."""

    spans: tuple[Span, ...]
    hang: int = 0
    cut: bool = False

    @property
    def text(self) -> str:
        """The line without its styles."""
        return "".join(span.text for span in self.spans)


BLANK = Line(())
_STYLE = attrgetter("style")


def visible(text: str) -> str:
    """The text with what a terminal would act on, or not show, made visible: an escape character becomes ``\\x1b``."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "\ufffd" for c in printable(text))


def line(*parts: str | Span, hang: int = 0, cut: bool = False) -> Line:
    """A line of spans; a plain string is a span without a meaning."""
    return Line(tuple([part if isinstance(part, Span) else Span(part) for part in parts]), hang, cut)


def clip(text: str, width: int) -> str:
    """The text in at most ``width`` cells, with an ellipsis if it is cut."""
    text = visible(text)
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + "…" if width > 1 else "…"[:width]


def pad(text: str, width: int) -> str:
    """The text in exactly ``width`` cells."""
    text = clip(text, width)
    return text + " " * (width - cell_len(text))


def fit(spans: Iterable[Span], width: int) -> tuple[Span, ...]:
    """Spans cut at ``width`` cells."""
    kept: list[Span] = []
    room = width
    for span in spans:
        shown = clip(span.text, room)
        kept.append(span._replace(text=shown))
        room -= cell_len(shown)
        if room <= 0 or (shown.endswith("…") and shown != span.text):
            break
    return tuple(kept)


def wrap(source: Line, width: int) -> list[tuple[Span, ...]]:
    """A line as the rows it takes at this width; words that are too long for a row are cut."""
    width = max(width, 8)
    if source.cut:
        return [fit(source.spans, width)]
    hang = min(source.hang, width // 2)
    rows: list[list[Span]] = [[]]
    used = 0
    for text, style, _ in source.spans:
        for word in _words(visible(text)):
            if used + cell_len(word.rstrip()) > width:
                if len(rows[-1]) > (1 if len(rows) > 1 and hang else 0):
                    rows.append([Span(" " * hang)] if hang else [])
                    used = hang
                    word = word.lstrip()
                while used + cell_len(word.rstrip()) > width:
                    head, word = _cut(word, width - used)
                    rows[-1].append(Span(head, style))
                    rows.append([Span(" " * hang)] if hang else [])
                    used = hang
            if word:
                rows[-1].append(Span(word, style))
                used += cell_len(word)
    return [_joined(row) for row in rows]


def _joined(row: list[Span]) -> tuple[Span, ...]:
    """Neighbours of one style as one span: every span costs time when it is drawn."""
    return tuple(Span("".join(span.text for span in run), style) for style, run in groupby(row, _STYLE))


def _words(text: str) -> Iterable[str]:
    """Words, each with the blanks behind it; leading blanks are a word of their own."""
    start = 0
    for index in range(1, len(text)):
        if text[index] != " " and text[index - 1] == " ":
            yield text[start:index]
            start = index
    if text:
        yield text[start:]


def _cut(word: str, room: int) -> tuple[str, str]:
    """Splits a word that is too long for a row: a path after one of its slashes, if that fills half the row."""
    taken = 0
    for index, char in enumerate(word):
        taken += cell_len(char)
        if taken > room and index:
            slash = word.rfind("/", 0, index) + 1
            end = slash if slash * 2 > index else index
            return word[:end], word[end:]
    return word, ""


def wrap_all(lines: Iterable[Line], width: int) -> list[tuple[Span, ...]]:
    """All the lines as rows."""
    return [row for source in lines for row in wrap(source, width)]


# -- parts of pages

VERDICT_STYLES = {"viable": "ok", "blocked": "bad", "in use": "info", "refused": "warn", "unknown": "warn",
                  NOTHING_TO_PASS: "muted", NO_ISOLATION: "warn"}  # fmt: skip
"""What a verdict's word means to the eye; the word and its glyph stand beside it always."""


ROLE_WORDS = {Role.KERNEL: "host", Role.USER: "vfio", Role.NONE: "neutral"}
"""A driver's role in a row."""

ROLE_NAMES = {Role.KERNEL: "a host driver", Role.USER: "a VFIO driver", Role.NONE: "neutral"}
"""A driver's role in a sentence."""

ROLE_STYLES = {"host": "warn", "vfio": "ok"}


def word_span(word: str, width: int = 0) -> Span:
    """Glyph and word of a verdict; for a group with nothing to pass through, the glyph alone."""
    shown = "" if word == NOTHING_TO_PASS else word
    return Span(f"{GLYPHS[word]} {shown}".ljust(width), VERDICT_STYLES[word])


def verdict_span(verdict: Verdict, width: int = 0) -> Span:
    """Glyph and word."""
    return word_span(verdict_word(verdict), width)


def heading(text: str) -> Line:
    """A heading within a pane."""
    return line(Span(text, "accent"))


def bullet(text: str, style: str = "muted", sign: str = "•") -> Line:
    """A sentence after a sign."""
    return line(Span(f"{sign} ", style), text, hang=2)


def fact(name: str, value: str, style: str = "plain") -> Line:
    """A name and its value."""
    return line(Span(f"{name:<11} ", "muted"), Span(value, style), hang=12)


def reason_line(reason: Reason) -> Line:
    """A reason as a sentence; its sign tells blockers from mere information."""
    if reason.code in (Code.KERNEL_DRIVER, Code.FOREIGN_DOMAIN, Code.DIRECT_REGION):
        return bullet(sentence(reason), "bad", "✖")
    return bullet(sentence(reason), *(("info", "●") if reason.code is Code.OWNED else ("warn", "?")))


def key_hint(key: str, words: str) -> tuple[Span, Span]:
    """A key and its effect."""
    return Span(key, "key"), Span(f" {words}", "muted")


_SEVERITIES = {
    Severity.INFO: ("info", "i note"), Severity.WARN: ("warn", "! warning"), Severity.DANGER: ("bad", "‼ danger"),
}  # fmt: skip


def hazard_line(hazard: Hazard) -> Line:
    """Sign, word, topic, and the sentence."""
    style, words = ("warn", "? not known") if hazard.unknown else _SEVERITIES[hazard.severity]
    return line(Span(f"{words} ", style), Span(f"{hazard.topic.value}  ", "muted"), hazard_loss(hazard), hang=2)


def hazard_lines(hazards: Iterable[Hazard]) -> list[Line]:
    """Every hazard; shared advice is shown once below its hazards."""
    lines: list[Line] = []
    for advice, found in groupby(hazards, hazard_advice):
        lines += [hazard_line(hazard) for hazard in found]
        lines.append(line(Span("  ↳ ", "muted"), Span(advice, "muted"), hang=4))
    return lines


class Choice(NamedTuple):
    """One thing to choose: its name, its row in a list, and its description below."""

    name: str
    row: Line
    about: tuple[Line, ...] = ()
