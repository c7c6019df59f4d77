"""The main screen: it holds the state, and serves commands and the reports of jobs."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import cached_property, partial
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.events import DescendantFocus
from textual.widgets import Input

from iommutui.core.errors import IommutuiError
from iommutui.core.host import Host
from iommutui.tui.commands import BY_ID, WHILE_TYPING, bindings, reason_against, topics
from iommutui.tui.commands.base import Desk
from iommutui.tui.commands.sharing import changed_since_boot
from iommutui.tui.machines import machine_in
from iommutui.tui.machines.base import Machine
from iommutui.tui.pages.help import help_lines
from iommutui.tui.palette import Palette
from iommutui.tui.rows import listing, settled
from iommutui.tui.rows.base import nothing_to_pass
from iommutui.tui.scanner import CLAIM_SECONDS, Scanner
from iommutui.tui.screens.panes import WIDE, Panes
from iommutui.tui.state import AppState, Key, LogLine, Pane, Phase, View, divided, failed, planned_moved, with_host
from iommutui.tui.store import Store, recalled, to_remember
from iommutui.tui.text import clip
from iommutui.tui.widgets.bars import FilterBar, TooSmall
from iommutui.tui.widgets.dialogs import Opened, PageScreen, carried_out
from iommutui.tui.widgets.lines import Lines
from iommutui.tui.widgets.rows import Rows

if TYPE_CHECKING:
    from iommutui.tui.screens.applying import ApplyFlow


class DeskScreen(Desk):
    """Implements `Desk`, the interface for commands, which documents its methods."""

    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-narrow"), (WIDE, "-wide")]  # noqa: RUF012 - Textual's own declaration
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (18, "-low"), (30, "-tall")]  # noqa: RUF012
    BINDINGS = [*bindings()]  # noqa: RUF012
    AUTO_FOCUS = "#list"

    def __init__(
        self, machine: Machine, state: AppState, first: Future[Host] | None = None, store: Store | None = None
    ) -> None:
        super().__init__()
        self.state = state
        self.scanner = Scanner(machine, self, first)
        self._panes = Panes(id="all")
        self._machine = machine
        self._store = store
        self.clock: Callable[[], str] = lambda: time.strftime("%H:%M:%S")
        """The time as the log has it."""

    @cached_property
    def _flow(self) -> "ApplyFlow":
        from iommutui.tui.screens.applying import ApplyFlow  # part of applying, which no first frame needs

        return ApplyFlow(self, self._machine, self.scanner)

    def compose(self) -> ComposeResult:
        """The panes, and the notice in their place if they have no room.

        Textual adds the breakpoints' classes after the first layout, which would be wrong without them.
        """
        size = self.app.size
        both = (size.width, self.HORIZONTAL_BREAKPOINTS), (size.height, self.VERTICAL_BREAKPOINTS)
        self.add_class(*([name for least, name in points if least <= cells][-1] for cells, points in both))
        yield self._panes
        yield TooSmall(id="small")

    def on_mount(self) -> None:
        """The first frame, with the machine if the first scan was quick enough."""
        host = self.scanner.first_look()
        if host is not None:
            self.state = settled(self._first_seen(host))
        self._panes.show_all(self.state)
        self.call_after_refresh(self.scanner.start, host)
        if self.state.source.real:
            self.set_interval(CLAIM_SECONDS, self.poll_claims)

    def on_unmount(self) -> None:
        self.scanner.stop()

    def on_screen_suspend(self) -> None:
        """Toasts lie neither over a dialog nor behind it."""
        self.app.clear_notifications()
        self.query("Toast").remove()  # the app takes away only those of the screen that is now on top

    def on_resize(self) -> None:
        self._panes.divide()

    def update(self, state: AppState) -> None:
        before, state = self.state, settled(state, self._panes.list.cursor)
        if state is before:
            return
        self.state = state
        if state.intents != before.intents:
            self.app.clear_notifications()  # they speak of the plan that was
        focus = self.focused is self._panes.widget_of(Pane.LIST)
        self._panes.show_state(state)
        if focus and state.view is not before.view:
            self.set_focus(self._panes.widget_of(Pane.LIST))

    # -- keys and the mouse

    async def action_run(self, command_id: str) -> None:
        """Runs a command of the registry, or says why it is unavailable now. A dialog that it opens is then there."""
        if {"-tiny", "-flat"} & self.classes and command_id not in ("quit", "suspend"):
            return  # nobody would see its effect
        if isinstance(self.focused, Input):
            await self._typed_out(self.focused)
        why = reason_against(command_id, self.state)
        if why is not None:
            self.say(why, "warning")
            return
        await carried_out(self, partial(BY_ID[command_id].run, self))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While the filter is typed, letters are letters."""
        if action != "run" or not isinstance(self.focused, Input):
            return True
        return bool(parameters) and parameters[0] in WHILE_TYPING

    @on(DescendantFocus)
    def _focused(self, event: DescendantFocus) -> None:
        panes = {"details": Pane.DETAILS, "plan": Pane.PLAN, "expression": Pane.FILTER}
        self.update(self.state._replace(pane=panes.get(event.widget.id or "", Pane.LIST)))

    @on(Rows.Picked)
    def _picked(self, event: Rows.Picked) -> None:
        state = self.state._replace(cursor=event.key)
        if event.fold and not state.filter:
            state = state._replace(collapsed=state.collapsed ^ {event.key.group})
        self.update(state)

    async def _typed_out(self, field: Input) -> None:
        """Waits until the filter has taken every letter that came before this key: they go to its own queue."""
        done = asyncio.Event()
        field.call_later(done.set)
        await done.wait()
        self.update(self.state._replace(filter=field.value))

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        if event.value == event.input.value:  # or else more has been typed since
            self.update(self.state._replace(filter=event.value))

    @on(Panes.Divided)
    def _divided(self, event: Panes.Divided) -> None:
        self.update(divided(self.state, event.share))
        if event.done:
            self.remember()

    # -- for commands

    def move(self, lines: int) -> None:
        state = self.state
        keys = listing(state).keys
        widget = self._panes.widget_of(Pane.DETAILS if state.phase is Phase.FAILED else state.pane)
        if state.pane is Pane.PLAN and state.intents:
            self.update(planned_moved(state, lines))
        elif isinstance(widget, Lines):
            widget.scroll_relative(y=lines, animate=False)
        elif keys:
            place = max(0, min(len(keys) - 1, self._panes.list.cursor + lines))
            self.update(state._replace(cursor=keys[place]))

    def page(self) -> int:
        return max(1, self._panes.widget_of(self.state.pane).scrollable_content_region.height - 1)

    def focus_pane(self, pane: Pane) -> None:
        state = self.state
        if pane is Pane.FILTER and state.view is View.LOG:
            state = state._replace(view=View.GROUPS)
        self.update(state._replace(pane=pane))
        self.set_focus(self._panes.widget_of(pane))
        if pane is Pane.FILTER:
            self.query_one(FilterBar).input.select_all()  # typed text replaces it

    def go_to(self, key: Key) -> None:
        state = self.state._replace(cursor=key)
        if key.device is not None:
            state = state._replace(collapsed=state.collapsed - {key.group})
        if state.view is View.LOG:
            state = state._replace(view=View.GROUPS)
        if key not in listing(state).places:
            state = state._replace(filter="", bridges=True)
        self.update(state)

    async def action_complete(self) -> None:
        """``Tab`` in the filter: takes over what is offered behind the cursor."""
        await self.query_one(FilterBar).complete()

    def remember(self) -> None:
        why = self._store.write(to_remember(self.state, self._store.read())) if self._store is not None else None
        if why is not None:
            self.log_line(why, "warn")
            self.say(f"{why} It is lost when the program ends.", "warning")

    def log_line(self, text: str, style: str = "plain") -> None:
        self.update(self.state._replace(log=(*self.state.log, LogLine(self.clock(), text, style))))

    def review(self, *, revert: bool = False) -> Opened:
        return self._flow.review(revert=revert)

    async def action_help(self) -> None:
        """Show every key, sign and term."""
        await self.app.push_screen(PageScreen("Help", help_lines(topics(), self.state.pane)))

    async def action_palette(self) -> None:
        """Every command, by name."""
        await self.app.push_screen(Palette())

    # -- from jobs

    def rescan(self) -> None:
        if not self.state.seen:
            self.update(self.state._replace(phase=Phase.SCANNING, problem=None))
        self.scanner.rescan()

    def read_machine(self, text: str, then: Callable[[Machine, Host], Opened]) -> None:
        machine = machine_in(text, self.state.host.driver_table)
        name = clip(machine.source.label, 40)
        self.say(f"Reading {name}.")

        async def read() -> None:
            try:
                host = await asyncio.to_thread(machine.scan)
            except IommutuiError as error:
                self.say(f"{error.what} {error.remedy}".strip(), "error")
                return
            if not self.is_active:  # nothing comes between a dialog and its answer
                self.say(f"{name} was read, but is not shown over this dialog.", "warning")
                return
            await carried_out(self, partial(then, machine, host))

        self.run_worker(read(), group="read", exclusive=True)

    def poll_claims(self) -> None:
        """Polls who holds groups, unless a plan is being applied, which changes that itself."""
        if self.state.seen and self.state.phase is not Phase.APPLYING:
            self.scanner.poll_claims(self.state.host)

    def _first_seen(self, host: Host) -> AppState:
        """The state of the first scan: with the saved state of the machine, and groups of bridges folded."""
        if self._machine.notes:
            self.call_after_refresh(self._tell, self._machine.notes)
        if self.state.source.real:
            self.scanner.look_back(host)
        state = with_host(self.state, host)[0]._replace(collapsed=nothing_to_pass(host))
        return recalled(state, self._store.read()) if self._store is not None else state

    def show_host(self, host: Host) -> None:
        """Takes over a scan; everything that the user has set up stays."""
        before = self.state
        if not before.seen:
            self.update(self._first_seen(host))
            return
        if host == before.host and before.problem is None:
            return
        state, notes = with_host(before, host)
        if before.phase is Phase.APPLYING:
            state = state._replace(phase=Phase.APPLYING)
        self.update(state)
        self._tell(notes)

    def _tell(self, notes: Sequence[str]) -> None:
        """Adds all of them to the log, and shows the first."""
        for note in notes:
            self.log_line(note, "warn")
        if notes:
            more = f" L shows {len(notes) - 1} more." if len(notes) > 1 else ""
            self.say(notes[0] + more, "warning")

    @on(Scanner.Scanned)
    def _scanned(self, message: Scanner.Scanned) -> None:
        self.show_host(message.host)
        self.scanner.done()

    @on(Scanner.Failed)
    def _scan_failed(self, message: Scanner.Failed) -> None:
        self.scanner.done()
        self.update(failed(self.state, message.problem))
        self.log_line(message.problem.what, "bad")
        if self.state.seen:
            self.say(f"{message.problem.what} The screen shows an older state.", "error")

    @on(Scanner.Changed)
    def _machine_changed(self) -> None:
        self.scanner.look_soon()

    @on(Scanner.Claimed)
    def _claimed(self, message: Scanner.Claimed) -> None:
        if self.state.host is message.before and self.state.phase is not Phase.APPLYING:
            self.show_host(message.now)

    @on(Scanner.Watching)
    def _watching(self, message: Scanner.Watching) -> None:
        if message.lacks:
            self.update(self.state._replace(live_lacks=message.lacks))
            self.log_line(message.lacks, "warn")
        if message.left is not None:
            self._flow.recover(message.left)

    @on(Scanner.BeforeBoot)
    def _looked_back(self, message: Scanner.BeforeBoot) -> None:
        self.update(self.state._replace(before_boot=message.host))
        said = changed_since_boot(message.host, self.state.host, self.state.model)
        if said:
            self.log_line(said, "warn")
            self.say(said, "warning")

    def on_apply_flow_said(self, message: "ApplyFlow.Said") -> None:
        self._flow.said(message.event)

    def on_apply_flow_ended(self, message: "ApplyFlow.Ended") -> None:
        self._flow.ended(message.problem)
