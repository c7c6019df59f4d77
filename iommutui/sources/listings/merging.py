"""From the states of one or several texts to a `Host`, with a gap for everything that they do not tell."""

from iommutui.core.address import Address, parse_pci
from iommutui.core.gap import NOT_LISTED
from iommutui.core.host import Device, Gap, Group, Host, Iommu, by_address, by_number
from iommutui.sources.listings.base import NOTHING, Facts, Sighting
from iommutui.sources.listings.states import Section, State
from iommutui.sources.names import Names

_UNTOLD = ("kernel", "cmdline", "drivers", "claims")
"""Fields of a machine that a listing rarely has."""

_GAPS = {
    name: Gap(name, NOT_LISTED) for name in ("vendor", "class", "driver", "driver_override", "iommu_group", "parent")
}


def merge(states: list[State], swapped: set[Address], names: Names) -> Host:
    """The machine that all of these states tell of. ``swapped``: functions with two pairs of ids."""
    sections = [section for state in states for section in state.sections]
    seen: dict[Address, list[Sighting]] = {}
    for sighting in _placed([each for section in sections for each in section.sightings]):
        seen.setdefault(sighting.address, []).append(sighting)
    for address in swapped:
        seen[address] = _of_one_card(seen[address])
    below = {s.below: address for address, several in seen.items() for s in several if s.below is not None}
    devices = by_address(_device(address, several, below, names) for address, several in seen.items())
    members: dict[int, list[Address]] = {}
    for device in devices.values():
        if device.group is not None:
            members.setdefault(device.group, []).append(device.address)
    gaps = (Gap("reserved_regions", NOT_LISTED), *([Gap("members", NOT_LISTED)] if _hides(sections) else []))
    groups = by_number(Group(number, tuple(several), gaps=gaps) for number, several in members.items())
    pieces = [piece for section in reversed(sections) for piece in reversed(section.pieces)]
    units = dict.fromkeys(device.iommu for device in devices.values() if device.iommu)
    host = Host(
        devices=devices,
        groups=groups,
        kernel=next((piece.kernel for piece in pieces if piece.kernel), None),
        cmdline=next((piece.cmdline for piece in pieces if piece.cmdline), None),
        cpu_vendor=next((piece.cpu_vendor for piece in pieces if piece.cpu_vendor), None),
        iommus=tuple(Iommu(unit) for unit in units) or None,
    )
    told = any("group" in s.tells for several in seen.values() for s in several)
    untold = [name for name in _UNTOLD if getattr(host, name, None) is None]
    untold += [] if groups or told else ["iommu_groups"]
    return host._replace(gaps=tuple(Gap(name, NOT_LISTED) for name in untold))


def _hides(sections: list[Section]) -> bool:
    """Whether every listing that tells groups leaves members out."""
    groups = [section for section in sections if any("group" in each.facts for each in section.sightings)]
    return bool(groups) and all(any(piece.hides for piece in section.pieces) for section in groups)


def _of_one_card(seen: list[Sighting]) -> list[Sighting]:
    """What is said of the card that most is said of; the group is the slot's, whatever is in it."""

    def ids(sighting: Sighting) -> tuple[str | None, str | None]:
        return sighting.facts.get("vendor_id"), sighting.facts.get("device_id")

    best = ids(max((s for s in seen if None not in ids(s)), key=lambda s: ("driver" in s.tells, len(s.facts))))
    found = []
    for sighting in seen:
        if None not in ids(sighting) and ids(sighting) != best:
            only: Facts = {"group": sighting.facts["group"]} if "group" in sighting.facts else {}
            sighting = sighting._replace(facts=only, tells=NOTHING)
        found.append(sighting)
    return found


def _placed(sightings: list[Sighting]) -> list[Sighting]:
    """The sightings, those that are named by the way to them (``lspci -P``) at their addresses, or left out."""
    if not any(sighting.way for sighting in sightings):
        return sightings
    below = {s.address: s.below for s in sightings if s.below is not None}
    found = []
    for sighting in sightings:
        first, *slots = sighting.way.split("/") if sighting.way else [sighting.address]
        place: Address | None = Address(first)
        for slot in slots:
            if place is not None:
                sighting.facts["parent"] = place
            place = parse_pci(f"{below[place]}:{slot}") if place in below else None
        if place is not None:
            if slots and sighting.below is not None:
                below[place] = sighting.below
            found.append(sighting._replace(address=place))
    return found


def _device(address: Address, seen: list[Sighting], below: dict[str, Address], names: Names) -> Device:
    facts = seen[0].facts
    for sighting in seen[1:]:
        # What is told first holds, but for the class, of which some tell four digits and some all six.
        code = max(facts.get("class_code", ""), sighting.facts.get("class_code", ""), key=len)
        facts = {**sighting.facts, **facts}
        if code:
            facts["class_code"] = code
    tells = NOTHING.union(*(sighting.tells for sighting in seen))
    parent = facts.get("parent") or below.get(address.rpartition(":")[0])
    device = Device(address, **facts)
    unknown = {
        "vendor": device.vendor_id is None,
        "class": device.class_code is None,
        "driver": device.driver is None and "driver" not in tells,
        "driver_override": device.driver_override is None,
        "iommu_group": device.group is None and "group" not in tells,
        "parent": parent is None and not below,
    }
    vendor_name, device_name, class_name = device.vendor_name, device.device_name, device.class_name
    if class_name is None or (vendor_name is None and device_name is None):
        known = names.of(None, device.vendor_id, device.device_id, device.class_code)
        class_name = class_name or known.class_
        if vendor_name is None and device_name is None:
            vendor_name, device_name = known.vendor, known.device
    return device._replace(
        parent=parent if parent != address else None,
        vendor_name=vendor_name,
        device_name=device_name,
        class_name=class_name,
        gaps=tuple(_GAPS[name] for name, missing in unknown.items() if missing),
    )
