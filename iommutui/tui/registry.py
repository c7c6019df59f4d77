"""Every command there is, and what is made of them: bindings, footer, help, palette, and the table of keys."""

from collections.abc import Iterable, Mapping

from textual.binding import Binding

from iommutui.core.errors import IommutuiError
from iommutui.settings import settings_path
from iommutui.tui.commands import applying, looking, moving, staging, viewing, wishing
from iommutui.tui.commands.base import Command
from iommutui.tui.keynames import key_name, spelt
from iommutui.tui.state import AppState

COMMANDS: tuple[Command, ...] = (
    *wishing.COMMANDS,
    *staging.COMMANDS,
    *applying.COMMANDS,
    *viewing.COMMANDS,
    *looking.COMMANDS,
    *moving.COMMANDS,
)
BY_ID = {command.id: command for command in COMMANDS}

_DIALOG = "In a dialog"

REVIEW: tuple[Command, ...] = (
    Command(
        "confirm",
        ("y",),
        "Apply",
        "Apply what the review shows. Enter alone never does: the focus is on Cancel.",
        _DIALOG,
    ),
    Command("cancel", ("escape", "n", "q"), "Cancel", "Close the dialog; nothing is written.", _DIALOG),
    Command("timer", ("t",), "Timer", "Take everything back after a while unless it is kept then, or do not.", _DIALOG),
    Command("copy", ("Y",), "Copy", "Copy the writes, as lines for a root shell.", _DIALOG),
)
KEEPING: tuple[Command, ...] = (
    Command("keep", ("y",), "Keep", "Keep what was applied.", _DIALOG),
    Command("undo", ("u", "escape"), "Back", "Take it back at once.", _DIALOG),
    Command("neither", ("enter",), "Enter", "Does nothing: a countdown is answered by y or u.", _DIALOG),
)
SCROLL: tuple[Command, ...] = (
    Command("line_down", ("j", "down"), "Down", "Scroll down.", _DIALOG),
    Command("line_up", ("k", "up"), "Up", "Scroll up.", _DIALOG),
    Command("more", ("pagedown", "ctrl+d", "space"), "Page", "A page down.", _DIALOG),
    Command("less", ("pageup", "ctrl+u"), "Page", "A page up.", _DIALOG),
    Command("first", ("g", "home"), "Top", "To the top.", _DIALOG),
    Command("last", ("G", "end"), "Bottom", "To the bottom.", _DIALOG),
)
PICK: tuple[Command, ...] = (
    Command("next", ("j", "down"), "Down", "The next entry.", _DIALOG),
    Command("previous", ("k", "up"), "Up", "The entry before.", _DIALOG),
    Command("choose", ("enter", "space"), "Choose", "Take the entry.", _DIALOG),
    Command("cancel", ("escape", "q"), "Cancel", "Close the dialog.", _DIALOG),
    Command("more", ("pagedown",), "Page", "A page down.", _DIALOG),
    Command("less", ("pageup",), "Page", "A page up.", _DIALOG),
    Command("first", ("g", "home"), "Top", "The first entry.", _DIALOG),
    Command("last", ("G", "end"), "Bottom", "The last entry.", _DIALOG),
)
FIND: tuple[Command, ...] = (
    Command("next", ("down", "ctrl+n"), "Down", "The next entry.", _DIALOG),
    Command("previous", ("up", "ctrl+p"), "Up", "The entry before.", _DIALOG),
    Command("more", ("pagedown",), "Page", "A page down.", _DIALOG),
    Command("less", ("pageup",), "Page", "A page up.", _DIALOG),
    Command("cancel", ("escape",), "Close", "Close the dialog.", _DIALOG),
)
CLOSE: tuple[Command, ...] = (Command("cancel", ("escape", "q", "enter"), "Close", "Close the dialog.", _DIALOG),)

_CHOSEN: dict[str, tuple[str, ...]] = {}
"""The person's own keys, by command."""


def keys_of(command: Command) -> tuple[str, ...]:
    """The keys of a command: the person's own, or those that it comes with."""
    return _CHOSEN.get(command.id, command.keys)


def keymap() -> dict[str, str]:
    """The person's own keys as Textual takes them."""
    return {command: ",".join(keys) for command, keys in _CHOSEN.items()}


_NO_KEY = "no-key"
"""What no terminal sends: Textual gives the person's own keys only to a command that has a key."""

RESERVED = ("escape", "tab", "shift+tab", "enter", "ctrl+c", "ctrl+q")
"""Keys that have to stay what they are, or there would be no way out of something."""


def use_keys(chosen: Mapping[str, str]) -> None:
    """Takes over the person's own keys; once, before there is a screen.

    IommutuiError names every command and every key that there is not, every key that is reserved, and every key that
    two commands would have.
    """
    wrong = []
    keys: dict[str, tuple[str, ...]] = {}
    for name, text in chosen.items():
        words = {word: spelt(word) for word in text.replace(",", " ").split()}
        if name not in BY_ID:
            wrong.append(f"there is no command {name!r}")
        elif not words:
            wrong.append(f"{name} has no key left")
        else:
            wrong += [f"there is no key {word!r} for {name}" for word, key in words.items() if key is None]
            wrong += [f"{key_name(key)} cannot be given to {name}" for key in words.values() if key in RESERVED]
            keys[name] = tuple(key for key in words.values() if key is not None)
    owners: dict[str, str] = {}
    for command in COMMANDS:
        for key in keys.get(command.id, command.keys):
            if owners.setdefault(key, command.id) != command.id:
                wrong.append(f"{key_name(key)} would be the key of both {owners[key]} and {command.id}")
    if wrong:
        names = ", ".join(command.id for command in COMMANDS)
        raise IommutuiError(
            f"The keys in the settings do not work out: {'; '.join(wrong)}.",
            f"Mend [keys] in {settings_path()}. The commands are: {names}.",
        )
    _CHOSEN.update(keys)


def key_names(command: Command) -> str:
    """Every key of a command."""
    return " ".join(key_name(key) for key in keys_of(command))


def key_of(command_id: str) -> str:
    """The first key of a command, as it is written."""
    return key_name(keys_of(BY_ID[command_id])[0])


def bindings(commands: Iterable[Command]) -> list[Binding]:
    """Textual's bindings of commands. Those of a dialog have no id: the person's own keys are not for them."""
    return [
        Binding(
            ",".join(command.keys) or _NO_KEY,
            command.id if command.run is None else f"run('{command.id}')",
            command.label,
            show=command.footer,
            id=None if command.run is None else command.id,
        )
        for command in commands
    ]


def reason_against(command_id: str, state: AppState) -> str | None:
    """Why a command cannot be done now."""
    command = BY_ID.get(command_id)
    return command.disabled(state) if command is not None else None


def footer() -> tuple[Command, ...]:
    """What the footer shows."""
    return tuple(command for command in COMMANDS if command.footer)


def topics() -> dict[str, list[Command]]:
    """The commands under their topics."""
    found: dict[str, list[Command]] = {}
    for command in COMMANDS:
        if keys_of(command):
            found.setdefault(command.topic, []).append(command)
    return found
