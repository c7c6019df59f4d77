"""Keys: how they are written, which there are, and which command has which. Pure."""

from collections.abc import Mapping

from textual.binding import Binding
from textual.keys import KEY_DISPLAY_ALIASES, Keys, format_key, key_to_character

from iommutui.core.errors import IommutuiError
from iommutui.settings import settings_path

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
    """Textual's name of a key: ``slash`` for ``/``, ``ctrl+x`` for ``^x``; None where there is no such key."""
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
"""The person's own keys, by command."""


def define(command_id: str, keys: tuple[str, ...]) -> None:
    """The keys that a command comes with; called by the registry for each."""
    _DEFAULTS[command_id] = keys


def keys_of(command_id: str) -> tuple[str, ...]:
    """The keys of a command: the person's own, or those that it comes with."""
    return _CHOSEN.get(command_id, _DEFAULTS.get(command_id, ()))


def key_of(command_id: str) -> str:
    """The first key of a command, as it is written; empty where it has none."""
    return next(map(key_name, keys_of(command_id)), "")


def key_names(command_id: str) -> str:
    """Every key of a command."""
    return " ".join(map(key_name, keys_of(command_id)))


def keymap() -> dict[str, str]:
    """The person's own keys as Textual takes them."""
    return {command_id: ",".join(keys) for command_id, keys in _CHOSEN.items()}


def use_keys(chosen: Mapping[str, str]) -> None:
    """Takes over the person's own keys; once, before there is a screen.

    IommutuiError names every unknown command, every unknown key, every reserved key, and every key that two commands
    would have.
    """
    wrong = []
    keys: dict[str, tuple[str, ...]] = {}
    for name, text in chosen.items():
        words = {word: spelt(word) for word in text.replace(",", " ").split()}
        if name not in _DEFAULTS:
            wrong.append(f"there is no command {name!r}")
        elif not words:
            wrong.append(f"{name} has no key left")
        else:
            wrong += [f"there is no key {word!r} for {name}" for word, key in words.items() if key is None]
            wrong += [f"{key_name(key)} cannot be given to {name}" for key in words.values() if key in RESERVED]
            keys[name] = tuple(key for key in words.values() if key is not None)
    owners: dict[str, str] = {}
    for command_id, defaults in _DEFAULTS.items():
        for key in keys.get(command_id, defaults):
            if owners.setdefault(key, command_id) != command_id:
                wrong.append(f"{key_name(key)} would be the key of both {owners[key]} and {command_id}")
    if wrong:
        raise IommutuiError(
            f"The keys in the settings cannot be used: {'; '.join(wrong)}.",
            f"Fix [keys] in {settings_path()}. The commands are: {', '.join(_DEFAULTS)}.",
        )
    _CHOSEN.update(keys)
