"""``lspci -vmm`` and its options: one record a function, a tag and a tab a line, a blank line between records."""

import re

from iommutui.core.address import parse_pci
from iommutui.sources.listings.base import Importer, Piece, Sighting, Taken, Text
from iommutui.sources.listings.entries import sighting_of
from iommutui.sources.listings.functions import BDF

NAME = "records"

_TAG = re.compile(r"\s*([A-Za-z]+):[ \t]*(.*?)\s*$")
_FIELDS = {"SVendor": "subsystem_vendor", "SDevice": "subsystem_device", "Rev": "revision", "ProgIf": "interface"}
_FIELDS |= {"IOMMUGroup": "iommugroup"}


def read_block(text: Text, at: int) -> tuple[Sighting | None, int]:
    """The record that begins on a line, and where it ends: with a blank line, or where the next one begins."""
    lines = text.lines.all
    tags: dict[str, str] = {}
    end = at
    while end < len(lines) and lines[end].strip() and (end == at or text.kinds[end] is None):
        if (found := _TAG.match(lines[end])) is not None:
            # -vm, the old form: the address is the first of two lines "Device".
            tag = "Slot" if found[1] == "Device" and end == at else found[1]
            tags.setdefault(_FIELDS.get(tag, tag.lower()), found[2])
        end += 1
    address = parse_pci(tags.get("slot", "").partition(" ")[0])
    if address is None:
        return None, max(end, at + 1)
    sighting = sighting_of(tags, address, at, drivers="driver" in tags or "module" in tags)
    if (ids := re.fullmatch(r"([0-9a-f]{4}):([0-9a-f]{4})", tags.get("ids", "").lower())) is not None:
        sighting.facts.update({"vendor_id": ids[1], "device_id": ids[2]})
    return sighting, end


def read(text: Text, at: int) -> Piece:
    """One record."""
    sighting, end = read_block(text, at)
    if sighting is None:
        return Piece(end)
    return Piece(end, (sighting,), (Taken(at, end, f"records: {sighting.address}"),))


IMPORTER = Importer(
    name=NAME,
    example="Slot: 01:00.0, and below it Class:, Vendor:, Device:, Driver:, IOMMUGroup: (lspci -vmmnnk)",
    opens=rf"\s*(?:Slot|Device):[ \t]+{BDF}\s*$",
    score=7,
    read=read,
    needs=("Slot:", "Device:"),
    once=True,
)
