"""Finding one of many things by typing some of its name: commands, themes."""

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.events import Resize
from textual.widgets import Input

from iommutui.tui.palette import Entry, Found, about, columns, entry_row, search
from iommutui.tui.registry import FIND, bindings
from iommutui.tui.screens.overlay import Overlay
from iommutui.tui.spans import Span, line
from iommutui.tui.widgets.dialog import Dialog
from iommutui.tui.widgets.dialogkeys import DialogKeys
from iommutui.tui.widgets.lines import Lines
from iommutui.tui.widgets.rows import Rows

ABOUT_ROWS = 2
OTHER_ROWS = 4 + ABOUT_ROWS
"""Rows of the dialog beside its list: the frame, the field, a blank and what is said of the entry."""


class FindScreen(Overlay[str]):
    """Dismissed with the id of what was chosen."""

    BINDINGS = [*bindings(FIND)]  # noqa: RUF012 - Textual's own declaration
    AUTO_FOCUS = "#place"

    def __init__(self, title: str, verb: str, entries: Sequence[Entry]) -> None:
        super().__init__()
        self._title = title
        self._verb = verb
        self._entries = entries
        self._columns = columns(entries)
        self._found: Sequence[Found] = search(entries, "")

    def compose(self) -> ComposeResult:
        """The field, what fits, and what there is to say of the entry under the cursor."""
        with Dialog(self._title, f"Enter {self._verb}s, Esc closes", classes="find") as dialog:
            dialog.styles.height = self._height
            yield Input(placeholder="type some of its name", compact=True, id="place")
            rows = Rows[Found](self._paint, id="matches")
            rows.can_focus = False
            yield rows
            yield Lines(id="about")
        yield DialogKeys((("Enter", self._verb), ("↑ ↓", "move"), ("Esc", "close")))

    def on_mount(self) -> None:
        """Everything, while nothing is typed."""
        self._show(0)

    def on_resize(self, event: Resize) -> None:
        """As high as there is room for."""
        self.query_one(Dialog).styles.height = self._height

    @property
    def _height(self) -> int:
        return min(len(self._entries) + OTHER_ROWS, self.app.size.height - 2)

    @property
    def _rows(self) -> Rows[Found]:
        return self.query_one("#matches", Rows)

    def _show(self, cursor: int) -> None:
        self._rows.show_rows(self._found, cursor, (line(Span("Nothing has such a name.", "muted")),))
        self._tell()

    def _tell(self) -> None:
        lines = about(self._found[self._rows.cursor].entry) if self._found else ()
        self.query_one("#about", Lines).show_lines(lines)

    def _paint(self, found: Found, width: int, here: bool) -> tuple[Span, ...]:
        return entry_row(found, self._columns, width, here)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._found = search(self._entries, event.value)
        self._show(0)

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self._choose(self._rows.cursor)

    @on(Rows.Picked)
    def _picked(self, event: Rows.Picked) -> None:
        self._choose(event.index)

    def _choose(self, index: int) -> None:
        if self._found:
            self.dismiss(self._found[index].entry.id)

    def _move(self, lines: int) -> None:
        if self._found:
            rows = self._rows
            rows.show_cursor(max(0, min(len(self._found) - 1, rows.cursor + lines)))
            self._tell()

    def action_next(self) -> None:
        """``↓``."""
        self._move(1)

    def action_previous(self) -> None:
        """``↑``."""
        self._move(-1)

    def action_more(self) -> None:
        """``PgDn``."""
        self._move(self._rows.size.height)

    def action_less(self) -> None:
        """``PgUp``."""
        self._move(-self._rows.size.height)

    def action_cancel(self) -> None:
        """``Esc``."""
        self.dismiss(None)
