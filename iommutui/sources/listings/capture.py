"""What the capture script prints: files, links and directories of a machine. They are laid out as a tree again."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from iommutui.core.errors import SourceError
from iommutui.sources.listings.text import Text

_FIRST = re.compile(r"^iommutui-capture (\d+)\s*$", re.MULTILINE)
_DIRECTORY = re.compile(r"\[((?:sys|proc|lib|usr|run)(?:/[^/\0]+)*)\]$")
_ENTRY = re.compile(r"((?:[\w.:+@-]+/)*[\w.:+@-]+)(=|>|/$|%\d{1,4}:)(.*)$")
_MOST = 1 << 16
"""Files and links that are laid out; a machine of ten thousand devices is told by a snapshot."""
_CONFIG = 4096


def is_capture(text: str) -> bool:
    """Whether the script printed this, whatever stands above it."""
    return _FIRST.search(text) is not None


@contextmanager
def laid_out(text: str, name: str) -> Iterator[str]:
    """A directory with the recorded tree, for as long as it is looked at. SourceError for another version of it."""
    lines = Text(text)
    start = _FIRST.search(lines.whole)
    if start is None or start[1] != "1":
        raise SourceError(f"{name} was printed by another version of the script.", "Update iommutui.")
    files: dict[str, bytearray] = {}
    links: dict[str, str] = {}
    folders: dict[str, None] = {}
    folder = ""
    for line in lines.lines[lines.line_at(start.start()) + 1 :]:
        if (directory := _DIRECTORY.match(line)) is not None:
            folder = directory[1]
            folders[folder] = None
        elif folder and (entry := _ENTRY.match(line)) is not None and len(files) + len(links) < _MOST:
            path, kind, rest = f"{folder}/{entry[1]}", entry[2], entry[3]
            if kind == "=":
                files.setdefault(path, bytearray()).extend(f"{rest}\n".encode())
            elif kind == ">":
                links[path] = rest
            elif kind == "/":
                folders[path] = None
            else:
                _put(files.setdefault(path, bytearray()), int(kind[1:-1]), rest)
    with TemporaryDirectory(prefix="iommutui-") as place:
        _lay_out(place, [*folders], files, links)
        yield place


def _put(data: bytearray, offset: int, digits: str) -> None:
    if offset < _CONFIG and re.fullmatch(r"(?:[0-9a-f]{2}){1,64}", digits):
        data.extend(bytes(max(0, offset - len(data))))
        data[offset : offset + len(digits) // 2] = bytes.fromhex(digits)


def _lay_out(place: str, folders: list[str], files: dict[str, bytearray], links: dict[str, str]) -> None:
    """Nothing is written through a link: those come last, and lead to nowhere outside."""
    for path in folders:
        if ".." not in path.split("/"):
            os.makedirs(f"{place}/{path}", exist_ok=True)
    for path, content in files.items():
        if os.path.isdir(os.path.dirname(f"{place}/{path}")) and ".." not in path.split("/"):
            with open(f"{place}/{path}", "wb") as file:
                file.write(content)
    for path, target in links.items():
        inside = os.path.normpath(f"/{os.path.dirname(path)}/{target}").startswith("/sys/")
        folder = os.path.dirname(f"{place}/{path}")
        if inside and not target.startswith("/") and os.path.isdir(folder) and not os.path.lexists(f"{place}/{path}"):
            os.symlink(target, f"{place}/{path}")
