"""The screen as text, at the important sizes."""

import pytest
from textual.widgets import Input

from iommutui.demo import demo_host
from iommutui.tui.machines.simulated import SimulatedMachine
from iommutui.tui.state import Source, SourceKind
from iommutui.tui.widgets.lines import Lines
from tests.tui.driver import LARGE, SMALLEST, USUAL, WIDE, Ui, screen_of, snapshot_of
from tests.tui.machines import small, without_iommu
from tests.tui.snapshot import check

SIZES = {"200x60": LARGE, "120x40": WIDE, "80x24": USUAL, "60x18": SMALLEST}


@pytest.mark.parametrize("size", SIZES)
async def test_a_machine_equals_its_snapshot(size: str) -> None:
    async with screen_of(snapshot_of(small()), SIZES[size]) as ui:
        check(f"machine-{size}", ui.text())


@pytest.mark.parametrize("size", SIZES)
async def test_a_staged_plan_equals_its_snapshot(size: str) -> None:
    async with screen_of(snapshot_of(small()), SIZES[size]) as ui:
        await ui.press("v", "F", "k", "k")
        check(f"staged-{size}", ui.text())


@pytest.mark.parametrize("size", SIZES)
async def test_the_review_equals_its_snapshot(size: str) -> None:
    async with screen_of(snapshot_of(small()), SIZES[size]) as ui:
        await ui.press("c", "a")
        check(f"review-{size}", ui.text())


@pytest.mark.parametrize("size", SIZES)
async def test_a_machine_without_iommu_equals_its_snapshot(size: str) -> None:
    async with screen_of(snapshot_of(without_iommu()), SIZES[size]) as ui:
        check(f"no-iommu-{size}", ui.text())


@pytest.mark.parametrize("size", SIZES)
async def test_the_help_equals_its_snapshot(size: str) -> None:
    async with screen_of(snapshot_of(small()), SIZES[size]) as ui:
        await ui.press("question_mark")
        check(f"help-{size}", ui.text())


@pytest.mark.parametrize("size", SIZES)
async def test_the_targets_equal_their_snapshot(size: str) -> None:
    async with screen_of(snapshot_of(small()), SIZES[size]) as ui:
        await ui.press("t")
        check(f"targets-{size}", ui.text())


@pytest.mark.parametrize("size", SIZES)
async def test_the_filter_equals_its_snapshot(size: str) -> None:
    async with screen_of(snapshot_of(small()), SIZES[size]) as ui:
        await ui.press("slash")
        await ui.type("viable:no !audio")
        check(f"filter-{size}", ui.text())


async def test_the_built_in_machine() -> None:
    async with screen_of(SimulatedMachine(Source(SourceKind.DEMO), demo_host), WIDE) as ui:
        assert ui.lines()[0].startswith(" DEMO — nothing is real")
        for words in ("nothing to pass", "✖ blocked"):
            assert ui.line_with(words)


LONG = (("question_mark",), ("question_mark", "slash"), ("c", "a"), ("o", "1", "5", "enter", "c", "a"))


@pytest.mark.parametrize("size", [SMALLEST, USUAL, (120, 20)])
@pytest.mark.parametrize("keys", LONG)
async def test_a_dialog_longer_than_the_screen_scrolls_to_its_end(keys: tuple[str, ...], size: tuple[int, int]) -> None:
    async with screen_of(snapshot_of(demo_host()), size) as ui:
        await ui.press("escape", *keys)
        for more in ((), ("1", "5")) if "a" in keys else ((),):
            await ui.press(*more)
            assert ui.app.screen.query_one(Lines).max_scroll_y > 0
            region = ui.app.screen.query_one("#dialog").region
            assert (region.y, region.bottom) == (0, size[1] - 1), ui.text()
            inner = region.shrink((1, 1, 1, 1))
            assert all(inner.contains_region(each.region) for each in ui.app.screen.query(Input) if each.display)


DIALOGS = (("c", "a"), ("v", "a"), ("question_mark",), ("t",), ("m",), ("Y",), ("o",), ("v", "q"))


def box(ui: Ui) -> list[str]:
    """The text of the dialog and the footer only."""
    region = ui.app.screen.query_one("#dialog").region
    strips = ui.strips()
    return [strip.crop(region.x, region.right).text for strip in strips[region.y : region.bottom]] + ui.lines()[-1:]


@pytest.mark.parametrize("keys", DIALOGS)
async def test_a_resized_dialog_looks_as_if_opened_at_that_size(keys: tuple[str, ...]) -> None:
    shown = {}
    for size in (SMALLEST, (100, 30)):
        async with screen_of(snapshot_of(demo_host()), size) as ui:
            await ui.press("escape", *keys)
            shown[size] = box(ui)
    async with screen_of(snapshot_of(demo_host()), USUAL) as ui:
        await ui.press("escape", *keys)
        for size, lines in (*shown.items(), *shown.items()):
            await ui.pilot.resize_terminal(*size)
            await ui.settle()
            assert box(ui) == lines, size
        await ui.press("escape")
        assert ui.app.screen is ui.app.desk
