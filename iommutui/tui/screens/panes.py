"""The panes of the desk: a state is drawn, and then only what the next one changes."""

from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.events import MouseDown, MouseMove, MouseUp
from textual.message import Message
from textual.widget import Widget

from iommutui.tui import pages
from iommutui.tui.commands import hints
from iommutui.tui.content import content
from iommutui.tui.pages.help import orientation
from iommutui.tui.pages.plan import plan_lines
from iommutui.tui.rows import head, listing, row
from iommutui.tui.state import AppState, Pane, View
from iommutui.tui.widgets.bars import Bar, FilterBar, KeyBar, banner
from iommutui.tui.widgets.lines import Lines
from iommutui.tui.widgets.rows import Rows

WIDE = 120
"""Columns from which on the details stand beside the list: below that, they would hide the target of a rebind."""


class Panes(Vertical):
    """Banner, filter, list or log, details, plan, orientation and key bar of one state."""

    @dataclass
    class Divided(Message):
        """The edge between list and details was dragged: the list has this many percent. ``done``: and let go."""

        share: int
        done: bool

    state: AppState
    """What is shown."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.list = Rows(lambda key, width, here: row(self.state, key, width, here), id="list")
        self._log_pane, self._details, self._plan, self._orientation = (
            Lines(id=name) for name in ("log", "details", "plan", "orientation")
        )
        self._log_pane.at_end = True
        self._orientation.can_focus = False

    def compose(self) -> ComposeResult:
        yield Bar(id="banner")
        yield FilterBar(id="filter")
        yield Container(self.list, self._log_pane, self._details, id="body")
        yield self._plan
        yield self._orientation
        yield KeyBar(id="keys")

    def show_state(self, state: AppState) -> None:
        """Draws another state; if only the cursor moved, only what depends on it."""
        before = self.state
        moved = not state.empty and state == before._replace(cursor=state.cursor)
        if moved and (state.view is not View.TOPOLOGY or before.cursor.group == state.cursor.group):
            self.state = state
            self.list.show_cursor(listing(state).places[state.cursor])
            self._details.show_lines(pages.details(state))
            self._orientation.show_lines(orientation(state))
            self.query_one(KeyBar).hints = hints(state)
        else:
            self.show_all(state, top=before.cursor != state.cursor or before.tab is not state.tab)

    def show_all(self, state: AppState, *, top: bool = False) -> None:
        """Draws every part of a state; ``top`` scrolls the details to their beginning."""
        self.state = state
        self.divide()
        found = listing(state)
        place = found.places.get(state.cursor, 0)
        self.list.show_rows(found.keys, place, head=head(state), empty=pages.nothing_listed(state))
        self._log_pane.show_lines(pages.log_lines(state), top=False)
        self._details.show_lines(pages.details(state), top=top)
        lines = plan_lines(state)
        self._plan.show_lines(lines, top=False)
        self._plan.show_line(next((n for n, line in enumerate(lines) if line.text.startswith("▌")), 0))
        hint = orientation(state)
        self._orientation.display = bool(hint) and not state.zoomed
        self._orientation.show_lines(hint)
        for pane in (self.list, self._log_pane):
            pane.border_title = content(pages.list_title(state))
        self._details.border_title = content(pages.details_title(state))
        self._plan.border_title = content(pages.plan_title(state))
        self.query_one(FilterBar).show_state(state)
        self.query_one(KeyBar).hints = hints(state)

    def widget_of(self, pane: Pane) -> Widget:
        """The widget that has the focus if a pane has it."""
        if pane is Pane.FILTER:
            return self.query_one(FilterBar).input
        if pane is Pane.LIST:
            return self._log_pane if self.state.view is View.LOG else self.list
        return self._details if pane is Pane.DETAILS else self._plan

    # -- room

    @property
    def _wide(self) -> bool:
        return self.app.size.width >= WIDE

    def divide(self) -> None:
        """Gives every pane its share of the room, or all of it if it is zoomed."""
        state = self.state
        self.query_one("#banner", Bar).spans = banner(state, self.app.size.width)
        shown = Pane.LIST if state.pane is Pane.FILTER else state.pane
        log = state.view is View.LOG
        self.list.display = not log and (not state.zoomed or shown is Pane.LIST)
        self._log_pane.display = log and (not state.zoomed or shown is Pane.LIST)
        self._details.display = not state.zoomed or shown is Pane.DETAILS
        self._plan.display = not state.zoomed or shown is Pane.PLAN
        self.query_one("#body").display = not state.zoomed or shown is not Pane.PLAN
        self._plan.set_class(state.zoomed, "-zoomed")
        for widget, share in (
            (self.list, state.share), (self._log_pane, state.share), (self._details, 100 - state.share)
        ):  # fmt: skip
            widget.styles.width = f"{share}fr" if self._wide else "1fr"
            widget.styles.height = "1fr" if self._wide else f"{share}fr"

    def on_mouse_down(self, event: MouseDown) -> None:
        """The edge between list and details can be dragged."""
        edge = self._details.region
        here = event.screen_x in (edge.x - 1, edge.x) if self._wide else event.screen_y == edge.y
        if here and edge.y <= event.screen_y < edge.bottom and not self.state.zoomed:
            self._details.capture_mouse()

    def on_mouse_move(self, event: MouseMove) -> None:
        if self.app.mouse_captured is self._details:
            body = self.widget_of(Pane.LIST).region.union(self._details.region)
            x, y = (event.screen_x - body.x) / body.width, (event.screen_y - body.y) / body.height
            self.post_message(self.Divided(round(100 * (x if self._wide else y)), done=False))

    def on_mouse_up(self, event: MouseUp) -> None:
        if self.app.mouse_captured is self._details:
            self._details.release_mouse()
            self.post_message(self.Divided(self.state.share, done=True))
