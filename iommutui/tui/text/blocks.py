"""The pieces that pages are made of: headings, sentences with a sign, facts, hazards. Pure."""

from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

from iommutui.core.drivers import Role
from iommutui.core.hazards import Hazard, Severity, hazard_advice, hazard_loss
from iommutui.core.labels import GLYPHS, NO_ISOLATION, NOTHING_TO_PASS, verdict_word
from iommutui.core.reasons import Code, Reason, Verdict
from iommutui.core.wording import sentence
from iommutui.tui.text.spans import Line, Span, line

VERDICT_STYLES = {"viable": "ok", "blocked": "bad", "in use": "info", "refused": "warn", "unknown": "warn",
                  NOTHING_TO_PASS: "muted", NO_ISOLATION: "warn"}  # fmt: skip
"""What a verdict's word means to the eye; the word and its glyph stand beside it always."""


ROLE_WORDS = {Role.KERNEL: "host", Role.USER: "vfio", Role.NONE: "neutral"}
"""A driver's role in a row."""

ROLE_NAMES = {Role.KERNEL: "a host driver", Role.USER: "a VFIO driver", Role.NONE: "neutral"}
"""A driver's role in a sentence."""

ROLE_STYLES = {"host": "warn", "vfio": "ok"}


def word_span(word: str, width: int = 0) -> Span:
    """Glyph and word of a verdict; of a group with nothing to pass the glyph alone."""
    shown = "" if word == NOTHING_TO_PASS else word
    return Span(f"{GLYPHS[word]} {shown}".ljust(width), VERDICT_STYLES[word])


def verdict_span(verdict: Verdict, width: int = 0) -> Span:
    """Glyph and word."""
    return word_span(verdict_word(verdict), width)


def heading(text: str) -> Line:
    """A heading within a pane."""
    return line(Span(text, "accent"))


def bullet(text: str, style: str = "muted", sign: str = "•") -> Line:
    """A sentence with a sign before it."""
    return line(Span(f"{sign} ", style), text, hang=2)


def fact(name: str, value: str, style: str = "plain") -> Line:
    """A name and its value."""
    return line(Span(f"{name:<11} ", "muted"), Span(value, style), hang=12)


def reason_line(reason: Reason) -> Line:
    """A reason as a sentence; its sign distinguishes what blocks from what is only for information."""
    if reason.code in (Code.KERNEL_DRIVER, Code.FOREIGN_DOMAIN, Code.DIRECT_REGION):
        return bullet(sentence(reason), "bad", "✖")
    return bullet(sentence(reason), *(("info", "●") if reason.code is Code.OWNED else ("warn", "?")))


def key_hint(key: str, words: str) -> tuple[Span, Span]:
    """A key, and what it does."""
    return Span(key, "key"), Span(f" {words}", "muted")


_SEVERITIES = {
    Severity.INFO: ("info", "i note"), Severity.WARN: ("warn", "! warning"), Severity.DANGER: ("bad", "‼ danger"),
}  # fmt: skip


def hazard_line(hazard: Hazard) -> Line:
    """Sign, word, topic, and the sentence."""
    style, words = ("warn", "? not known") if hazard.unknown else _SEVERITIES[hazard.severity]
    return line(Span(f"{words} ", style), Span(f"{hazard.topic.value}  ", "muted"), hazard_loss(hazard), hang=2)


def hazard_lines(hazards: Iterable[Hazard]) -> list[Line]:
    """Every hazard; the same advice stands once below all that it is for."""
    lines: list[Line] = []
    for (_, advice), found in groupby(hazards, lambda hazard: (hazard.code, hazard_advice(hazard))):
        lines += [hazard_line(hazard) for hazard in found]
        lines.append(line(Span("  ↳ ", "muted"), Span(advice, "muted"), hang=4))
    return lines


class Choice(NamedTuple):
    """One thing to choose: its name, its row in a list, and its description below."""

    name: str
    row: Line
    about: tuple[Line, ...] = ()
