"""Keys that scroll the lines of a dialog, wherever its focus is."""

from typing import TypeVar

from textual.screen import ModalScreen

from iommutui.tui.widgets.lines import Lines

Result = TypeVar("Result")


class Scrolling(ModalScreen[Result]):
    """The actions of `registry.SCROLL`."""

    def _scroll(self, lines: int) -> None:
        self.query_one("#lines", Lines).page(lines)

    def _height(self) -> int:
        return max(1, self.query_one("#lines").scrollable_content_region.height - 1)

    def action_line_down(self) -> None:
        """One line."""
        self._scroll(1)

    def action_line_up(self) -> None:
        """One line."""
        self._scroll(-1)

    def action_more(self) -> None:
        """One page."""
        self._scroll(self._height())

    def action_less(self) -> None:
        """One page."""
        self._scroll(-self._height())

    def action_first(self) -> None:
        """To the top."""
        self.query_one("#lines", Lines).scroll_home(animate=False)

    def action_last(self) -> None:
        """To the bottom."""
        self.query_one("#lines", Lines).scroll_end(animate=False)
