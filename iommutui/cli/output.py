"""Standard output: clean text; on a terminal coloured, and in lines that fit."""

import os
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from iommutui.core.errors import RefusedError, UsageError

SCHEMA = 1
"""The version of every JSON document; it grows when a field changes its meaning or is removed."""

_GREEN, _RED, _YELLOW, _DIM = "32", "31", "33", "2"
_SIGNS = {
    r"✔ viable|^✔": _GREEN,
    r"✖ blocked|^✖|^ *DANGER\b": _RED,
    r"● in use|^●|! (?:refused|no isolation)|^!|  ! .*|^ *WARNING\b": _YELLOW,
    r"· nothing to pass|\? unknown": _DIM,
}
"""Patterns to colour wherever they are printed: signs of verdicts, uses of devices, severities of hazards."""


def clean(text: str) -> str:
    """A text that is safe to print: whatever `printable` escapes is not printable to ``str`` either."""
    if text.isprintable():
        return text
    from iommutui.core.printable import printable

    return printable(text)


def columns(stream: TextIO) -> int | None:
    """The width of the terminal behind a stream; None if there is none, and lines are not wrapped."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or None if stream.isatty() else None
    except OSError:
        return None


def folded(line: str, width: int | None) -> list[str]:
    """The line wrapped between words to the width; continuation lines are indented below its text.

    A command can still be pasted: its lines end in a backslash. A row that begins with an address is cut.
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


def cut(text: str, width: int | None) -> str:
    """The beginning of a text that is longer than the width."""
    if width is None or len(text) <= width:
        return text
    return f"{text[: width - 1].rstrip()}…" if width > 1 else ""


def _coloured(line: str) -> str:
    for pattern, colour in _SIGNS.items():
        line = re.sub(pattern, rf"\033[{colour}m\g<0>\033[0m", line)
    return line


def write_lines(lines: Iterable[str]) -> None:
    """Prints lines as clean text, on a terminal folded and with their signs in colour (``NO_COLOR``, ``TERM=dumb``)."""
    width = columns(sys.stdout)
    lines = [clean(line) for line in lines]
    if width is not None:
        lines = [part for line in lines for part in folded(line, width)]
        if not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb":
            lines = [_coloured(line) for line in lines]
    sys.stdout.write(text_of(lines))


def text_of(lines: Iterable[str]) -> str:
    """Lines as they are printed; characters that the terminal's encoding lacks become escapes."""
    text = "".join(line + "\n" for line in lines)
    return text.encode(sys.stdout.encoding, "backslashreplace").decode(sys.stdout.encoding)


def json_text(document: Mapping[str, Any]) -> str:
    """One JSON document with its ``schema``, indented for people."""
    import json

    return json.dumps({"schema": SCHEMA, **document}, indent=2, ensure_ascii=True) + "\n"


def write_json(document: Mapping[str, Any]) -> None:
    """Prints a JSON document."""
    sys.stdout.write(json_text(document))


def deliver(text: str, path: str | None, note: str) -> None:
    """Prints a text, or writes it to the file that ``-o`` names, with a note on standard error."""
    if path is None or path == "-":
        sys.stdout.write(text_of(text.splitlines()))
        return
    from iommutui.sources.snapshot import save  # imports pydantic

    save(text, path)
    complain(f"Wrote {path}{note}")


def ask(question: str, hint: str) -> None:
    """Asks at the terminal. Raises RefusedError for any answer but yes, UsageError without a terminal."""
    if not sys.stdin.isatty():
        raise UsageError("There is no terminal to ask on.", hint)
    print(f"\n{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise RefusedError("Nothing was written.")


def complain(text: str) -> None:
    """A message on standard error."""
    print("\n".join(folded(clean(text), columns(sys.stderr))), file=sys.stderr)
