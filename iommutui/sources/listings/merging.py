"""From the states of one or several texts to a `Host`, with a gap for everything that they do not show."""

from collections.abc import Iterator

from iommutui.core.address import Address, parse_pci
from iommutui.core.device import NOT_LISTED
from iommutui.core.host import Device, Gap, Group, Host, Iommu, by_address, by_number
from iommutui.sources.listings.base import GROUP, NOTHING, UNTOLD, Facts, Sighting
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
    told: dict[Address, frozenset[str]] = {}
    below: dict[str, Address] = {}
    for section, sightings in _placed(sections):
        tells = section.tells()
        for sighting in sightings:
            address = sighting.address
            seen.setdefault(address, []).append(sighting)
            more = sighting.tells if sighting.tells >= UNTOLD else sighting.tells | tells
            told[address] = told.get(address, NOTHING) | more
            if sighting.below is not None:
                below[sighting.below] = address
    for address in swapped:
        seen[address] = _of_one_card(seen[address])
    devices = by_address(_device(address, several, told[address], below, names) for address, several in seen.items())
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
    untold = [name for name in _UNTOLD if getattr(host, name, None) is None]
    untold += [] if groups or any(tells >= GROUP for tells in told.values()) else ["iommu_groups"]
    return host._replace(gaps=tuple(Gap(name, NOT_LISTED) for name in untold))


def _hides(sections: list[Section]) -> bool:
    """Whether every listing that shows groups leaves members out."""
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
            sighting = sighting._replace(facts=only)
        found.append(sighting)
    return found


def _placed(sections: list[Section]) -> Iterator[tuple[Section, list[Sighting]]]:
    """Sections, and their sightings: those that are named by the way to them (``lspci -P``) at their addresses."""
    below = {s.address: s.below for section in sections for s in section.sightings if s.below is not None}
    for section in sections:
        ways = any(sighting.way for sighting in section.sightings)
        yield section, _at_addresses(section.sightings, below) if ways else section.sightings


def _at_addresses(sightings: list[Sighting], below: dict[Address, str]) -> list[Sighting]:
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


def _device(
    address: Address, seen: list[Sighting], tells: frozenset[str], below: dict[str, Address], names: Names
) -> Device:
    facts = seen[0].facts
    for sighting in seen[1:]:
        # What is told first holds, but for the class, of which some tell four digits and some all six.
        code = max(facts.get("class_code", ""), sighting.facts.get("class_code", ""), key=len)
        facts = {**sighting.facts, **facts}
        if code:
            facts["class_code"] = code
    facts["parent"] = facts.get("parent") or below.get(address.rpartition(":")[0])
    if facts["parent"] == address:
        facts["parent"] = None
    missing = [
        "vendor" if "vendor_id" not in facts else "",
        "class" if "class_code" not in facts else "",
        "driver" if not facts.get("driver") and "driver" not in tells else "",
        "driver_override" if "driver_override" not in facts else "",
        "iommu_group" if "group" not in facts and "group" not in tells else "",
        "parent" if facts["parent"] is None and not below else "",
    ]
    unnamed = "vendor_name" not in facts and "device_name" not in facts
    if unnamed or "class_name" not in facts:
        known = names.of(None, facts.get("vendor_id"), facts.get("device_id"), facts.get("class_code"))
        facts.setdefault("class_name", known.class_)
        if unnamed:
            facts["vendor_name"], facts["device_name"] = known.vendor, known.device
    return Device(address, **facts, gaps=tuple([_GAPS[name] for name in missing if name]))
