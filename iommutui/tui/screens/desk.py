"""The one screen that is always there: list, details, plan, and whatever is laid over them."""

from textual import on
from textual.events import Click, Resize
from textual.widget import Widget

from iommutui.tui.commands.base import Dialog, Pane
from iommutui.tui.early import EarlyScan
from iommutui.tui.rows.groups import listing
from iommutui.tui.machines.base import Machine
from iommutui.tui.registry import BY_ID, COMMANDS, bindings, reason_against
from iommutui.tui.saying import go_on_saying, message_of
from iommutui.tui.screens.dialogs import open_dialog, prepare_dialogs
from iommutui.tui.screens.remembering import Remembering
from iommutui.tui.screens.scanning import Scanning
from iommutui.tui.screens.showing import Showing
from iommutui.tui.screens.writing import Writing
from iommutui.tui.state import AppState, Key, Phase, View
from iommutui.tui.store import Store
from iommutui.tui.text.content import toast
from iommutui.tui.widgets.lines import Lines
from iommutui.tui.widgets.message import Message
from iommutui.tui.widgets.rows import Rows


class DeskScreen(Showing, Remembering, Scanning, Writing):
    """Shows a state, and passes keys to the commands of the registry."""

    BINDINGS = [*bindings(COMMANDS)]  # noqa: RUF012 - Textual's own declaration

    def __init__(
        self, machine: Machine, state: AppState, early: EarlyScan | None = None, store: Store | None = None
    ) -> None:
        super().__init__("desk")
        self.store = store
        self.machine = machine
        self.early = early
        self._state = state

    def on_mount(self) -> None:
        """The first frame; the machine is looked at after it, unless it has been already."""
        self._size_shown = self.app.size
        self.show_first(self.first_state(self._state))
        self.call_after_refresh(self.start_scanning)

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
        if listing(state).place(key) is None:
            state = state._replace(filter="")
        if state.view is View.LOG:
            state = state._replace(view=View.GROUPS)
        self.update(state)

    def complete(self) -> None:
        """Takes what the filter offers to complete the word with."""
        self._filter.complete()

    def prepare(self) -> None:
        """Makes what a key will need, before it is pressed."""
        self.judge_ahead()
        message_of(self)
        self.run_worker(self._prepare(), group="prepare")

    async def _prepare(self) -> None:
        await self._filter.prepare(self._state)
        await prepare_dialogs(self)

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
        command = self.title_command(event.screen_x, event.screen_y)
        if command:
            await self.app.run_action(f"run('{command}')", self)

    def on_screen_suspend(self) -> None:
        """What was said in passing does not lie over a dialog."""
        self.app.clear_notifications()
        self.query(Message).set(display=False)

    def on_screen_resume(self) -> None:
        """What a dialog said while it closed is still being said."""
        go_on_saying(self.app)

    def on_resize(self, event: Resize) -> None:
        """Titles have other room."""
        if event.size != self._size_shown:
            self._size_shown = event.size
            self.show_all(self._state, top=False)

    @property
    def busy(self) -> bool:
        """A plan is being applied."""
        return self._state.phase is Phase.APPLYING
