"""A scroll bar that is drawn again where its thumb has moved, and not whenever one of its numbers changes."""

from math import ceil

from textual.reactive import Reactive
from textual.scrollbar import ScrollBar

from iommutui.tui.widgets.painted import Kept

STEPS = 8
"""A thumb moves by eighths of a cell."""


def thumb(height: int, window: float, lines: float, position: float) -> tuple[int, int]:
    """Where the thumb begins and how long it is, in eighths of a cell; the same where everything is in view."""
    if height <= 0 or window >= lines:
        return 0, 0
    size = max(1.0, window * height / lines)
    return int((height - size) * position / (lines - window) * STEPS), ceil(size * STEPS)


class Bar(ScrollBar):
    """The vertical scroll bar of a pane."""

    window_virtual_size: Reactive[int] = Reactive(100, repaint=False)
    window_size: Reactive[int] = Reactive(0, repaint=False)
    position: Reactive[float] = Reactive(0, repaint=False)

    _thumb = (0, 0)

    def __init__(self, *, thickness: int) -> None:
        super().__init__(name="vertical", thickness=thickness)
        self._styles_cache = Kept()

    def watch_window_virtual_size(self) -> None:
        """There are more lines, or fewer."""
        self._follow()

    def watch_window_size(self) -> None:
        """More of them are in view, or fewer."""
        self._follow()

    def watch_position(self) -> None:
        """Others are in view."""
        self._follow()

    def _follow(self) -> None:
        now = thumb(self.size.height, self.window_size, self.window_virtual_size, self.position)
        if now != self._thumb:
            self._thumb = now
            self.refresh()
