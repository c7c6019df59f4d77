"""The line at the top: whose machine this is, and by which rules it is judged."""

from rich.cells import cell_len
from textual.content import Content

from iommutui.core.printable import printable
from iommutui.tui.text.spans import Span, clip
from iommutui.tui.state import AppState, Kind, own_model
from iommutui.tui.text.content import content
from iommutui.tui.widgets.painted import Single


def banner(state: AppState, width: int) -> tuple[Span, ...]:
    """The header in at most ``width`` cells; what says that nothing is real is never cut."""
    kernel = state.host.kernel if state.host is not None and state.host.kernel else ""
    model = state.model.name + ("" if own_model(state) else " (not this kernel's)")
    source = state.source
    if source.kind is Kind.LIVE:
        left = [Span(" LIVE ", "ok"), Span(f" {'as if ' if source.label else ''}kernel {kernel}" if kernel else "")]
        if source.writer != "":
            left.append(Span("  READ-ONLY", "warn"))
    else:
        left = [Span(f" {source.kind.value.upper()}", "planned")]
        if source.kind is Kind.SNAPSHOT:
            room = width - len(model) - 38
            left.append(Span(f' "{clip(printable(source.label), max(room, 6))}"'))
        left.append(Span(" — nothing is real", "warn"))
    used = sum(cell_len(span.text) for span in left)
    right = [Span("model ", "muted"), Span(model, "info" if own_model(state) else "warn"), Span(" ")]
    size = sum(cell_len(span.text) for span in right)
    if used + size + 2 > width and not own_model(state):
        right = [Span(f"{state.model.name}!", "warn"), Span(" ")]
        size = sum(cell_len(span.text) for span in right)
    if source.kind is not Kind.LIVE and kernel and used + size + len(kernel) + 12 <= width:
        left.append(Span(f"  kernel {kernel}", "muted"))
        used += len(kernel) + 9
    if state.live_lacks and used + size + 14 <= width:
        left.append(Span("  polling", "muted"))
        used += 9
    return (*left, Span(" " * max(1, width - used - size)), *right)


class Banner(Single):
    """Draws the header of a state."""

    def __init__(self, state: AppState, *, id: str) -> None:
        super().__init__(id=id)
        self._state = state

    def show_state(self, state: AppState) -> None:
        """Draws again where something has changed."""
        before, self._state = self._state, state
        width = self.size.width
        if banner(before, width) != banner(state, width):
            self.refresh()

    def render(self) -> Content:
        """One line."""
        return content(banner(self._state, self.size.width))
