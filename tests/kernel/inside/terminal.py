"""A real terminal for the program, drawn by tmux: keys go in, the visible text comes out."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from iommutui.tui.screens.review import DeliberateDialog

PATIENCE = 180.0
"""An emulated processor takes 5 to 15 seconds just to start Textual, and longer beside other guests."""
POLL = 0.5
"""Seconds between reads of the screen: each starts a process on the only processor."""


class Terminal:
    """One program on a terminal of its own."""

    def __init__(self, command: Sequence[str], columns: int = 120, lines: int = 40) -> None:
        self._socket = f"iommutui-{os.getpid()}"
        self._tmux(
            "-f", "/dev/null", "new-session", "-d", "-s", "screen", "-x", str(columns), "-y", str(lines), *command
        )

    def _tmux(self, *words: str) -> str:
        environment = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            ["tmux", "-L", self._socket, *words], capture_output=True, text=True, check=True, env=environment
        )
        return done.stdout

    def text(self) -> str:
        """The text on the screen."""
        return self._tmux("capture-pane", "-p", "-t", "screen")

    def press(self, *keys: str) -> None:
        """Send keys, by their names in tmux."""
        self._tmux("send-keys", "-t", "screen", *keys)

    def wait(self, what: str | Callable[[str], bool]) -> str:
        """The screen, as soon as it shows the text or the condition holds; on failure, show what is there instead."""
        holds = what if callable(what) else lambda text: what in text
        deadline = time.monotonic() + PATIENCE
        while not holds(text := self.text()):
            assert time.monotonic() < deadline, f"{what!r} does not appear; the screen shows:\n{text}"
            time.sleep(POLL)
        return text

    def read(self) -> None:
        """Wait as long as a review does before it takes a key."""
        time.sleep(2 * DeliberateDialog.QUIET)

    def close(self) -> None:
        """End the program and its terminal."""
        self._tmux("kill-server")


def program(*words: str) -> list[str]:
    """The command line of the program."""
    return [sys.executable, "-m", "iommutui", *words]
