"""The commands of the registry in Textual's palette."""

from textual.app import App
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.content import Content
from textual.fuzzy import FuzzySearch

from iommutui.tui.commands.base import Command
from iommutui.tui.registry import COMMANDS, key_names, reason_against


class Commands(Provider):
    """Every command by name; the key stands beside it, so that it is learnt. What cannot be done now says why."""

    def _offered(self) -> list[Command]:
        return [command for command in COMMANDS if command.palette]

    def _help(self, command: Command) -> str:
        state = getattr(self.screen, "state", None)
        why = reason_against(command.id, state) if state is not None else None
        return _help(command, why)

    async def discover(self) -> Hits:
        """Everything, while nothing is typed."""
        for command in self._offered():
            yield DiscoveryHit(
                Content(name_of(command)), self._doer(command), text=name_of(command), help=self._help(command)
            )

    async def search(self, query: str) -> Hits:
        """What matches."""
        fuzzy = FuzzySearch()
        for command in self._offered():
            name = name_of(command)
            score, places = fuzzy.match(query, name)
            if score <= 0:
                score, places = fuzzy.match(query, command.help)[0] / 2, ()
            if score > 0:
                shown = Content(name)
                for place in places:
                    shown = shown.stylize("bold underline", place, place + 1)
                yield Hit(score, shown, self._doer(command), text=name, help=self._help(command))

    def _doer(self, command: Command) -> "_Doer":
        return _Doer(self.app, command)


class _Doer:
    """Does a command once the palette has closed."""

    def __init__(self, app: App[object], command: Command) -> None:
        self._app = app
        self._command = command

    async def __call__(self) -> None:
        await self._app.run_action(f"run('{self._command.id}')", self._app.screen)


def name_of(command: Command) -> str:
    """``Stage: vfio``."""
    return f"{command.topic}: {command.label.lower()}"


def _help(command: Command, why: str | None) -> str:
    keys = key_names(command)
    words = command.help if why is None else f"Not now: {why}"
    return (words + (f"  ({keys})" if keys else "")).replace("[", r"\[")
