"""A question with two answers. Enter takes the one with the focus, which is the harmless one at first."""

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.widgets import Button, Static

from iommutui.tui.screens.overlay import Overlay
from iommutui.tui.text.content import plain
from iommutui.tui.widgets.dialog import Dialog
from iommutui.tui.widgets.dialogkeys import DialogKeys


class ConfirmScreen(Overlay[bool]):
    """Dismissed with True for yes."""

    BINDINGS = [  # noqa: RUF012 - Textual's own declaration
        Binding("y", "answer(True)", "Yes", id="yes"),
        Binding("escape,n,q", "answer(False)", "No", id="no"),
        Binding("left,right,h,l", "app.focus_next", "Other", show=False),
    ]
    AUTO_FOCUS = "#no"

    def __init__(self, title: str, text: str, yes: str, no: str) -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._labels = yes, no

    def compose(self) -> ComposeResult:
        """Text and buttons."""
        with Dialog(self._title, classes="small"):
            yield Static(plain(self._text), id="question")
            with Horizontal(classes="buttons"):
                yield Button(plain(f"{self._labels[1]}  Esc"), id="no", compact=True)
                yield Button(plain(f"{self._labels[0]}  y"), id="yes", compact=True)
        yield DialogKeys((("y", self._labels[0].lower()), ("Esc", self._labels[1].lower()), ("Tab", "other")))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """A click, or Enter."""
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:
        """A key."""
        self.dismiss(answer)
