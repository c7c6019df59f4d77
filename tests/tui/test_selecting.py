"""One command for several rows; the plan's own cursor; pages, prompts, and suspending to the shell."""

from pathlib import Path

import pytest

from iommutui.tui.state import Pane, Phase, View
from iommutui.tui.text import line
from iommutui.tui.widgets.dialogs import PageScreen, PromptScreen
from tests.tui.driver import USUAL, LiveLike, screen_of, snapshot_of
from tests.tui.fakes import Refusing
from tests.tui.machines import DISK, GPU, NIC, SOUND, small


async def test_the_next_target_applies_to_all_selected_rows() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(SOUND)
        await ui.press("S")
        await ui.select(NIC)
        await ui.press("S")
        assert "2 selected" in ui.text()
        assert "#" in ui.line_with(NIC, "igb")
        await ui.press("v")
        assert ui.staged() == [f"{SOUND}=vfio-pci", f"{NIC}=vfio-pci"]
        assert ui.state.selected == frozenset()


async def test_selected_groups_are_freed_together() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        for group in (1, 2):
            await ui.select(group)
            await ui.press("S")
        await ui.press("c")
        assert ui.staged() == [f"{GPU}=vfio-pci", f"{SOUND}=vfio-pci", f"{NIC}=vfio-pci"]
        await ui.select(3)
        await ui.press("S", "escape")
        assert ui.state.selected == frozenset()


async def test_selected_devices_are_marked_in_the_topology_and_esc_unselects_them() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(NIC)
        await ui.press("T", "S")
        assert "#" in ui.line_with(NIC, "igb")
        assert "Esc unselect" in ui.lines()[-1]
        await ui.press("escape")
        assert ui.state.selected == frozenset()
        assert ui.state.view is View.TOPOLOGY


async def test_a_target_is_chosen_for_one_device_at_a_time() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        for device in (GPU, NIC):
            await ui.select(device)
            await ui.press("S")
        await ui.press("t")
        assert ui.toasts()[-1].startswith("Select one device")


async def test_x_unstages_the_line_under_the_cursor_of_the_plan() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.press("c", "3")
        assert ui.state.pane is Pane.PLAN
        assert f"▌ {GPU}" in ui.text()
        await ui.press("j")
        assert f"▌ {SOUND}" in ui.text()
        await ui.press("x")
        assert ui.staged() == [f"{GPU}=vfio-pci"]
        await ui.press("x")
        assert ui.staged() == []
        await ui.press("x")
        assert ui.toasts()[-1] == "Nothing is staged."


async def test_after_an_apply_the_plan_says_what_comes_next() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.press("c", "a", "y")
        assert f"Applied. Give {GPU}, {SOUND} to a virtual machine" in ui.text()
        await ui.select(DISK)
        await ui.press("v")
        assert "Applied." not in ui.text()


async def test_a_page_is_searched_copied_and_saved(tmp_path: Path) -> None:
    page = PageScreen("Notes", [line(f"line {number} of it") for number in range(80)], str(tmp_path / "notes"))
    async with screen_of(snapshot_of(small()), USUAL) as ui:
        await ui.show(page)
        await ui.press("slash")
        await ui.type("LINE 61")
        assert ui.line_with("▌line 61 of it")
        assert "match 1 of 1" in ui.text()
        await ui.press("escape", "y")
        assert ui.app.clipboard.splitlines()[61] == "line 61 of it"
        await ui.press("s", "enter")
        assert (tmp_path / "notes").read_text().splitlines()[:2] == ["line 0 of it", "line 1 of it"]
        await ui.press("escape")
        assert ui.state.pane is Pane.LIST


async def test_a_prompt_accepts_only_valid_text() -> None:
    given: list[str] = []
    async with screen_of(snapshot_of(small()), USUAL) as ui:
        dialog = PromptScreen("A number", "17", lambda text: (text.isdigit(), "digits only"))
        await ui.app.desk.ask(dialog, given.append)
        await ui.settle()
        await ui.type("x")
        await ui.press("enter")
        assert given == []
        assert "digits only" in ui.text()
        await ui.press("backspace", "4", "enter")
        assert given == ["4"]


async def test_the_help_is_searched() -> None:
    async with screen_of(snapshot_of(small()), USUAL) as ui:
        await ui.press("question_mark", "slash")
        await ui.type("kernel rules")
        assert any("▌" in line and "ernel rules" in line for line in ui.lines())
        await ui.type("nonsense")
        assert not any("▌" in line for line in ui.lines())
        await ui.press("escape", "escape")
        assert ui.state.pane is Pane.LIST


async def test_keys_typed_after_a_failed_suspension_stage_nothing() -> None:
    """A headless app cannot suspend; ``fg`` typed for the shell would otherwise stage the target none."""
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(NIC)
        await ui.press("ctrl+z", "f", "g")
        assert ui.staged() == []
        assert "suspend" in ui.toasts()[-1]


@pytest.mark.parametrize("keys", [("t", "enter"), ("m", "enter"), ("colon", "enter"), ("o", "9")])
async def test_a_second_enter_in_one_burst_closes_nothing_else(keys: tuple[str, str]) -> None:
    """A slow line delivers both keys at once; the dialog is closed when the second one arrives."""
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(NIC)
        await ui.press("p", *keys)
        await ui.burst("enter", "enter")
        assert ui.app.return_code is None
        assert ui.app.screen is ui.app.desk or ui.app.screen.is_modal
        assert ui.staged()


async def test_control_c_says_how_to_leave() -> None:
    async with screen_of(LiveLike(small(), Refusing("no"))) as ui:
        await ui.press("ctrl+c")
        assert ui.toasts() == ["q quits iommutui; Ctrl-Q closes a dialog first."]
        assert ui.state.phase is Phase.READY
