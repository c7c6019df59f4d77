"""From sections of one or several texts to a `Host`, with a gap for everything that they do not show."""

from iommutui.core.address import Address, domain_of
from iommutui.core.device import NOT_LISTED
from iommutui.core.host import Device, Gap, Group, Host, by_address, by_number
from iommutui.sources.listings.base import Facts
from iommutui.sources.listings.reading import Excerpt, Section
from iommutui.sources.names import Names

_UNTOLD = ("kernel", "cmdline", "drivers", "claims")
"""Fields of a machine that a listing rarely has."""

_GAPS = (
    ("vendor_id", Gap("vendor", NOT_LISTED)),
    ("class_code", Gap("class", NOT_LISTED)),
    ("driver", Gap("driver", NOT_LISTED)),
    ("driver_override", Gap("driver_override", NOT_LISTED)),
    ("group", Gap("iommu_group", NOT_LISTED)),
    ("parent", Gap("parent", NOT_LISTED)),
)
"""What is not known of a function where this is not told."""


def merge(sections: list[Section], swapped: set[Address], names: Names) -> Host:
    """The machine that all of these describe. ``swapped``: functions with two different pairs of ids."""
    seen: dict[Address, list[Facts]] = {}
    below: dict[str, Address] = {}
    machine: dict[str, str] = {}
    for section in sections:
        for record in section.records:
            if record.machine is not None:
                machine.setdefault(*record.machine)
            if record.address is not None:
                seen.setdefault(record.address, []).append(record.facts)
                if record.below is not None:
                    below[f"{domain_of(record.address)}:{record.below}"] = record.address
    for address in swapped:
        seen[address] = _of_one_card(seen[address])
    devices = by_address(_device(address, several, below, names) for address, several in seen.items())
    members: dict[int, list[Address]] = {}
    for device in devices.values():
        if device.group is not None:
            members.setdefault(device.group, []).append(device.address)
    with_groups = [s for s in sections if any(record.facts.get("group") is not None for record in s.records)]
    hidden = ["members"] if _are_excerpts(with_groups) else []
    gaps = tuple(Gap(name, NOT_LISTED) for name in ("reserved_regions", *hidden))
    groups = by_number(Group(number, tuple(several), gaps=gaps) for number, several in members.items())
    host = Host(
        devices=devices,
        groups=groups,
        kernel=machine.get("kernel"),
        cmdline=machine.get("cmdline"),
        cpu_vendor=machine.get("cpu_vendor"),
    )
    untold = [name for name in _UNTOLD if getattr(host, name, None) is None]
    untold += [] if any("group" in facts for several in seen.values() for facts in several) else ["iommu_groups"]
    untold += ["devices"] if _are_excerpts([section for section in sections if section.functions()]) else []
    return host._replace(gaps=tuple(Gap(name, NOT_LISTED) for name in untold))


def _are_excerpts(sections: list[Section]) -> bool:
    """Whether all of them may leave out functions."""
    return all(section.picked is not Excerpt.WHOLE for section in sections)


def _of_one_card(seen: list[Facts]) -> list[Facts]:
    """The facts of the card with the most facts; the group belongs to the slot, whichever card is in it."""

    def ids(facts: Facts) -> tuple[str | None, str | None]:
        return facts.get("vendor_id"), facts.get("device_id")

    def told(facts: Facts) -> tuple[bool, int]:
        return "driver" in facts, sum(value is not None for value in facts.values())

    best = ids(max((each for each in seen if None not in ids(each)), key=told))
    groups: list[Facts] = [{"group": each["group"]} for each in seen if "group" in each]
    return [each for each in seen if None in ids(each) or ids(each) == best] + groups


def _device(address: Address, seen: list[Facts], below: dict[str, Address], names: Names) -> Device:
    facts = seen[0].copy()
    for more in seen[1:]:
        # The first statement holds, except for the class, of which some listings show four digits and some six.
        code = max(facts.get("class_code", ""), more.get("class_code", ""), key=len)
        facts = {**more, **facts}
        if facts.get("group") is None and "group" in more:
            facts["group"] = more["group"]
        if code:
            facts["class_code"] = code
    parent = facts.get("parent") or below.get(address.rpartition(":")[0])
    if below or parent is not None:
        facts["parent"] = parent if parent != address else None
    gaps = tuple([gap for field, gap in _GAPS if field not in facts])
    unnamed = "vendor_name" not in facts and "device_name" not in facts
    if unnamed or "class_name" not in facts:
        known = names.of(None, facts.get("vendor_id"), facts.get("device_id"), facts.get("class_code"))
        facts.setdefault("class_name", known.class_)
        if unnamed:
            facts["vendor_name"], facts["device_name"] = known.vendor, known.device
    return Device(address, **facts, gaps=gaps)
