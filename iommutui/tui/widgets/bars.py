"""The lines above and below the panes: the machine, the filter, and the keys that matter now."""

from collections.abc import Iterable
from typing import NamedTuple

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.reactive import reactive
from textual.suggester import Suggester
from textual.widget import Widget
from textual.widgets import Input

from iommutui.core.labels import rules_words
from iommutui.core.printable import printable
from iommutui.core.query import completion
from iommutui.tui.content import content
from iommutui.tui.rows import listing
from iommutui.tui.state import NOTHING, AppState, Pane, SourceKind, View, own_model
from iommutui.tui.text import Span, clip, fit


class Bar(Widget):
    """One line of spans."""

    auto_links = False
    spans: reactive[tuple[Span, ...]] = reactive(())

    def render(self) -> Content:
        return content(fit(self.spans, max(1, self.size.width)))


def banner(state: AppState, width: int) -> tuple[Span, ...]:
    """The header in at most ``width`` cells; the words that say it is simulated are never cut."""
    kernel = state.host.kernel or ""
    source, own = state.source, own_model(state)
    rules = rules_words(state.model) if own else f"{rules_words(state.model)} (not this kernel)"
    right = [Span("rules ", "muted"), Span(rules, "info" if own else "warn"), Span(" ")]
    if source.kind is SourceKind.LIVE:
        left = [Span(" LIVE ", "ok"), Span(f" {'as if ' if source.label else ''}kernel {kernel}" if kernel else "")]
        if source.writer != "":
            left.append(Span("  READ-ONLY", "warn"))
    else:
        left = [Span(f" {source.kind.value.upper()}", "planned")]
        if source.kind is SourceKind.SNAPSHOT:
            room = width - _cells(right) - 31
            left.append(Span(f' "{clip(printable(source.label), max(room, 6))}"'))
        left.append(Span(" — nothing is real", "warn"))
        if kernel and _cells(left) + _cells(right) + len(kernel) + 12 <= width:
            left.append(Span(f"  kernel {kernel}", "muted"))
    if state.live_lacks and _cells(left) + _cells(right) + 18 <= width:
        left.append(Span("  r to rescan", "muted"))
    if _cells(left) + _cells(right) + 2 > width:
        right = right[1:]
    gap = width - _cells(left) - _cells(right)
    return (*left, Span(" " * max(1, gap)), *right)


def _cells(spans: Iterable[Span]) -> int:
    return sum(cell_len(span.text) for span in spans)


class Hint(NamedTuple):
    """An entry of the key bar."""

    key: str
    word: str
    command: str = ""
    """What a click on it runs."""
    enabled: bool = True


class KeyBar(Bar):
    """Keys and words; a click does what the key does, which is to say why where it is grey."""

    hints: reactive[tuple[Hint, ...]] = reactive(())

    def __init__(self, hints: tuple[Hint, ...] = (), *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.set_reactive(KeyBar.hints, hints)

    def render(self) -> Content:
        """One line; if room is scarce, the last entries are dropped, except help and quit."""
        hints = list(self.hints)
        while len(hints) > 3 and _cells(_key_spans(hints)) > self.size.width:
            del hints[-3]
        return content(fit(_key_spans(hints), max(1, self.size.width)))


def _key_spans(hints: Iterable[Hint]) -> list[Span]:
    spans = [Span(" ")]
    for key, word, command, enabled in hints:
        spans.append(Span(key, "key" if enabled else "muted", command))
        spans.append(Span(f" {word}", "plain" if enabled else "muted", command))
        spans.append(Span("  "))
    return spans[:-1]


class Completions(Suggester):
    """Completes the last word of a filter; caches nothing, because the completions change with the machine."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self.host = NOTHING

    async def get_suggestion(self, value: str) -> str | None:
        """The whole text with its last word completed."""
        return completion(self.host, value)


class FilterBar(Horizontal):
    """The filter and its matches; shown while a filter is being typed or is on."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._completions = Completions()
        self._shown = ""
        self._count = Bar(id="count")
        self.input = Input(
            placeholder="all terms must match: words  driver:nvidia|amdgpu  group:14  viable:no  class:gpu  !word",
            compact=True, select_on_focus=False, suggester=self._completions, id="expression",
        )  # fmt: skip

    def compose(self) -> ComposeResult:
        slash = Bar(id="slash")
        slash.spans = (Span(" / ", "accent"),)
        yield from (slash, self.input, self._count)

    def show_state(self, state: AppState) -> None:
        """The filter and the number of matches. Text being typed is never overwritten with an older filter."""
        self._completions.host = state.host
        self.display = state.view is not View.LOG and (bool(state.filter) or state.pane is Pane.FILTER)
        if self.display:
            found = listing(state)
            self._count.spans = (Span(f"{found.shown} of {found.total} ", "muted"),)
        if state.filter not in (self._shown, self.input.value):
            with self.prevent(Input.Changed):
                self.input.value = state.filter
        self._shown = state.filter

    async def complete(self) -> None:
        """Takes over what is offered behind the cursor."""
        offered = await self._completions.get_suggestion(self.input.value)
        if offered is not None:
            self.input.value = offered
            self.input.cursor_position = len(offered)


SMALLEST = (60, 18)


class TooSmall(Widget):
    """The notice on a terminal too small for the panes, which return with the room."""

    def render(self) -> Content:
        now, least = (f"{width}x{height}" for width, height in (self.size, SMALLEST))
        return Content(f"The window is {now}; {least} is needed.")
