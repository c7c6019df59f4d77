"""Choosing one of a few things: targets, what to copy."""

from collections.abc import Sequence

from textual.app import ComposeResult

from iommutui.tui.pages.targets import Choice
from iommutui.tui.registry import PICK, bindings
from iommutui.tui.screens.choosing import Choosing
from iommutui.tui.text.spans import Line, Span, fit
from iommutui.tui.widgets.dialog import Dialog
from iommutui.tui.widgets.dialogkeys import DialogKeys, keys_for


class PickScreen(Choosing[Choice]):
    """Dismissed with the name of what was chosen; ``chosen`` is what the cursor is on at first."""

    BINDINGS = [*bindings(PICK)]  # noqa: RUF012 - Textual's own declaration
    AUTO_FOCUS = "#matches"

    def __init__(self, title: str, hint: str, choices: Sequence[Choice], chosen: str = "") -> None:
        names = [choice.name for choice in choices]
        super().__init__(choices, names.index(chosen) if chosen in names else 0)
        self.ABOUT_ROWS = max((len(choice.about) for choice in choices), default=0)
        self._title = title
        self._hint = hint

    def compose(self) -> ComposeResult:
        """The list, and what comes of the choice under the cursor."""
        with Dialog(self._title, self._hint, classes="medium"):
            yield from self.compose_list()
        yield DialogKeys((*keys_for(PICK[2:4]), ("j k", "move")))

    def paint(self, entry: Choice, width: int, here: bool) -> tuple[Span, ...]:
        """The choice with the cursor's mark."""
        return fit((Span("▌" if here else " ", "accent"), *entry.row.spans), width)

    def about(self, entry: Choice) -> Sequence[Line]:
        """What comes of it."""
        return entry.about

    def name_of(self, entry: Choice) -> str:
        """Its name."""
        return entry.name
