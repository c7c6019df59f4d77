"""The one screen that is always there: list, details, plan, and whatever is laid over them."""

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.events import Click, Resize
from textual.widget import Widget

from iommutui.tui import details, planview, titles
from iommutui.tui.commands.base import Dialog, Pane
from iommutui.tui.early import EarlyScan
from iommutui.tui.machine import Machine
from iommutui.tui.preview import verdicts
from iommutui.tui.registry import BY_ID, COMMANDS, bindings, footer, reason_against
from iommutui.tui.screens.dialogs import open_dialog
from iommutui.tui.screens.scanning import Scanning
from iommutui.tui.screens.writing import Writing
from iommutui.tui.spans import Line, Span, line
from iommutui.tui.state import AppState, Key, Phase, View, logged
from iommutui.tui.store import Memory, Store, marks_in, marks_to_keep
from iommutui.tui.text import content, toast
from iommutui.tui.view import EMPTY, listing, row, settled
from iommutui.tui.widgets.banner import Banner
from iommutui.tui.widgets.filterbar import FilterBar
from iommutui.tui.widgets.keybar import KeyBar
from iommutui.tui.widgets.lines import Lines
from iommutui.tui.widgets.rows import Rows
from iommutui.tui.widgets.toosmall import TooSmall

WIDE = 120
"""Columns from which on the details stand beside the list: below, they would cut off what a rebind goes to."""

COUNT_AT_ONCE = 500
"""Verdicts for the count in the list's title that are computed before anything else is let in between."""


class DeskScreen(Scanning, Writing):
    """Shows a state, and passes keys to the commands of the registry."""

    BINDINGS = [*bindings(COMMANDS)]  # noqa: RUF012 - Textual's own declaration
    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-narrow"), (WIDE, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (18, "-low"), (30, "-tall")]  # noqa: RUF012
    AUTO_FOCUS = "#list"

    def __init__(
        self, machine: Machine, state: AppState, early: EarlyScan | None = None, store: Store | None = None
    ) -> None:
        super().__init__("desk")
        self._store = store
        self.machine = machine
        self.early = early
        self._state = state
        self._listing = EMPTY
        self._titles: dict[Widget, titles.Title] = {}

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
                yield Rows(self._paint, id="list")
                yield Lines(id="log")
                yield Lines(id="details")
            yield Lines(id="plan", grows=True)
            yield Lines(id="orientation", grows=True)
            yield KeyBar(footer(), self._state, id="keys")
        yield TooSmall(id="small")

    def on_mount(self) -> None:
        """The first frame; the machine is looked at after it, unless it has been already."""
        self._size_shown = self.app.size
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
        self._state = self.first_state(self._state)
        self._show_all(self._state)
        self.call_after_refresh(self.start_scanning)

    # -- the state

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
        if state == before._replace(cursor=state.cursor) and state.cursor in found.places:
            if state.view is View.TOPOLOGY and self._group(before) != self._group(state):
                self._list.show_rows(found.keys, found.places[state.cursor], self._nothing(state))
            else:
                self._list.show_cursor(found.places[state.cursor])
            self._show_details(state, top=True)
            self._show_hint(state)
            self._keys.show_state(state)
            return
        self._show_all(state, top=before.cursor != state.cursor)

    @staticmethod
    def _group(state: AppState) -> int | None:
        return state.cursor.group if state.cursor is not None else None

    def _show_title(self) -> None:
        state = self._state
        found = verdicts(state.host, state.model) if state.host is not None else None
        if found is not None and not found.advance(COUNT_AT_ONCE):
            self.set_timer(0.02, self._show_title)
            found = None
        title = titles.list_title(state, found)
        self._entitle(self._log if state.view is View.LOG else self._list, title)

    def _show_all(self, state: AppState, *, top: bool = True) -> None:
        found = self._listing = listing(state)
        cursor = found.places.get(state.cursor, 0) if state.cursor is not None else 0
        self._list.show_rows(found.keys, cursor, self._nothing(state))
        self._show_view(state)
        self._show_title()
        self._entitle(self._details, titles.details_title(state))
        self._show_details(state, top=top)
        self._entitle(self._plan, titles.plan_pane_title(state))
        self._plan.show_lines(planview.plan_lines(state), top=False)
        self._show_hint(state)
        self._banner.show_state(state)
        self._filter.show_state(state)
        self._keys.show_state(state)

    def _show_hint(self, state: AppState) -> None:
        if state.hints or self._orientation.display:
            from iommutui.tui.orientation import hint

            lines = hint(state)
            self._orientation.display = bool(lines)
            self._orientation.show_lines(lines)

    def _show_view(self, state: AppState) -> None:
        log = state.view is View.LOG
        if log:
            from iommutui.tui.logview import log_lines

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

    def _nothing(self, state: AppState) -> tuple[Line, ...]:
        if state.host is None:
            return details.scanning(state)
        if state.filter:
            return (
                line(Span("Nothing matches ", "muted"), Span(state.filter, "strong")),
                line(Span("Esc", "key"), Span(" clears the filter", "muted")),
            )
        return (line(Span("This machine has no PCI devices.", "muted")),)

    def _entitle(self, pane: Widget, title: titles.Title) -> None:
        """Sets a pane's title; a frame has room around it of its own, a rule has not."""
        if self.size.width < WIDE or self.size.height < 30:
            title = titles.Title((Span(" "), *title.spans, Span(" ")), ("", *title.commands, ""))
        if self._titles.get(pane) != title:
            self._titles[pane] = title
            pane.border_title = content(title.spans)

    def _paint(self, key: Key, width: int, here: bool) -> tuple[Span, ...]:
        return row(self._state, key, width, here)

    # -- what commands can do

    @property
    def pane(self) -> Pane:
        """The pane with the focus; the list where none has it."""
        focused = self.focused
        while focused is not None and focused.id not in ("list", "details", "plan", "filter"):
            if focused is self._log:
                return Pane.LIST
            focused = focused.parent if isinstance(focused.parent, Widget) else None
        return Pane(focused.id) if focused is not None and focused.id else Pane.LIST

    def page(self) -> int:
        """How many lines the pane with the focus shows."""
        return max(1, self._pane_widget(self.pane).scrollable_content_region.height - 1)

    def _pane_widget(self, pane: Pane) -> Widget:
        if pane is Pane.LIST and self._state.view is View.LOG:
            return self._log
        return self.query_one(f"#{pane.value}")

    def move(self, lines: int) -> None:
        """Moves the cursor, or scrolls the pane that has the focus."""
        pane = self.pane
        widget = self._pane_widget(pane)
        if isinstance(widget, Lines):
            widget.page(lines)
            return
        keys = self._listing.keys
        if keys:
            index = max(0, min(len(keys) - 1, self._list.cursor + lines))
            self.update(self._state._replace(cursor=keys[index]))

    def focus_pane(self, pane: Pane) -> None:
        """Gives a pane the focus; the filter comes with its bar."""
        if pane is Pane.FILTER:
            if self._state.view is View.LOG:
                self.update(self._state._replace(view=View.GROUPS))
            if self._filter.ready:
                self._filter.edit(self._state)
            else:
                self.run_worker(self._filter.prepare_and_edit(self._state), group="prepare")
            return
        self._pane_widget(pane).focus()
        self.call_after_refresh(self._filter.show_state, self._state)

    def go_to(self, key: Key) -> None:
        """Puts the cursor on a row, opening its group and taking a filter away that hides it."""
        state = self._state._replace(cursor=key)
        if key.device is not None:
            state = state._replace(collapsed=state.collapsed - {key.group})
        if key not in listing(state).places:
            state = state._replace(filter="")
        if state.view is View.LOG:
            state = state._replace(view=View.GROUPS)
        self.update(state)

    def complete(self) -> None:
        """Takes what the filter offers to complete the word with."""
        self._filter.complete()

    def keep_marks(self) -> None:
        """Writes down which devices are marked."""
        state = self._state
        if self._store is not None and state.host is not None:
            memory = self._store.read()
            marks = {**memory.marks, self._machine_name: marks_to_keep(state.host, state.marks)}
            self._remember(memory._replace(marks=marks))

    def end_hints(self) -> None:
        """The orientation is over, and does not come again."""
        self.update(self._state._replace(hints=False))
        if self._store is not None:
            self._remember(self._store.read()._replace(oriented=True))

    def remember(self, state: AppState) -> AppState:
        """The state of the first look with what is remembered of this machine."""
        if self._store is None or state.host is None:
            return state
        memory = self._store.read()
        marks = marks_in(state.host, memory.marks.get(self._machine_name, ()))
        return state._replace(marks=marks, hints=not memory.oriented)

    @property
    def _machine_name(self) -> str:
        return f"{self.machine.source.kind.value} {self.machine.source.label}".strip()

    def _remember(self, memory: Memory) -> None:
        why = self._store.write(memory) if self._store is not None else None
        if why is not None:
            self.update(logged(self._state, self.now(), why, "warn"))
            self.say(f"{why} It is forgotten at the end.", "warning")

    def prepare(self) -> None:
        """Makes what a key will need, before it is pressed."""
        self.run_worker(self._filter.prepare(self._state), group="prepare")

    def open(self, dialog: Dialog) -> None:
        """Lays a dialog over the screen."""
        open_dialog(self, dialog)

    def say(self, text: str, severity: str = "information") -> None:
        """A short message that goes away by itself."""
        toast(self.app, text, severity)

    def copy(self, text: str) -> None:
        """Puts text on the terminal's clipboard (OSC 52)."""
        self.app.copy_to_clipboard(text)

    def leave(self) -> None:
        """Ends the program."""
        self.app.exit(None)

    # -- keys and the mouse

    def action_run(self, command_id: str) -> None:
        """Does a command of the registry."""
        command = BY_ID[command_id]
        if command.run is not None:
            command.run(self)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A command that cannot be done now is grey; pressing it says why."""
        if action == "run" and parameters and reason_against(str(parameters[0]), self._state) is not None:
            return None
        return True

    @on(Rows.Picked)
    def _picked(self, event: Rows.Picked) -> None:
        self._list.focus()
        key = self._listing.keys[event.index]
        collapsed = self._state.collapsed
        if event.fold and not self._state.filter:
            collapsed = collapsed ^ {key.group}
        self.update(self._state._replace(cursor=key, collapsed=frozenset(collapsed)))

    def on_input_changed(self, event: object) -> None:
        """The filter follows what is typed; in the topology, the search."""
        text = str(getattr(event, "value", ""))
        if self._state.view is View.TOPOLOGY:
            self.update(self._state._replace(search=text))
        else:
            self.update(self._state._replace(filter=text))

    async def on_input_submitted(self) -> None:
        """Enter goes back to the list and keeps the filter; a search goes to the first that it finds."""
        self.focus_pane(Pane.LIST)
        if self._state.view is View.TOPOLOGY and self._state.search.strip():
            await self.app.run_action("run('next-match')", self)

    async def on_click(self, event: Click) -> None:
        """A click on a title does what its words say."""
        for pane, title in self._titles.items():
            if pane.display and pane.region.y == event.screen_y and pane.region.x <= event.screen_x < pane.region.right:
                command = titles.command_at(title, event.screen_x - pane.region.x - 2)
                if command:
                    await self.app.run_action(f"run('{command}')", self)

    def on_screen_suspend(self) -> None:
        """What was said in passing does not lie over a dialog."""
        self.app.clear_notifications()
        self.query("ToastHolder").remove()  # they would stay below the dialog: only the screen on top is told

    def on_resize(self, event: Resize) -> None:
        """Titles have other room."""
        if event.size != self._size_shown:
            self._size_shown = event.size
            self._show_all(self._state, top=False)

    @property
    def busy(self) -> bool:
        """A plan is being applied."""
        return self._state.phase is Phase.APPLYING
