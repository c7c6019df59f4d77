"""Output on a terminal: lines that fit, colours that can be turned off, rows of one line."""

import re

import pytest

from iommutui.cli.output import cut, folded
from tests.cli.conftest import Run
from tests.cli.terminal import on_terminal

ESCAPE = re.compile(r"\x1b\[\d+m")


def lines_of(*words: str, columns: int = 80) -> list[str]:
    return ESCAPE.sub("", on_terminal(*words, columns=columns)).splitlines()


@pytest.mark.parametrize("words", [("list",), ("why", "17"), ("plan", "--card", "09:00.0")], ids=lambda w: w[0])
def test_every_line_fits_the_terminal(words: tuple[str, ...]) -> None:
    for columns in (80, 50):
        lines = lines_of(*words, "--demo", columns=columns)
        assert lines
        assert [line for line in lines if len(line) > columns and " " in line.strip()] == []


def test_each_device_has_one_line() -> None:
    rows = [line for line in lines_of("list", "--demo") if line.startswith("  0000:")]
    assert len(rows) == 36
    device = next(row for row in rows if "0000:05:00.0" in row)
    assert "enp5s0" in device
    assert "! default route" in device


def test_no_color_turns_colours_off() -> None:
    for words in (("list", "group:17"), ("why", "17")):
        assert "\x1b[31m" in on_terminal(*words, "--demo")
        assert "\x1b" not in on_terminal(*words, "--demo", NO_COLOR="1")


def test_a_pipe_gets_whole_lines_without_colours(run: Run) -> None:
    out = run("why", "17", "--demo").out
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) > 100


def test_a_line_is_wrapped_between_words() -> None:
    line = "  0000:09:00.0 is bound to nouveau, and no virtual machine can have the group."
    parts = folded(line, 40)
    assert max(map(len, parts)) <= 40
    assert " ".join(part.strip() for part in parts) == line.strip()
    assert all(part.startswith("  ") for part in parts)


def test_a_wrapped_command_can_still_be_pasted() -> None:
    command = "  iommutui preview 0000:09:00.0=vfio-pci 0000:09:00.1=vfio-pci 0000:09:00.2=vfio-pci"
    parts = folded(command, 60)
    assert len(parts) > 1
    assert "\n".join(parts).replace(" \\\n", " ").split() == command.split()


def test_a_device_row_is_cut_and_not_wrapped() -> None:
    assert folded("> 0000:09:00.0  nouveau  NVIDIA Corporation TU106 [GeForce RTX 2060]", 40) == [
        "> 0000:09:00.0  nouveau  NVIDIA Corpora…"
    ]


@pytest.mark.parametrize(
    ("text", "width", "short"), [("abc", 3, "abc"), ("abcd", 3, "ab…"), ("abcd", 1, ""), ("a b", 2, "a…")]
)
def test_a_text_is_cut_to_a_width(text: str, width: int, short: str) -> None:
    assert cut(text, width) == short
