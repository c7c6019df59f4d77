"""Saved state, and the introduction at a first start."""

from pathlib import Path

import pytest

from iommutui.core.host import Gap, Host
from iommutui.settings import Settings, settings_path
from iommutui.tui import keys
from iommutui.tui.app import IommutuiApp
from iommutui.tui.commands import COMMANDS, topics
from iommutui.tui.keys import key_name, key_of, spelt, use_keys
from iommutui.tui.pages.help import help_lines, orientation
from iommutui.tui.state import Key, Pane, staged, start
from iommutui.tui.store import Memory, Store, recalled, state_path, to_remember
from tests.tui.driver import WIDE, Ui, snapshot_of
from tests.tui.machines import DISK, GPU, NIC, changed, small
from tests.tui.test_tabs import state_of


def test_saved_state_is_read_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "deep" / "screen.json")
    memory = Memory(True, {"live": ("0000:01:00.0 10de:2484",)})
    assert store.write(memory) is None
    assert store.read() == memory


@pytest.mark.parametrize("text", ["", "{", "[]", '{"marks": 3}', '{"marks": {"live": 3, "x": [1]}}', "[" * 100_000])
def test_a_file_with_other_content_is_ignored(tmp_path: Path, text: str) -> None:
    path = tmp_path / "screen.json"
    path.write_text(text)
    memory = Store(path).read()
    assert not memory.oriented
    assert not any(memory.marks.values())


def test_an_unwritable_path_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be written" in (Store(tmp_path / "file" / "screen.json").write(Memory()) or "")


def test_the_path_follows_the_xdg_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere")
    assert state_path() == Path("/somewhere/iommutui/screen.json")


def test_another_device_at_the_same_address_is_not_marked() -> None:
    kept = to_remember(state_of(marks=frozenset({GPU, NIC})), Memory())
    assert recalled(state_of(), kept).marks == {GPU, NIC}
    assert recalled(state_of(changed(small(), GPU, device_id="ffff")), kept).marks == {NIC}


async def _screen(host: Host, store: Store, keys: tuple[str, ...]) -> list[str]:
    machine = snapshot_of(host)
    app = IommutuiApp(machine, start(machine.source), store=store)
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        ui = Ui(app, pilot)
        await ui.settle()
        await ui.press(*keys)
        return ui.lines()


async def test_marks_are_restored_at_the_next_start(tmp_path: Path) -> None:
    store = Store(tmp_path / "screen.json")
    await _screen(small(), store, ("escape", "G", "b"))
    lines = await _screen(small(), store, ())
    assert any("*" in line and "06:00.0" in line for line in lines)


async def test_marks_that_cannot_be_saved_are_reported_and_nothing_else_happens(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    machine = snapshot_of(small())
    app = IommutuiApp(machine, start(machine.source), store=Store(tmp_path / "file" / "screen.json"))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        ui = Ui(app, pilot)
        await ui.settle()
        await ui.press("b")
        assert any("cannot be written" in text for text in ui.log())
        assert "It is lost when the program ends." in ui.toasts()[-1]
        assert any(key.device in ui.state.marks for key in [ui.state.cursor] if key is not None)


async def test_a_first_start_shows_a_hint_that_esc_ends_for_good(tmp_path: Path) -> None:
    store = Store(tmp_path / "screen.json")
    lines = await _screen(small(), store, ())
    assert any("Welcome. GA104 [GeForce RTX 3070] is in group 1, which is blocked" in line for line in lines)
    lines = await _screen(small(), store, ("c",))
    assert any("Staged, not written." in line for line in lines)
    lines = await _screen(small(), store, ("escape",))
    assert not any("Welcome" in line for line in lines)
    lines = await _screen(small(), store, ())
    assert not any("Welcome" in line for line in lines)


def test_the_hint_follows_the_users_steps() -> None:
    state = state_of(hints=True, cursor=Key(1, GPU))
    assert "c stages what frees it" in orientation(state)[0].text
    assert "a shows the exact writes" in orientation(staged(state, {GPU: "vfio-pci"}))[0].text
    assert "R reverts it" in orientation(state._replace(applies=1))[0].text
    assert "a whole group" in orientation(state._replace(cursor=Key(1)))[0].text
    assert "c stages" not in orientation(state._replace(cursor=Key(3, DISK)))[0].text
    assert orientation(state._replace(hints=False)) == ()


@pytest.fixture
def _own_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_CHOSEN", {})


@pytest.mark.usefixtures("_own_keys")
async def test_configured_keys_work_and_are_shown(tmp_path: Path) -> None:
    use_keys(Settings(keys={"apply": "f9 ^x", "filter": "comma", "undo": "U"}))
    assert key_of("apply") == "f9"
    machine = snapshot_of(small())
    app = IommutuiApp(machine, start(machine.source))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        ui = Ui(app, pilot)
        await ui.settle()
        await ui.press("c")
        assert "f9 apply" in ui.lines()[-1]
        await ui.press("f9")
        assert "Review: apply" in ui.text()
        await ui.press("escape", "U")
        assert ui.staged() == []
        await ui.press("c", "a")
        assert "Review: apply" not in ui.text()


async def test_mistakes_in_the_settings_are_reported_and_the_screen_opens() -> None:
    machine = snapshot_of(small())
    app = IommutuiApp(machine, start(machine.source), config=Settings(keys={"aply": "x"}, theme="nordic"))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        ui = Ui(app, pilot)
        await ui.settle()
        assert app.theme == "iommutui"
        assert ui.toasts() == [
            f"{settings_path()}: there is no theme 'nordic'. The log (L) says how to fix it, and has 1 more."
        ]
        await ui.press("L")
        assert "there is no theme 'nordic'. Themes are: " in " ".join(ui.log())


@pytest.mark.usefixtures("_own_keys")
async def test_configured_keys_do_not_apply_to_dialogs_and_may_be_given_to_any_command() -> None:
    use_keys(Settings(keys={"copy": "f8", "theme": "f9"}))
    machine = snapshot_of(small())
    app = IommutuiApp(machine, start(machine.source))
    async with app.run_test(size=WIDE, notifications=True) as pilot:
        ui = Ui(app, pilot)
        await ui.settle()
        await ui.press("f9")
        assert "Search for themes" in ui.text()
        await ui.press("escape", "question_mark")
        assert "f9        Choose another theme; it is saved." in "\n".join(
            line.text for line in help_lines(topics(), Pane.LIST)
        )
        await ui.press("escape", "c", "a")
        assert "Review: apply" in ui.text()
        await ui.press("Y")
        assert "as lines for a" in ui.text()


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("/", "slash"), ("slash", "slash"), ("^x", "ctrl+x"), ("^X", "ctrl+x"), ("Ctrl+X", "ctrl+x"),
        ("PgDn", "pagedown"), ("q", "q"), ("G", "G"), ("é", "é"), (".", "full_stop"), ("+", "plus"),
        ("ctrl++", "ctrl+plus"), ("§", "section_sign"), ("F9", "f9"), ("space", "space"), ("S-Tab", "shift+tab"),
        ("^PgDn", "ctrl+pagedown"), ("shift+ctrl+left", "ctrl+shift+left"), ("alt+x", "alt+x"),
        ("shift+f5", "shift+f5"), ("ctrl+shift+x", "ctrl+shift+x"),
    ],
)  # fmt: skip
def test_keys_are_spelt_as_they_are_shown(word: str, key: str) -> None:
    assert spelt(word) == key
    assert spelt(key_name(key)) == key


def test_the_keys_of_every_command_are_valid() -> None:
    for key in (key for command in COMMANDS for key in command.keys):
        assert spelt(key) == spelt(key_name(key)) == key


@pytest.mark.parametrize(
    "word",
    ["zz", "f99", "ctrl+shift+zz", "ctl+x", "+x", "ctrl+", "ctrl", "shift+x", "<any>", "ctrl-at", "return", "\a"],
)
def test_a_name_that_no_terminal_sends_is_not_a_key(word: str) -> None:
    assert spelt(word) is None


def test_the_hint_promises_nothing_if_drivers_are_unknown() -> None:
    host = small()
    for address in host.groups[1].members:
        host = changed(host, address, driver=None, gaps=(Gap("driver", "not-listed"),))
    text = orientation(state_of(host, hints=True, cursor=Key(1, GPU)))[0].text
    assert "is in group 1, and it is not known whether that is viable." in text
    assert "c stages" not in text
