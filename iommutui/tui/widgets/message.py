"""What is said in passing, over the lower right of a screen, until it has been read."""

from typing import NamedTuple

from rich.cells import cell_len
from textual.content import Content
from textual.events import Click
from textual.geometry import Size

from iommutui.tui.spans import Span, line, wrap
from iommutui.tui.text import content
from iommutui.tui.widgets.painted import Single

WIDEST = 60
"""Cells of text in a row."""

_SIGNS = {"information": ("ok", ""), "warning": ("warn", "! "), "error": ("bad", "✖ ")}
"""How the bar left of a message looks, and what the message begins with."""


class Said(NamedTuple):
    """A message; ``severity`` is one of Textual's three."""

    text: str
    severity: str = "information"


def message_rows(said: Said, width: int) -> list[tuple[Span, ...]]:
    """The rows of a message on a screen of this width."""
    style, sign = _SIGNS[said.severity]
    rows = wrap(line(Span(sign, style), said.text, hang=len(sign)), min(WIDEST, width - 8))
    return [(Span("▌ ", style), *row) for row in rows]


class Message(Single):
    """Lies over the other widgets of its screen. Textual's own toasts take two layouts and two widgets each."""

    def __init__(self) -> None:
        super().__init__()
        self.display = False
        self._rows: list[tuple[Span, ...]] = []

    def show_said(self, said: Said | None, screen: Size, below: int = 1) -> None:
        """Shows a message at the right of a screen of this size, over its last lines but ``below``; None shows none."""
        self.display = said is not None
        if said is None:
            return
        rows = message_rows(said, screen.width)
        width, height = max(sum(cell_len(span.text) for span in row) for row in rows) + 1, len(rows)
        self.styles.width, self.styles.height = width, height
        self.styles.offset = screen.width - width - 1, max(0, screen.height - height - below)
        if rows != self._rows:
            self._rows = rows
            self.refresh()

    def render(self) -> Content:
        """All of it."""
        return Content("\n").join(content(row) for row in self._rows)

    def on_click(self, event: Click) -> None:
        """It has been read."""
        event.stop()
        self.app.clear_notifications()
