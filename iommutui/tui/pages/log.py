"""The log as lines: every write and its result, the newest last. Pure."""

from iommutui.tui.state import AppState
from iommutui.tui.text.spans import Line, Span, line


def log_lines(state: AppState) -> tuple[Line, ...]:
    """A line for each entry."""
    if not state.log:
        return (line(Span("Nothing has happened yet. Every write and its result will stand here.", "muted")),)
    return tuple(line(Span(f"{entry.at}  ", "muted"), Span(entry.text, entry.style), hang=10) for entry in state.log)
