"""Paths of sysfs as ``find``, ``ls``, ``tree`` and ``readlink`` print them: groups and addresses, and nothing else."""

import re

from iommutui.core.address import Address, parse_pci
from iommutui.sources.listings.base import Importer, Piece, Sighting, Taken, Text
from iommutui.sources.listings.functions import FULL

NAME = "paths"

_MEMBER = re.compile(rf"iommu_groups/(\d{{1,9}})/devices/({FULL})")
_LINK = re.compile(rf"({FULL})/iommu_group\b.*?iommu_groups/(\d{{1,9}})")
_AFTER = re.compile(rf"({FULL}) \(IOMMU group (\d{{1,9}})\)")
_PLACE = re.compile(r"iommu_groups(?:/(\d{1,9})(?:/devices)?)?/?:?\s*$")
_BRANCH = re.compile(r"[\s│|]*[├└|`+]?[─-]+ ?(\d{1,9})/?\s*$")
_NAMES = re.compile(
    rf"(?:[\s│├└─|`+-]|devices|[a-z-]{{10}}\S?\s.*?\s(?={FULL}))*({FULL})(?:\s+->\s.*|((?:\s+{FULL})*))\s*$"
)
_NOTHING = re.compile(r"[\s│|├└─`+-]*(?:devices|reserved_regions|type|name|[^\W\d]+ \d+|d[rwx-]{9}.* \.\.?)?\s*$")


def read(text: Text, at: int) -> Piece:
    """Lines until one is neither a path nor a name in the directory that was named above it."""
    found: list[Sighting] = []
    taken: list[Taken] = []
    group: int | None = None
    end = at
    for line in text.lines.all[at:]:
        members: list[tuple[Address | None, int]] = []
        if pairs := _MEMBER.findall(line):
            members = [(parse_pci(address), int(number)) for number, address in pairs]
        elif (link := _LINK.search(line) or _AFTER.search(line)) is not None:
            members = [(parse_pci(link[1]), int(link[2]))]
        elif (place := _PLACE.search(line)) is not None and text.kinds[end] == NAME:
            group = int(place[1]) if place[1] else None
        elif (branch := _BRANCH.match(line)) is not None and found is not None:
            group = int(branch[1])
        elif group is not None and (names := _NAMES.match(line)) is not None:
            members = [(parse_pci(address), group) for address in (names[1], *(names[2] or "").split())]
        elif not _NOTHING.match(line):
            break
        found += [Sighting(end, address, {"group": number}) for address, number in members if address is not None]
        if line.strip():
            taken.append(Taken(end, end + 1, f"paths: {len(members)} in group {members[0][1] if members else group}"))
        end += 1
    return Piece(max(end, at + 1), tuple(found), tuple(taken))


IMPORTER = Importer(
    name=NAME,
    example="/sys/kernel/iommu_groups/9/devices/0000:00:14.2",
    opens=r"[^\n]{0,300}?iommu_groups(?:/\d{1,9}(?:/devices)?)?(?:/[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:|/?:?\s*$)"
    rf"|[^\n]{{0,80}}?{FULL} \(IOMMU group \d",
    score=4,
    read=read,
    needs=("iommu_groups", "(IOMMU group "),
)
