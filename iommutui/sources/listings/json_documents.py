"""JSON that other tools print: Proxmox (``pvesh get /nodes/NODE/hardware/pci``), iommu.info, lsiommu, nixos-facter.

They differ in the names of fields. A function is an object with an address; its group is its own field, or that of the
object around it.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from iommutui.core.address import Address, parse_pci
from iommutui.core.host import Device
from iommutui.sources.listings.base import DRIVER, GROUP, NOTHING, Importer, Piece, Sighting, Taken, Text
from iommutui.sources.listings.functions import split_id

NAME = "json"

_DECODER = json.JSONDecoder()
_NEXT = re.compile(r"[\s,\[]*(?=\{)")
_ADDRESS = ("id", "address", "slot", "sysfs_bus_id")
_GROUP = ("iommugroup", "sysfs_iommu_group_id")
_ID = ("vendorid", "hex", "value")
"""Fields of an object that stands for a vendor or device."""


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
    line = at
    for written, device, tells in _functions(found):
        place = lines.text.find(f'"{written}"', start, stop)
        line = lines.line_at(place) if place >= 0 else line
        sightings.append(Sighting(line, device, tells))
    # Proxmox leaves out bridges and memory unless it is told not to.
    own = any(sighting.tells >= GROUP for sighting in sightings)
    hides = own and not any((sighting.device.class_code or "").startswith("06") for sighting in sightings)
    end = lines.line_at(max(stop - 1, start)) + 1
    taken = (Taken(at, end, f"json: {len(sightings)} functions"),) if sightings else ()
    return Piece(end if sightings else at + 1, tuple(sightings), taken, hides=hides)


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


def _functions(document: Any) -> Iterator[tuple[str, Device, frozenset[str]]]:
    """Every function of a document, at whatever depth: its address as it is written, and its fields."""
    waiting: list[tuple[Any, Any]] = [(document, None)]
    for value, group in waiting:
        if isinstance(value, list):
            waiting += [(each, group) for each in value]
        elif isinstance(value, dict):
            written = next((text for name in _ADDRESS if parse_pci(text := _string(value.get(name)))), None)
            own = next((value[name] for name in _GROUP if name in value), None)
            if written is None:
                around = own if own is not None else value.get("id") if "devices" in value else group
                waiting += [(each, around) for each in value.values()]
            else:
                tells = (GROUP if own is not None else NOTHING) | (DRIVER if "driver_modules" in value else NOTHING)
                yield written, device_of(value, written, own if own is not None else group), tells


def device_of(entry: dict[str, Any], written: str, group: Any) -> Device:
    """The function of an object, at the address that is written in it."""
    class_name, code = split_id(_string(entry.get("class", entry.get("dev_class"))))
    return Device(
        parse_pci(written) or Address(written),
        vendor_id=_id(entry.get("vendor")),
        device_id=_id(entry.get("device")),
        subsystem_vendor_id=_id(entry.get("subsystem_vendor")),
        subsystem_device_id=_id(entry.get("subsystem_device")),
        class_code=code or _id(entry.get("class")),
        driver=_string(entry.get("driver")) or None,
        group=int(group) if isinstance(group, int | str) and re.fullmatch(r"\d{1,9}", str(group)) else None,
        vendor_name=_name(entry.get("vendor_name") or entry.get("vendor")),
        device_name=_name(entry.get("device_name") or entry.get("device")),
        class_name=class_name if code else None,
    )


def _id(value: Any) -> str | None:
    """``0x10de``, ``10de``, ``GP106 [1c02]``, or an object with one of these."""
    if isinstance(value, dict):
        return next((found for name in _ID if (found := _id(value.get(name))) is not None), None)
    digits = _string(value).lower().removeprefix("0x")
    return digits if re.fullmatch(r"[0-9a-f]{4}|[0-9a-f]{6}", digits) else split_id(_string(value))[1]


def _name(value: Any) -> str | None:
    if isinstance(value, dict):
        return _name(value.get("name"))
    name, _ = split_id(_string(value))
    return name if name and not name.startswith("0x") and not re.fullmatch(r"[0-9a-f]{4}", name) else None


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


IMPORTER = Importer(
    name=NAME,
    example='[{"id": "0000:01:00.0", "iommugroup": 15, ...}] (pvesh get /nodes/NODE/hardware/pci --output-format json)',
    opens=r"\s*(?:\[\s*(?:$|\{)|\{\s*(?:$|\"))",
    score=8,
    read=read,
    needs=("{",),
)
