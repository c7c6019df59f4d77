"""Themes, missing colour, and the first frame."""

import pytest

from iommutui.core.errors import SourceError
from iommutui.core.host import Host
from iommutui.tui.app import IommutuiApp
from iommutui.tui.early import EarlyScan
from iommutui.tui.registry import COMMANDS
from iommutui.tui.state import Phase, start
from tests.tui.driver import USUAL, Ui, screen_of, snapshot_of
from tests.tui.machines import GPU, small


async def test_every_theme_draws_the_screen() -> None:
    async with screen_of(snapshot_of(small()), USUAL) as ui:
        before = ui.text()
        for theme in sorted(ui.app.available_themes):
            ui.app.theme = theme
            await ui.settle()
            assert ui.text() == before, theme


async def test_without_colour_everything_is_still_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async with screen_of(snapshot_of(small()), USUAL) as ui:
        await ui.select(GPU)
        coloured = ui.text()
    monkeypatch.setenv("NO_COLOR", "1")
    async with screen_of(snapshot_of(small()), USUAL) as ui:
        await ui.select(GPU)
        assert ui.text() == coloured
        assert "▌  ✖ 0000:01:00.0" in ui.text()


async def test_the_theme_can_be_chosen() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.app.run_action("run('theme')", ui.app.desk)
        await ui.settle()
        assert ui.app.screen is not ui.app.desk
        await ui.press("escape")
        assert ui.app.screen is ui.app.desk


async def test_an_early_scan_is_in_the_first_frame() -> None:
    machine = snapshot_of(small())
    early = EarlyScan(machine.scan)
    early.result()
    app = IommutuiApp(machine, start(machine.source), early)
    async with app.run_test(size=USUAL) as pilot:
        ui = Ui(app, pilot)
        assert str(GPU) in ui.text()
        await ui.settle()


async def test_an_early_scan_that_fails_is_told_of() -> None:
    def load() -> Host:
        raise SourceError("It is broken.", "Repair it.")

    machine = snapshot_of(small())
    app = IommutuiApp(machine, start(machine.source), EarlyScan(load))
    async with app.run_test(size=USUAL) as pilot:
        ui = Ui(app, pilot)
        await ui.settle()
        assert ui.state.phase is Phase.FAILED
        assert "Repair it." in ui.text()
        await ui.press("r")
        assert str(GPU) in ui.text()


def test_nothing_is_described_by_its_colour() -> None:
    assert all("green" not in command.help and "red " not in command.help for command in COMMANDS)
