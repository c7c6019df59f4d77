"""Keyboards and pointers, and the controllers that they come through."""

from iommutui.core.device import Gap
from iommutui.core.uses import Input
from iommutui.sources.tree import Tree
from iommutui.sources.uses.sysfs_links import entries, functions_above, gap_reason, read_attr

_BLUETOOTH = "0005"
_LETTERS = 0xFFFF_FFFE
"""KEY_ESC to KEY_S: what has every one of them is a keyboard, to udev as well."""

_X_AND_Y = 0x3
_BTN_LEFT, _BTN_TOUCH = 1 << 0x110, 1 << 0x14A


def read_inputs(tree: Tree) -> tuple[tuple[Input, ...], list[Gap]]:
    """Every keyboard and pointer, those included that no PCI function has."""
    found = entries(tree, "class/input")
    if not isinstance(found, list):
        why = gap_reason(tree, found)
        return (), [Gap("inputs", why)] if why else []
    inputs: list[Input] = []
    for entry in found:
        wireless = read_attr(tree, f"{entry.path}/id/bustype") == _BLUETOOTH
        if not entry.name.startswith("input") or ("devices/virtual/" in entry.path and not wireless):
            continue
        keyboard, pointer = _kinds(tree, entry.path)
        if keyboard or pointer:
            name = read_attr(tree, f"{entry.path}/name") or entry.name
            owners = functions_above(entry.path)
            inputs += [Input(owner, name, keyboard, pointer, wireless) for owner in owners or (None,)]
    return tuple(inputs), []


def _kinds(tree: Tree, path: str) -> tuple[bool, bool]:
    """Whether it is a keyboard, and whether it is a pointer: a mouse, a touchpad, a tablet."""
    keys, relative, absolute = (bits(read_attr(tree, f"{path}/capabilities/{name}")) for name in ("key", "rel", "abs"))
    moves = relative & _X_AND_Y == _X_AND_Y and bool(keys & _BTN_LEFT)
    touched = absolute & _X_AND_Y == _X_AND_Y and bool(keys & (_BTN_LEFT | _BTN_TOUCH))
    return keys & _LETTERS == _LETTERS, moves or touched


def bits(text: str) -> int:
    """``70000 0 0 0 0`` -> a number: words of 64 bits in hex, the highest first."""
    value = 0
    for part in text.split():
        try:
            value = value << 64 | int(part, 16)
        except ValueError:
            return 0
    return value
