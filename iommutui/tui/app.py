"""The application: theme, keys, and the reason why a key does nothing."""

from collections.abc import Mapping, Sequence

from textual.actions import ActionParseResult
from textual.app import App
from textual.binding import Binding
from textual.color import Color
from textual.dom import DOMNode
from textual.events import Event, Key, Paste
from textual.theme import Theme

from iommutui.core.errors import IommutuiError
from iommutui.tui.theme import BEHIND, WORDS, readable
from iommutui.tui.early import EarlyScan
from iommutui.tui.machines.base import Machine
from iommutui.tui.registry import keymap, reason_against
from iommutui.tui.saying import Saying
from iommutui.tui.screens.desk import DeskScreen
from iommutui.tui.state import AppState, logged
from iommutui.tui.store import Store
from iommutui.tui.text.content import toast
from iommutui.tui.theme import IOMMUTUI
from iommutui.tui.typeahead import TypeAhead


class IommutuiApp(Saying):
    """Shows one machine."""

    TITLE = "iommutui"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS = [Binding("ctrl+q", "leave", "Quit", show=False, priority=True)]  # noqa: RUF012
    wrong: Sequence[IommutuiError] = ()
    """What the settings say of the screen and cannot be: it is as if they did not say it."""
    _theme_found: Theme | None = None

    def __init__(
        self,
        machine: Machine,
        state: AppState,
        early: EarlyScan | None = None,
        *,
        store: Store | None = None,
        theme: str = IOMMUTUI.name,
        console: bool = False,
    ) -> None:
        """``console``: the terminal is the bare console of the machine."""
        if console:
            from iommutui.tui.theme import CONSOLE, ConsoleDriver

            super().__init__(driver_class=ConsoleDriver)
            self.register_theme(CONSOLE)
            theme = CONSOLE.name if theme == IOMMUTUI.name else theme
        else:
            super().__init__()
        self.animation_level = "none"
        self.register_theme(IOMMUTUI)
        # Without its watcher, which would parse every style a second time before the first frame.
        self.set_reactive(App.theme, theme if theme in self.available_themes else IOMMUTUI.name)
        self.stylesheet.set_variables(self.get_css_variables())
        self.desk = DeskScreen(machine, state, early, store)
        self.set_keymap(keymap())
        self.type_ahead = TypeAhead(self, super().on_event)

    @property
    def current_theme(self) -> Theme:
        """The theme; Textual looks for it among copies of all the themes, several times for every line it draws."""
        if self._theme_found is None or self._theme_found.name != self.theme:
            self._theme_found = super().current_theme
        return self._theme_found

    def get_css_variables(self) -> dict[str, str]:
        """The theme's colours, and two that have to be colours for rows that draw themselves.

        Muted text is ``auto`` in most themes, which comes out white; the colours of words are made to be read on the
        background, so the row with the cursor is only a little off it.
        """
        found = super().get_css_variables()
        if found["text-muted"].startswith("auto"):
            background = Color.parse(found["background"])
            found["text-muted"] = Color.parse(found["foreground"]).blend(background, 0.2).hex
            found.setdefault("cursor-row", Color.parse(found["primary"]).blend(background, 0.82).hex)
            behind = tuple(found[name] for name in BEHIND)
            found.update({name: readable(found[name], behind) for name in WORDS})
        found.setdefault("cursor-row", "ansi_bright_black" if self.current_theme.dark else "ansi_white")
        return found

    def on_ready(self) -> None:
        """Tells what is wrong with the settings."""
        for error in self.wrong:
            self.desk.update(logged(self.desk.state, self.desk.now(), f"{error.what} {error.remedy}", "warn"))
        if self.wrong:
            toast(self, f"{self.wrong[0].what} The log (L) says how to mend it.", "warning")

    def get_default_screen(self) -> DeskScreen:
        """The desk."""
        return self.desk

    async def on_event(self, event: Event) -> None:
        """Lets keys in one at a time."""
        if isinstance(event, Key | Paste) and not event.is_forwarded:
            await self.type_ahead.take(event)
        else:
            await super().on_event(event)

    async def run_action(
        self,
        action: "str | ActionParseResult",
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Does an action; where a command is disabled, says why."""
        done = await super().run_action(action, default_namespace, namespaces)
        if not done:
            _, name, parameters = self._parse_action(action, default_namespace or self, namespaces)
            if name == "run" and parameters and self.screen is self.desk:
                why = reason_against(str(parameters[0]), self.desk.state)
                if why is not None:
                    toast(self, why, "warning")
                    return True
        return done

    async def action_leave(self) -> None:
        """``ctrl+q`` asks as ``q`` does."""
        if self.screen is self.desk:
            await self.run_action("run('quit')", self.desk)
        else:
            self.screen.dismiss(None) if self.screen.is_modal else self.exit(None)
