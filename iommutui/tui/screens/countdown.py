"""Keep it? A large, calm screen; who does nothing has everything back."""

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Button

from iommutui.apply.events import Counting
from iommutui.tui.countdown import countdown_lines
from iommutui.tui.registry import KEEPING, bindings
from iommutui.tui.screens.overlay import Overlay
from iommutui.tui.text.spans import Line
from iommutui.tui.text.content import plain, toast
from iommutui.tui.widgets.dialog import Dialog
from iommutui.tui.widgets.dialogkeys import DialogKeys, keys_for
from iommutui.tui.widgets.lines import Lines

TALL = 25
"""Rows of a terminal on which everything has room, with air."""


class CountdownScreen(Overlay[bool]):
    """Dismissed with True to keep, False to take back, None where it is over without a word."""

    BINDINGS = [*bindings(KEEPING)]  # noqa: RUF012 - Textual's own declaration
    AUTO_FOCUS = "#lines"

    def __init__(self, first: Counting, *, real: bool) -> None:
        super().__init__()
        self._now = first
        self._real = real

    def compose(self) -> ComposeResult:
        """The figures, and two buttons that nothing but a key of their own or a click presses."""
        with Dialog("Keep it?" if self._real else "Keep it? Simulated: nothing is real", classes="countdown"):
            yield Lines(self._lines(), id="lines", grows=True)
            with Horizontal(classes="buttons"):
                yield Button(plain("Keep it  y"), id="yes", compact=True)
                yield Button(plain("Take it back  u"), id="no", compact=True)
        yield DialogKeys((*keys_for(KEEPING[:1]), ("u Esc", "back")))

    def count(self, now: Counting) -> None:
        """So much is left."""
        self._now = now
        for lines in self.query(Lines):
            lines.show_lines(self._lines(), top=False)

    def _lines(self) -> list[Line]:
        low = self.app.size.height < TALL
        return countdown_lines(self._now.seconds, self._now.within, real=self._real, low=low)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """A click."""
        self.dismiss(event.button.id == "yes")

    def action_keep(self) -> None:
        """``y``."""
        self.dismiss(True)

    def action_undo(self) -> None:
        """``u``, or ``Esc``."""
        self.dismiss(False)

    def action_neither(self) -> None:
        """``Enter`` alone does nothing: whoever presses keys in the dark decides nothing by it."""
        toast(self.app, "y keeps it, u takes it back; Enter does neither.", "warning")
