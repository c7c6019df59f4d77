"""Wrapping and fitting by cells, for any characters in a name."""

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from iommutui.tui.text import Line, Span, clip, fit, line, pad, visible, wrap


def _shown(rows: list[tuple[Span, ...]]) -> list[str]:
    return ["".join(span.text for span in row) for row in rows]


def test_words_that_do_not_fit_wrap_to_the_hanging_indent() -> None:
    assert _shown(wrap(line("• one two three", hang=2), 9)) == ["• one two ", "  three"]


def test_a_word_longer_than_a_row_is_cut() -> None:
    assert _shown(wrap(line("/sys/bus/pci/devices"), 10)) == ["/sys/bus/", "pci/device", "s"]


def test_a_cut_line_takes_one_row() -> None:
    assert _shown(wrap(line("one two three four", cut=True), 9)) == ["one two…"]


def test_an_empty_line_is_one_row() -> None:
    assert wrap(Line(()), 20) == [()]


def test_wide_characters_count_twice() -> None:
    assert pad("中文", 6) == "中文  "
    assert cell_len(clip("中文字幕", 5)) <= 5


def test_control_characters_become_visible() -> None:
    assert visible("a\x1b[31mb\nc") == "a\\x1b[31mb\\nc"
    assert visible("plain [LSI]") == "plain [LSI]"


@given(st.lists(st.text(max_size=30), max_size=4), st.integers(8, 40), st.integers(0, 12))
def test_no_row_is_wider_than_asked_and_nothing_is_lost(parts: list[str], width: int, hang: int) -> None:
    source = Line(tuple(Span(part) for part in parts), hang)
    rows = _shown(wrap(source, width))
    assert all(cell_len(row.rstrip()) <= width for row in rows)
    kept = "".join(rows).replace(" ", "")
    assert kept == "".join(visible(part) for part in parts).replace(" ", "")


@given(st.lists(st.text(max_size=30), max_size=4), st.integers(1, 40))
def test_fitted_spans_never_exceed_the_width(parts: list[str], width: int) -> None:
    assert sum(cell_len(span.text) for span in fit([Span(part) for part in parts], width)) <= width


def test_a_path_that_is_too_long_is_cut_after_a_slash() -> None:
    path = "/sys/bus/pci/devices/0000:01:00.0/driver_override"
    rows = ["".join(span.text for span in row) for row in wrap(line(path), 40)]
    assert rows == ["/sys/bus/pci/devices/0000:01:00.0/", "driver_override"]
    assert next(row[0].text for row in wrap(line("/" + "x" * 20), 10)) == "/" + "x" * 9
