"""What goes to standard output: text that a terminal cannot be fooled with, in colours only where they are wanted."""

import os
import sys
from typing import Any

_PLAIN = str.maketrans({"✔": "+", "✖": "x", "●": "*", "→": ">", "…": "."})
_COLOURS = {"good": "32", "bad": "31", "warn": "33", "dim": "2", "bold": "1"}


def colourful() -> bool:
    """Whether standard output is a terminal that may be coloured (``NO_COLOR``, ``TERM=dumb``)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class Paint:
    """Puts colour round words; made once, so that a long listing asks the environment once."""

    def __init__(self, on: bool | None = None) -> None:
        self.on = colourful() if on is None else on

    def __call__(self, style: str, text: str) -> str:
        return f"\x1b[{_COLOURS[style]}m{text}\x1b[0m" if self.on else text


def clean(text: str) -> str:
    """A name as it may be printed. Most are plain ASCII, which needs no second look."""
    if text.isascii() and text.isprintable():
        return text
    from iommutui.core.printable import printable

    return printable(text)


def write_lines(lines: list[str]) -> None:
    """Prints lines."""
    sys.stdout.write(text_of(lines))


def text_of(lines: list[str]) -> str:
    """Lines as they are printed; signs that the terminal's encoding lacks become plain ones."""
    text = "".join(line + "\n" for line in lines)
    encoding = sys.stdout.encoding or "ascii"
    if encoding.lower().replace("-", "") != "utf8":
        text = text.translate(_PLAIN).encode(encoding, "backslashreplace").decode(encoding)
    return text


def write_json(document: Any) -> None:
    """One JSON document, indented for people."""
    import json

    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=True) + "\n")


def complain(text: str) -> None:
    """A line of talk, on standard error."""
    print(clean(text), file=sys.stderr)
