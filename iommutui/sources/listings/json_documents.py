"""JSON that other tools print: Proxmox, iommu.info, lsiommu, nixos-facter. The registry of its shapes is `SHAPES`."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from iommutui.core.address import parse_pci
from iommutui.core.host import Device
from iommutui.sources.listings.base import DRIVER, GROUP, NOTHING, Importer, Piece, Sighting, Taken, Text
from iommutui.sources.listings.functions import split_id

NAME = "json"

_DECODER = json.JSONDecoder()
_NEXT = re.compile(r"[\s,\[]*(?=\{)")
Found = Iterator[tuple[Device, frozenset[str]]]
Object = dict[str, Any]


def proxmox(entry: Object) -> Found:
    """``pvesh get /nodes/NODE/hardware/pci``: ids with ``0x``, ``iommugroup`` -1 for none."""
    if "id" in entry and "iommugroup" in entry:
        device = _device(entry["id"], vendor=entry.get("vendor"), product=entry.get("device"),
                         code=entry.get("class"), group=entry["iommugroup"],
                         subvendor=entry.get("subsystem_vendor"), subproduct=entry.get("subsystem_device"))  # fmt: skip
        if device is not None:
            yield _named(device, entry.get("vendor_name"), entry.get("device_name")), GROUP


def iommu_info(entry: Object) -> Found:
    """iommu.info: groups of what ``lspci -nnvmm`` says."""
    for each in _objects(entry.get("devices")) if "iommugroup" in entry else ():
        name, product = split_id(_string(each.get("device")))
        class_name, code = split_id(_string(each.get("dev_class")))
        vendor = each.get("vendor")
        maker = vendor if isinstance(vendor, dict) else {}
        device = _device(each.get("slot"), vendor=maker.get("vendorid"), product=product, code=code,
                         group=entry["iommugroup"])  # fmt: skip
        if device is not None:
            yield _named(device, maker.get("name"), name)._replace(class_name=class_name or None), NOTHING


def lsiommu(entry: Object) -> Found:
    """puavo's lsiommu: groups with their devices, ids without ``0x``."""
    for each in _objects(entry.get("devices")) if "id" in entry else ():
        device = _device(each.get("address"), vendor=each.get("vendor"), product=each.get("device"),
                         code=each.get("class"), group=entry["id"])  # fmt: skip
        if device is not None:
            yield device, NOTHING


def facter(entry: Object) -> Found:
    """nixos-facter: hardware with ``sysfs_bus_id``, groups and drivers."""
    if "sysfs_bus_id" in entry and entry.get("driver_modules", entry.get("sysfs_iommu_group_id")) is not None:
        ids = [entry.get(name) for name in ("vendor", "device")]
        vendor, product = (each.get("hex") if isinstance(each, dict) else None for each in ids)
        device = _device(entry["sysfs_bus_id"], vendor=vendor, product=product, group=entry.get("sysfs_iommu_group_id"))
        if device is not None:
            yield device._replace(driver=_string(entry.get("driver")) or None), DRIVER | GROUP


SHAPES: tuple[Callable[[Object], Found], ...] = (proxmox, iommu_info, lsiommu, facter)


def read(text: Text, at: int) -> Piece:
    """One document. Of one that is cut off, the entries that are whole."""
    lines = text.lines
    start = lines.start_of(at)
    start += len(lines.all[at]) - len(lines.all[at].lstrip())
    found, stop = _decode(lines.text, start)
    if found is None:
        # Nothing of what was read is anything; nor is what is nested too deeply.
        end = max(at + 1, lines.line_at(stop))
        while stop == start and end < len(lines) and text.kinds[end] == NAME:
            end += 1
        return Piece(end)
    sightings: list[Sighting] = []
    hides = False
    line = at
    for entry in _entries(found):
        for shape in SHAPES:
            for device, tells in shape(entry):
                address = f'"{device.address.removeprefix("0000:")}"' if shape is iommu_info else f'"{device.address}"'
                place = lines.text.find(address, start, stop)
                line = lines.line_at(place) if place >= 0 else line
                sightings.append(Sighting(line, device, tells))
                hides |= shape is proxmox
    hides &= not any((s.device.class_code or "").startswith("06") for s in sightings)
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


def _entries(value: Any) -> Iterator[Object]:
    """Every object of a document, at whatever depth."""
    waiting = [value]
    while waiting:
        each = waiting.pop(0) if len(waiting) < 1000 else waiting.pop()
        if isinstance(each, dict):
            yield each
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each


def _objects(value: Any) -> list[Object]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _device(
    address: Any, *, vendor: Any = None, product: Any = None, code: Any = None, group: Any = None,
    subvendor: Any = None, subproduct: Any = None,
) -> Device | None:  # fmt: skip
    place = parse_pci(_string(address))
    if place is None:
        return None
    number = int(group) if isinstance(group, int | str) and re.fullmatch(r"\d{1,9}", str(group)) else None
    return Device(
        place,
        vendor_id=_hex(vendor),
        device_id=_hex(product),
        subsystem_vendor_id=_hex(subvendor),
        subsystem_device_id=_hex(subproduct),
        class_code=_hex(code),
        group=number,
    )


def _hex(value: Any) -> str | None:
    digits = _string(value).lower().removeprefix("0x")
    return digits if re.fullmatch(r"[0-9a-f]{4}|[0-9a-f]{6}", digits) else None


def _named(device: Device, vendor: Any, name: Any) -> Device:
    return device._replace(vendor_name=_string(vendor) or None, device_name=_string(name) or None)


IMPORTER = Importer(
    name=NAME,
    example='[{"id": "0000:01:00.0", "iommugroup": 15, ...}] (pvesh get /nodes/NODE/hardware/pci --output-format json)',
    opens=r"\s*(?:\[\s*(?:$|\{)|\{\s*(?:$|\"))",
    score=8,
    read=read,
    needs=("{",),
)
