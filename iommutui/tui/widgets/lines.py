"""A pane of wrapped lines that scrolls: details, plan, review, log and help are all one of these."""

from collections.abc import Sequence
from itertools import zip_longest

from rich.style import Style
from textual.geometry import Size
from textual.strip import Strip

from iommutui.tui.text.spans import Line, Span, wrap_all
from iommutui.tui.widgets.scroll import Scroll
from iommutui.tui.text.content import strip_of, styles_of


class Lines(Scroll):
    """Lines, wrapped at the width that there is."""

    def __init__(self, lines: Sequence[Line] = (), *, id: str, grows: bool = False) -> None:
        super().__init__(id=id)
        self._lines: Sequence[Line] = lines
        self._rows: list[tuple[Span, ...]] = []
        self._width = 0
        self._grows = grows
        self._styles: dict[str, Style] = {}
        self._strips: dict[int, Strip] = {}
        self.at_end = False
        """Shows the end when it is laid out first."""

    def show_lines(self, lines: Sequence[Line], *, top: bool = True) -> None:
        """New lines; ``top`` shows their beginning, otherwise the scroll position stays."""
        if lines == self._lines and self._rows:
            if top:
                self.scroll_to(y=0, animate=False)
            return
        self._lines = lines
        before, offset = self._rows, self.scroll_offset.y
        self._layout_lines()
        if top:
            self.scroll_to(y=0, animate=False, immediate=True)
        if self.scroll_offset.y == offset:
            self._refresh_changed(before)
        else:
            self.refresh()

    def _refresh_changed(self, before: list[tuple[Span, ...]]) -> None:
        """Draws again only the rows in view that are different now."""
        first = self.scroll_offset.y
        view = slice(first, first + self.size.height)
        pairs = zip_longest(before[view], self._rows[view], fillvalue=())
        self.refresh_rows(line for line, (was, now) in enumerate(pairs, first) if was != now)

    @property
    def lines(self) -> Sequence[Line]:
        """The lines before they are wrapped."""
        return self._lines

    def _layout_lines(self) -> None:
        self._width = self.scrollable_content_region.width
        self._strips.clear()
        if self._width > 0:
            self._rows = wrap_all(self._lines, self._width - 2)
            if self._grows:
                self.virtual_size = Size(0, len(self._rows))
            else:
                self.set_rows(len(self._rows))
            if self.at_end:
                self.scroll_end(animate=False, immediate=True)

    def on_resize(self) -> None:
        """Wraps again where the width is another one."""
        if self.scrollable_content_region.width != self._width:
            self._layout_lines()
            self.refresh()
        elif self.at_end:
            self.scroll_end(animate=False, immediate=True)

    def notify_style_update(self) -> None:
        """A theme has changed."""
        super().notify_style_update()
        self._styles.clear()
        self._strips.clear()

    def render_line(self, y: int) -> Strip:
        """A line of the widget."""
        width = self.size.width
        if self.scrollable_content_region.width != self._width:
            self._layout_lines()  # this may scroll
        line = y + self.scroll_offset.y
        strip = self._strips.get(line)
        if strip is None:
            self._styles = self._styles or styles_of(self)
            spans = (Span(" "), *self._rows[line]) if line < len(self._rows) else ()
            strip = self._strips[line] = strip_of(spans, self._styles, width)
        return strip

    def page(self, lines: int) -> None:
        """Scrolls by lines."""
        self.scroll_relative(y=lines, animate=False)
