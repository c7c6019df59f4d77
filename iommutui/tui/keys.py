"""How keys are written, and which there are. Pure."""

import string
from textual.keys import Keys, _character_to_key, key_to_character


_SHOWN = {
    "question_mark": "?", "slash": "/", "colon": ":", "up": "↑", "down": "↓", "left": "←", "right": "→",
    "pagedown": "PgDn", "pageup": "PgUp", "escape": "Esc", "tab": "Tab", "shift+tab": "S-Tab", "home": "Home",
    "end": "End", "enter": "Enter", "f5": "F5", "right_square_bracket": "]", "left_square_bracket": "[",
}  # fmt: skip
_WRITTEN = {shown: name for name, shown in _SHOWN.items()}
_MODIFIERS = {"alt", "ctrl", "hyper", "meta", "shift", "super"}
_PUNCTUATION = {_character_to_key(character): character for character in string.punctuation}
# Textual's list also has names that no terminal sends: <any>, ctrl-at, return.
_NAMED = {name for name in (key.value.rpartition("+")[2] for key in Keys) if name.isalnum() and len(name) > 1} - {
    "return",
    *_PUNCTUATION,
}


def _character(name: str) -> str | None:
    """The character that a key makes, by Textual's name of it."""
    return name if len(name) == 1 else _PUNCTUATION.get(name) or key_to_character(name)


def key_name(key: str) -> str:
    """``?`` for ``question_mark``, ``^d`` for ``ctrl+d``."""
    if key in _SHOWN:
        return _SHOWN[key]
    modifiers, plus, name = key.rpartition("+")
    shown = _SHOWN.get(name) or (name if name in _NAMED else _character(name) or name)
    if modifiers.startswith("ctrl"):
        return "^" + f"{modifiers}{plus}".removeprefix("ctrl+") + shown
    return modifiers + plus + shown


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
    if name not in _NAMED:
        character = _character(name)
        # A character with Shift is another character, and a key of its own.
        if character is None or not character.isprintable() or modifiers == {"shift"}:
            return None
        name = _character_to_key(character)
    return "+".join((*sorted(modifiers), name)) if modifiers <= _MODIFIERS else None
