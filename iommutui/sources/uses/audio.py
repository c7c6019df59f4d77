"""Sound cards, and which of them play or record."""

from iommutui.core.device import Gap
from iommutui.core.uses import Sound
from iommutui.sources.tree import Tree, names_in
from iommutui.sources.uses.sysfs_links import entries, functions_above, gap_reason


def read_sounds(tree: Tree) -> tuple[tuple[Sound, ...], list[Gap]]:
    """Every sound card that a PCI function has."""
    found = entries(tree, "class/sound")
    if not isinstance(found, list):
        why = gap_reason(tree, found)
        return (), [Gap("sounds", why)] if why else []
    cards = [entry for entry in found if entry.name.startswith("card") and entry.name[4:].isdecimal()]
    sounds = tuple(
        Sound(owner, card.name, _playing(tree, card.name)) for card in cards for owner in functions_above(card.path)
    )
    why = gap_reason(tree, names_in(f"{tree.root}/proc/asound")) if sounds else ""
    return sounds, [Gap("sounds", why)] if why else []


def _playing(tree: Tree, card: str) -> tuple[str, ...]:
    """The streams of a card that somebody has open: their ``status`` reads ``closed`` otherwise."""
    found = []
    for stream in _names(tree, f"proc/asound/{card}", "pcm"):
        for part in _names(tree, f"proc/asound/{card}/{stream}", "sub"):
            status = tree.text(f"proc/asound/{card}/{stream}/{part}/status")
            if isinstance(status, str) and status.startswith("state"):
                found.append(stream)
                break
    return tuple(found)


def _names(tree: Tree, place: str, prefix: str) -> list[str]:
    names = names_in(f"{tree.root}/{place}")
    return sorted(name for name in names if name.startswith(prefix)) if isinstance(names, list) else []
