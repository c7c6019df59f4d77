"""Keys that scroll the lines of a dialog, wherever its focus is."""

from collections.abc import Sequence
from typing import TypeVar

from textual.events import Resize

from iommutui.tui.screens.overlay import Overlay
from iommutui.tui.text.spans import Line, wrap_all
from iommutui.tui.widgets.lines import Lines

DIALOG_WIDTH = 110
"""``max-width`` of a dialog in ``app.tcss``."""

Result = TypeVar("Result")


class Scrolling(Overlay[Result]):
    """The actions of `registry.SCROLL`, on a dialog that is as high as its lines need."""

    OTHER_ROWS = 2
    """Rows of the dialog beside its lines: the frame, and what a dialog has below them."""

    _fitted: tuple[Sequence[Line], int, int] | None = None
    """The lines and the width that were fitted last, and how many rows they are."""

    def fit_dialog(self) -> None:
        """Fits the dialog to its lines, within the screen."""
        width, height = self.app.size
        lines = self.query_one("#lines", Lines).lines
        if self._fitted is None or self._fitted[0] is not lines or self._fitted[1] != width:
            self._fitted = lines, width, len(wrap_all(lines, min(width, DIALOG_WIDTH) - 7))
        rows = self._fitted[2] + self.OTHER_ROWS
        self.query_one("#dialog").styles.height = max(6, min(rows, height - 2))

    def on_mount(self) -> None:
        """Fits before the first frame."""
        self.fit_dialog()

    def on_resize(self, event: Resize) -> None:
        """Fits again."""
        self.fit_dialog()

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
