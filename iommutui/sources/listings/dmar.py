"""A tree of IOMMU units: ``IOMMU: dmar0``, ``IOMMU Group: 50`` and ``Group Device: 0000:97:00.4 - Generic ...``.

Functions of a group with several are printed several times.
"""

import re

from iommutui.core.address import Address
from iommutui.sources.listings.base import Importer, Piece, Sighting, Taken, Text
from iommutui.sources.listings.functions import parse_function

NAME = "units"

_UNIT = re.compile(r"\s*IOMMU:[ \t]*(\S+)")
_GROUP = re.compile(r"\s*IOMMU Group:[ \t]*(\d{1,9})\s*$")
_DEVICE = re.compile(r"\s*Group Device:[ \t]*")


def read(text: Text, at: int) -> Piece:
    """A unit with its groups."""
    lines = text.lines.all
    found: dict[tuple[Address, int | None], Sighting] = {}
    taken: list[Taken] = []
    unit: str | None = None
    group: int | None = None
    end = at
    while end < len(lines):
        line = lines[end]
        what = "units: a heading"
        if (match := _UNIT.match(line)) is not None and end == at:
            unit, group = match[1], None
        elif (match := _GROUP.match(line)) is not None:
            group = int(match[1])
        elif (match := _DEVICE.match(line)) is not None and (parsed := parse_function(line[match.end() :])):
            device = parsed[0]._replace(group=group, iommu=unit)
            found.setdefault((device.address, group), Sighting(end, device))
            what = f"units: {device.address} in group {group}"
        else:
            break
        taken.append(Taken(end, end + 1, what))
        end += 1
    return Piece(max(end, at + 1), tuple(found.values()), tuple(taken))


IMPORTER = Importer(
    name=NAME,
    example="IOMMU: dmar0, IOMMU Group: 50, Group Device: 0000:97:00.4 - Generic system peripheral [0807]: ...",
    opens=r"\s*(?:IOMMU:[ \t]*\S+\s*$|IOMMU Group:[ \t]*\d{1,9}\s*$|Group Device:[ \t]*[0-9a-f])",
    score=5,
    read=read,
    needs=("IOMMU: ", "IOMMU Group: ", "Group Device: "),
)
