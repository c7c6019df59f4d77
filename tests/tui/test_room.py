"""The sizes of the panes, and restoring them at the next start."""

from pathlib import Path

from iommutui.demo import demo_host
from iommutui.tui.app import IommutuiApp
from iommutui.tui.rows import listing
from iommutui.tui.state import Key, Pane, Sort, start
from iommutui.tui.store import Memory, Store
from tests.tui.driver import LARGE, SMALLEST, USUAL, WIDE, Ui, screen_of, snapshot_of
from tests.tui.machines import NIC, changed, small


async def test_a_pane_is_zoomed_and_the_zoom_follows_the_focus() -> None:
    for size in (USUAL, WIDE, LARGE):
        async with screen_of(snapshot_of(small()), size) as ui:
            await ui.press("plus")
            assert "3 Plan" not in ui.text()
            assert "1 Groups" in ui.text()
            assert "+ zoom off" in ui.lines()[-1]
            await ui.press("tab")
            assert "1 Groups" not in ui.text()
            assert "M Models" in ui.text()
            await ui.press("tab")
            assert "3 Plan" in ui.text()
            assert "M Models" not in ui.text()
            await ui.press("escape")
            assert not ui.state.zoomed
            assert ui.state.pane is Pane.LIST
            assert "1 Groups" in ui.text()
            assert "M Models" in ui.text()


async def test_a_window_that_is_too_small_says_so_and_takes_no_keys() -> None:
    async with screen_of(snapshot_of(small()), (50, 15)) as ui:
        await ui.press("c")
        assert "The window is 50x15; 60x18 is needed." in ui.text()
        assert ui.staged() == []
        await ui.press("q")
        assert ui.app.return_code == 0


async def test_keys_move_the_divider_within_the_screen() -> None:
    for size in (SMALLEST, USUAL, WIDE):
        async with screen_of(snapshot_of(small()), size) as ui:
            details = ui.app.desk.query_one("#details")
            before = details.size.area
            await ui.press("less_than_sign")
            assert details.size.area > before
            await ui.press(*["greater_than_sign"] * 30)
            assert 0 < details.size.area < before
            await ui.press(*["less_than_sign"] * 60)
            assert ui.app.desk.query_one("#list").size.height >= 4


async def test_the_mouse_drags_the_divider() -> None:
    for size, offset in ((WIDE, (-20, 0)), (USUAL, (0, -4))):
        async with screen_of(snapshot_of(small()), size) as ui:
            details = ui.app.desk.query_one("#details")
            edge, before = details.region, details.size.area
            await ui.pilot.mouse_down(None, offset=(edge.x, edge.y + (3 if size == WIDE else 0)))
            await ui.pilot.hover(None, offset=(edge.x + offset[0], edge.y + 3 * (size == WIDE) + offset[1]))
            await ui.pilot.mouse_up(None, offset=(edge.x + offset[0], edge.y + 3 * (size == WIDE) + offset[1]))
            await ui.settle()
            assert details.size.area > before
            assert ui.app.mouse_captured is None


async def test_column_headings_end_before_the_scroll_bar() -> None:
    async with screen_of(snapshot_of(demo_host()), WIDE) as ui:
        for _ in range(6):
            await ui.press("less_than_sign")
            region = ui.app.desk.query_one("#list").region
            head = ui.strips()[region.y + 1].crop(region.x + 1, region.right - 2).text.rstrip()
            assert head.endswith(("…", " name"))


async def test_groups_of_bridges_are_hidden_and_shown() -> None:
    host = changed(small(), NIC, header_type=1, class_code="060400")
    async with screen_of(snapshot_of(host)) as ui:
        assert Key(2) in listing(ui.state).keys
        await ui.press("full_stop")
        assert Key(2) not in listing(ui.state).keys
        assert ui.toasts() == ["Groups with nothing to pass through are hidden."]
        await ui.press("slash")
        await ui.type("05:00")
        assert Key(2, NIC) in listing(ui.state).keys
        await ui.press("escape", "o")
        await ui.type("2")
        await ui.press("enter")
        assert ui.state.bridges
        assert ui.state.cursor == Key(2)


async def _session(store: Store, *keys: str, theme: str = "") -> Ui:
    machine = snapshot_of(demo_host())
    app = IommutuiApp(machine, start(machine.source), store=store)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        ui = Ui(app, pilot)
        await ui.settle()
        await ui.press("escape", *keys)
        if theme:
            app.theme = theme
            await ui.settle()
        return ui


async def test_order_sizes_and_theme_are_restored_at_the_next_start(tmp_path: Path) -> None:
    store = Store(tmp_path / "screen.json")
    await _session(store, "s", "less_than_sign", "full_stop", "plus", theme="nord")
    ui = await _session(store)
    assert ui.app.theme == "nord"
    assert (ui.state.sort, ui.state.share, ui.state.bridges) == (Sort.KIND, 56, False)
    assert store.read() == Memory(True, {"snapshot friend.json": ()}, Sort.KIND, 56, True, False, "nord")


def test_impossible_values_in_the_file_are_ignored(tmp_path: Path) -> None:
    path = tmp_path / "screen.json"
    path.write_text('{"sort": "size", "share": 999, "zoomed": 3, "bridges": null, "theme": 7}')
    assert Store(path).read() == Memory()
