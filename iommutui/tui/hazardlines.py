"""Hazards as lines: what is lost, the evidence, and what to do about it. Pure."""

from collections.abc import Iterable
from itertools import groupby

from iommutui.core.hazards import Hazard, Severity
from iommutui.core.wording import hazard_advice, hazard_loss
from iommutui.tui.spans import Line, Span, line

STYLE_OF = {Severity.INFO: ("info", "i"), Severity.WARN: ("warn", "!"), Severity.DANGER: ("bad", "‼")}
"""The style and the sign of a hazard's severity."""

WORDS = {Severity.DANGER: "danger", Severity.WARN: "warning", Severity.INFO: "note"}


def hazard_line(hazard: Hazard) -> Line:
    """Sign, word, topic, and the sentence."""
    style, sign = ("warn", "?") if hazard.unknown else STYLE_OF[hazard.severity]
    word = "not known" if hazard.unknown else WORDS[hazard.severity]
    return line(Span(f"{sign} {word} ", style), Span(f"{hazard.topic.value}  ", "muted"), hazard_loss(hazard), hang=2)


def hazard_lines(hazards: Iterable[Hazard]) -> list[Line]:
    """Every hazard; the same advice stands once below all that it is for."""
    lines: list[Line] = []
    for (_, advice), found in groupby(hazards, lambda hazard: (hazard.code, hazard_advice(hazard))):
        lines += [hazard_line(hazard) for hazard in found]
        lines.append(line(Span("  ↳ ", "muted"), Span(advice, "muted"), hang=4))
    return lines
