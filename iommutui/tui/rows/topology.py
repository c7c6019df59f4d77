"""The PCI tree with the borders of groups, which shows why devices share a group. Pure."""

from typing import NamedTuple

from iommutui.core.address import Address, sort_key
from iommutui.core.host import Device, Host
from iommutui.core.labels import GLYPHS, device_name, kind_word, verdict_word
from iommutui.tui.cache import last_call
from iommutui.tui.derived import arrow, change_of, target_of, verdicts
from iommutui.tui.rows.base import KIND, Listing, driver_span, every, listed, matches, short, tags
from iommutui.tui.state import AppState, Key
from iommutui.tui.text import VERDICT_STYLES, Span, fit, pad, verdict_span


class Tree(NamedTuple):
    """The rows in order: each device with its branches, and its place in the run of rows of its group."""

    keys: tuple[Key, ...]
    branches: dict[Key, str]
    borders: dict[Key, str]
    """``╶`` alone, ``┌`` first, ``│`` within, ``└`` last of neighbouring rows of one group."""
    place: int
    """Width of branches and addresses."""


@last_call
def tree(host: Host) -> Tree:
    """Every device below its bridge, a virtual function below its physical one. Devices of other buses come last."""
    below: dict[Address | None, list[Device]] = {}
    for device in host.devices.values():
        above = device.physfn if device.physfn in host.devices else device.parent
        parent = above if above in host.devices and above != device.address else None
        below.setdefault(parent, []).append(device)
    keys: list[Key] = []
    branches: dict[Key, str] = {}
    waiting = [(device, "", "") for device in reversed(_ordered(below.get(None, [])))]
    while waiting:
        device, sign, stem = waiting.pop()
        key = Key(device.group, device.address)
        if key in branches:
            continue
        keys.append(key)
        branches[key] = sign
        children = _ordered(below.get(device.address, []))
        for index in range(len(children) - 1, -1, -1):
            last = index == len(children) - 1
            waiting.append((children[index], stem + ("└─" if last else "├─"), stem + ("  " if last else "│ ")))
    keys += [k for d in host.devices.values() if (k := Key(d.group, d.address)) not in branches]  # a loop of parents
    place = max((len(branches.get(key, "")) + len(short(host, key.device)) for key in keys if key.device), default=0)
    return Tree(tuple(keys), branches, _borders(keys), min(place, 28))


def _ordered(devices: list[Device]) -> list[Device]:
    return sorted(devices, key=lambda device: sort_key(device.address))


def _borders(keys: list[Key]) -> dict[Key, str]:
    found = {}
    for index, key in enumerate(keys):
        before = index > 0 and keys[index - 1].group == key.group
        after = index + 1 < len(keys) and keys[index + 1].group == key.group
        found[key] = {(False, False): "╶", (False, True): "┌", (True, True): "│", (True, False): "└"}[before, after]
    return found


@last_call
def _listing(host: Host) -> Listing:
    keys = tree(host).keys
    return listed(keys, len(keys), len(keys))


def topology_listing(state: AppState) -> Listing:
    """The rows of the tree; it is always complete, and a filter only searches."""
    found = matches(state)
    return _listing(state.host) if found is None else _listing(state.host)._replace(shown=len(found))


def next_match(state: AppState, step: int) -> Key | None:
    """The next match of the search, wrapping around."""
    found = matches(state) or frozenset()
    keys, places, _, _ = topology_listing(state)
    here = places.get(state.cursor, -1 if step > 0 else 0)
    for distance in range(1, len(keys) + 1):
        key = keys[(here + step * distance) % len(keys)]
        if key.device in found:
            return key
    return None


def topology_row(state: AppState, key: Key, width: int, here: bool) -> tuple[Span, ...]:
    """``17 ✖┌ ├─0000:09:00.0 VGA nouveau → vfio-pci  TU106``."""
    host = state.host
    assert key.device is not None
    device = host.devices[key.device]
    found = tree(host)
    spans = [Span("▌" if here else "»" if key.device in (matches(state) or ()) else " ", "accent")]
    spans += _border(state, key, found)
    branch = found.branches.get(key, "")
    spans.append(Span("#" if state.selected & {key, Key(key.group)} else " ", "planned"))
    spans.append(Span(branch, "muted"))
    spans.append(Span(pad(short(host, device.address), max(found.place - len(branch), 7)) + " ", "strong"))
    spans.append(Span(pad(kind_word(device), KIND) + " ", "muted" if device.is_bridge else "info"))
    spans.append(driver_span(host, device))
    target = target_of(state, device.address)
    if target is not None:
        spans.append(Span(arrow(device, target), "planned"))
    spans += _planned(state, key, found)
    spans.append(Span(" *  " if key.device in state.marks else "  ", "accent"))
    spans += tags(host, device)
    spans.append(Span(device.device_name or device_name(device), "muted"))
    return fit(spans, width)


def topology_head(host: Host) -> str:
    """The headings of the columns."""
    number, place = every(host).number, tree(host).place
    return f" {pad('Group', number + 3)} {pad('Address', place)} {pad('Kind', KIND)} Driver  [used for] name"


def _planned(state: AppState, key: Key, found: Tree) -> list[Span]:
    """The planned verdict, on the first row of a group."""
    change = change_of(state, key.group) if found.borders[key] in "╶┌" else None
    if change is None or verdict_word(change.after) == verdict_word(change.before):
        return []
    return [Span("  group ", "planned"), verdict_span(change.after), Span(" planned", "planned")]


def _border(state: AppState, key: Key, found: Tree) -> list[Span]:
    sign = found.borders[key]
    width = every(state.host).number
    if key.group is None or key.group not in state.host.groups:
        return [Span(f"{'':>{width}}   ", "muted")]
    word = verdicts(state.host, state.model).words[key.group]
    style = VERDICT_STYLES[word]
    begins = sign in "╶┌"
    number = str(key.group) if begins else ""
    mine = state.cursor.group == key.group
    return [
        Span(f"{number:>{width}} ", "strong" if mine else "muted"),
        Span(GLYPHS[word] if begins else " ", style),
        Span({"╶": "╺", "┌": "┏", "│": "┃", "└": "┗"}[sign] if mine else sign, style),
    ]
