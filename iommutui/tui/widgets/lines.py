"""Panes that draw by lines and scroll: details, plan, review, log and help are all wrapped lines."""

from collections.abc import Sequence
from itertools import zip_longest

from rich.style import Style
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from iommutui.tui.content import strip_of, styles_of
from iommutui.tui.text import Line, Span, wrap, wrap_all

FAR = 1 << 30
"""Further than any end."""


class Scroll(ScrollView, can_focus=True):
    """The scroll bar is always there, blank if all is in view, so new lines need no layout of the screen."""

    DEFAULT_CSS = "Scroll { overflow-y: scroll; overflow-x: hidden; }"

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._styles: dict[str, dict[str, Style]] = {}

    def meanings(self, component: str = "") -> dict[str, Style]:
        """The style of every meaning on a line of this component class."""
        if component not in self._styles:
            self._styles[component] = styles_of(self, component)
        return self._styles[component]

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()

    def set_rows(self, rows: int) -> None:
        """Sets the number of lines. Setting the reactive the usual way would lay out every pane at every key."""
        size = Size(self.scrollable_content_region.width, rows)
        if size == self.virtual_size:
            return
        self.set_reactive(Widget.virtual_size, size)
        self.vertical_scrollbar.window_virtual_size = max(rows, self.scrollable_content_region.height)
        self.scroll_to(y=min(self.scroll_offset.y, self.max_scroll_y), animate=False, immediate=True, force=True)


class Lines(Scroll):
    """Lines, wrapped at the width that there is, with a cell of air on both sides."""

    def __init__(self, lines: Sequence[Line] = (), *, id: str) -> None:
        super().__init__(id=id)
        self.lines: Sequence[Line] = lines
        """The lines before they are wrapped; `show_lines` changes them."""
        self.at_end = False
        """Whether its end stays in view."""
        self.marked = -1
        """The row that a search is at."""
        self._rows: list[tuple[Span, ...]] = []
        self._width = 0

    def show_lines(self, lines: Sequence[Line], *, top: bool = True) -> None:
        """New lines; ``top`` shows their beginning, otherwise the scroll position stays."""
        top = top and self.scroll_offset.y > 0
        if top:
            self.scroll_to(y=0, animate=False, immediate=True, force=True)
        if lines == self.lines:
            return
        self.lines = lines
        before, offset = self._rows, self.scroll_offset.y
        self._wrap()
        self._take_room()
        if self.styles.height is not None and self.styles.height.is_auto:
            self.refresh(layout=True)
        elif top or self.scroll_offset.y != offset:
            self.refresh()
        else:
            pairs = zip_longest(before[offset:], self._rows[offset : offset + self.size.height], fillvalue=())
            changed = [y for y, (was, now) in enumerate(pairs) if was != now and y < self.size.height]
            if changed:
                self.refresh(*(Region(0, y, self.size.width, 1) for y in changed))

    def show_line(self, index: int) -> None:
        """Scrolls so far that a line is in view."""
        row = len(wrap_all(self.lines[:index], self._width - 2)) if self._width else index
        height = self.scrollable_content_region.height
        if row < self.scroll_offset.y or row >= self.scroll_offset.y + height:
            self.scroll_to(y=max(0, row - height // 2), animate=False, immediate=True, force=True)

    def rows_with(self, text: str) -> list[int]:
        """The rows that hold a text, whatever its case."""
        text = text.lower()
        return [n for n, row in enumerate(self._rows) if text in "".join(span.text for span in row).lower()]

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many rows as the lines take at a width."""
        return sum(len(wrap(source, width - 2)) for source in self.lines)

    def _wrap(self) -> None:
        self._width = self.scrollable_content_region.width
        self._rows = wrap_all(self.lines, self._width - 2) if self._width > 0 else []
        self.marked = -1

    def _wrap_again(self) -> None:
        """Where the width is another one. A widget is drawn at a new width before it is told of it."""
        if self.scrollable_content_region.width != self._width:
            self._wrap()

    def _take_room(self) -> None:
        self.set_rows(len(self._rows))
        if self.at_end:
            self.scroll_end(animate=False, immediate=True, force=True)

    def on_resize(self) -> None:
        self._wrap_again()
        self._take_room()
        if self.at_end:
            self.call_after_refresh(self.scroll_end, animate=False, force=True)

    def render_lines(self, crop: Region) -> list[Strip]:
        self._wrap_again()
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        line = y + self.scroll_offset.y
        mark = Span("▌", "accent") if line == self.marked else Span(" ")
        spans = (mark, *self._rows[line]) if line < len(self._rows) else ()
        return strip_of(spans, self.meanings(), self.size.width)
