"""The program on its own terminal: the output is drawn cell by cell, as a terminal would."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.cells import cell_len

_TOKEN = re.compile(
    r"\x1b\[([?<>=]?[0-9;]*)([A-Za-z@`])|\x1b[P_\]].*?(?:\x1b\\|\x07)|\x1b[=>()][0-9A-B]?|[\r\n]|[^\x1b\r\n]"
)


class Grid:
    """The cells of a terminal that understands the few sequences that Textual sends."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.x = self.y = 0
        self.clear()

    def clear(self) -> None:
        """Empties every cell."""
        self.cells = [[" "] * self.width for _ in range(self.height)]

    def feed(self, text: str) -> None:
        """Draws the output; a character beyond the edge of the screen is a bug of the program."""
        for token in _TOKEN.finditer(text):
            arguments, command = token.group(1), token.group(2)
            if command == "H":
                row, _, column = (arguments or "1;1").partition(";")
                self.y, self.x = int(row or 1) - 1, int(column or 1) - 1
            elif command == "J" and arguments in ("2", "3"):
                self.clear()
            elif token.group() == "\r":
                self.x = 0
            elif token.group() == "\n":
                self.y += 1
            elif not token.group().startswith("\x1b"):
                self._put(token.group())

    def _put(self, character: str) -> None:
        size = cell_len(character)
        assert self.y < self.height, f"a line below the screen: {character!r}"
        assert self.x + size <= self.width, f"a line that is too long at row {self.y}: {''.join(self.cells[self.y])!r}"
        if size:
            self.cells[self.y][self.x : self.x + size] = [character, *[""] * (size - 1)]
            self.x += size

    @property
    def text(self) -> str:
        """The visible text."""
        return "\n".join("".join(row).rstrip() for row in self.cells)


class Terminal:
    """A program on a terminal."""

    def __init__(self, master: int, size: tuple[int, int]) -> None:
        self._master = master
        self._rest = b""
        self.grid = Grid(*size)

    def send(self, keys: str) -> None:
        """Writes keys in one burst."""
        os.write(self._master, keys.encode())

    def until(self, holds: Callable[[str], bool], seconds: float = 60) -> str:
        """Reads until the visible text meets the condition."""
        end = time.monotonic() + seconds
        while not holds(self.grid.text):
            ready, _, _ = select.select([self._master], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"not seen in time:\n{self.grid.text}"
            found = self._rest + os.read(self._master, 65536)
            whole, self._rest = _whole(found)
            self.grid.feed(whole)
        return self.grid.text

    def see(self, *words: str) -> str:
        """Reads until all of the words are visible."""
        return self.until(lambda text: all(word in text for word in words))

    def never(self, word: str, seconds: float = 0.5) -> None:
        """Reads for a while; the word must not become visible."""
        end = time.monotonic() + seconds
        while select.select([self._master], [], [], max(0.0, end - time.monotonic()))[0]:
            whole, self._rest = _whole(self._rest + os.read(self._master, 65536))
            self.grid.feed(whole)
            assert word not in self.grid.text, self.grid.text


def _whole(found: bytes) -> tuple[str, bytes]:
    """The drawable part, and an incomplete sequence or character."""
    escape = found.rfind(b"\x1b")
    cut = len(found)
    if escape >= 0 and not re.match(
        rb"\x1b(\[[?<>=]?[0-9;]*[A-Za-z@`]|[=>()]|[P_\]].*?(\x1b\\|\x07))", found[escape:], re.S
    ):
        cut = escape
    for back in range(1, 4):
        if cut == len(found) and len(found) >= back and found[-back] >= 0xC0:
            cut = (
                len(found) - back
                if back < {0xC0: 2, 0xE0: 3, 0xF0: 4}[found[-back] & 0xF0 if found[-back] >= 0xE0 else 0xC0]
                else cut
            )
    return found[:cut].decode(errors="replace"), found[cut:]


@contextmanager
def terminal(
    home: Path, *arguments: str, size: tuple[int, int] = (120, 40), term: str = "xterm-256color"
) -> Iterator[Terminal]:
    """``iommutui ARGUMENTS`` on a terminal; ``home`` holds its settings and state."""
    pid, master = pty.fork()
    if pid == 0:
        os.environ.update(TERM=term, COLORTERM="truecolor", XDG_STATE_HOME=str(home), XDG_CONFIG_HOME=str(home),
                          COLUMNS=str(size[0]), LINES=str(size[1]))  # fmt: skip
        os.execv(sys.executable, [sys.executable, "-m", "iommutui", *arguments])
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    try:
        yield Terminal(master, size)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(master)
