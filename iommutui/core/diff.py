"""What differs between two Hosts: the same machine at two times or under two kernels, or two machines."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import NamedTuple

from iommutui.core.address import Address, sort_key
from iommutui.core.host import Device, Host
from iommutui.core.labels import device_name, verdict_word
from iommutui.core.models.base import Model


class ChangeKind(StrEnum):
    """What sort of difference it is, as it stands in JSON."""

    KERNEL = "kernel"
    CMDLINE = "command-line"
    MODEL = "model"
    ADDED = "device-added"
    REMOVED = "device-removed"
    MOVED = "device-moved"
    SPLIT = "group-split"
    MERGED = "groups-merged"
    REGROUPED = "groups-rearranged"
    RENUMBERED = "group-renumbered"
    UNGROUPED = "group-of-device"
    VERDICT = "verdict"
    DRIVER = "driver"
    OVERRIDE = "driver-override"
    INTERFACES = "interfaces"
    UNKNOWN = "not-compared"


class Change(NamedTuple):
    """One difference. ``before`` and ``after`` are empty where there was nothing, or will be nothing."""

    kind: ChangeKind
    subject: str
    before: str
    after: str


def compare(before: Host, after: Host, model_before: Model, model_after: Model) -> list[Change]:
    """Every difference, the machine's first, then devices, groups, and what is bound."""
    pairs = _pairs(before, after)
    return [
        *_machine(before, after, model_before, model_after),
        *_presence(before, after, pairs),
        *_groups(before, after, pairs, model_before, model_after),
        *(change for pair in pairs.items() for change in _bindings(before.devices[pair[0]], after.devices[pair[1]])),
    ]


def is_equal(changes: list[Change]) -> bool:
    """Whether nothing differs, as far as both sides are known."""
    return all(change.kind is ChangeKind.UNKNOWN for change in changes)


def change_sentence(change: Change) -> str:
    """A change in words."""
    kind, subject, old, new = change
    words = {
        ChangeKind.ADDED: f"{subject} is new: {new}.",
        ChangeKind.REMOVED: f"{subject} is gone: {old}.",
        ChangeKind.MOVED: f"{old} is at {new} now: {subject}.",
        ChangeKind.SPLIT: f"Group {old} has become the groups {new}.",
        ChangeKind.MERGED: f"The groups {old} have become group {new}.",
        ChangeKind.REGROUPED: f"The devices of the groups {old} are in the groups {new} now.",
        ChangeKind.RENUMBERED: f"Group {old} is group {new} now, with the same devices.",
        ChangeKind.UNKNOWN: f"Not compared: {subject}, which only one side tells.",
    }
    return words.get(kind) or f"{kind.replace('-', ' ').capitalize()} of {subject}: {old or 'none'} → {new or 'none'}."


def _machine(before: Host, after: Host, model_before: Model, model_after: Model) -> Iterator[Change]:
    facts = ((ChangeKind.KERNEL, before.kernel, after.kernel), (ChangeKind.CMDLINE, before.cmdline, after.cmdline))
    for kind, old, new in facts:
        if old is not None and new is not None and old != new:
            yield Change(kind, "the machine", old, new)
        elif old != new:
            yield Change(ChangeKind.UNKNOWN, f"the {kind.replace('-', ' ')}", old or "", new or "")
    if model_before.name != model_after.name:
        yield Change(ChangeKind.MODEL, "the kernel", model_before.name, model_after.name)


def _pairs(before: Host, after: Host) -> dict[Address, Address]:
    """Which device is which: the same ids at the same address, else the same card elsewhere, its own slot first."""
    pairs = {a: a for a, device in before.devices.items() if a in after.devices and _alike(device, after.devices[a])}
    left: dict[object, list[Address]] = defaultdict(list)
    for address, device in after.devices.items():
        if address not in pairs and device.vendor_id is not None:
            left[_card(device)].append(address)
    lost = [device for a, device in before.devices.items() if a not in pairs and device.vendor_id is not None]
    in_place: list[Callable[[Device, Address], bool]] = [
        lambda device, address: device.address.rpartition(":")[2] == address.rpartition(":")[2],
        lambda device, address: device.address.rpartition(".")[2] == address.rpartition(".")[2],
        lambda device, address: True,
    ]
    for fits in in_place:
        for device in [device for device in lost if device.address not in pairs]:
            found = next((address for address in left[_card(device)] if fits(device, address)), None)
            if found is not None:
                pairs[device.address] = found
                left[_card(device)].remove(found)
    return dict(sorted(pairs.items(), key=lambda pair: sort_key(pair[0])))


def _card(device: Device) -> object:
    return device.vendor_id, device.device_id, device.subsystem_vendor_id, device.subsystem_device_id


def _alike(one: Device, other: Device) -> bool:
    ids = ((one.vendor_id, other.vendor_id), (one.device_id, other.device_id))
    return all(a is None or b is None or a == b for a, b in ids)


def _presence(before: Host, after: Host, pairs: dict[Address, Address]) -> Iterator[Change]:
    for old, new in pairs.items():
        if old != new:
            yield Change(ChangeKind.MOVED, device_name(after.devices[new]), old, new)
    arrived = set(pairs.values())
    for address, device in before.devices.items():
        if address not in pairs:
            yield Change(ChangeKind.REMOVED, address, device_name(device), "")
    for address, device in after.devices.items():
        if address not in arrived:
            yield Change(ChangeKind.ADDED, address, "", device_name(device))


def _groups(
    before: Host, after: Host, pairs: dict[Address, Address], model_before: Model, model_after: Model
) -> Iterator[Change]:
    if before.gap("iommu_groups") or after.gap("iommu_groups"):
        if before.groups or after.groups:
            yield Change(ChangeKind.UNKNOWN, "the groups", "", "")
        return
    for old, new in pairs.items():
        one, other = before.devices[old], after.devices[new]
        if (one.group is None) != (other.group is None) and not one.gap("iommu_group") and not other.gap("iommu_group"):
            yield Change(ChangeKind.UNGROUPED, new, *("" if d.group is None else str(d.group) for d in (one, other)))
    for olds, news in _parts(before, after, pairs):
        words = (", ".join(map(str, olds)), ", ".join(map(str, news)))
        if len(olds) == len(news) == 1:
            if olds != news:
                yield Change(ChangeKind.RENUMBERED, words[0], *words)
            was, now = _verdict(before, olds[0], model_before), _verdict(after, news[0], model_after)
            if was != now and _tells(before, olds[0], now) and _tells(after, news[0], was):
                yield Change(ChangeKind.VERDICT, f"group {news[0]}", was, now)
        else:
            kind = ChangeKind.SPLIT if len(olds) == 1 else ChangeKind.MERGED if len(news) == 1 else ChangeKind.REGROUPED
            yield Change(kind, words[0], *words)


def _verdict(host: Host, number: int, model: Model) -> str:
    verdict = model.verdict(host, host.groups[number])
    return f"refused ({verdict.claim})" if verdict.refused else verdict_word(verdict)


def _tells(host: Host, number: int, other: str) -> bool:
    """Whether a side knows what the other side's verdict rests on: who has the group, and what firmware reserves."""
    if other == "in use":
        return host.gap("claims") is None
    return other != "unknown" and (not other.startswith("refused") or not host.groups[number].gap("reserved_regions"))


def _parts(before: Host, after: Host, pairs: dict[Address, Address]) -> list[tuple[list[int], list[int]]]:
    """Old and new groups that have devices in common, taken together until no more are added."""
    links: dict[tuple[bool, int], set[tuple[bool, int]]] = defaultdict(set)
    for old, new in pairs.items():
        one, other = before.devices[old].group, after.devices[new].group
        if one in before.groups and other in after.groups and one is not None and other is not None:
            links[(False, one)].add((True, other))
            links[(True, other)].add((False, one))
    parts = []
    seen: set[tuple[bool, int]] = set()
    for start in sorted(links):
        waiting, part = [start], set()
        while waiting:
            each = waiting.pop()
            if each not in seen:
                seen.add(each)
                part.add(each)
                waiting += links[each]
        if part:
            parts.append((sorted(n for new, n in part if not new), sorted(n for new, n in part if new)))
    return parts


def _bindings(one: Device, other: Device) -> Iterator[Change]:
    for kind, field, old, new in (
        (ChangeKind.DRIVER, "driver", one.driver, other.driver),
        (ChangeKind.OVERRIDE, "driver_override", one.driver_override, other.driver_override),
    ):
        if old != new and not (one.gap(field) or other.gap(field)):
            yield Change(kind, other.address, old or "", new or "")
    if one.interfaces != other.interfaces and one.interfaces and other.interfaces:
        yield Change(ChangeKind.INTERFACES, other.address, " ".join(one.interfaces), " ".join(other.interfaces))
