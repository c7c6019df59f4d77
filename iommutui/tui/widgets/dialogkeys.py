"""The footer of a dialog: the keys that work while it is open, over those of the desk, which do not."""

from collections.abc import Iterable

from textual.content import Content
from textual.widget import Widget

from iommutui.tui.commands.base import Command
from iommutui.tui.keynames import key_name
from iommutui.tui.spans import Span
from iommutui.tui.text import content

Keys = tuple[tuple[str, str], ...]
"""Keys, and what each does in a word."""

SCROLLS: Keys = (("j k", "scroll"),)


def keys_for(commands: Iterable[Command]) -> Keys:
    """The first key of each command, with its label."""
    return tuple((key_name(command.keys[0]), command.label.lower()) for command in commands)


class DialogKeys(Widget):
    """One line at the bottom of the screen."""

    def __init__(self, keys: Keys) -> None:
        super().__init__()
        self._keys = keys

    def render(self) -> Content:
        """One line."""
        spans = [Span(" ")]
        for key, word in self._keys:
            spans += [Span(key, "key"), Span(f" {word}  ")]
        return content(spans)
