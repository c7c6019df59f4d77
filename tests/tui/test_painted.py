"""What is on the screen after any number of keys is what Textual would paint anew from nothing."""

import pytest
from textual._styles_cache import StylesCache
from textual.color import Color
from textual.scrollbar import ScrollBarRender
from textual.style import Style
from textual.visual import RenderOptions

from iommutui.demo import demo_host
from iommutui.tui.screens.overlay import Behind
from iommutui.tui.widgets.bar import thumb
from tests.tui.driver import SMALLEST, USUAL, WIDE, Ui, screen_of, snapshot_of

LOOKS = (
    *"jjjjGgTjj", "pagedown", *"TimMwesv", "2", "3", "1", "slash", *"nv", "enter", "escape", "H", "j", "H", "u", "z",
    "Z", "L", "L", "tab", "j", "tab", "ctrl+d", "b", "x", "X",
)  # fmt: skip


def _painted(ui: Ui) -> list[list[tuple[str, object]]]:
    """Every cell of the screen as it is kept, with what it looks like."""
    strips = ui.app.screen._compositor.render_strips()
    return [[(char, segment.style) for segment in strip for char in segment.text] for strip in strips]


def _anew(ui: Ui) -> list[list[tuple[str, object]]]:
    """The same with Textual's own way of keeping, which has kept nothing yet."""
    for widget in (ui.app.screen, *ui.app.screen.query("*")):
        bar = widget._vertical_scrollbar
        for part in (widget, bar) if bar is not None else (widget,):
            part._styles_cache = StylesCache()
            part._dirty_regions.add(part.size.region)
        widget.notify_style_update()
    return _painted(ui)


@pytest.mark.parametrize("size", [SMALLEST, USUAL, WIDE])
async def test_what_is_kept_is_what_would_be_painted(size: tuple[int, int]) -> None:
    for count in (4, 9, 15, 22, 27, len(LOOKS)):
        async with screen_of(snapshot_of(demo_host()), size) as ui:
            await ui.press(*LOOKS[:count])
            assert _painted(ui) == _anew(ui), f"after {LOOKS[:count]}"


@pytest.mark.parametrize("size", [SMALLEST, USUAL, WIDE])
@pytest.mark.parametrize("keys", [("c", "a"), ("question_mark", "j"), ("t",), ("Y",), ("o",)])
async def test_dialogs_are_painted_as_they_would_be_anew(size: tuple[int, int], keys: tuple[str, ...]) -> None:
    async with screen_of(snapshot_of(demo_host()), size) as ui:
        await ui.press(*keys)
        assert len(ui.app.screen_stack) > 1
        shown = [[char for char, _ in row] for row in _painted(ui)]
        assert shown == [[char for char, _ in row] for row in _anew(ui)]


async def test_what_is_behind_a_dialog_is_as_wide_as_the_dialog_s_screen_even_before_it_has_followed() -> None:
    async with screen_of(snapshot_of(demo_host()), SMALLEST) as ui:
        await ui.press("question_mark")
        behind = Behind(ui.app.screen_stack[0], Color.parse("black").with_alpha(0.6))
        for width in (40, 60, 100):
            strips = behind.render_strips(width, 30, Style(), RenderOptions(lambda name: Style(), {}))
            assert {strip.cell_length for strip in strips} == {width}
            assert {sum(len(segment.text) for segment in strip) for strip in strips} == {width}


async def test_another_theme_is_painted_everywhere() -> None:
    async with screen_of(snapshot_of(demo_host()), WIDE) as ui:
        await ui.press(*"jjT")
        before = _painted(ui)
        ui.app.theme = "gruvbox"
        await ui.settle()
        assert _painted(ui) != before
        assert _painted(ui) == _anew(ui)


def test_a_thumb_that_stays_is_drawn_the_same() -> None:
    """Textual's drawing depends on nothing else than where the thumb begins and how long it is."""
    drawn: dict[object, object] = {}
    white, black = Color.parse("white").rich_color, Color.parse("black").rich_color
    for height in (1, 7, 33):
        for lines in (1, 33, 34, 50, 999, 15_000):
            for position in {0.0, 0.125, 1.0, 2.5, max(0, lines - height) / 2, float(max(0, lines - height))}:
                if position > max(0, lines - height):
                    continue
                window = height if height < lines else 0
                bar = ScrollBarRender.render_bar(height, lines, window, position, back_color=black, bar_color=white)
                key = height, thumb(height, height, lines, position)
                assert drawn.setdefault(key, bar.segments) == bar.segments, (key, lines, position)
    assert len(drawn) > 20
