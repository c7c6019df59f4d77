"""What stands on a terminal that is too small for the panes."""

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

SMALLEST = Size(60, 18)


class TooSmall(Widget):
    """A friendly message; nothing is lost, and the panes come back with the room."""

    _size_now = Size(0, 0)

    def show_size(self, size: Size) -> None:
        """The size that there is."""
        self._size_now = size
        self.refresh()

    def render(self) -> Content:
        """A few short lines."""
        now = f"{self._size_now.width} by {self._size_now.height}"
        return Content(
            f"A little more room, please.\n\n{now} is here,\n{SMALLEST.width} by {SMALLEST.height} is needed."
        )
