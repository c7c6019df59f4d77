"""The list: a line API widget that draws only the rows in view, so its size does not matter."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual.events import Click
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip

from iommutui.tui.content import BASE, strip_of
from iommutui.tui.state import Key
from iommutui.tui.text import Line, Span, clip, wrap_all
from iommutui.tui.widgets.lines import Scroll

MARGIN = 3
"""Rows that stay in view above and below the cursor."""

Painter = Callable[[Key, int, bool], tuple[Span, ...]]


class Rows(Scroll):
    """Rows that are known by a key, below the heads of their columns. The cursor is always in view."""

    COMPONENT_CLASSES = {"rows--cursor", "rows--group", "rows--head"}  # noqa: RUF012 - Textual's own declaration

    @dataclass
    class Picked(Message):
        """A row was clicked; ``fold``: on its fold mark."""

        key: Key
        fold: bool

    def __init__(self, painter: Painter, *, id: str) -> None:
        """``painter``: the text of a key's row at a width, with or without the cursor."""
        super().__init__(id=id)
        self._painter = painter
        self._keys: Sequence[Key] = ()
        self._empty: tuple[Line, ...] = ()
        self._head = ""
        self.cursor = 0

    def show_rows(self, keys: Sequence[Key], cursor: int, *, head: str = "", empty: tuple[Line, ...] = ()) -> None:
        """New rows; ``empty`` takes their place if there are none."""
        self._keys, self._empty, self._head, self.cursor = keys, empty, head, cursor
        self.set_rows(len(keys) + self._top)
        self._follow()
        self.refresh()

    def show_cursor(self, cursor: int) -> None:
        """The cursor moves, and nothing else changes: two lines are drawn."""
        before, self.cursor = self.cursor, cursor
        offset = self.scroll_offset.y
        self._follow()
        if self.scroll_offset.y == offset:
            rows = (before - offset + self._top, cursor - offset + self._top)
            self.refresh(*(Region(0, row, self.size.width, 1) for row in rows))

    @property
    def _top(self) -> int:
        """Lines above the first row."""
        return 1 if self._head and self._keys else 0

    def _follow(self) -> None:
        height = self.scrollable_content_region.height - self._top
        if height <= 0 or not self._keys:
            return
        top = self.scroll_offset.y
        margin = min(MARGIN, (height - 1) // 2)
        if self.cursor < top + margin:
            self.scroll_to(y=max(0, self.cursor - margin), animate=False, immediate=True, force=True)
        elif self.cursor >= top + height - margin:
            bottom = min(len(self._keys) - 1, self.cursor + margin)
            self.scroll_to(y=bottom - height + 1, animate=False, immediate=True, force=True)

    def on_resize(self) -> None:
        self._follow()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        room = self.scrollable_content_region.width  # a scroll bar lies over the rest
        if not self._keys:
            rows = wrap_all(self._empty, width - 4)
            spans = (Span("  "), *rows[y - 1]) if 0 < y <= len(rows) else ()
            return strip_of(spans, self.meanings(), width)
        if y < self._top:
            return strip_of([Span(clip(self._head, room), "muted")], self.meanings("rows--head"), width)
        index = y - self._top + self.scroll_offset.y
        if index >= len(self._keys):
            return Strip.blank(width, self.meanings()[BASE])
        key, here = self._keys[index], index == self.cursor
        component = "rows--cursor" if here else "rows--group" if key.device is None else ""
        return strip_of(self._painter(key, room, here), self.meanings(component), width)

    def on_click(self, event: Click) -> None:
        place = event.get_content_offset(self)
        if place is None or place.y < self._top:
            return
        index = place.y - self._top + self.scroll_offset.y
        if index < len(self._keys):
            key = self._keys[index]
            self.post_message(self.Picked(key, fold=key.device is None and place.x < 4))
