"""From the states of one or several texts to a `Host`, with a gap for everything that they do not show."""

from typing import Any

from iommutui.core.address import Address, parse_pci
from iommutui.core.errors import SourceError
from iommutui.core.gap import NOT_LISTED
from iommutui.core.host import Device, Gap, Group, Host, Iommu, by_address, by_number
from iommutui.sources.listings.base import NOTHING, Sighting
from iommutui.sources.listings.reading import Clash, Known, Section, State, clashes, refuse, too_many, value_of
from iommutui.sources.names import Names

_EMPTY = Device(Address(""))
_CLASS = Device._fields.index("class_code")
_UNTOLD = ("kernel", "cmdline", "drivers", "claims")
"""Fields of a machine that a listing rarely has."""


def merge(states: list[State], names: Names) -> tuple[Host, list[Clash]]:
    """The machine that all of these states describe, and the functions that have two pairs of ids in them.

    SourceError where two of them are of different machines, or of one at different times.
    """
    swapped = _swapped(states)
    sections = [section for state in states for section in state.sections]
    seen: dict[Address, list[Sighting]] = {}
    for sighting in _placed([each for section in sections for each in section.sightings]):
        seen.setdefault(sighting.device.address, []).append(sighting)
    for address in {clash.one.device.address for clash in swapped}:
        seen[address] = _of_one_card(seen[address])
    below = {s.below: address for address, several in seen.items() for s in several if s.below is not None}
    devices = by_address(_device(address, several, below, names) for address, several in seen.items())
    members: dict[int, list[Address]] = {}
    for device in devices.values():
        if device.group is not None:
            members.setdefault(device.group, []).append(device.address)
    hidden = _hides(sections)
    gaps = (Gap("reserved_regions", NOT_LISTED), *([Gap("members", NOT_LISTED)] if hidden else []))
    groups = by_number(Group(number, tuple(several), gaps=gaps) for number, several in members.items())
    pieces = [piece for section in sections for piece in section.pieces]
    units = dict.fromkeys(device.iommu for device in devices.values() if device.iommu)
    host = Host(
        devices=devices,
        groups=groups,
        kernel=next((p.kernel for p in reversed(pieces) if p.kernel), None),
        cmdline=next((p.cmdline for p in reversed(pieces) if p.cmdline), None),
        cpu_vendor=next((p.cpu_vendor for p in reversed(pieces) if p.cpu_vendor), None),
        iommus=tuple(Iommu(unit) for unit in units) or None,
    )
    told = any("group" in s.tells for several in seen.values() for s in several)
    untold = [name for name in _UNTOLD if getattr(host, name, None) is None]
    untold += [] if groups or told else ["iommu_groups"]
    return host._replace(gaps=tuple(Gap(name, NOT_LISTED) for name in untold)), swapped


def _hides(sections: list[Section]) -> bool:
    """Whether every listing that shows groups leaves members out."""
    groups = [s for s in sections if any(each.device.group is not None for each in s.sightings)]
    return bool(groups) and all(any(piece.hides for piece in section.pieces) for section in groups)


def _swapped(states: list[State]) -> list[Clash]:
    known: Known = {}
    swapped = [clash for state in states for clash in state.swapped]
    for state in states:
        functions = {address for address, _ in known}
        found = [c for section in state.sections for c in clashes(known, section.sightings, state.name)]
        refuse(found)
        ids = [clash for clash in found if clash.field == "ids"]
        moved = next((clash for clash in found if clash.field == "driver"), None)
        if moved is not None and moved.one.device.address not in {clash.one.device.address for clash in ids}:
            raise SourceError(
                moved.words(), "One of them is older: leave it out, or compare them with 'iommutui diff'."
            )
        if ids and too_many(ids, functions & state.functions):
            raise SourceError(
                ids[0].words(), "These are not listings of one machine: compare them with 'iommutui diff'."
            )
        swapped += ids
        for key, sighting in state.known.items():
            known.setdefault(key, sighting)
    return swapped


def _of_one_card(seen: list[Sighting]) -> list[Sighting]:
    """What is said of the card that most is said of; the group is the slot's, whatever is in it."""

    def told(sighting: Sighting) -> tuple[bool, int]:
        return "driver" in sighting.tells, sum(value is not None for value in sighting.device)

    best = value_of(max((s for s in seen if value_of(s, "ids")), key=told), "ids")
    found = []
    for sighting in seen:
        device = sighting.device
        if value_of(sighting, "ids") not in (None, best):
            sighting = sighting._replace(device=Device(device.address, group=device.group), tells=NOTHING)
        found.append(sighting)
    return found


def _placed(sightings: list[Sighting]) -> list[Sighting]:
    """The sightings, those that are named by the way to them (``lspci -P``) at their addresses, or left out."""
    below = {s.device.address: s.below for s in sightings if s.below is not None}
    found = []
    for sighting in sightings:
        if not sighting.way:
            found.append(sighting)
            continue
        first, *slots = sighting.way.split("/")
        place: Address | None = Address(first)
        parent = sighting.device.parent
        for slot in slots:
            parent = place
            place = parse_pci(f"{below[place]}:{slot}") if place in below else None
        if place is not None:
            device = sighting.device._replace(address=place, parent=parent)
            if sighting.below is not None:
                below[place] = sighting.below
            found.append(sighting._replace(device=device))
    return found


def _device(address: Address, seen: list[Sighting], below: dict[str, Address], names: Names) -> Device:
    fields: list[Any] = list(seen[0].device)
    for sighting in seen[1:]:
        for n, (mine, other) in enumerate(zip(fields, sighting.device, strict=True)):
            if mine == _EMPTY[n] or (n == _CLASS and len(str(other or "")) > len(str(mine))):
                fields[n] = other
    device = Device(*fields)
    tells = NOTHING.union(*(sighting.tells for sighting in seen))
    parent = device.parent or below.get(address.rpartition(":")[0])
    unknown = [
        ("vendor", device.vendor_id is None),
        ("class", device.class_code is None),
        ("driver", device.driver is None and "driver" not in tells),
        ("driver_override", device.driver_override is None),
        ("iommu_group", device.group is None and "group" not in tells),
        ("parent", parent is None and not below),
    ]
    vendor_name, device_name, class_name = device.vendor_name, device.device_name, device.class_name
    if class_name is None or (vendor_name is None and device_name is None):
        known = names.of(None, device.vendor_id, device.device_id, device.class_code)
        class_name = class_name or known.class_
        if vendor_name is None and device_name is None:
            vendor_name, device_name = known.vendor, known.device
    return device._replace(
        address=address,
        parent=parent if parent != address else None,
        vendor_name=vendor_name,
        device_name=device_name,
        class_name=class_name,
        gaps=tuple(Gap(name, NOT_LISTED) for name, missing in unknown if missing),
    )
