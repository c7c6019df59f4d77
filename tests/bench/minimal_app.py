"""The reference for starting: the smallest Textual app that shows a line."""

from textual.app import App, ComposeResult
from textual.widgets import Static


class Minimal(App[None]):
    """One static line."""

    def compose(self) -> ComposeResult:
        """Adds the line that the benchmark waits for."""
        yield Static("minimal-app-is-up")


if __name__ == "__main__":
    Minimal().run()
