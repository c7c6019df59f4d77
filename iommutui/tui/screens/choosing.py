"""What dialogs that offer a list have in common: a cursor in it, and below it what there is to say of its entry."""

from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.events import Resize

from iommutui.tui.screens.overlay import Overlay
from iommutui.tui.text.spans import Line, Span, line
from iommutui.tui.widgets.dialog import Dialog
from iommutui.tui.widgets.lines import Lines
from iommutui.tui.widgets.rows import Rows

K = TypeVar("K", bound=Hashable)


class Choosing(Overlay[str], Generic[K]):
    """Dismissed with the name of what was chosen. A subclass says what an entry looks like."""

    ABOUT_ROWS = 2
    """Rows for what is said of the entry."""
    FIELD_ROWS = 0
    """Rows above the list."""

    def __init__(self, entries: Sequence[K], cursor: int = 0) -> None:
        super().__init__()
        self._entries = entries
        self._most = len(entries)
        self._first = cursor

    def paint(self, entry: K, width: int, here: bool) -> tuple[Span, ...]:
        """The entry's row, ``width`` cells wide, with or without the cursor."""
        raise NotImplementedError

    def about(self, entry: K) -> Sequence[Line]:
        """What a row has no room for."""
        raise NotImplementedError

    def name_of(self, entry: K) -> str:
        """What the dialog is dismissed with."""
        raise NotImplementedError

    def compose_list(self) -> ComposeResult:
        """The list and what is below it."""
        yield Rows[K](self.paint, id="matches")
        if self.ABOUT_ROWS:
            lines = Lines(id="about")
            lines.styles.height = self.ABOUT_ROWS
            yield lines

    def on_mount(self) -> None:
        """As high as it needs to be, within the screen."""
        self._fit()
        self.show_entries(self._entries, self._first)

    def on_resize(self, event: Resize) -> None:
        """Fits again."""
        self._fit()

    def _fit(self) -> None:
        others = 2 + self.FIELD_ROWS + (self.ABOUT_ROWS + 1 if self.ABOUT_ROWS else 0)
        self.query_one(Dialog).styles.height = min(self._most + others, self.app.size.height - 2)

    @property
    def _rows(self) -> Rows[K]:
        return self.query_one("#matches", Rows)

    def show_entries(self, entries: Sequence[K], cursor: int = 0) -> None:
        """Other entries."""
        self._entries = entries
        self._rows.show_rows(entries, cursor, (line(Span("Nothing has such a name.", "muted")),))
        self._tell()

    def _tell(self) -> None:
        if self.ABOUT_ROWS:
            lines = self.about(self._entries[self._rows.cursor]) if self._entries else ()
            self.query_one("#about", Lines).show_lines(lines)

    @on(Rows.Picked)
    def _picked(self, event: Rows.Picked) -> None:
        self._choose(event.index)

    def _choose(self, index: int) -> None:
        if self._entries:
            self.dismiss(self.name_of(self._entries[index]))

    def _move(self, lines: int) -> None:
        if self._entries:
            rows = self._rows
            rows.show_cursor(max(0, min(len(self._entries) - 1, rows.cursor + lines)))
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

    def action_first(self) -> None:
        """``g``."""
        self._move(-len(self._entries))

    def action_last(self) -> None:
        """``G``."""
        self._move(len(self._entries))

    def action_choose(self) -> None:
        """``Enter``."""
        self._choose(self._rows.cursor)

    def action_cancel(self) -> None:
        """``Esc``."""
        self.dismiss(None)
