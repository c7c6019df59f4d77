"""The footer: the few keys that matter most, grey where they do nothing now."""

from collections.abc import Sequence

from rich.cells import cell_len
from textual.content import Content
from textual.events import Click

from iommutui.tui.commands.base import Command
from iommutui.tui.registry import key_of, reason_against
from iommutui.tui.text.spans import Span
from iommutui.tui.state import AppState
from iommutui.tui.text.content import content
from iommutui.tui.widgets.painted import Single


class KeyBar(Single):
    """One line of keys and words. A click does what the key does, which is to say why where it is grey."""

    def __init__(self, commands: Sequence[Command], state: AppState, *, id: str) -> None:
        super().__init__(id=id)
        self._commands = commands
        self._state = state
        self._off: tuple[bool, ...] = ()

    def show_state(self, state: AppState) -> None:
        """Draws again where a command has been enabled or disabled."""
        self._state = state
        off = tuple(reason_against(command.id, state) is not None for command in self._commands)
        if off != self._off:
            self._off = off
            self.refresh()

    def _entries(self) -> list[tuple[Command, str, str]]:
        gap = "  " if self.size.width >= 64 else " "
        return [(c, key_of(c.id), f" {c.label.lower()}{gap}") for c in self._commands]

    def render(self) -> Content:
        """One line."""
        spans = [Span(" ")]
        for (_, key, word), off in zip(self._entries(), self._off or [False] * len(self._commands), strict=True):
            spans += [Span(key, "muted" if off else "key"), Span(word, "muted" if off else "plain")]
        return content(spans)

    async def on_click(self, event: Click) -> None:
        """The entry under the pointer."""
        left = 1
        for command, key, word in self._entries():
            right = left + cell_len(key) + cell_len(word)
            if left <= event.x < right:
                await self.app.run_action(f"run('{command.id}')", self.screen)
                return
            left = right
