"""The list of groups: its rows, their order and their text. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.cells import cell_len

from iommutui.core.address import Address
from iommutui.core.host import Device, Host
from iommutui.core.labels import NO_ISOLATION, NOTHING_TO_PASS, device_name, kind_word, rank, verdict_word
from iommutui.tui.cache import last_call
from iommutui.tui.derived import Verdicts, arrow, change_of, target_of, verdicts
from iommutui.tui.rows.base import (
    DRIVER,
    KIND,
    ROLE,
    Listing,
    driver_span,
    every,
    listed,
    matches,
    nothing_to_pass,
    short,
    tags,
)
from iommutui.tui.state import AppState, Key, Sort
from iommutui.tui.text import ROLE_STYLES, ROLE_WORDS, Span, clip, fit, pad, verdict_span, word_span

_WORDS = ("viable", "in use", "blocked", "refused", NO_ISOLATION, "unknown", NOTHING_TO_PASS)


@last_call
def ordered(host: Host, found: Verdicts | None, sort: Sort) -> tuple[int | None, ...]:
    """The groups in the chosen order; devices without a group come last."""
    blocks = every(host).blocks
    numbers = [number for number in blocks if number is not None]
    if sort is Sort.KIND:
        numbers.sort(key=lambda n: min((rank(host.devices[k.device]) for k in blocks[n] if k.device), default=9))
    elif found is not None:
        numbers.sort(key=lambda n: _WORDS.index(found.words[n]))
    return (*numbers, None) if None in blocks else tuple(numbers)


@last_call
def _listing(
    host: Host,
    found: Verdicts | None,
    matched: frozenset[Address] | None,
    shut: frozenset[int | None],
    sort: Sort,
    bridges: bool,
) -> Listing:
    blocks = every(host).blocks
    hidden = frozenset() if bridges or matched is not None else nothing_to_pass(host)
    keys: list[Key] = []
    for number in ordered(host, found, sort):
        rows = blocks[number]
        if number in hidden:
            continue
        if matched is not None:
            left = [key for key in rows if key.device in matched]
            if not left:
                continue
            rows = rows if len(left) == len(rows) - 1 else (rows[0], *left)
        elif number in shut:
            rows = rows[:1]
        keys += rows
    return listed(keys, len(host.devices) if matched is None else len(matched), len(host.devices))


def groups_listing(state: AppState) -> Listing:
    """The rows: one for each group, and those of its devices that are neither folded nor filtered out."""
    found = verdicts(state.host, state.model) if state.sort is Sort.VERDICT else None
    return _listing(state.host, found, matches(state), state.collapsed, state.sort, state.bridges)


def groups_row(state: AppState, key: Key, width: int, here: bool) -> tuple[Span, ...]:
    """The text of a row, ``width`` cells wide, with or without the cursor."""
    mark = Span("▌" if here else " ", "accent")
    chosen = Span("#" if key in state.selected else " ", "planned")
    spans = _group_row(state, key) if key.device is None else _device_row(state, key)
    return fit((mark, chosen, *spans), width)


def groups_head(host: Host) -> str:
    """The headings of the columns."""
    return (
        f"     {pad('Address', every(host).address)} {pad('Driver', DRIVER)} {pad('Role', ROLE)} {pad('Kind', KIND)} "
        "[used for] name"
    )


def _group_row(state: AppState, key: Key) -> Iterable[Span]:
    host = state.host
    base = every(host)
    shut = key.group in state.collapsed and not state.filter
    fold = "▸ " if shut else "▾ "
    if key.group is None:
        count = len(base.blocks[None]) - 1
        unknown = sum(1 for k in base.blocks[None] if k.device and host.devices[k.device].gap("iommu_group"))
        name = "group not known" if unknown == count else "no group, or not known" if unknown else "no group"
        words = "" if unknown else " that no IOMMU translates"
        yield from (Span(fold, "muted"), Span(f"{name}  ", "strong"))
        yield Span(f"{count} device{'s' if count != 1 else ''}{words}", "muted")
        return
    group = host.groups[key.group]
    found = verdicts(host, state.model)
    word = found.words[group.id]
    yield Span(fold, "muted")
    yield word_span(word, 9)
    yield Span(" group ", "muted")
    yield Span(f"{group.id:>{base.number}}  ", "strong")
    change = change_of(state, group.id)
    if change is not None:
        if verdict_word(change.after) != verdict_word(found.of(group.id)):
            yield from (Span("→ ", "planned"), verdict_span(change.after), Span(" planned ", "planned"))
        else:
            yield from (Span("→ ", "planned"), Span(f"still {verdict_word(change.after)} ", "planned"))
    devices = [host.devices[k.device] for k in base.blocks[key.group] if k.device is not None]
    yield Span(summary(devices))
    if word == NOTHING_TO_PASS:
        yield Span(f"  {word}", "muted")
    first = next((d for d in sorted(devices, key=lambda d: d.is_bridge) if d.device_name), None)
    if shut and first is not None:
        yield Span(f"  {first.device_name}", "muted")


def summary(devices: Sequence[Device]) -> str:
    """``VGA, 2x Audio``: the contents of a group, bridges last."""
    if not devices:
        return "empty"
    counts = Counter(kind_word(device) for device in sorted(devices, key=lambda d: d.is_bridge))
    return ", ".join(kind if count == 1 else f"{count}x {kind}" for kind, count in counts.items())


def _device_row(state: AppState, key: Key) -> Iterable[Span]:
    host = state.host
    assert key.device is not None
    base = every(host)
    device = host.devices[key.device]
    blocks = key.group is not None and device.address in verdicts(host, state.model).blockers(key.group)
    yield Span("*" if device.address in state.marks else " ", "accent")
    yield Span("✖ " if blocks else "  ", "bad")
    yield Span(pad(short(host, device.address), base.address) + " ", "strong")
    target = target_of(state, device.address)
    actual = driver_span(host, device)
    if target is None:
        role = ROLE_WORDS[state.model.role(host, device, device.driver).role] if device.driver else ""
        yield actual._replace(text=pad(actual.text, DRIVER) + " ")
        yield Span(f"{role:<{ROLE}} ", ROLE_STYLES.get(role, "muted"))
    else:
        slot = DRIVER + 1 + ROLE
        goes = clip(arrow(device, target), slot - 4)
        left = min(cell_len(actual.text), slot - cell_len(goes))
        yield actual._replace(text=pad(actual.text, left))
        yield Span(pad(goes, slot - left) + " ", "planned")
    yield Span(pad(kind_word(device), KIND) + " ", "muted" if device.is_bridge else "plain")
    yield from tags(host, device)
    yield Span(device.device_name or device_name(device), "muted")
    if device.device_name and device.vendor_name:
        yield Span(f" · {device.vendor_name}", "muted")
