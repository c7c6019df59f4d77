"""IOMMU groups, and their members on buses other than PCI."""

import re

from iommutui.core.address import Address, is_pci
from iommutui.core.host import Device, Gap, Group, Region
from iommutui.sources.pci import ReadContext, read_function, read_override
from iommutui.sources.tree import (
    MALFORMED,
    Node,
    Tree,
    Unreadable,
    base_name,
    failure,
    functions_in,
    known,
    names_in,
    read_link,
    read_text,
)

GROUPS = "kernel/iommu_groups"

_BUS_IN_PATH = r"(?:^|/)devices/([a-z][\w-]*)/"  # most machines have PCI devices only, and never compile it


Listed = dict[int, list[str] | Unreadable | None]
"""The names in the ``devices`` of each group, by its number; groups may have any numbers."""


def list_groups(tree: Tree) -> Listed | Unreadable | None:
    """Every group; None if the kernel has no such directory."""
    names = names_in(f"{tree.sys}/{GROUPS}")
    if not isinstance(names, list):
        return names
    numbers = sorted(int(name) for name in names if name.isdecimal() and len(name) <= 9)
    return {number: names_in(f"{tree.sys}/{GROUPS}/{number}/devices") for number in numbers}


def other_members(tree: Tree, listed: Listed) -> list[str]:
    """The paths of members on other buses, as `read_groups` will read them."""
    pairs = ((number, name) for number, names in listed.items() if isinstance(names, list) for name in names)
    return [f"{tree.sys}/{GROUPS}/{number}/devices/{name}" for number, name in pairs if not is_pci(name)]


def read_groups(reading: ReadContext, devices: dict[Address, Device], listed: Listed) -> dict[int, Group]:
    """Every group by number, with its members in order.

    A function's own ``iommu_group`` link decides, so a group and its members never disagree.
    ``devices`` gains members on other buses, and functions that appeared after the bus was listed.
    """
    members: dict[int, list[Address]] = {number: [] for number in listed}
    for device in devices.values():
        if device.group is not None:
            members.setdefault(device.group, []).append(device.address)
    return {number: _group(reading, devices, number, members[number], listed.get(number)) for number in sorted(members)}


def _group(
    reading: ReadContext,
    devices: dict[Address, Device],
    number: int,
    members: list[Address],
    names: list[str] | Unreadable | None,
) -> Group:
    place = f"{reading.tree.sys}/{GROUPS}/{number}"
    gaps: list[Gap] = []
    found = known(Unreadable("not-recorded") if names is None else names, "devices", gaps) or []
    others = []
    for name in sorted(set(found).difference(members)):
        device = _member(reading, devices, number, f"{place}/devices", name)
        if device is not None and device.address not in members:
            devices[device.address] = device
            others.append(device.address)
    # A listing needs only what the verdict depends on: VFIO's no-IOMMU mode shows in the name of a group that it made.
    named = reading.details or (members and devices[members[0]].iommu is None)
    return Group(
        number,
        (*members, *others),
        type=known(read_text(f"{place}/type"), "type", gaps) if reading.details else None,
        name=known(read_text(f"{place}/name"), "name", gaps) if named else None,
        regions=_regions(read_text(f"{place}/reserved_regions"), gaps),
        gaps=tuple(gaps),
    )


def _member(reading: ReadContext, devices: dict[Address, Device], number: int, place: str, name: str) -> Device | None:
    """The device behind a name in a group's directory, or None if it has gone."""
    target = read_link(f"{place}/{name}") or name
    own_name = base_name(target)
    if is_pci(own_name):
        device = devices.get(Address(own_name)) or read_function(reading, own_name)
        # Without a link, the link was not recorded; with another link, the function has moved meanwhile.
        return device._replace(group=number) if device is not None and device.group in (None, number) else None
    return _read_other(reading, devices, number, f"{place}/{name}", target)


def _read_other(reading: ReadContext, devices: dict[Address, Device], number: int, path: str, target: str) -> Device:
    """A member on another bus. Its name is unique only on its bus, so a second one of that name gets a suffix."""
    address = _unused(base_name(target), devices)
    in_path = re.search(_BUS_IN_PATH, target)
    bus = in_path[1] if in_path else "unknown"
    try:
        with Node(path) as node:
            return Device(
                address=address,
                bus=node.link("subsystem") or bus,
                modalias=node.text("modalias"),
                driver=node.link("driver"),
                driver_override=read_override(reading, path, node),
                group=number,
                parent=next(reversed(functions_in(target)), None),
                vfio_dev=node.names("vfio-dev"),
                iommu=node.link("iommu"),
                gaps=tuple(node.gaps),
            )
    except OSError as error:
        gap = Gap("driver", (failure(error) or Unreadable("not-recorded")).why)
        return Device(address, bus, group=number, gaps=(gap,))


def _unused(name: str, devices: dict[Address, Device]) -> Address:
    """The name, with the suffix that the kernel uses within a group (``name.0``) where it is taken."""
    candidate, number = name, 0
    while candidate in devices:
        candidate, number = f"{name}.{number}", number + 1
    return Address(candidate)


def _regions(text: str | Unreadable | None, gaps: list[Gap]) -> tuple[Region, ...] | None:
    lines = known(text, "reserved_regions", gaps)
    if lines is None:
        return None
    found = [_region(line) for line in lines.splitlines()]
    if None in found:
        gaps.append(Gap("reserved_regions", MALFORMED))
    return tuple(region for region in found if region is not None)


def _region(line: str) -> Region | None:
    """``0x00000000fee00000 0x00000000feefffff msi``."""
    words = line.split(" ")
    if len(words) != 3 or not all(word[:2] == "0x" and 2 < len(word) <= 18 for word in words[:2]) or not words[2]:
        return None
    try:
        return Region(int(words[0], 16), int(words[1], 16), words[2])
    except ValueError:
        return None
