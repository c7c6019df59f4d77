"""Keys: their spelling, and the keys of each command. Pure."""

from collections.abc import Mapping

from textual.binding import Binding
from textual.keys import KEY_DISPLAY_ALIASES, Keys, format_key, key_to_character

from iommutui.core.errors import IommutuiError
from iommutui.settings import Settings, settings_path

_SHOWN = {
    "escape": "Esc", "enter": "Enter", "tab": "Tab", "shift+tab": "S-Tab", "home": "Home", "end": "End", "f5": "F5",
    "pagedown": "PgDn", "pageup": "PgUp", "comma": ",",
}  # fmt: skip
"""Keys that are not shown as Textual shows them."""

_WRITTEN = {shown: name for name, shown in (KEY_DISPLAY_ALIASES | _SHOWN).items()}
_MODIFIERS = {"alt", "ctrl", "hyper", "meta", "shift", "super"}
# Textual's list also has names that no terminal sends: <any>, ctrl-at, return.
_NAMED = {name for name in (key.value.rpartition("+")[2] for key in Keys) if name.isalnum() and len(name) > 1} - {
    "return"
}


def key_name(key: str) -> str:
    """``?`` for ``question_mark``, ``^d`` for ``ctrl+d``."""
    if key in _SHOWN:
        return _SHOWN[key]
    modifiers, plus, name = key.rpartition("+")
    shown = _SHOWN.get(name) or format_key(name)
    return f"^{shown}" if modifiers == "ctrl" else modifiers + plus + shown


def spelt(word: str) -> str | None:
    """Textual's name of a key: ``slash`` for ``/``, ``ctrl+x`` for ``^x``; None if there is no such key."""
    if word in _WRITTEN:
        return _WRITTEN[word]
    if word[0] == "^" and len(word) > 1:
        word = "ctrl+" + word[1:]
    before, plus, last = word[:-1].rpartition("+")  # its last character may be a plus itself
    last += word[-1]
    modifiers = set(before.lower().split("+")) if plus else set()
    name = _WRITTEN.get(last, last.lower() if modifiers or len(last) > 1 else last)
    if name not in _NAMED and name not in _WRITTEN.values():
        character = key_to_character(name) or format_key(name)
        # A character with Shift is another character, and a key of its own.
        if len(character) > 1 or not character.isprintable() or modifiers == {"shift"}:
            return None
        (binding,) = Binding.make_bindings([Binding(character, "")])
        name = binding.key
    return "+".join((*sorted(modifiers), name)) if modifiers <= _MODIFIERS else None


RESERVED = ("escape", "tab", "shift+tab", "enter", "ctrl+c", "ctrl+q")
"""Keys that have to stay what they are, or there would be no way out of something."""

_DEFAULTS: dict[str, tuple[str, ...]] = {}
_CHOSEN: dict[str, tuple[str, ...]] = {}
"""The user's own keys, by command."""


def define(command_id: str, keys: tuple[str, ...]) -> None:
    """Registers the default keys of a command."""
    _DEFAULTS[command_id] = keys


def keys_of(command_id: str) -> tuple[str, ...]:
    """The keys of a command: the user's own, or its defaults."""
    return _CHOSEN.get(command_id, _DEFAULTS.get(command_id, ()))


def key_of(command_id: str) -> str:
    """The first key of a command, as it is written; empty if it has none."""
    return next(map(key_name, keys_of(command_id)), "")


def key_names(command_id: str) -> str:
    """Every key of a command."""
    return " ".join(map(key_name, keys_of(command_id)))


def keymap() -> dict[str, str]:
    """The user's own keys in Textual's form."""
    return {command_id: ",".join(keys) for command_id, keys in _CHOSEN.items()}


def use_keys(settings: Settings) -> list[IommutuiError]:
    """Takes over the user's own keys, once, before there is a screen, and returns the mistakes in the others.

    A command with an unknown, a reserved or another command's key keeps its default keys.
    """
    wrong: list[IommutuiError] = []
    keys: dict[str, tuple[str, ...]] = {}

    def mistake(name: str, what: str) -> None:
        place = settings.places.get(f"keys.{name}", settings_path())
        wrong.append(IommutuiError(f"{place}: {what}.", f"The commands are: {', '.join(_DEFAULTS)}."))

    for name, text in settings.keys.items():
        words = {word: spelt(word) for word in text.replace(",", " ").split()}
        said = [f"there is no key {word!r} for {name}" for word, key in words.items() if key is None]
        said += [f"{key_name(key)} cannot be given to {name}" for key in words.values() if key in RESERVED]
        if name not in _DEFAULTS:
            mistake(name, f"there is no command {name!r}")
        elif said or not words:
            mistake(name, "; ".join(said) or f"{name} has no key left")
        else:
            keys[name] = tuple(key for key in words.values() if key is not None)
    while clash := _clash(keys):
        key, *both = clash
        name = next(name for name in reversed(keys) if name in both)  # default keys never clash
        mistake(name, f"{key_name(key)} is the key of both {both[0]} and {both[1]}")
        del keys[name]
    _CHOSEN.update(keys)
    return wrong


def _clash(keys: Mapping[str, tuple[str, ...]]) -> tuple[str, str, str] | None:
    """A key that two commands would have, and the two."""
    owners: dict[str, str] = {}
    for command_id, defaults in _DEFAULTS.items():
        for key in keys.get(command_id, defaults):
            if owners.setdefault(key, command_id) != command_id:
                return key, owners[key], command_id
    return None
