"""The common parts of every view of rows: the rows, and a device's short name and uses. Pure."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from iommutui.core import query
from iommutui.core.address import Address, sort_key
from iommutui.core.host import NO_IOMMU, Device, Host
from iommutui.core.labels import driver_words, use_labels
from iommutui.core.topology import passable
from iommutui.tui.cache import last_call
from iommutui.tui.derived import Verdicts, verdicts
from iommutui.tui.state import AppState, Key
from iommutui.tui.text import Span

DRIVER = 16
ROLE = 7
KIND = 9
"""Widths of columns. An intent takes those of driver and role: ``snd_hda_intel → vfio-pci``."""


@last_call
def nothing_to_pass(host: Host) -> frozenset[int | None]:
    """Groups with nothing to pass through: they are folded at first."""
    return frozenset(g.id for g in host.groups.values() if g.name != NO_IOMMU and not passable(host, g))


class Listing(NamedTuple):
    """The rows in the list, in order."""

    keys: tuple[Key, ...]
    places: Mapping[Key, int]
    """Where each row is."""
    shown: int
    total: int
    """Devices that pass the filter, and all of them."""


def listed(keys: Iterable[Key], shown: int, total: int) -> Listing:
    """The listing of these rows."""
    rows = tuple(keys)
    return Listing(rows, {key: place for place, key in enumerate(rows)}, shown, total)


class Every(NamedTuple):
    """Every row of a machine, folded or not, and the widths of its columns."""

    blocks: dict[int | None, tuple[Key, ...]]
    """Of each group its own row, and those of its members."""
    address: int
    number: int
    domain: str
    """What every address begins with where the machine has one PCI domain; rows leave it out."""


@last_call
def every(host: Host) -> Every:
    """The rows of a machine."""
    blocks: dict[int | None, tuple[Key, ...]] = {}
    for number, group in host.groups.items():
        members = group.members
        if len(members) > 1:
            members = tuple(sorted(members, key=sort_key))
        blocks[number] = (Key(number), *[Key(number, a) for a in members if a in host.devices])
    alone = [Key(None, d.address) for d in host.devices.values() if d.group is None or d.group not in host.groups]
    if alone:
        blocks[None] = (Key(None), *alone)
    domains = {d.address.partition(":")[0] if d.bus == "pci" else "" for d in host.devices.values()}
    domain = f"{next(iter(domains))}:" if len(domains) == 1 and "" not in domains else ""
    return Every(
        blocks,
        min(28, max([7, *(len(address) - len(domain) for address in host.devices)])),
        max([2, *(len(str(number)) for number in host.groups)]),
        domain,
    )


texts = last_call(query.searched_texts)
"""The texts that a filter's words are searched for in, by device."""
used_for = last_call(use_labels)
"""The uses of each device, in a few words."""


def short(host: Host, address: Address) -> str:
    """``01:00.0`` on a machine of one PCI domain."""
    return address.removeprefix(every(host).domain)


def matches(state: AppState) -> frozenset[Address] | None:
    """The devices that match the filter, or the search in the topology; None without either."""
    if not state.filter.strip():
        return None
    judged = query.parse_query(state.filter).needs_verdicts
    return _matching(state.host, state.filter, verdicts(state.host, state.model) if judged else None)


@last_call
def _matching(host: Host, text: str, found: Verdicts | None) -> frozenset[Address]:
    left = query.matching(
        host,
        query.parse_query(text),
        lambda group: found.of(group.id) if found is not None else None,
        texts(host),
    )
    return frozenset(device.address for device in left)


def tags(host: Host, device: Device) -> list[Span]:
    """The uses of a device, and whether it is virtual: ``[root disk]  VF of 0000:01:00.0``."""
    found = [Span(f"[{use}]  ", "warn") for use in used_for(host).get(device.address, ())]
    if device.physfn is not None:
        found.append(Span(f"VF of {short(host, device.physfn)}  ", "info"))
    elif device.virtfns:
        found.append(Span(f"{len(device.virtfns)} VF{'s' if len(device.virtfns) != 1 else ''}  ", "info"))
    return found


def driver_span(host: Host, device: Device) -> Span:
    """The driver; or that there is none, or it has not released the device, or it could not be read."""
    words = driver_words(host, device)
    return Span(words, "plain" if device.driver is not None else "muted" if words == "free" else "warn")
