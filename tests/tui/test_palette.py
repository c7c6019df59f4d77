"""Finding a command by part of its name in Textual's palette."""

import pytest
from textual.command import CommandPalette
from textual.widgets import OptionList

from iommutui.tui.commands import BY_ID, COMMANDS
from iommutui.tui.palette import help_of, name_of, score
from iommutui.tui.state import start
from tests.tui.driver import SMALLEST, USUAL, WIDE, Ui, screen_of, snapshot_of
from tests.tui.machines import GPU, small


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("exit", "quit"), ("quit", "quit"), ("close", "quit"), ("unbind", "none"), ("rebind", "target"),
        ("dark", "theme"), ("light", "theme"), ("color", "theme"), ("keys", "help"), ("shortcut", "help"),
        ("reload", "rescan"), ("refresh", "rescan"), ("bookmark", "mark"), ("rollback", "revert"),
        ("history", "log"), ("jump", "go"), ("clipboard", "copy"), ("toggle", "pass"), ("stub", "park"),
        ("give-back", "give-back"), ("hazards", "impact"), ("tree", "topology"), ("expand", "open"),
        ("free", "free"), ("stage: none", "none"), ("models", "models"),
        ("apply", "apply"), ("copy report", "copy-more"),
        ("maximize", "zoom"), ("divider", "narrower"),
    ],
)  # fmt: skip
def test_common_words_find_the_right_command(typed: str, first: str) -> None:
    offered = [command for command in COMMANDS if command.palette]
    assert max(offered, key=lambda command: score(command, typed)).id == first


def test_every_typed_word_has_to_match() -> None:
    assert score(BY_ID["free"], "card free") > 0
    assert score(BY_ID["free"], "card fold") == 0


def test_a_command_has_the_same_name_in_settings_and_palette() -> None:
    assert [command.id for command in COMMANDS] == [command.label.lower().replace(" ", "-") for command in COMMANDS]
    assert len({name_of(command) for command in COMMANDS}) == len(BY_ID) == len(COMMANDS)


def test_an_unavailable_command_says_why() -> None:
    state = start(snapshot_of(small()).source, None)
    assert help_of(BY_ID["revert"], state) == "not now: The machine is still being scanned."
    assert help_of(BY_ID["quit"], state) == "q  Quit; asks if something is staged."


def _is_open(ui: Ui) -> bool:
    return isinstance(ui.app.screen_stack[-1], CommandPalette)


async def palette(ui: Ui, typed: str) -> None:
    """Opens the palette, types, and waits until Textual has searched."""
    await ui.press("colon")
    await ui.type(typed)
    await ui.until(lambda: any(each.option_count for each in ui.app.screen.query(OptionList)))


@pytest.mark.parametrize("size", [SMALLEST, USUAL, WIDE])
@pytest.mark.parametrize(
    ("typed", "name", "words"),
    [("fold", "Move: fold", "Fold the group"), ("revert", "Apply: revert", "not now: Nothing has been applied")],
)
async def test_the_palette_finds_every_command_and_says_why_it_cannot_be_done(
    size: tuple[int, int], typed: str, name: str, words: str
) -> None:
    async with screen_of(snapshot_of(small()), size) as ui:
        await palette(ui, typed)
        assert name in ui.text()
        assert words in ui.text()


async def test_enter_runs_the_command_under_the_cursor_or_says_why_it_cannot() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(GPU)
        await palette(ui, "vfio")
        await ui.press("enter")
        assert ui.staged() == [f"{GPU}=vfio-pci"]
        await palette(ui, "revert")
        await ui.press("enter")
        assert ui.toasts() == ["Nothing has been applied yet, so there is nothing to revert."]


async def test_a_command_that_opens_a_dialog_opens_it_from_the_palette() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await palette(ui, "help")
        await ui.press("enter")
        assert "Stage pci-stub: park it" in ui.text()


async def test_escape_changes_nothing() -> None:
    async with screen_of(snapshot_of(small()), USUAL) as ui:
        await ui.press("ctrl+p")
        assert _is_open(ui)
        await ui.press("down", "escape")
        assert not _is_open(ui)
        assert ui.staged() == []


async def test_a_theme_is_chosen() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await palette(ui, "theme")
        await ui.press("enter")
        await ui.type("gruvbox")
        await ui.until(lambda: any(each.option_count for each in ui.app.screen.query(OptionList)))
        await ui.press("enter")
        assert ui.app.theme == "gruvbox"
