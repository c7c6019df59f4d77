"""Choosing one of a few things: targets, what to copy."""

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from iommutui.tui.registry import PICK, bindings
from iommutui.tui.screens.overlay import Overlay
from iommutui.tui.spans import Line
from iommutui.tui.text import content
from iommutui.tui.widgets.dialog import Dialog
from iommutui.tui.widgets.dialogkeys import DialogKeys, keys_for

Choice = tuple[str, tuple[Line, ...]]
"""A name, and the rows that it is shown as."""


def _entry(rows: Sequence[Line]) -> Content:
    return Content("\n").join(content(row.spans) for row in rows)


class PickScreen(Overlay[str]):
    """Dismissed with the name of what was chosen."""

    BINDINGS = [*bindings(PICK)]  # noqa: RUF012 - Textual's own declaration
    AUTO_FOCUS = "#choices"

    def __init__(
        self, title: str, hint: str, choices: Sequence[Choice], chosen: str = "", note: Line | None = None
    ) -> None:
        """``note``: what is true of every choice."""
        super().__init__()
        self._note = note
        self._title = title
        self._hint = hint
        self._choices = choices
        self._chosen = chosen

    def compose(self) -> ComposeResult:
        """One entry for each, and the note."""
        with Dialog(self._title, self._hint, classes="medium"):
            # Without ids: a driver's name comes from outside, and need not be what Textual takes for one.
            yield OptionList(*(Option(_entry(shown)) for _, shown in self._choices), id="choices", compact=True)
            if self._note is not None:
                yield Static(content(self._note.spans), id="note")
        yield DialogKeys((*keys_for(PICK[2:]), ("j k", "move")))

    def on_mount(self) -> None:
        """What is chosen already is under the cursor."""
        names = [name for name, _ in self._choices]
        if self._chosen in names:
            self.query_one(OptionList).highlighted = names.index(self._chosen)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter, or a click."""
        self.dismiss(self._choices[event.option_index][0])

    def action_next(self) -> None:
        """``j``."""
        self.query_one(OptionList).action_cursor_down()

    def action_previous(self) -> None:
        """``k``."""
        self.query_one(OptionList).action_cursor_up()

    def action_choose(self) -> None:
        """``space``."""
        self.query_one(OptionList).action_select()

    def action_cancel(self) -> None:
        """``Esc``."""
        self.dismiss(None)
