"""The list of groups and devices: which rows there are, and what stands in each. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.cells import cell_len

from iommutui.core.address import Address, sort_key
from iommutui.core.host import Device, Host
from iommutui.core.labels import class_words, device_name, verdict_glyph, verdict_word
from iommutui.core.marks import marks_of
from iommutui.core.models.base import Model
from iommutui.core.outcome import Verdict
from iommutui.core.query import Query, parse_query, searched_text
from iommutui.tui.memo import last_call
from iommutui.tui.preview import Verdicts, change_of, target_of, verdicts
from iommutui.tui.spans import Span, clip, fit, pad
from iommutui.tui.state import AppState, Key, Sort, View

VERDICT_STYLES = {"viable": "ok", "blocked": "bad", "in use": "info", "refused": "warn", "unknown": "warn"}
"""What a verdict's word means to the eye; the word and its glyph stand beside it always."""

_KINDS = {
    "0100": "SCSI", "0101": "IDE", "0104": "RAID", "0106": "SATA", "0107": "SAS", "0108": "NVMe", "0200": "Ethernet",
    "0280": "Network", "0207": "InfiniBand", "0300": "VGA", "0302": "3D", "0380": "Display", "0400": "Video",
    "0401": "Audio", "0403": "Audio", "0500": "RAM", "0600": "Host", "0601": "ISA", "0604": "Bridge",
    "0607": "CardBus", "0700": "Serial", "0805": "SD card", "0806": "IOMMU", "0c03": "USB", "0c05": "SMBus",
    "0c80": "Serial", "1300": "Other", "0d11": "Bluetooth", "1080": "Crypto", "1000": "Crypto", "1200": "Accel",
    "0780": "Comms", "0880": "System", "0b40": "Coproc", "1101": "Counters", "1180": "Signal",
}  # fmt: skip
_KINDS_OF_BASE = {"00": "Other", "01": "Storage", "02": "Network", "03": "Display", "04": "Media", "05": "Memory",
                  "06": "Bridge", "07": "Comms", "08": "System", "09": "Input", "0d": "Wireless",
                  "ff": "Other"}  # fmt: skip


def kind_word(device: Device) -> str:
    """One word for what the device is."""
    if device.bus != "pci":
        return device.bus
    code = (device.class_code or "")[:4]
    return _KINDS.get(code) or _KINDS_OF_BASE.get(code[:2]) or class_words(device)


class Listing(NamedTuple):
    """The rows that are on the list, in order."""

    keys: tuple[Key, ...]
    places: dict[Key, int]
    shown: int
    total: int
    """Devices that pass the filter, and all of them."""


class _Base(NamedTuple):
    """Every row of a machine, folded or not, and the widths of its columns."""

    blocks: dict[int | None, tuple[Key, ...]]
    address: int
    number: int


@last_call
def _base(host: Host) -> _Base:
    blocks: dict[int | None, tuple[Key, ...]] = {}
    for number, group in host.groups.items():
        members = group.members
        if len(members) > 1:
            members = tuple(sorted(members, key=sort_key))
        blocks[number] = tuple([Key(number, a) for a in members if a in host.devices])
    alone = tuple(Key(None, d.address) for d in host.devices.values() if d.group is None or d.group not in host.groups)
    if alone:
        blocks[None] = alone
    return _Base(
        blocks,
        max([12, *(len(address) for address in host.devices)]),
        max([2, *(len(str(number)) for number in host.groups)]),
    )


def _matching(host: Host, found: Verdicts, text: str) -> set[Address]:
    terms = parse_query(text).terms
    texts = _texts(host)
    matched = set(texts)
    for term in terms:
        if not term.key:
            matched = {address for address in matched if (term.value in texts[address]) != term.negated}
    query = Query(tuple(term for term in terms if term.key))
    if not query.terms:
        return matched
    by_verdict = any(term.key == "viable" for term in terms)
    for address in tuple(matched):
        device = host.devices[address]
        verdict = found.of(device.group) if by_verdict and device.group in host.groups else None
        if not query.matches(device, verdict):
            matched.discard(address)
    return matched


@last_call
def _texts(host: Host) -> dict[Address, str]:
    return {device.address: searched_text(device) for device in host.devices.values()}


@last_call
def _sorted(host: Host, model: Model, sort: Sort) -> tuple[int | None, ...]:
    """The groups in the order that was asked for; what has no group comes last."""
    base = _base(host)
    if sort is Sort.NUMBER:
        return tuple(base.blocks)
    every = verdicts(host, model)
    numbers = [number for number in base.blocks if number is not None]
    if sort is Sort.KIND:
        numbers.sort(key=lambda n: min((_rank(host.devices[k.device]) for k in base.blocks[n] if k.device), default=9))
    else:
        bridges = bridges_only(host)
        numbers.sort(key=lambda n: (_WORDS.index(verdict_word(every.of(n))), n in bridges))
    return (*numbers, None) if None in base.blocks else tuple(numbers)


_WORDS = ("viable", "in use", "blocked", "refused", "unknown")


def _rank(device: Device) -> int:
    """Displays first, then what else is handed over often; what only holds the machine together last."""
    code = device.class_code or ""
    return 8 if _structural(device) else {"03": 0, "12": 1, "02": 2, "01": 3, "0c": 4, "04": 5}.get(code[:2], 6)


@last_call
def _listing(host: Host, model: Model, text: str, collapsed: frozenset[int | None], sort: Sort) -> Listing:
    base = _base(host)
    matched = _matching(host, verdicts(host, model), text) if text.strip() else None
    keys: list[Key] = []
    for number in _sorted(host, model, sort):
        members = base.blocks[number]
        if matched is not None:
            found = [key for key in members if key.device in matched]
            if not found:
                continue
            members = members if len(found) == len(members) else tuple(found)
        keys.append(Key(number))
        if matched is not None or number not in collapsed:
            keys += members
    shown = len(host.devices) if matched is None else len(matched)
    return Listing(tuple(keys), {key: index for index, key in enumerate(keys)}, shown, len(host.devices))


DRIVER = 16
ROLE = 7
KIND = 9
"""Widths of columns. An intent takes those of driver and role: ``snd_hda_intel → vfio-pci``."""


def warm(host: Host) -> None:
    """Prepares what every row and every filter of this machine needs, in the thread that has scanned it."""
    _base(host)
    _texts(host)
    used_for(host)


EMPTY = Listing((), {}, 0, 0)


def listing(state: AppState) -> Listing:
    """The rows of this state."""
    if state.host is None:
        return EMPTY
    if state.view is View.TOPOLOGY:
        from iommutui.tui.topology import topology_listing

        return topology_listing(state.host)
    return _listing(state.host, state.model, state.filter, state.collapsed, state.sort)


def cursor_index(state: AppState, hint: int = 0) -> int:
    """The row that the cursor is on, or the one nearest to where it would be."""
    found = listing(state)
    if not found.keys:
        return 0
    if state.cursor is None or state.host is None:
        return 0
    if state.cursor in found.places:
        return found.places[state.cursor]
    if state.view is View.TOPOLOGY:
        return next((found.places[key] for key in found.keys if key.group == state.cursor.group), 0)
    blocks = _base(state.host).blocks
    order = [key for n in _sorted(state.host, state.model, state.sort) for key in (Key(n), *blocks[n])]
    if state.cursor in order:
        place = order.index(state.cursor)
        for key in order[place:]:
            if key in found.places and (key.device is not None or key.group in state.collapsed):
                return found.places[key]
        return len(found.keys) - 1
    return min(hint, len(found.keys) - 1)


def settled(state: AppState, hint: int = 0) -> AppState:
    """The state with its cursor on a row that exists. Where no row passes the filter it stays, and selects nothing."""
    found = listing(state)
    empty = not found.keys
    key = state.cursor if empty else found.keys[cursor_index(state, hint)]
    return state if (key, empty) == (state.cursor, state.empty) else state._replace(cursor=key, empty=empty)


def row(state: AppState, key: Key, width: int, here: bool = False) -> tuple[Span, ...]:
    """What stands in a row, ``width`` cells wide."""
    if state.view is View.TOPOLOGY:
        from iommutui.tui.topology import topology_row

        return topology_row(state, key, width, here)
    mark = Span("▌" if here else " ", "accent")
    spans = _group_row(state, key) if key.device is None else _device_row(state, key)
    return fit((mark, *spans), width)


def _group_row(state: AppState, key: Key) -> Iterable[Span]:
    host = state.host
    assert host is not None
    base = _base(host)
    shut = key.group in state.collapsed and not state.filter
    fold = "▸ " if shut else "▾ "
    if key.group is None:
        count = len(base.blocks[None])
        yield from (Span(fold, "muted"), Span("no group  ", "strong"))
        yield Span(f"{count} device{'s' if count != 1 else ''} that no IOMMU translates", "muted")
        return
    group = host.groups[key.group]
    verdict = verdicts(host, state.model).of(group.id)
    yield Span(fold, "muted")
    yield verdict_span(verdict, 10)
    yield Span("group ", "muted")
    yield Span(f"{group.id:>{base.number}}  ", "strong")
    change = change_of(state, group.id)
    if change is not None:
        if verdict_word(change.after) != verdict_word(verdict):
            yield from (Span("→ ", "planned"), verdict_span(change.after), Span(" planned ", "planned"))
        else:
            yield from (Span("→ ", "planned"), Span(f"still {verdict_word(change.after)} ", "planned"))
    devices = [host.devices[k.device] for k in base.blocks[key.group] if k.device is not None]
    yield Span(summary(devices))
    first = next((d for d in sorted(devices, key=lambda d: d.is_bridge) if d.device_name), None)
    if shut and first is not None:
        yield Span(f"  {first.device_name}", "muted")


@last_call
def used_for(host: Host) -> dict[Address, tuple[str, ...]]:
    """What the machine does with each device, in a few words."""
    return marks_of(host)


def verdict_span(verdict: Verdict, width: int = 0) -> Span:
    """Glyph and word."""
    word = verdict_word(verdict)
    return Span(f"{verdict_glyph(verdict)} {word}".ljust(width), VERDICT_STYLES[word])


def summary(devices: Sequence[Device]) -> str:
    """``VGA, 2x Audio``: what is in a group, bridges last."""
    if not devices:
        return "empty"
    counts = Counter(kind_word(device) for device in sorted(devices, key=lambda d: d.is_bridge))
    return ", ".join(kind if count == 1 else f"{count}x {kind}" for kind, count in counts.items())


def _device_row(state: AppState, key: Key) -> Iterable[Span]:
    host = state.host
    assert host is not None
    assert key.device is not None
    base = _base(host)
    device = host.devices[key.device]
    blocks = key.group is not None and device.address in verdicts(host, state.model).blockers(key.group)
    unread = device.driver is None and device.gap("driver") is not None
    yield Span("*" if device.address in state.marks else " ", "accent")
    yield Span(" ✖ " if blocks else "   ", "bad")
    yield Span(pad(device.address, base.address) + " ", "strong")
    target = target_of(state, device.address)
    actual = device.driver or ("unknown" if unread else "free")
    style = "plain" if device.driver else "warn" if unread else "muted"
    if target is None:
        role = state.model.role(device, device.driver).role if device.driver else ""
        yield Span(pad(actual, DRIVER) + " ", style)
        yield Span(f"{role:<{ROLE}} ", {"kernel": "warn", "user": "ok"}.get(role, "muted"))
    else:
        slot = DRIVER + 1 + ROLE
        arrow = clip(f" → {target}", slot - 4)
        left = min(cell_len(actual), slot - cell_len(arrow))
        yield Span(pad(actual, left), style)
        yield Span(pad(arrow, slot - left) + " ", "planned")
    yield Span(pad(kind_word(device), KIND) + " ", "muted" if device.is_bridge else "plain")
    uses = used_for(host).get(device.address)
    if uses:
        yield Span(f"! {', '.join(uses)}  ", "warn")
    yield Span(device.device_name or device_name(device), "muted")
    if device.device_name and device.vendor_name:
        yield Span(f" · {device.vendor_name}", "muted")


def bridges_only(host: Host) -> frozenset[int | None]:
    """Groups that hold nothing to hand over: they are folded at first."""
    return frozenset(
        group.id
        for group in host.groups.values()
        if all((d := host.devices.get(a)) is not None and _structural(d) for a in group.members)
    )


def _structural(device: Device) -> bool:
    return device.is_bridge or (device.class_code or "")[:4] == "0600"
