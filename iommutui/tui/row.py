"""What stands in a row of the list. Pure."""

from collections import Counter
from collections.abc import Iterable, Sequence

from rich.cells import cell_len

from iommutui.core.address import Address
from iommutui.core.host import Device, Host
from iommutui.core.labels import device_name, verdict_word
from iommutui.core.use_labels import use_labels
from iommutui.tui.blocks import verdict_span
from iommutui.tui.kinds import kind_word
from iommutui.tui.listing import every, texts
from iommutui.tui.memo import last_call
from iommutui.tui.preview import change_of, target_of, verdicts
from iommutui.tui.spans import Span, clip, fit, pad
from iommutui.tui.state import AppState, Key, View

DRIVER = 16
ROLE = 7
KIND = 9
"""Widths of columns. An intent takes those of driver and role: ``snd_hda_intel → vfio-pci``."""


def warm(host: Host) -> None:
    """Prepares what every row and every filter of this machine needs, before anybody asks for it."""
    every(host)
    texts(host)
    used_for(host)


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


@last_call
def used_for(host: Host) -> dict[Address, tuple[str, ...]]:
    """What the machine does with each device, in a few words."""
    return use_labels(host)


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
        role = state.model.role(host, device, device.driver).role if device.driver else ""
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
