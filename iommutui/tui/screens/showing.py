"""The panes of the desk: a state is drawn, and of the next one only what it changes."""

from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.reactive import Reactive
from textual.screen import Screen
from textual.widget import Widget

from iommutui.core.query import mistakes
from iommutui.tui import details, planview, titles
from iommutui.tui.rows.groups import EMPTY, Listing, listing, settled
from iommutui.tui.derived import count_on, counted, verdicts
from iommutui.tui.registry import footer
from iommutui.tui.rows.groups import row
from iommutui.tui.text.spans import Line, Span, line
from iommutui.tui.state import AppState, Key, View
from iommutui.tui.text.content import content
from iommutui.tui.widgets.banner import Banner
from iommutui.tui.widgets.filterbar import FilterBar
from iommutui.tui.widgets.keybar import KeyBar
from iommutui.tui.widgets.lines import Lines
from iommutui.tui.widgets.painted import Framed
from iommutui.tui.widgets.rows import Rows
from iommutui.tui.widgets.toosmall import TooSmall

WIDE = 120
"""Columns from which on the details stand beside the list: below, they would cut off what a rebind goes to."""

COUNT_AT_ONCE = 500
"""Groups that are judged for the count in the list's title before the title is shown without it."""

COUNT_ASIDE = 250
"""Groups that are judged between two keys."""


class Showing(Screen[None]):
    """The part of the desk that has a state and shows it."""

    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-narrow"), (WIDE, "-wide")]  # noqa: RUF012 - Textual's own declaration
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (18, "-low"), (30, "-tall")]  # noqa: RUF012
    AUTO_FOCUS = "#list"

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)
    """Panes show who has the focus; the screen behind them does not change by it."""

    _state: AppState
    _listing: Listing = EMPTY
    _counting = False
    _ahead = False
    """The first frame is there, so that other models than the one on the screen have their turn."""

    def compose(self) -> ComposeResult:
        """The panes."""
        # Textual sets these classes with the first resize, which would be a second layout of the first frame.
        width, height = self.app.size
        self.add_class([name for least, name in self.HORIZONTAL_BREAKPOINTS if width >= least][-1])
        self.add_class([name for least, name in self.VERTICAL_BREAKPOINTS if height >= least][-1])
        with Vertical(id="all"):
            yield Banner(self._state, id="banner")
            yield FilterBar(id="filter")
            with Container(id="body"):
                yield Rows[Key](self._paint, id="list", heads=lambda key: key.device is None)
                yield Lines(id="log")
                yield Lines(id="details")
            yield Lines(id="plan", grows=True)
            yield Lines(id="orientation", grows=True)
            yield KeyBar(footer(), self._state, id="keys")
        yield TooSmall(id="small")

    def show_first(self, state: AppState) -> None:
        """The first frame."""
        self._styles_cache = Framed()
        self._titles: dict[Widget, titles.Title] = {}
        self._list = self.query_one(Rows)
        self._log = self.query_one("#log", Lines)
        self._log.display = False
        self._details = self.query_one("#details", Lines)
        self._plan = self.query_one("#plan", Lines)
        self._orientation = self.query_one("#orientation", Lines)
        self._orientation.display = False
        self._banner = self.query_one(Banner)
        self._filter = self.query_one(FilterBar)
        self._keys = self.query_one(KeyBar)
        self._state = state
        self.show_all(state)

    @property
    def state(self) -> AppState:
        """The state on the screen."""
        return self._state

    def update(self, state: AppState) -> None:
        """Shows another state, drawing again only what it changes."""
        before = self._state
        state = settled(state, self._list.cursor)
        if state is before:
            return
        self._state = state
        if state.intents != before.intents:
            self.app.clear_notifications()  # they speak of the plan that was
        found = listing(state)
        place = found.place(state.cursor)
        if place is None or state != before._replace(cursor=state.cursor):
            self.show_all(state, top=before.cursor != state.cursor)
            return
        if state.view is View.TOPOLOGY and _group(before) != _group(state):
            self._list.show_rows(found.keys, place, _nothing(state))
        else:
            self._list.show_cursor(place)
        self._show_details(state, top=True)
        self._show_hint(state)
        self._keys.show_state(state)

    def show_all(self, state: AppState, *, top: bool = True) -> None:
        """Shows every part of a state; ``top`` shows the details from their beginning."""
        found = self._listing = listing(state)
        self._list.show_rows(found.keys, found.place(state.cursor) or 0, _nothing(state))
        self._show_view(state)
        self._show_title(COUNT_AT_ONCE)
        self._entitle(self._details, titles.details_title(state))
        self._show_details(state, top=top)
        self._entitle(self._plan, titles.plan_pane_title(state))
        self._plan.show_lines(planview.plan_lines(state), top=False)
        self._show_hint(state)
        self._banner.show_state(state)
        self._filter.show_state(state)
        self._keys.show_state(state)

    def _show_title(self, limit: int = 0) -> None:
        """The list's title, with how many groups are viable once all have been judged: at once, where they are few."""
        state = self._state
        found = verdicts(state.host, state.model) if state.host is not None else None
        known = found if found is not None and found.advance(limit) else None
        self._entitle(self._log if state.view is View.LOG else self._list, titles.list_title(state, known))
        if not self._counting and (known is None or self._ahead):
            self._counting = True
            self.set_timer(0.02, self._judge)

    def _judge(self) -> None:
        """Judges some more groups; whoever presses a key meanwhile is served first."""
        self._counting = False
        host, model = self._state.host, self._state.model
        if host is None or (self._ahead and counted(host)):
            return
        if self._ahead:
            count_on(host, model, COUNT_ASIDE)
        else:
            verdicts(host, model).advance(COUNT_ASIDE)
        self._show_title()

    def judge_ahead(self) -> None:
        """From now on every model judges every group while no key is pressed."""
        self._ahead = True
        self._show_title()

    def _show_hint(self, state: AppState) -> None:
        if state.hints or self._orientation.display:
            from iommutui.tui.pages.help import hint

            lines = hint(state)
            self._orientation.display = bool(lines)
            self._orientation.show_lines(lines)

    def _show_view(self, state: AppState) -> None:
        log = state.view is View.LOG
        if log:
            from iommutui.tui.pages.log import log_lines

            self._log.at_end = True
            self._log.show_lines(log_lines(state), top=False)
        if self._log.display is not log:
            focused = self.focused in (self._list, self._log)
            self._log.display, self._list.display = log, not log
            if focused:
                self.set_focus(self._log if log else self._list)

    def _show_details(self, state: AppState, *, top: bool) -> None:
        lines: tuple[Line, ...] = details.details(state)
        if state.host is not None and not state.host.groups and not listing(state).keys:
            lines = tuple(details.no_iommu(state.host))
        self._details.show_lines(lines, top=top)

    def _entitle(self, pane: Widget, title: titles.Title) -> None:
        """Sets a pane's title; a frame has room around it of its own, a rule has not."""
        if self.size.width < WIDE or self.size.height < 30:
            title = titles.Title((Span(" "), *title.spans, Span(" ")), ("", *title.commands, ""))
        if self._titles.get(pane) != title:
            self._titles[pane] = title
            pane.border_title = content(title.spans)

    def title_command(self, x: int, y: int) -> str:
        """What a click on a title does: the command of the words at this place of the screen."""
        for pane, title in self._titles.items():
            if pane.display and pane.region.y == y and pane.region.x <= x < pane.region.right:
                return titles.command_at(title, x - pane.region.x - 2)
        return ""

    def _paint(self, key: Key, width: int, here: bool) -> tuple[Span, ...]:
        return row(self._state, key, width, here)


def _group(state: AppState) -> int | None:
    return state.cursor.group if state.cursor is not None else None


def _nothing(state: AppState) -> tuple[Line, ...]:
    """What stands in the list's place where it has no rows."""
    if state.host is None:
        return details.scanning(state)
    if state.filter:
        return (
            line(Span("Nothing matches ", "muted"), Span(state.filter, "strong")),
            *(line(Span("! ", "warn"), said, hang=2) for said in mistakes(state.filter)),
            line(Span("Esc", "key"), Span(" clears the filter", "muted")),
        )
    return (line(Span("This machine has no PCI devices.", "muted")),)
