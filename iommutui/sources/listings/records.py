"""``lspci -vmm`` and its options: one record a function, a tag and a tab a line, a blank line between records."""

import re

from iommutui.core.address import parse_pci
from iommutui.core.host import Device
from iommutui.sources.listings.base import DRIVER, GROUP, NOTHING, Importer, Piece, Sighting, Taken, Text
from iommutui.sources.listings.classes import class_code
from iommutui.sources.listings.functions import BDF, split_id

NAME = "records"

_TAG = re.compile(r"\s*([A-Za-z]+):[ \t]*(.*?)\s*$")


def read_block(text: Text, at: int) -> tuple[Sighting | None, int]:
    """The record that begins on a line, and where it ends: with a blank line, or where the next one begins."""
    lines = text.lines.all
    tags: dict[str, str] = {}
    end = at
    while end < len(lines) and lines[end].strip() and (end == at or text.kinds[end] is None):
        found = _TAG.match(lines[end])
        if found is not None:
            # -vm, the old form: the address is the first of two lines "Device".
            tag = "Slot" if found[1] == "Device" and end == at else found[1]
            tags.setdefault(tag, found[2])
        end += 1
    address = parse_pci(tags.get("Slot", "").partition(" ")[0])
    if address is None:
        return None, max(end, at + 1)
    class_name, code = split_id(tags.get("Class", ""))
    vendor_name, vendor = split_id(tags.get("Vendor", ""))
    device_name, product = split_id(tags.get("Device", ""))
    ids = re.fullmatch(r"([0-9a-f]{4}):([0-9a-f]{4})", tags.get("IDs", "").lower())
    group = tags.get("IOMMUGroup", "")
    interface = tags.get("ProgIf", "") if code else ""
    device = Device(
        address=address,
        vendor_id=ids[1] if ids else vendor,
        device_id=ids[2] if ids else product,
        subsystem_vendor_id=split_id(tags.get("SVendor", ""))[1],
        subsystem_device_id=split_id(tags.get("SDevice", ""))[1],
        class_code=f"{code}{interface.lower()}" if code else class_code(class_name),
        revision=tags.get("Rev", "").lower() or None,
        driver=tags.get("Driver") or None,
        group=int(group) if re.fullmatch(r"\d{1,9}", group) else None,
        class_name=class_name or None,
        vendor_name=vendor_name or None,
        device_name=device_name or None,
    )
    tells = (DRIVER if "Driver" in tags or "Module" in tags else NOTHING) | (GROUP if group else NOTHING)
    return Sighting(at, device, tells), end


def read(text: Text, at: int) -> Piece:
    """One record."""
    sighting, end = read_block(text, at)
    if sighting is None:
        return Piece(end)
    return Piece(end, (sighting,), (Taken(at, end, f"records: {sighting.device.address}"),))


IMPORTER = Importer(
    name=NAME,
    example="Slot: 01:00.0, and below it Class:, Vendor:, Device:, Driver:, IOMMUGroup: (lspci -vmmnnk)",
    opens=rf"\s*(?:Slot|Device):[ \t]+{BDF}\s*$",
    score=7,
    read=read,
    needs=("Slot:", "Device:"),
    once=True,
)
