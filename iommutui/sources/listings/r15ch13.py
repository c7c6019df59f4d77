"""A script that marks what can be reset: ``Group 12:  [10de:2206] [R] 01:00.0  VGA compatible controller  GA102 ...``.

The group is named on its first line only; lines ``USB:`` belong to the controller above them.
"""

import re

from iommutui.core.address import Address, parse_pci
from iommutui.core.host import Device
from iommutui.sources.listings.base import Importer, Piece, Sighting, Taken, Text
from iommutui.sources.listings.classes import class_code
from iommutui.sources.listings.functions import BDF

NAME = "r15ch13"

_IDS = r"\[([0-9a-fA-F]{4}):([0-9a-fA-F]{4})\]"
_LINE = re.compile(rf"\s*(?:(?:IOMMU )?Group[ \t]+(\d{{1,9}}):)?\s*{_IDS}\s+(?:\[R\]\s+)?({BDF})\s+(.*?)\s*$")
_USB = re.compile(r"\s*USB:\s")


def read(text: Text, at: int) -> Piece:
    """A group: the line that names it, and those below it that name none."""
    lines = text.lines.all
    found: list[Sighting] = []
    first = _LINE.match(lines[at])
    group = int(first[1]) if first is not None and first[1] else None
    end = at
    for line in lines[at:]:
        match = _LINE.match(line)
        if match is not None and (end == at or not match[1]):
            class_name, _, name = match[5].partition("  ")
            device = Device(
                address=parse_pci(match[4]) or Address(""),
                vendor_id=match[2].lower(),
                device_id=match[3].lower(),
                class_code=class_code(class_name),
                group=group,
                class_name=class_name or None,
                device_name=name.strip() or None,
            )
            found.append(Sighting(end, device))
        elif not _USB.match(line):
            break
        end += 1
    return Piece(max(end, at + 1), tuple(found), (Taken(at, end, f"r15ch13: group {group}"),))


IMPORTER = Importer(
    name=NAME,
    example="Group 12: [10de:2206] [R] 01:00.0  VGA compatible controller  GA102 [GeForce RTX 3080]",
    opens=rf"\s*(?:(?:IOMMU )?Group[ \t]+\d{{1,9}}:)?\s*\[[0-9a-fA-F]{{4}}:[0-9a-fA-F]{{4}}\]\s+(?:\[R\]\s+)?{BDF}\s",
    score=8,
    read=read,
    needs=("roup ",),
    once=True,
)
