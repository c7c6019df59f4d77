"""The list: a line API widget that draws the rows in view and nothing else, so that its size does not matter."""

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

from rich.style import Style
from textual.events import Click, MouseScrollDown, MouseScrollUp
from textual.message import Message
from textual.strip import Strip

from iommutui.tui.text.spans import Line, Span, wrap_all
from iommutui.tui.widgets.scroll import Scroll
from iommutui.tui.text.content import BASE, strip_of, styles_of

MARGIN = 3
"""Rows that stay in view above and below the cursor."""

MANY = 1024
"""Rows that are kept as they were drawn, with what they hold: enough for some pages up and down."""

K = TypeVar("K", bound=Hashable)
Painted = tuple[Span, ...]


class Rows(Scroll, Generic[K]):
    """Rows that are known by a key of their own. The cursor is always in view."""

    COMPONENT_CLASSES = {"rows--cursor", "rows--group"}  # noqa: RUF012 - Textual's own declaration

    class Picked(Message):
        """A row was clicked; ``fold`` tells that it was its fold mark."""

        def __init__(self, index: int, fold: bool) -> None:
            super().__init__()
            self.index = index
            self.fold = fold

    def __init__(
        self,
        painter: Callable[[K, int, bool], Painted],
        *,
        id: str,
        heads: Callable[[K], bool] = lambda key: False,
    ) -> None:
        """``painter``: what stands in the row of a key at a width, with or without the cursor; ``heads``: whether it
        is the row of a group, which can be folded."""
        super().__init__(id=id)
        self._painter = painter
        self._heads = heads
        self._keys: Sequence[K] = ()
        self._empty: tuple[Line, ...] = ()
        self.cursor = 0
        self._strips: dict[tuple[int, bool], Strip] = {}
        self._styles: dict[str, dict[str, Style]] = {}
        self._painted: dict[int, Painted] = {}
        self._width = 0
        self._wrapped: tuple[tuple[tuple[Line, ...], int], list[Painted]] | None = None

    def show_rows(self, keys: Sequence[K], cursor: int, empty: tuple[Line, ...] = ()) -> None:
        """New rows. Where the rows are the same, only what is in view is drawn again."""
        offset, painted, strips = self.scroll_offset.y, self._painted, self._strips
        before = self._keys
        self._painted, self._strips = {}, {}
        self._keys, self._empty, self.cursor = keys, empty, cursor
        self.set_rows(len(keys))
        self._follow()
        if not keys or not painted or self.scroll_offset.y != offset:
            self.refresh()
            return
        changed = []
        for line in range(offset, offset + self.size.height):
            drawn = strips.get((line, line == cursor))
            if line >= len(keys) or self._spans(line) != painted.get(line):
                changed.append(line)
            elif drawn is not None and line < len(before) and before[line] == keys[line]:
                self._strips[line, line == cursor] = drawn
        self.refresh_rows(changed)

    def show_cursor(self, cursor: int) -> None:
        """The cursor moves, and nothing else changes: two lines are drawn."""
        self.refresh_rows((self.cursor, cursor))
        self.cursor = cursor
        self._follow()

    def _follow(self) -> None:
        height = self.scrollable_content_region.height
        if height <= 0 or not self._keys:
            return
        top = self.scroll_offset.y
        margin = min(MARGIN, (height - 1) // 2)
        if self.cursor < top + margin:
            self.scroll_to(y=max(0, self.cursor - margin), animate=False, immediate=True)
        elif self.cursor >= top + height - margin:
            bottom = min(len(self._keys) - 1, self.cursor + margin)
            self.scroll_to(y=bottom - height + 1, animate=False, immediate=True)

    def notify_style_update(self) -> None:
        """A theme has changed."""
        super().notify_style_update()
        self._strips.clear()
        self._styles.clear()

    def on_resize(self) -> None:
        """Columns follow the width; another height draws no row anew."""
        if self.size.width != self._width:
            self._width = self.size.width
            self._strips.clear()
            self._painted.clear()
        self._follow()

    def _spans(self, line: int) -> Painted:
        """What stands in a row; the cursor is part of it."""
        here = line == self.cursor
        key = self._keys[line]
        spans = self._painter(key, self.scrollable_content_region.width, here)
        self._painted[line] = spans
        return spans

    def _empty_rows(self, width: int) -> list[Painted]:
        if self._wrapped is None or self._wrapped[0] != (self._empty, width):
            self._wrapped = (self._empty, width), wrap_all(self._empty, width)
        return self._wrapped[1]

    def _meanings(self, component: str = "") -> dict[str, Style]:
        if component not in self._styles:
            self._styles[component] = styles_of(self, component)
        return self._styles[component]

    def render_line(self, y: int) -> Strip:
        """A line of the widget."""
        line = y + self.scroll_offset.y
        width = self.size.width
        if not self._keys:
            rows = self._empty_rows(width - 4)
            spans = (Span("  "), *rows[y - 1]) if 0 < y <= len(rows) else ()
            return strip_of(spans, self._meanings(), width)
        if line >= len(self._keys):
            return Strip.blank(width, self._meanings()[BASE])
        here = line == self.cursor
        strip = self._strips.get((line, here))
        if strip is None:
            component = "rows--cursor" if here else "rows--group" if self._heads(self._keys[line]) else ""
            strip = strip_of(self._spans(line), self._meanings(component), width)
            if len(self._strips) >= MANY:
                self._strips.clear()
                self._painted.clear()
            self._strips[line, here] = strip
        return strip

    def on_click(self, event: Click) -> None:
        """The row under the pointer."""
        place = event.get_content_offset(self)
        if place is None:
            return
        line = place.y + self.scroll_offset.y
        if line < len(self._keys):
            self.post_message(self.Picked(line, fold=self._heads(self._keys[line]) and place.x < 3))

    def on_mouse_scroll_down(self, event: MouseScrollDown) -> None:
        """The wheel moves the view; the cursor stays where it is until a key is pressed."""
        self.scroll_relative(y=3, animate=False)
        event.stop()

    def on_mouse_scroll_up(self, event: MouseScrollUp) -> None:
        """The other way."""
        self.scroll_relative(y=-3, animate=False)
        event.stop()
