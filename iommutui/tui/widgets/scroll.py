"""A scrolling pane that draws by lines and whose number of lines changes without a new layout of the screen."""

from collections.abc import Iterable

from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBar
from textual.widget import Widget

from iommutui.tui.widgets.bar import Bar
from iommutui.tui.widgets.painted import Framed


class Scroll(ScrollView, can_focus=True, inherit_bindings=False):
    """The place of a scroll bar is kept free (``overflow-y: scroll``), so that nothing else moves when it is needed.

    Setting ``virtual_size`` the usual way lays out the whole screen, which costs more than everything else that a key
    does.
    """

    DEFAULT_CSS = """
    Scroll { overflow-y: scroll; overflow-x: hidden; }
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._styles_cache = Framed()

    @property
    def vertical_scrollbar(self) -> ScrollBar:
        """The pane's bar, made when it is first asked for."""
        if self._vertical_scrollbar is None:
            self._vertical_scrollbar = Bar()
            self._vertical_scrollbar.display = False
            self.app._start_widget(self, self._vertical_scrollbar)
        return self._vertical_scrollbar

    def _scroll_update(self, virtual_size: Size) -> None:
        """Tells the bar what is in view. It draws itself where its thumb moves; Textual draws it at every layout."""
        bar = self.vertical_scrollbar
        if not bar.display:
            super()._scroll_update(virtual_size)
            return
        bar.window_virtual_size, bar.window_size = virtual_size.height, self.container_size.height
        self.scroll_y = self.validate_scroll_y(self.scroll_y)

    def refresh_rows(self, rows: Iterable[int]) -> None:
        """Draws these rows of the pane anew, in view or not."""
        first, width = self.scroll_offset.y, self.size.width
        regions = [Region(0, row - first, width, 1) for row in rows]
        if regions:
            self.refresh(*regions)

    def set_rows(self, rows: int) -> None:
        """There are so many lines now."""
        if rows == self.virtual_size.height:
            return
        self.set_reactive(Widget.virtual_size, Size(0, rows))
        self.vertical_scrollbar.window_virtual_size = rows
        self.scroll_y = self.validate_scroll_y(self.scroll_y)
