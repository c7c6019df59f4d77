"""Themes, missing colour, and the first frame."""

import re
from collections.abc import Iterable

import pytest
from textual.color import Color
from textual.strip import Strip

from iommutui.core.errors import SourceError
from iommutui.core.host import Host
from iommutui.settings import Settings
from iommutui.tui import first_look
from iommutui.tui.app import IommutuiApp
from iommutui.tui.commands import COMMANDS
from iommutui.tui.machines.simulated import SimulatedMachine
from iommutui.tui.state import Phase, start
from iommutui.tui.theme import CONSOLE, CONSOLE_SIGNS, IOMMUTUI, ConsoleDriver
from tests.tui.driver import SMALLEST, USUAL, Ui, screen_of, snapshot_of
from tests.tui.machines import GPU, small
from tests.tui.snapshot import FOLDER

FRAMES = set("─╭╮╰╯│▁▂▃▄▅▆▇█ ")


def _light(colour: Color) -> float:
    """Relative luminance as defined by WCAG."""
    parts = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.normalized]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrasts(ui: Ui) -> list[tuple[float, str]]:
    """The contrast of every piece of text on the screen, the faintest first."""
    return contrast_of(ui.strips())


def contrast_of(strips: Iterable[Strip]) -> list[tuple[float, str]]:
    """The contrast of every piece of text in these lines, the faintest first."""
    found = []
    for strip in strips:
        for text, style, _ in strip:
            if style and style.color and style.bgcolor and set(text) - FRAMES:
                dark, light = sorted(_light(Color.from_rich_color(c)) for c in (style.color, style.bgcolor))
                found.append(((light + 0.05) / (dark + 0.05), text))
    return sorted(found)


async def test_the_programs_own_theme_is_used_from_the_first_frame() -> None:
    async with screen_of(snapshot_of(small()), USUAL) as ui:
        assert ui.app.screen.styles.background == Color.parse(IOMMUTUI.background or "")


async def test_every_theme_is_readable() -> None:
    async with screen_of(snapshot_of(small()), USUAL) as ui:
        await ui.press("c", "T", "T")
        before = ui.text()
        for theme in sorted(ui.app.available_themes):
            ui.app.theme = theme
            await ui.settle()
            assert ui.text() == before, theme
            if "ansi" not in theme:  # these use the terminal's own colours
                assert contrasts(ui)[0] >= (4.5, ""), theme


async def test_the_row_with_the_cursor_is_readable_while_the_filter_is_typed() -> None:
    async with screen_of(snapshot_of(small()), USUAL) as ui:
        await ui.press("slash", "n")
        assert contrasts(ui)[0] >= (4.5, "")


@pytest.mark.parametrize("theme", [IOMMUTUI.name, "nord", "textual-light"])
@pytest.mark.parametrize("keys", [("t", "j"), ("m",), ("Y",), ("o", "1"), ("v", "a"), ("v", "q")])
async def test_dialogs_are_readable(theme: str, keys: tuple[str, ...]) -> None:
    async with screen_of(snapshot_of(small()), (60, 18)) as ui:
        ui.app.theme = theme
        await ui.press(*keys)
        box = ui.app.screen.query_one("#dialog").region
        rows = ui.strips()[box.y : box.bottom]
        assert contrast_of(strip.crop(box.x, box.right) for strip in rows)[0] >= (4.5, "")


async def test_without_colour_the_screen_has_the_same_text(monkeypatch: pytest.MonkeyPatch) -> None:
    async with screen_of(snapshot_of(small()), USUAL) as ui:
        await ui.select(GPU)
        coloured = ui.text()
    monkeypatch.setenv("NO_COLOR", "1")
    async with screen_of(snapshot_of(small()), USUAL) as ui:
        await ui.select(GPU)
        assert ui.text() == coloured
        assert "▌  ✖ 01:00.0" in ui.text()
        await ui.press("t", "j")
        underlined = ["".join(text for text, style, _ in strip if style and style.underline) for strip in ui.strips()]
        assert [text[:8] for text in underlined if text] == ["pci-stub"]


async def test_the_theme_can_be_chosen() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.app.desk.action_run("theme")
        await ui.settle()
        assert ui.app.screen is not ui.app.desk
        await ui.press("escape")
        assert ui.app.screen is ui.app.desk


async def test_an_early_scan_is_in_the_first_frame() -> None:
    machine = snapshot_of(small())
    early = first_look(machine)
    early.result()
    app = IommutuiApp(machine, start(machine.source), early)
    async with app.run_test(size=USUAL) as pilot:
        ui = Ui(app, pilot)
        assert "01:00.0" in ui.text()
        await ui.settle()


async def test_a_failed_early_scan_is_reported() -> None:
    def load() -> Host:
        raise SourceError("It is broken.", "Repair it.")

    machine = snapshot_of(small())
    app = IommutuiApp(machine, start(machine.source), first_look(SimulatedMachine(machine.source, load)))
    async with app.run_test(size=USUAL) as pilot:
        ui = Ui(app, pilot)
        await ui.settle()
        assert ui.state.phase is Phase.FAILED
        assert "Repair it." in ui.text()
        await ui.press("r")
        assert "01:00.0" in ui.text()


async def test_a_long_reason_of_a_failed_scan_can_be_scrolled() -> None:
    def load() -> Host:
        raise SourceError("It is broken.", "word " * 200 + "end.")

    async with screen_of(SimulatedMachine(snapshot_of(small()).source, load), SMALLEST) as ui:
        assert "r tries again   O opens another   q quits" in ui.text()
        assert "It is broken." in ui.text()
        await ui.press("G")
        assert "end." in ui.text()


def test_nothing_is_described_by_its_colour() -> None:
    assert all("green" not in command.help and "red " not in command.help for command in COMMANDS)


@pytest.mark.parametrize(
    ("keys", "works"),
    [
        (("v", "a"), "y apply  Esc cancel  t timer  Y copy  j k scroll"),
        (("question_mark",), "Esc close  j k scroll  / search  y copy"),
        (("t",), "Enter stage  Esc close  j k move"),
        (("o",), "Enter continue  Esc close"),
        (("v", "q"), "y leave  Esc stay  Tab other"),
    ],
)
async def test_the_footer_shows_the_keys_of_the_dialog(keys: tuple[str, ...], works: str) -> None:
    async with screen_of(snapshot_of(small()), USUAL) as ui:
        await ui.press(*keys)
        assert ui.lines()[-1] == f" {works}"
        await ui.press("escape")
        assert "? help" in ui.lines()[-1]


FONT = set(map(chr, range(0x20, 0x7F))) | set("─│┌┐└┘├┤┬┴┼░▒▓█▀▄▌▐■←↑→↓\n")
"""The characters in every font of the console."""


def test_the_console_gets_no_glyph_that_its_fonts_lack() -> None:
    shown = "".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.txt"))
    assert "✖" in shown
    assert set(shown.translate(CONSOLE_SIGNS)) <= FONT


def test_the_consoles_theme_has_only_console_colours() -> None:
    named = (CONSOLE.primary, CONSOLE.secondary, CONSOLE.accent, CONSOLE.success, CONSOLE.warning, CONSOLE.error)
    plain = (CONSOLE.foreground, CONSOLE.background, CONSOLE.surface, CONSOLE.panel)
    parts = re.findall("[0-9a-f]{2}", " ".join(map(str, (*named, *plain, *CONSOLE.variables.values()))))
    assert set(parts) <= {"00", "55", "aa", "ff"}


async def test_the_console_gets_its_theme_and_driver_unless_the_user_chose_a_theme() -> None:
    machine = snapshot_of(small())
    app = IommutuiApp(machine, start(machine.source), console=True)
    assert (app.driver_class, app.theme) == (ConsoleDriver, CONSOLE.name)
    assert IommutuiApp(machine, start(machine.source), console=True, config=Settings(theme="nord")).theme == "nord"
    async with app.run_test(size=USUAL) as pilot:
        ui = Ui(app, pilot)
        await ui.settle()
        assert "01:00.0" in ui.text()
