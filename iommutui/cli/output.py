"""What goes to standard output: clean text, and on a terminal with colours and in lines that fit it."""

import os
import re
import sys
from collections.abc import Iterable
from typing import Any, TextIO

_PLAIN = str.maketrans({"✔": "+", "✖": "x", "●": "*", "→": ">", "…": "."})
_COLOURS = {"good": "32", "bad": "31", "warn": "33", "dim": "2", "bold": "1"}
_SIGNS = {
    r"✔ viable|^✔": "good",
    r"✖ blocked|^✖|^ *DANGER\b": "bad",
    r"● in use|^●|! refused|^!|^ *WARNING\b": "warn",
}
"""What stands out wherever it is printed: verdicts by their signs, and hazards by their severity."""


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


def columns(stream: TextIO | None = None) -> int | None:
    """The width of the terminal behind a stream; None where there is none, and lines stay as long as they are."""
    stream = stream or sys.stdout
    try:
        return os.get_terminal_size(stream.fileno()).columns or None if stream.isatty() else None
    except OSError:
        return None


def folded(line: str, width: int | None) -> list[str]:
    """The line in lines that fit the width, broken between words; those that follow are indented below its text.

    A command stays one that can be pasted: its lines end in a backslash. A row that begins with an address is cut.
    """
    if width is None or len(line) <= width:
        return [line]
    if re.match(r"[> ]* ?[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]  ", line):
        return [cut(line, width)]
    from textwrap import wrap

    lead = re.match(r" *(?:> |\d+\. |- |[✔✖●!] )?", line)
    hang = " " * (len(lead[0]) if lead else 0)
    command = line.startswith(("  iommutui ", "  echo "))
    room = max(width - (2 if command else 0), len(hang) + 8)
    indent = hang + ("  " if command or not hang else "")
    parts = wrap(line, room, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return [f"{part} \\" for part in parts[:-1]] + parts[-1:] if command else parts


def cut(text: str, width: int) -> str:
    """The beginning of a text that is longer than the width."""
    return text if len(text) <= width else f"{text[: width - 1].rstrip()}…" if width > 1 else ""


def _coloured(line: str) -> str:
    for pattern, style in _SIGNS.items():
        line = re.sub(pattern, rf"\033[{_COLOURS[style]}m\g<0>\033[0m", line)
    return line


def write_lines(lines: Iterable[str]) -> None:
    """Prints lines, on a terminal folded and with their signs in colour."""
    width = columns()
    if width is not None:
        lines = [part for line in lines for part in folded(line, width)]
        if colourful():
            lines = [_coloured(line) for line in lines]
    write_as_is(lines)


def write_as_is(lines: Iterable[str]) -> None:
    """Prints lines that fit and are coloured already."""
    sys.stdout.write(text_of(lines))


def text_of(lines: Iterable[str]) -> str:
    """Lines as they are printed; signs that the terminal's encoding lacks become plain ones."""
    text = "".join(line + "\n" for line in lines)
    encoding = sys.stdout.encoding or "ascii"
    if encoding.lower().replace("-", "") != "utf8":
        text = text.translate(_PLAIN).encode(encoding, "backslashreplace").decode(encoding)
    return text


def json_text(document: Any) -> str:
    """One JSON document, indented for people."""
    import json

    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"


def write_json(document: Any) -> None:
    """The document on standard output."""
    sys.stdout.write(json_text(document))


def complain(text: str) -> None:
    """A message on standard error."""
    print("\n".join(folded(clean(text), columns(sys.stderr))), file=sys.stderr)
