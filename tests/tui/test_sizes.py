"""The screen as text, at the sizes that matter."""

import pytest

from iommutui.demo import demo_host
from iommutui.tui.simulated import SimulatedMachine
from iommutui.tui.state import Kind, Source
from tests.tui.driver import SMALLEST, USUAL, WIDE, screen_of, snapshot_of
from tests.tui.machines import small, without_iommu
from tests.tui.snapshot import check

SIZES = {"120x40": WIDE, "80x24": USUAL, "60x18": SMALLEST}


@pytest.mark.parametrize("size", SIZES)
async def test_a_machine(size: str) -> None:
    async with screen_of(snapshot_of(small()), SIZES[size]) as ui:
        check(f"machine-{size}", ui.text())


@pytest.mark.parametrize("size", SIZES)
async def test_a_staged_plan(size: str) -> None:
    async with screen_of(snapshot_of(small()), SIZES[size]) as ui:
        await ui.press("v", "F", "k", "k")
        check(f"staged-{size}", ui.text())


@pytest.mark.parametrize("size", SIZES)
async def test_the_review(size: str) -> None:
    async with screen_of(snapshot_of(small()), SIZES[size]) as ui:
        await ui.press("c", "a")
        check(f"review-{size}", ui.text())


@pytest.mark.parametrize("size", SIZES)
async def test_no_iommu(size: str) -> None:
    async with screen_of(snapshot_of(without_iommu()), SIZES[size]) as ui:
        check(f"no-iommu-{size}", ui.text())


@pytest.mark.parametrize("size", SIZES)
async def test_the_help(size: str) -> None:
    async with screen_of(snapshot_of(small()), SIZES[size]) as ui:
        await ui.press("question_mark")
        check(f"help-{size}", ui.text())


@pytest.mark.parametrize("size", SIZES)
async def test_the_targets(size: str) -> None:
    async with screen_of(snapshot_of(small()), SIZES[size]) as ui:
        await ui.press("t")
        check(f"targets-{size}", ui.text())


@pytest.mark.parametrize("size", SIZES)
async def test_the_filter(size: str) -> None:
    async with screen_of(snapshot_of(small()), SIZES[size]) as ui:
        await ui.press("slash")
        await ui.type("viable:no !audio")
        check(f"filter-{size}", ui.text())


async def test_the_built_in_machine() -> None:
    async with screen_of(SimulatedMachine(Source(Kind.DEMO), demo_host), WIDE) as ui:
        assert ui.lines()[0].startswith(" DEMO — nothing is real")
        for words in ("✔ viable", "✖ blocked"):
            assert ui.line_with(words)
