"""What differs between two Hosts: the same machine at two times or under two kernels, or two machines."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import StrEnum
from itertools import chain
from typing import NamedTuple, Self

from iommutui.core.address import Address, sort_key
from iommutui.core.host import Device, Host
from iommutui.core.labels import device_name, verdict_word
from iommutui.core.models import Model


class ChangeKind(StrEnum):
    """A kind of difference: its name in JSON, and the template of its sentence."""

    says: str

    def __new__(cls, name: str, says: str = "") -> Self:
        kind = str.__new__(cls, name)
        kind._value_ = name
        kind.says = says or f"{name.replace('-', ' ').capitalize()} of {{subject}}: {{before}} → {{after}}."
        return kind

    KERNEL = "kernel"
    CMDLINE = "command-line"
    MODEL = "model"
    ADDED = "device-added", "{subject} is new: {after}."
    REMOVED = "device-removed", "{subject} is gone: {before}."
    MOVED = "device-moved", "{before} is at {after} now: {subject}."
    SPLIT = "group-split", "Group {before} has become the groups {after}."
    MERGED = "groups-merged", "The groups {before} have become group {after}."
    RENUMBERED = "group-renumbered", "Group {before} is group {after} now, with the same devices."
    UNGROUPED = "group-of-device", "IOMMU group of {subject}: {before} → {after}."
    VERDICT = "verdict"
    DRIVER = "driver"
    OVERRIDE = "driver-override"
    SUBSYSTEM = "subsystem"
    INTERFACES = "interfaces"
    UNKNOWN = "not-compared", "Not compared: {subject}, which only one side shows."


class Difference(NamedTuple):
    """One difference. ``before`` and ``after`` are empty if there was or will be nothing."""

    kind: ChangeKind
    subject: str
    before: str
    after: str


def compare(before: Host, after: Host, model_before: Model, model_after: Model) -> list[Difference]:
    """Every difference, the machine's first, then devices, groups, and what is bound."""
    pairs = _pairs(before, after)
    was, now = _Side(before, model_before), _Side(after, model_after)
    return [
        *_machine(was, now),
        *_presence(before, after, pairs),
        *_groups(was, now, pairs),
        *_untold(before, after, pairs),
        *(change for old, new in pairs.items() for change in _bindings(before.devices[old], after.devices[new])),
    ]


def is_equal(changes: list[Difference]) -> bool:
    """Whether nothing differs, as far as both sides are known."""
    return all(change.kind is ChangeKind.UNKNOWN for change in changes)


def change_sentence(change: Difference) -> str:
    before, after = change.before or "none", change.after or "none"
    return change.kind.says.format(subject=change.subject, before=before, after=after)


class _Side(NamedTuple):
    host: Host
    model: Model

    def verdict(self, number: int) -> str:
        """The verdict on a group in a word; where a claim is refused, with the errno."""
        verdict = self.model.verdict(self.host, self.host.groups[number])
        return f"refused ({verdict.claim})" if verdict.refused else verdict_word(verdict)

    def tells(self, number: int, other: str) -> bool:
        """Whether it has the facts that the other verdict rests on: who has the group, and what firmware reserves."""
        if other == "in use":
            return self.host.gap("claims") is None
        reserved = self.host.groups[number].gap("reserved_regions")
        return other != "unknown" and not (other.startswith("refused") and reserved)


def _machine(was: _Side, now: _Side) -> Iterator[Difference]:
    kernels, lines = (was.host.kernel, now.host.kernel), (was.host.cmdline, now.host.cmdline)
    for kind, (old, new) in ((ChangeKind.KERNEL, kernels), (ChangeKind.CMDLINE, lines)):
        if old is not None and new is not None and old != new:
            yield Difference(kind, "the machine", old, new)
        elif old != new:
            yield Difference(ChangeKind.UNKNOWN, f"the {kind.replace('-', ' ')}", old or "", new or "")
    if was.model.name != now.model.name and _has_comparable_rules(was, now):
        yield Difference(ChangeKind.MODEL, "the kernel", was.model.name, now.model.name)


def _has_comparable_rules(was: _Side, now: _Side) -> bool:
    """Whether a difference of the rules is one of the kernels: not if only one kernel is known."""
    return was.model.name == now.model.name or (was.host.kernel is None) == (now.host.kernel is None)


def _pairs(before: Host, after: Host) -> dict[Address, Address]:
    """Pairs of devices: the same card at the same address, else elsewhere, its own slot first; else its ids alone.

    Firmware may change the ids of a board, but not move it at the same time.
    """
    pairs: dict[Address, Address] = {}
    for fits, moves in ((_is_alike, False), (_is_alike, True), (_has_ids_of, False)):
        free: dict[object, list[Address]] = defaultdict(list)
        arrived = set(pairs.values())
        for address, device in after.devices.items():
            if address not in arrived:
                free[_ids(device) if moves else address].append(address)
        for address, device in before.devices.items():
            if address in pairs or (moves and device.vendor_id is None):
                continue
            places = free[_ids(device) if moves else address]
            same_slot = (place for place in places if place.rpartition(":")[2] == address.rpartition(":")[2])
            same_function = (place for place in places if place[-1] == address[-1])
            nearest = chain(same_slot, same_function, places)
            found = next((place for place in nearest if fits(device, after.devices[place])), None)
            if found is not None:
                pairs[address] = found
                places.remove(found)
    return dict(sorted(pairs.items(), key=lambda pair: sort_key(pair[0])))


def _ids(device: Device) -> tuple[str | None, str | None]:
    return device.vendor_id, device.device_id


def _has_ids_of(one: Device, other: Device) -> bool:
    return _agree(_ids(one), _ids(other))


def _is_alike(one: Device, other: Device) -> bool:
    """Whether nothing of what both sides tell says that it is another card."""
    return _has_ids_of(one, other) and _agree(_board(one), _board(other))


def _board(device: Device) -> tuple[str | None, str | None]:
    """The ids of the subsystem; a device without any shows zeros or ones."""
    ids = device.subsystem_vendor_id, device.subsystem_device_id
    return (None, None) if ids[0] in ("0000", "ffff") else ids


def _agree(some: tuple[str | None, ...], others: tuple[str | None, ...]) -> bool:
    return all(one is None or other is None or one == other for one, other in zip(some, others, strict=True))


def _presence(before: Host, after: Host, pairs: dict[Address, Address]) -> Iterator[Difference]:
    for old, new in pairs.items():
        if old != new:
            yield Difference(ChangeKind.MOVED, device_name(after.devices[new]), old, new)
    gone = [device for address, device in before.devices.items() if address not in pairs]
    arrived = set(pairs.values())
    found = [device for address, device in after.devices.items() if address not in arrived]
    for kind, devices, other in ((ChangeKind.REMOVED, gone, after), (ChangeKind.ADDED, found, before)):
        if devices and other.gap("devices"):
            yield Difference(ChangeKind.UNKNOWN, _count(len(devices)), "", "")
            continue
        for device in devices:
            names = (device_name(device), "")
            yield Difference(kind, device.address, *(names if kind is ChangeKind.REMOVED else reversed(names)))


def _count(number: int) -> str:
    return f"{number} device{'s' if number != 1 else ''}"


def _groups(was: _Side, now: _Side, pairs: dict[Address, Address]) -> Iterator[Difference]:
    before, after = was.host, now.host
    if before.gap("iommu_groups") or after.gap("iommu_groups"):
        return
    became: dict[int, set[int]] = defaultdict(set)
    came_from: dict[int, set[int]] = defaultdict(set)
    for old, new in pairs.items():
        one, other = before.group_of(old), after.group_of(new)
        if one is not None and other is not None:
            became[one.id].add(other.id)
            came_from[other.id].add(one.id)
    told_whole: set[int | None] = set()
    for number, news in sorted(became.items()):
        if all(came_from[new] == {number} for new in news):
            told_whole.add(number)
            if len(news) == 1:
                yield from _renumbered(was, now, number, *news)
            else:
                yield Difference(ChangeKind.SPLIT, str(number), str(number), _listed(news))
    for number, olds in sorted(came_from.items()):
        if len(olds) > 1 and all(became[old] == {number} for old in olds):
            told_whole.update(olds)
            yield Difference(ChangeKind.MERGED, _listed(olds), _listed(olds), str(number))
    for old, new in pairs.items():
        left, entered = before.devices[old], after.devices[new]
        differs = left.group != entered.group and not left.gap("iommu_group") and not entered.gap("iommu_group")
        if differs and (left.group is None or entered.group is None or left.group not in told_whole):
            numbers = ("" if device.group is None else str(device.group) for device in (left, entered))
            yield Difference(ChangeKind.UNGROUPED, new, *numbers)


def _renumbered(was: _Side, now: _Side, old: int, new: int) -> Iterator[Difference]:
    """What differs of a group that has the same devices on both sides."""
    if old != new:
        yield Difference(ChangeKind.RENUMBERED, str(old), str(old), str(new))
    then, here = was.verdict(old), now.verdict(new)
    if then != here and _has_comparable_rules(was, now) and was.tells(old, here) and now.tells(new, then):
        yield Difference(ChangeKind.VERDICT, f"group {new}", then, here)


def _untold(before: Host, after: Host, pairs: dict[Address, Address]) -> Iterator[Difference]:
    """What one side tells of some devices, and the other does not."""
    for field, words in (("driver", "the drivers"), ("iommu_group", "the groups")):
        sides = ((before.devices[old].gap(field), after.devices[new].gap(field)) for old, new in pairs.items())
        count = sum((one is None) != (other is None) for one, other in sides)
        if count:
            yield Difference(ChangeKind.UNKNOWN, f"{words} of {_count(count)}", "", "")


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, sorted(numbers)))


def _bindings(one: Device, other: Device) -> Iterator[Difference]:
    if one.driver != other.driver and not (one.gap("driver") or other.gap("driver")):
        yield Difference(ChangeKind.DRIVER, other.address, one.driver or "", other.driver or "")
    then, now = one.driver_override, other.driver_override
    if then != now and not (one.gap("driver_override") or other.gap("driver_override")):
        yield Difference(ChangeKind.OVERRIDE, other.address, then or "", now or "")
    if not _agree(_board(one), _board(other)):
        yield Difference(ChangeKind.SUBSYSTEM, other.address, *(":".join(map(str, _board(d))) for d in (one, other)))
    if one.interfaces != other.interfaces and one.interfaces and other.interfaces:
        yield Difference(ChangeKind.INTERFACES, other.address, " ".join(one.interfaces), " ".join(other.interfaces))
