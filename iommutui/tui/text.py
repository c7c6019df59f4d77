"""The one way of text into Textual: never as a string, because a string is parsed as markup.

A name such as ``[LSI]`` would vanish, ``[/]`` ends the program, and ``[@click=...]`` is a live link.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from textual.content import Content

from iommutui.tui.spans import Span, visible

if TYPE_CHECKING:
    from textual.app import App

COLOURS = {
    "plain": "",
    "strong": "bold",
    "chosen": "bold underline",
    "muted": "$text-muted",
    "ok": "$text-success",
    "bad": "bold $text-error",
    "warn": "$text-warning",
    "info": "$text-primary",
    "accent": "bold $text-accent",
    "planned": "italic $text-secondary",
    "key": "bold $text-accent",
}
"""What the meanings of spans look like."""


def plain(text: str) -> Content:
    """Text that is shown as it is."""
    return Content(visible(text))


def content(spans: Iterable[Span]) -> Content:
    """Spans as content."""
    return Content.assemble(*((visible(span.text), COLOURS[span.style]) for span in spans))


def toast(app: "App[None]", text: str, severity: str = "information") -> None:
    """Says something in passing."""
    level = severity if severity in ("information", "warning", "error") else "information"
    app.notify(text, severity=level, markup=False)  # type: ignore[arg-type]
