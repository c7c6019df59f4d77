"""JSON that other tools print: Proxmox (``pvesh get /nodes/NODE/hardware/pci``), iommu.info, lsiommu, nixos-facter.

They differ in the names of fields. A function is an object with an address; its group is its own field, or that of the
object around it.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from iommutui.core.address import Address
from iommutui.sources.listings.base import Importer, Piece, Sighting, Taken, Text
from iommutui.sources.listings.entries import address_in, sighting_of

NAME = "json"

_DECODER = json.JSONDecoder()
_NEXT = re.compile(r"[\s,\[]*(?=\{)")
_ADDRESS = ("id", "address", "slot", "sysfs_bus_id", "pciAddress", "pci_address", "bdf")
_OTHER_NAMES = {"sysfs_iommu_group_id": "iommugroup", "dev_class": "class", "svendor": "subsystem_vendor"}
_OTHER_NAMES |= {"iommuGroup": "iommugroup", "iommu_group": "iommugroup", "vendorId": "vendor", "vendor_id": "vendor"}
_OTHER_NAMES |= {"deviceId": "device", "device_id": "device", "class_code": "class", "name": "device_name"}
_OTHER_NAMES |= {"sdevice": "subsystem_device", "rev": "revision", "progif": "interface"}


def read(text: Text, at: int) -> Piece:
    """One document. Of one that is cut off, the entries that are whole."""
    lines = text.lines
    start = lines.start_of(at) + len(lines.all[at]) - len(lines.all[at].lstrip())
    found, stop = _decode(lines.text, start)
    if found is None:
        # Nothing of what was read is anything; nor is what is nested too deeply.
        end = max(at + 1, lines.line_at(stop))
        while stop == start and end < len(lines) and text.kinds[end] == NAME:
            end += 1
        return Piece(end)
    sightings: list[Sighting] = []
    line, place = at, start
    for written, address, entry in _functions(found):
        place = max(place, lines.text.find(f'"{written}"', place, stop))
        line = lines.line_at(place)
        told = sighting_of(entry, address, line, drivers="driver_modules" in entry)
        sightings.append(told)
    end = lines.line_at(max(stop - 1, start)) + 1
    taken = (Taken(at, end, f"json: {len(sightings)} functions"),) if sightings else ()
    return Piece(end if sightings else at + 1, tuple(sightings), taken, hides=hides_bridges(sightings))


def hides_bridges(sightings: list[Sighting]) -> bool:
    """Whether it is Proxmox's list, which leaves out bridges and memory unless it is told not to."""
    flat = any("group" in sighting.tells for sighting in sightings)
    return flat and not any(sighting.facts.get("class_code", "").startswith("06") for sighting in sightings)


def _decode(text: str, start: int) -> tuple[Any, int]:
    """The value that begins there, and where it ends; None, and how far it was one, if it is not."""
    try:
        return _DECODER.raw_decode(text, start)
    except RecursionError:
        return None, start
    except ValueError as error:
        wrong = error.pos if isinstance(error, json.JSONDecodeError) else start + 1
    found: list[Any] = []
    stop = start
    while (following := _NEXT.match(text, stop)) is not None and following.end() > stop:
        try:
            value, stop = _DECODER.raw_decode(text, following.end())
        except (ValueError, RecursionError):
            break
        found.append(value)
    return (found, stop) if found else (None, wrong)


def _functions(document: Any) -> Iterator[tuple[str, Address, dict[str, Any]]]:
    """Every function of a document, at whatever depth: its address as it is written and as it is, and its fields."""
    waiting: list[tuple[Any, Any]] = [(document, None)]
    for value, group in waiting:
        if isinstance(value, list):
            waiting += [(each, group) for each in value]
        elif isinstance(value, dict):
            entry: dict[str, Any] = {_OTHER_NAMES.get(str(name), str(name)): field for name, field in value.items()}
            if "iommugroup" not in entry and group is not None:
                entry["iommugroup"] = group
            places = ((value[name], address_in(value[name])) for name in _ADDRESS if name in value)
            written, address = next((place for place in places if place[1] is not None), ("", None))
            if address is not None:
                yield written, address, entry
            else:
                around = value.get("id") if "devices" in value else None
                waiting += [(each, entry.get("iommugroup", around)) for each in value.values()]


IMPORTER = Importer(
    name=NAME,
    example='[{"id": "0000:01:00.0", "iommugroup": 15, ...}] (pvesh get /nodes/NODE/hardware/pci --output-format json)',
    opens=r"\s*(?:\[\s*(?:$|\{)|\{\s*(?:$|\"))",
    score=8,
    read=read,
    needs=("{",),
)
