"""What is said in passing."""

import pytest

from iommutui.tui.widgets.message import Message, Said, message_rows
from tests.tui.driver import SMALLEST, USUAL, WIDE, Ui, screen_of, snapshot_of
from tests.tui.machines import GPU, small


def place(ui: Ui) -> Message:
    """Where messages of the screen on top are shown."""
    return ui.app.screen.query_one(Message)


@pytest.mark.parametrize(
    ("severity", "sign"), [("information", ""), ("warning", "! "), ("error", "✖ ")]
)  # fmt: skip
def test_the_severity_is_told_by_a_sign_and_rows_keep_to_the_width(severity: str, sign: str) -> None:
    rows = ["".join(span.text for span in row) for row in message_rows(Said("word " * 40, severity), 60)]
    assert rows[0].startswith(f"▌ {sign}word")
    assert all(row.startswith("▌ ") and len(row) <= 60 - 6 for row in rows)
    assert len(rows) > 2


async def test_a_message_lies_above_the_plan_and_a_click_takes_it_away() -> None:
    async with screen_of(snapshot_of(small()), USUAL) as ui:
        await ui.press("x")
        region, plan = place(ui).region, ui.app.screen.query_one("#plan").region
        assert (region.right, region.bottom) == (79, plan.y)
        assert "! Nothing is staged for the selection." in ui.lines()[plan.y - 1]
        assert "3 Plan" in ui.lines()[plan.y]
        await ui.pilot.click(Message)
        await ui.settle()
        assert ui.toasts() == []
        assert "Nothing is staged for the selection." not in ui.text()


async def test_a_message_goes_by_itself() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        ui.app.notify("Here and gone.", timeout=0.05)
        await ui.settle()
        assert "Here and gone." in ui.text()
        while ui.app.said is not None:
            await ui.pilot.pause(0.01)
        await ui.settle()
        assert "Here and gone." not in ui.text()


async def test_a_new_message_has_its_own_time() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        ui.app.notify("First.", timeout=0.05)
        ui.app.notify("Second.", timeout=60)
        await ui.pilot.pause(0.1)
        assert ui.toasts() == ["Second."]
        assert "First." not in ui.text()


async def test_a_message_keeps_to_its_corner_when_the_terminal_changes() -> None:
    async with screen_of(snapshot_of(small()), WIDE) as ui:
        await ui.press("x")
        for width, height in (SMALLEST, USUAL, WIDE):
            await ui.pilot.resize_terminal(width, height)
            await ui.settle()
            plan = ui.app.screen.query_one("#plan").region
            assert (place(ui).region.right, place(ui).region.bottom) == (width - 1, plan.y)
            assert "Nothing is staged for the selection." in ui.text()


async def test_what_a_dialog_says_as_it_closes_is_read_on_the_desk() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(GPU)
        await ui.press("Y", "enter")
        assert ui.app.screen is ui.app.desk
        assert "Copied the address" in ui.text()


async def test_a_message_of_the_desk_does_not_lie_under_a_dialog() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.press("x", "question_mark")
        assert ui.toasts() == []
        assert "Nothing is staged for the selection." not in ui.text()
        await ui.press("escape")
        assert "Nothing is staged for the selection." not in ui.text()


async def test_a_hostile_message_is_shown_as_it_is() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        ui.app.notify("[/] [b]x[/b] [@click=app.quit]q[/]\x1b[2J")
        await ui.settle()
        assert "[/] [b]x[/b] [@click=app.quit]q[/]\\x1b[2J" in ui.text()
