"""Which rows are on the list, and in which order. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from rich.cells import cell_len

from iommutui.core.address import Address, sort_key
from iommutui.core.cache import last_call
from iommutui.core.host import Device, Host
from iommutui.core.labels import device_name, verdict_word
from iommutui.core.models.base import Model
from iommutui.core.query import Query, Term, parse_query, searched_text
from iommutui.core.use_labels import marks_of
from iommutui.tui.derived import Verdicts, change_of, target_of, verdicts
from iommutui.tui.rows.base import bridges_only, kind_word, rank
from iommutui.tui.rows.groups import every, texts
from iommutui.tui.state import AppState, Key, Sort, View
from iommutui.tui.text.blocks import verdict_span
from iommutui.tui.text.spans import Span, clip, fit, pad


def _matching(host: Host, terms: tuple[Term, ...], found: Verdicts | None) -> set[Address]:
    every_text = texts(host)
    matched = set(every_text)
    for term in terms:
        if not term.key:
            matched = {address for address in matched if (term.value in every_text[address]) != term.negated}
    query = Query(tuple(term for term in terms if term.key))
    if not query.terms:
        return matched
    for address in tuple(matched):
        device = host.devices[address]
        verdict = found.of(device.group) if found is not None and device.group in host.groups else None
        if not query.matches(device, verdict):
            matched.discard(address)
    return matched


def _judged(host: Host, model: Model, terms: tuple[Term, ...], sort: Sort) -> Verdicts | None:
    """The verdicts, where the rows depend on them: otherwise they are the same under every model."""
    asked = sort is Sort.VERDICT or any(term.key == "viable" for term in terms)
    return verdicts(host, model) if asked else None


_WORDS = ("viable", "in use", "blocked", "refused", "unknown")


@last_call
def _ordered(host: Host, found: Verdicts | None, sort: Sort) -> tuple[int | None, ...]:
    """The groups in the order that was asked for; what has no group comes last."""
    blocks = every(host).blocks
    numbers = [number for number in blocks if number is not None]
    if sort is Sort.KIND:
        numbers.sort(key=lambda n: min((rank(host.devices[k.device]) for k in blocks[n] if k.device), default=9))
    elif found is not None:
        bridges = bridges_only(host)
        numbers.sort(key=lambda n: (_WORDS.index(found.word(n)), n in bridges))
    return (*numbers, None) if None in blocks else tuple(numbers)


@last_call
def _listing(host: Host, found: Verdicts | None, text: str, shut: frozenset[int | None], sort: Sort) -> Listing:
    blocks = every(host).blocks
    matched = _matching(host, parse_query(text).terms, found) if text.strip() else None
    keys: list[Key] = []
    begins: dict[Key, int] = {}
    for number in _ordered(host, found if sort is Sort.VERDICT else None, sort):
        rows = blocks[number]
        if matched is not None:
            left = [key for key in rows if key.device in matched]
            if not left:
                continue
            rows = rows if len(left) == len(rows) - 1 else (rows[0], *left)
        elif number in shut:
            rows = rows[:1]
        begins[rows[0]] = len(keys)
        keys += rows
    return Listing(tuple(keys), begins, len(host.devices) if matched is None else len(matched), len(host.devices))


DRIVER = 16
ROLE = 7
KIND = 9
"""Widths of columns. An intent takes those of driver and role: ``snd_hda_intel → vfio-pci``."""


def _group_row(state: AppState, key: Key) -> Iterable[Span]:
    host = state.host
    assert host is not None
    base = every(host)
    shut = key.group in state.collapsed and not state.filter
    fold = "▸ " if shut else "▾ "
    if key.group is None:
        count = len(base.blocks[None]) - 1
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
    base = every(host)
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
    if device.physfn is not None:
        yield Span(f"VF of {device.physfn}  ", "info")
    elif device.virtfns:
        yield Span(f"{len(device.virtfns)} VF{'s' if len(device.virtfns) != 1 else ''}  ", "info")
    yield Span(device.device_name or device_name(device), "muted")
    if device.device_name and device.vendor_name:
        yield Span(f" · {device.vendor_name}", "muted")
