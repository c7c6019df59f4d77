"""Finding one of many things by typing some of its name: commands, themes."""

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.widgets import Input

from iommutui.tui.palette import Entry, Found, about, columns, entry_row, search
from iommutui.tui.registry import FIND, bindings
from iommutui.tui.screens.choosing import Choosing
from iommutui.tui.text.spans import Line, Span
from iommutui.tui.widgets.dialog import Dialog
from iommutui.tui.widgets.dialogkeys import DialogKeys


class FindScreen(Choosing[Found]):
    """Dismissed with the id of what was chosen."""

    BINDINGS = [*bindings(FIND)]  # noqa: RUF012 - Textual's own declaration
    AUTO_FOCUS = "#place"
    FIELD_ROWS = 1

    def __init__(self, title: str, verb: str, offered: Sequence[Entry]) -> None:
        super().__init__(search(offered, ""))
        self._title = title
        self._verb = verb
        self._offered = offered
        self._columns = columns(offered)

    def compose(self) -> ComposeResult:
        """The field, what fits, and what there is to say of the entry under the cursor."""
        with Dialog(self._title, f"Enter {self._verb}s, Esc closes"):
            yield Input(placeholder="type some of its name", compact=True, id="place")
            for part in self.compose_list():
                part.can_focus = False  # letters are typed, and the arrows move
                yield part
        yield DialogKeys((("Enter", self._verb), ("↑ ↓", "move"), ("Esc", "close")))

    def paint(self, entry: Found, width: int, here: bool) -> tuple[Span, ...]:
        """``▌Stage: vfio  v  Stage vfio-pci: hand it to a virtual machine.``"""
        return entry_row(entry, self._columns, width, here)

    def about(self, entry: Found) -> Sequence[Line]:
        """All of what its row may have cut off."""
        return about(entry.entry)

    def name_of(self, entry: Found) -> str:
        """Its id."""
        return entry.entry.id

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self.show_entries(search(self._offered, event.value))

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_choose()
