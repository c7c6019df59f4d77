"""The reference for keys: a stock Textual app that shows as many rows in a DataTable, with Textual's own palette."""

import sys

from textual.app import App, ComposeResult
from textual.widgets import DataTable, Footer


class TableApp(App[None]):
    """``python table_app.py ROWS``."""

    def compose(self) -> ComposeResult:
        """The table and the footer."""
        yield DataTable(cursor_type="row")
        yield Footer()

    def on_mount(self) -> None:
        """Rows like those of a device."""
        table: DataTable[str] = self.query_one(DataTable)
        table.add_columns("Address", "Driver", "Role", "Kind", "Name")
        for number in range(int(sys.argv[1])):
            table.add_row(f"{number:04x}:00.0", "nvidia", "host", "VGA", f"table-app row {number}")
        table.focus()


if __name__ == "__main__":
    TableApp().run()
