"""Finding a command or a theme by some of its name."""

import pytest

from iommutui.tui.palette import Entry, about, columns, command_entries, entry_row, name_of, search, theme_entries
from iommutui.tui.registry import BY_ID, COMMANDS
from iommutui.tui.screens.find import FindScreen
from iommutui.tui.state import start
from tests.tui.driver import SMALLEST, USUAL, WIDE, Ui, screen_of, snapshot_of
from tests.tui.machines import GPU, small

ENTRIES = [
    Entry("a", "Stage: free", "c", "Free this card."),
    Entry("b", "Move: fold", "h ←", "Fold the group."),
    Entry("c", "Apply: revert", "R", "Take back.", "Nothing has been applied."),
]


def names(text: str) -> list[str]:
    return [found.entry.id for found in search(ENTRIES, text)]


def test_everything_fits_while_nothing_is_typed() -> None:
    assert names("") == names("  ") == ["a", "b", "c"]


def test_a_name_is_found_before_what_is_said_of_another() -> None:
    assert names("fold") == ["b"]
    assert names("take") == ["c"]
    assert names("fr")[0] == "a"
    assert names("xyz") == []


RANKED = [
    Entry("letters", "Move: a-r-k"),
    Entry("also", "Move: one", also="arks"),
    Entry("help", "Move: two", words="The ark."),
    Entry("key", "Move: three", "ark"),
    Entry("within", "Move: park"),
    Entry("begins", "Move: arks"),
    Entry("inside", "Move: four", words="A parking place."),
]


def test_the_best_comes_first_and_what_only_has_the_letters_in_its_help_does_not_come() -> None:
    assert [found.entry.id for found in search(RANKED, "ark")] == [
        "begins", "within", "also", "help", "key", "letters",
    ]  # fmt: skip


def test_a_single_letter_is_not_looked_for_in_the_middle_of_other_words() -> None:
    assert [found.entry.id for found in search(RANKED, "g")] == []
    assert [found.entry.id for found in search(RANKED, "gn")] == []


def test_every_typed_word_has_to_fit() -> None:
    assert names("stage fr") == names("Stage: free") == names("card free") == ["a"]
    assert names("fold card") == []


def test_every_typed_word_stands_out() -> None:
    (found,) = search(ENTRIES, "free sta")
    assert found.places == (0, 1, 2, 7, 8, 9, 10)


@pytest.mark.parametrize(
    ("typed", "first"),
    [
        ("exit", "View: quit"), ("quit", "View: quit"), ("close", "View: quit"), ("unbind", "Stage: none"),
        ("bind", "Stage: pass"), ("rebind", "Stage: target"), ("driver", "Stage: park"), ("dark", "View: theme"),
        ("light", "View: theme"), ("color", "View: theme"), ("colours", "View: theme"), ("keys", "View: help"),
        ("shortcut", "View: help"), ("reset", "Stage: default"), ("reload", "View: rescan"),
        ("refresh", "View: rescan"), ("bookmark", "Look: mark"), ("rollback", "Apply: revert"),
        ("journal", "Look: log"), ("history", "Look: log"), ("jump", "Look: go"), ("clipboard", "View: copy"),
        ("passthrough", "Stage: free"), ("vm", "Stage: free"), ("toggle", "Stage: pass"), ("stub", "Stage: park"),
        ("pci-stub", "Stage: park"), ("give-back", "Stage: give back"), ("hazards", "Look: loses"),
        ("search", "View: filter"), ("tree", "Look: topology"), ("expand", "Move: open"), ("free", "Stage: free"),
        ("none", "Stage: none"), ("back", "Stage: give back"), ("model", "View: model"), ("models", "Look: models"),
        ("apply", "Apply: apply"), ("plan", "Move: plan"), ("f5", "View: rescan"), ("/", "View: filter"),
        ("?", "View: help"), ("go group", "Look: go"), ("copy report", "View: copy more"),
    ],
)  # fmt: skip
def test_what_people_type_finds_what_they_look_for(typed: str, first: str) -> None:
    entries = command_entries(start(snapshot_of(small()).source, None))
    assert search(entries, typed)[0].entry.name == first


def test_words_that_find_a_command_are_not_in_what_finds_it_anyway() -> None:
    for command in COMMANDS:
        entry = Entry(command.id, name_of(command), words=command.help)
        assert [word for word in command.also.split() if search([entry], word)] == []
        assert command.palette or not command.also


def test_a_command_is_called_in_the_settings_what_it_is_called_in_the_palette() -> None:
    assert [command.id for command in COMMANDS] == [command.label.lower().replace(" ", "-") for command in COMMANDS]
    assert len(BY_ID) == len(COMMANDS)


def test_the_typed_characters_stand_out_where_they_were_found() -> None:
    (found,) = search(ENTRIES, "fold")
    spans = entry_row(found, columns(ENTRIES), 80, here=True)
    assert next(span.text for span in spans if span.style == "key") == "fold"
    assert spans[0].text == "▌"


def test_what_cannot_be_done_says_why() -> None:
    assert about(ENTRIES[2])[0].text == "Not now: Nothing has been applied."
    assert about(ENTRIES[0])[0].text == "Free this card."


def test_the_theme_on_the_screen_comes_first() -> None:
    assert [entry.id for entry in theme_entries(["nord", "dracula", "iommutui"], "nord")] == [
        "nord", "dracula", "iommutui",
    ]  # fmt: skip


def test_every_command_that_is_offered_has_words_of_its_own() -> None:
    entries = command_entries(start(snapshot_of(small()).source, None))
    assert len({entry.name for entry in entries}) == len(entries)
    assert all(entry.words for entry in entries)


async def palette(ui: Ui, typed: str) -> None:
    await ui.press("colon")
    await ui.type(typed)


@pytest.mark.parametrize("size", [SMALLEST, USUAL, WIDE])
@pytest.mark.parametrize(
    ("typed", "name", "words"),
    [("fold", "Move: fold", "Fold the group"), ("revert", "Apply: revert", "Not now: Nothing has been applied")],
)
async def test_the_palette_finds_every_command_and_says_why_it_cannot_be_done(
    size: tuple[int, int], typed: str, name: str, words: str
) -> None:
    async with screen_of(snapshot_of(small()), size) as ui:
        await palette(ui, typed)
        assert name in ui.text()
        assert words in ui.text()


async def test_enter_does_what_is_under_the_cursor_and_says_why_it_cannot() -> None:
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


async def test_keys_move_within_the_list_and_escape_leaves_everything_as_it_was() -> None:
    async with screen_of(snapshot_of(small()), USUAL) as ui:
        await ui.press("ctrl+p", "down", "down", "up")
        assert "▌Stage: give back" in ui.text()
        await ui.press("pagedown", "pagedown", "pagedown", "pagedown", "pagedown", "pagedown")
        assert "▌Move: plan" in ui.text()
        await ui.press("pageup")
        assert "▌Move: plan" not in ui.text()
        await ui.press("escape")
        assert ui.staged() == []


async def test_what_nothing_is_called_says_so_and_enter_does_nothing() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await palette(ui, "zzzz")
        await ui.press("enter", "down")
        assert "Nothing has such a name." in ui.text()


async def test_a_click_takes_an_entry() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await palette(ui, "topology")
        await ui.pilot.click("#matches", offset=(5, 0))
        await ui.settle()
        assert "1 Topology" in ui.text()


async def test_a_theme_is_chosen_and_how_to_keep_it_is_said() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await palette(ui, "theme")
        await ui.press("enter")
        await ui.type("gruvbox")
        await ui.press("enter")
        assert ui.app.theme == "gruvbox"
        assert 'theme = "gruvbox"' in ui.toasts()[-1]


async def test_the_palette_fits_a_terminal_that_changes() -> None:
    async with screen_of(snapshot_of(small()), WIDE) as ui:
        await ui.press("colon")
        await ui.pilot.resize_terminal(60, 18)
        await ui.settle()
        assert isinstance(ui.app.screen, FindScreen)
        assert "▌Stage: free" in ui.text()
        assert "Esc close" in ui.lines()[-1]
