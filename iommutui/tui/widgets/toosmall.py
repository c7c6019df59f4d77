"""What stands on a terminal that is too small for the panes."""

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

SMALLEST = Size(60, 18)


class TooSmall(Widget):
    """Names the size that there is; nothing is lost, and the panes come back with the room."""

    def render(self) -> Content:
        """A few short lines."""
        now = f"{self.size.width} by {self.size.height}"
        return Content(
            f"A little more room, please.\n\n{now} is here,\n{SMALLEST.width} by {SMALLEST.height} is needed."
        )
