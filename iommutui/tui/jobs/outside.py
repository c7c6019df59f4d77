"""What is outside of one desk: another machine, and another command of the program in the terminal."""

import subprocess
import sys
from collections.abc import Sequence

from textual.app import App, SuspendNotSupported
from textual.message import Message

from iommutui.apply.elevation import own_program


class OpenMachine(Message):
    """Another machine is wanted: by a file's name, or by a text that was pasted."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text.strip()

    @property
    def is_listing(self) -> bool:
        """Whether it is the content and not a name; JSON and XML may be a single line."""
        return "\n" in self.text or self.text[:1] in ("[", "{", "<")


class HandOver(Message):
    """Another command of the program is to have the terminal."""

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__()
        self.words = words


def run_in_terminal(app: App[None], words: Sequence[str]) -> str | None:
    """Runs the command until it ends and Enter is pressed; or why the terminal cannot be handed over."""
    try:
        with app.suspend():
            subprocess.run([*own_program(), *words], check=False)
            print("\nEnter returns to the screen. ", end="", flush=True)
            sys.stdin.readline()
    except SuspendNotSupported:
        return f"This terminal cannot be handed over. Run it in another one: iommutui {' '.join(words)}"
    return None
