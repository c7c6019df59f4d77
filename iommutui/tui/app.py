"""The application: settings, theme, and everything common to all screens."""

import os
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, ClassVar, Literal

from textual import on
from textual.app import App
from textual.binding import Binding, BindingType
from textual.events import Event, Key, Paste
from textual.message import Message
from textual.notifications import Notify, SeverityLevel
from textual.theme import Theme

from iommutui.core.errors import IommutuiError
from iommutui.core.host import Host
from iommutui.settings import Settings, settings_path
from iommutui.tui.commands.sharing import OpenMachine
from iommutui.tui.keys import keymap, use_keys
from iommutui.tui.machines import is_listing
from iommutui.tui.machines.base import Machine
from iommutui.tui.screens.desk import DeskScreen
from iommutui.tui.screens.review import DeliberateDialog
from iommutui.tui.state import AppState, start
from iommutui.tui.store import Store
from iommutui.tui.text import clip, visible
from iommutui.tui.theme import CONSOLE, IOMMUTUI, ConsoleDriver, legible
from iommutui.tui.widgets.dialogs import ConfirmScreen, Dialog, Opened

SEVERITY_SIGNS = {"information": "", "warning": "! ", "error": "✖ "}
"""What a message begins with, so that its severity is not shown by colour alone."""


def has_shell() -> bool:
    """Whether a shell with job control started this program, and can take the terminal and give it back."""
    parent = os.getppid()
    return os.getsid(parent) == os.getsid(0) and os.getpgid(parent) != os.getpgrp()


class IommutuiApp(App[None]):
    """The Textual application for one machine."""

    TITLE = "iommutui"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False  # the desk opens it, so it never opens over a review
    NOTIFICATION_TIMEOUT = 6
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+q", "leave", "Quit", show=False, priority=True)]

    def __init__(
        self,
        machine: Machine,
        state: AppState,
        first: Future[Host] | None = None,
        *,
        store: Store | None = None,
        config: Settings | None = None,
        console: bool | None = None,
    ) -> None:
        """``first``: a scan of the machine that has begun already.

        ``console``: the terminal is the bare Linux console; None: decided by ``TERM``.
        """
        console = os.environ.get("TERM") == "linux" if console is None else console
        super().__init__(driver_class=ConsoleDriver if console else None)
        config = config if config is not None else Settings()
        self.animation_level: Literal["none", "basic", "full"] = "none"
        self.keys_from = 0.0
        """Keys that were pressed before this time, by the clock of messages, do nothing."""
        self._cleared_at = 0.0
        self._wrong = list(config.wrong)
        self._store = store
        usual = CONSOLE if console else IOMMUTUI
        self.register_theme(IOMMUTUI)
        self.register_theme(usual)
        self.set_reactive(App.theme, usual.name)  # set any other way, the theme has the style sheet parsed twice
        self.stylesheet.set_variables(self.get_css_variables())
        self.theme = self._theme_to_use(config, usual)
        self._wrong += use_keys(config)
        self.set_keymap(keymap())
        self.desk = self._first_desk = DeskScreen(machine, state, first, store)

    def _theme_to_use(self, config: Settings, usual: Theme) -> str:
        """The theme of the settings, else the one chosen on the screen, else the default."""
        wanted = config.theme
        if wanted not in (IOMMUTUI.name, *self.available_themes):
            names = ", ".join(sorted(self.available_themes))
            place = config.places.get("screen.theme", settings_path())
            self._wrong.append(IommutuiError(f"{place}: there is no theme {wanted!r}.", f"Themes are: {names}."))
        elif wanted != IOMMUTUI.name:
            return wanted
        kept = self._store.read().theme if self._store is not None else ""
        return kept if kept in self.available_themes else usual.name

    def get_default_screen(self) -> DeskScreen:
        return self.desk

    def get_css_variables(self) -> dict[str, str]:
        """The theme's colours, made readable."""
        return legible(super().get_css_variables(), dark=self.current_theme.dark)

    def on_ready(self) -> None:
        """Reports mistakes in the settings, and remembers a theme chosen from now on."""
        for error in self._wrong:
            self.desk.log_line(f"{error.what} {error.remedy}", "warn")
        if self._wrong:
            more = f", and has {len(self._wrong) - 1} more" if len(self._wrong) > 1 else ""
            self.notify(f"{self._wrong[0].what} The log (L) says how to fix it{more}.", severity="warning")
        self.theme_changed_signal.subscribe(self, self._keep_theme)
        self.app_resume_signal.subscribe(self, lambda _: self.refresh(layout=True))  # the shell wrote over it

    def _keep_theme(self, theme: Theme) -> None:
        if self._store is not None:
            self._store.write(self._store.read()._replace(theme=theme.name))

    def notify(self, message: str, *, severity: SeverityLevel = "information", **rest: Any) -> None:
        """Shows a message in place of the one before; as it is, whatever ``markup`` is."""
        self.clear_notifications()
        super().notify(SEVERITY_SIGNS[severity] + visible(message), severity=severity, **{**rest, "markup": False})

    def clear_notifications(self) -> None:
        """What has been said and has not been shown yet as well."""
        self._cleared_at = Message().time
        super().clear_notifications()

    def on_notify(self, event: Notify) -> None:
        """Comes before Textual's own, which shows it."""
        if event.time < self._cleared_at:
            event.prevent_default()

    async def on_event(self, event: Event) -> None:
        """Ends pasted lines by LF, and drops keys that were typed before it was visible what they would do.

        A key passes here twice: on its way to the widget with the focus, and when it has come up from there to the
        bindings, which are those of the screen that is on top by then.
        """
        if isinstance(event, Paste):
            event.text = event.text.replace("\r\n", "\n").replace("\r", "\n")  # many terminals end lines by CR
        if isinstance(event, Key):
            screen = self.screen
            if event.time < self.keys_from or not self.desk.is_mounted:
                return
            if isinstance(screen, DeliberateDialog) and not screen.takes(event):
                if event.time > screen.shown_at:
                    self.notify("That key came too soon: read this first.", severity="warning")
                return
        await super().on_event(event)

    def action_suspend(self) -> None:
        """Gives the terminal back to the shell, if there is one; keys typed meanwhile are for the shell."""
        before = Message().time
        if has_shell():
            self.action_suspend_process()
        now = Message().time
        stopped = now - before > 0.2
        self.keys_from = now if stopped else now + 2
        if not stopped:
            self.notify("There is no shell to return to, so nothing is suspended. q quits.", severity="warning")

    def action_help_quit(self) -> None:
        """``ctrl+c``, which ends many programs."""
        self.notify("q quits iommutui; Ctrl-Q closes a dialog first.")

    def on_paste(self, event: Paste) -> None:
        """Opens a pasted listing that no field has taken."""
        if self.screen is self.desk and is_listing(event.text):
            self.post_message(OpenMachine(event.text))

    @on(OpenMachine)
    def _wanted(self, message: OpenMachine) -> None:
        if message.text.strip():
            self.desk.read_machine(message.text, self._ask_to_open)
        elif self.desk is self._first_desk:
            self.desk.say("This is the first machine.")
        else:
            self._ask("Return to the first machine?", "It is as you left it.", "Return", self._return)

    def _ask_to_open(self, machine: Machine, host: Host) -> Opened:
        question = f'The screen then shows "{clip(machine.source.label, 40)}", on which everything is simulated.'
        return self._ask("Open another machine?", question, "Open", partial(self._open, machine, host))

    def _ask(self, title: str, question: str, yes: str, then: Callable[[], None]) -> Opened:
        lost = " The staged changes are lost." if self.desk.state.intents and self.desk is not self._first_desk else ""
        return self.desk.ask(ConfirmScreen(title, question + lost, yes, "Stay"), lambda _: then())

    def _open(self, machine: Machine, host: Host) -> None:
        """Shows another machine on its own desk."""
        first: Future[Host] = Future()
        first.set_result(host)
        self.desk.scanner.stop()
        self.desk = DeskScreen(machine, start(machine.source), first, self._store)
        self.call_later(self._show_desk)  # once the question is off the screen

    async def _show_desk(self) -> None:
        """Replaces the desk before it; the first one stays below, as it was left."""
        await (self.push_screen if len(self.screen_stack) == 1 else self.switch_screen)(self.desk)

    def _return(self) -> None:
        """Shows the first machine, as it is by now."""
        self.desk = self._first_desk
        self.desk.scanner.start(None)
        self.call_later(self.pop_screen)

    async def action_leave(self) -> None:
        """``ctrl+q`` asks as ``q`` does."""
        if self.screen is self.desk:
            await self.desk.action_run("quit")
        elif isinstance(self.screen, Dialog):
            self.screen.action_close()
        else:
            self.screen.dismiss(None) if self.screen.is_modal else self.exit(None)
