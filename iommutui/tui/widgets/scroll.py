"""A scrolling pane that draws by lines and whose number of lines changes without a new layout of the screen."""

from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.widget import Widget


class Scroll(ScrollView, can_focus=True, inherit_bindings=False):
    """The place of a scroll bar is kept free (``overflow-y: scroll``), so that nothing else moves when it is needed.

    Setting ``virtual_size`` the usual way lays out the whole screen, which costs more than everything else that a key
    does.
    """

    DEFAULT_CSS = """
    Scroll { overflow-y: scroll; overflow-x: hidden; }
    """

    def set_rows(self, rows: int) -> None:
        """There are so many lines now."""
        if rows == self.virtual_size.height:
            return
        self.set_reactive(Widget.virtual_size, Size(0, rows))
        self.vertical_scrollbar.window_virtual_size = rows
        self.scroll_y = self.validate_scroll_y(self.scroll_y)
