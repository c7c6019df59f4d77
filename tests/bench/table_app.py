"""The reference for keys: a similar app of stock widgets, with a DataTable, details at its cursor, and a footer."""

import sys

from textual.app import App, ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import DataTable, Footer, Header, Static

DETAILS = "\n".join(f"{'fact':<12} value {{number}} of line {line} of the details" for line in range(30))


class TableApp(App[None]):
    """``python table_app.py ROWS``."""

    CSS = "DataTable { width: 5fr; } VerticalScroll { width: 3fr; }"

    def compose(self) -> ComposeResult:
        """Adds the panes."""
        yield Header()
        with Horizontal():
            yield DataTable(cursor_type="row")
            with VerticalScroll():
                yield Static(id="details")
        yield Footer()

    def on_mount(self) -> None:
        """Adds rows like those of devices."""
        table: DataTable[str] = self.query_one(DataTable)
        table.add_columns("Address", "Driver", "Role", "Kind", "Name")
        for number in range(int(sys.argv[1])):
            table.add_row(f"{number:04x}:00.0", "nvidia", "host", "VGA", f"table-app row {number}")
        table.focus()

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Shows the details of the row under the cursor."""
        self.query_one("#details", Static).update(DETAILS.format(number=event.cursor_row))


if __name__ == "__main__":
    TableApp().run()
