"""The desk's commands in Textual's palette, found by name and other words; an unavailable command says why."""

import re
from collections.abc import Awaitable, Callable
from functools import partial

from textual.await_complete import AwaitComplete
from textual.command import CommandPalette, DiscoveryHit, Hit, Hits, Provider
from textual.content import Content

from iommutui.tui.commands import COMMANDS, reason_against
from iommutui.tui.commands.base import Command, Desk
from iommutui.tui.keys import key_names
from iommutui.tui.state import AppState


def name_of(command: Command) -> str:
    """``Stage: vfio``."""
    return f"{command.topic}: {command.label.lower()}"


def help_of(command: Command, state: AppState) -> str:
    """Its key and what it does, or why it is unavailable now; escaped, because Textual parses it."""
    why = reason_against(command.id, state)
    keys = key_names(command.id)
    text = f"not now: {why}" if why else f"{keys}  {command.help}" if keys else command.help
    return text.replace("[", "\\[")


def score(command: Command, typed: str) -> float:
    """The score of a command: best by its name, else by the beginnings of other words; 0 if it does not match."""
    name, others = name_of(command).lower(), f"{command.id} {command.also} {command.help}".lower()
    total = 0.0
    for word in typed.lower().replace(":", " ").split():
        begins = rf"(?<!\w){re.escape(word)}"
        found = 3.0 if re.search(begins, name) else 2.0 if word in name else 1.0 if re.search(begins, others) else 0.0
        if not found:
            return 0.0
        total += found
    return total


class Palette(CommandPalette):
    """Textual's palette with the commands of the desk."""

    def __init__(self) -> None:
        super().__init__([CommandsProvider], placeholder="Type part of a command's name")

    def dismiss(self, result: None = None) -> AwaitComplete:
        """Only once: a second Enter of the same burst would close what is below."""
        return super().dismiss(result) if self.is_current else AwaitComplete()


class CommandsProvider(Provider):
    """Offers the commands of the registry to Textual's palette."""

    def _hit(self, command: Command) -> tuple[Callable[[], Awaitable[None]], str, str]:
        assert isinstance(self.screen, Desk)
        run = partial(self.screen.run_action, f"run('{command.id}')")
        return run, name_of(command), help_of(command, self.screen.state)

    async def discover(self) -> Hits:
        """Every command, while nothing is typed."""
        for command in COMMANDS:
            if command.palette:
                yield DiscoveryHit(Content(name_of(command)), *self._hit(command))

    async def search(self, query: str) -> Hits:
        """The commands that every typed word fits; the best first, and letters in order where no word fits."""
        matcher = self.matcher(query)
        for command in COMMANDS:
            found = (10 + score(command, query)) if score(command, query) else matcher.match(name_of(command))
            if command.palette and found > 0:
                yield Hit(found, matcher.highlight(name_of(command)), *self._hit(command))
