"""Dialogs that are only read: the help."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.binding import Binding

from iommutui.tui.commands.base import Pane
from iommutui.tui.pages.help import help_lines
from iommutui.tui.registry import CLOSE, SCROLL, bindings
from iommutui.tui.screens.scrolling import Scrolling
from iommutui.tui.text.spans import Line
from iommutui.tui.widgets.dialog import Dialog
from iommutui.tui.widgets.dialogkeys import SCROLLS, DialogKeys, keys_for
from iommutui.tui.widgets.lines import Lines


class ReadingScreen(Scrolling[None]):
    """Lines under a title."""

    BINDINGS = [*bindings(SCROLL), *bindings(CLOSE)]  # noqa: RUF012 - Textual's own declaration
    AUTO_FOCUS = "#lines"

    def __init__(self, title: str, lines: Sequence[Line]) -> None:
        super().__init__()
        self._title = title
        self._text = lines

    def compose(self) -> ComposeResult:
        """The lines."""
        with Dialog(self._title, "Esc closes"):
            yield Lines(self._text, id="lines")
        yield DialogKeys((*keys_for(CLOSE), *SCROLLS))

    def action_cancel(self) -> None:
        """``Esc``."""
        self.dismiss(None)


class HelpScreen(ReadingScreen):
    """Every key, those of the pane with the focus first. The key that opened it closes it."""

    BINDINGS = [Binding("question_mark", "cancel")]  # noqa: RUF012 - Textual's own declaration

    def __init__(self, pane: Pane) -> None:
        super().__init__("Help", help_lines(pane))
