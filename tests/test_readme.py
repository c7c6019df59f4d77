"""The README's table of keys, commands and pictures."""

import re
from pathlib import Path

from iommutui.cli import parser
from iommutui.core.hazards import KINDS, Kind
from iommutui.tui.commands import COMMANDS
from iommutui.tui.keys import key_names
from screenshots.png import is_of, png_of

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def table_of_keys() -> str:
    """The table that the README must contain."""
    rows = [
        f"| {key_names(c.id).replace('|', chr(92) + '|')} | `{c.id}` | {c.help.replace('|', chr(92) + '|')} |"
        for c in COMMANDS
    ]
    return "\n".join(["| key | name | what it does |", "|---|---|---|", *rows])


def test_the_table_of_keys_equals_the_registry() -> None:
    match = re.search(r"<!-- keys:begin -->\n(.*?)\n<!-- keys:end -->", README, re.DOTALL)
    assert match is not None
    assert match.group(1) == table_of_keys()


def severities(kind: Kind) -> str:
    return ", ".join("refused" if kind.never and each == "danger" else each for each in kind.severities)


def test_the_table_of_hazards_equals_the_registry() -> None:
    match = re.search(r"<!-- hazards:begin -->\n(.*?)\n<!-- hazards:end -->", README, re.DOTALL)
    assert match is not None
    rows = re.findall(r"^\| `(.+)` \| (?:.+) \| (.+) \|$", match.group(1), re.MULTILINE)
    assert rows == [(kind.code, severities(kind)) for kind in KINDS.values()]


def test_every_command_is_in_the_table() -> None:
    named = set(re.findall(r"^\| `iommutui (\w+)", README, re.MULTILINE))
    assert named == {command.name for command in parser.COMMANDS}


def test_every_picture_exists() -> None:
    pictures = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", README)
    assert pictures
    assert all((ROOT / name).is_file() for name in pictures)


def test_the_png_was_made_from_the_svg_beside_it(tmp_path: Path) -> None:
    for path in (ROOT / "screenshots").glob("*.png"):
        assert is_of(path, path.with_suffix(".svg").read_text(encoding="utf-8"))
    svg = '<svg xmlns="http://www.w3.org/2000/svg" width="2" height="2"><rect width="2" height="2"/></svg>'
    drawn = tmp_path / "drawn.png"
    drawn.write_bytes(png_of(svg))
    assert is_of(drawn, svg)
    assert not is_of(drawn, svg.replace("2", "3"))
    assert not is_of(tmp_path / "none.png", svg)
