"""A scroll bar that is drawn again where its thumb has moved, and not whenever one of its numbers changes."""

from functools import lru_cache
from math import ceil

from rich.segment import Segment
from textual.geometry import Size
from textual.reactive import Reactive
from textual.scrollbar import ScrollBar, ScrollBarRender
from textual.strip import Strip
from textual.widget import _RenderCache

from iommutui.tui.widgets.painted import Framed

STEPS = 8
"""A thumb moves by eighths of a cell."""


def thumb(height: int, window: float, lines: float, position: float) -> tuple[int, int]:
    """Where the thumb begins and how long it is, in eighths of a cell; the same where everything is in view."""
    if height <= 0 or window >= lines:
        return 0, 0
    size = max(1.0, window * height / lines)
    return int((height - size) * position / (lines - window) * STEPS), ceil(size * STEPS)


@lru_cache(64)
def _cell(segment: Segment) -> Strip:
    return Strip([segment], 1)


class Bar(ScrollBar):
    """The vertical scroll bar of a pane, one cell wide."""

    window_virtual_size: Reactive[int] = Reactive(100, repaint=False)
    window_size: Reactive[int] = Reactive(0, repaint=False)
    position: Reactive[float] = Reactive(0, repaint=False)

    _thumb = (0, 0)
    """As it was drawn last."""

    def __init__(self) -> None:
        super().__init__(name="vertical", thickness=1)
        self._styles_cache = Framed()

    def _size_updated(self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True) -> bool:
        return super()._size_updated(size, virtual_size, container_size, layout=False)

    def watch_window_virtual_size(self) -> None:
        """There are more lines, or fewer."""
        self._follow()

    def watch_window_size(self) -> None:
        """More of them are in view, or fewer."""
        self._follow()

    def watch_position(self) -> None:
        """Others are in view."""
        self._follow()

    def _now(self) -> tuple[int, int]:
        return thumb(self.size.height, self.window_size, self.window_virtual_size, self.position)

    def _follow(self) -> None:
        if self._now() != self._thumb:
            self._set_dirty()  # which refresh() leaves out as long as a widget is being mounted
            self.refresh()

    def _render_content(self) -> None:
        """The cells as Textual draws them, each sort of them made once."""
        self._thumb = self._now()
        bar = self.render()
        assert isinstance(bar, ScrollBarRender)
        style = self.app.console.get_style(bar.style)
        assert style.color is not None
        assert style.bgcolor is not None
        cells = bar.render_bar(self.size.height, bar.virtual_size, bar.window_size, bar.position,
                               back_color=style.bgcolor, bar_color=style.color)  # fmt: skip
        self._render_cache = _RenderCache(self.size, [_cell(cell) for cell in cells.segments])
        self._dirty_regions.clear()
