"""Scripts that print the group before its functions: the Arch wiki's in both forms, ls-iommu, lsgroup, iommutui itself.

``IOMMU Group 14 09:00.0 VGA ...``, or a heading (``IOMMU Group 14:``, ``### Group 14 ###``) and the functions below it,
as ``lspci`` prints them, with or without its details.
"""

import re

from iommutui.sources.listings.base import GROUP, Importer, Piece, Sighting, Taken, Text
from iommutui.sources.listings.functions import BDF
from iommutui.sources.listings.lspci import read_function
from iommutui.sources.listings.records import NAME as RECORDS
from iommutui.sources.listings.records import read_block

NAME = "groups"

_NUMBER = r"[\s#*`|-]*(?:IOM+U[ \t]+)?[Gg](?:roup|ROUP)[ \t]+(\d{1,9})[ \t]*"
_HEADING = re.compile(rf"{_NUMBER}(?:\([^()]*\))?[ \t]*:?[\s#*`:-]*$")
_ONE_LINE = re.compile(rf"{_NUMBER}[:\s][ \t]*(?:- )?(?={BDF}\s)")
_RULE = re.compile(r"[\s=-]*$|\s*# ")


def read(text: Text, at: int) -> Piece:
    """A line with its function, or a heading and everything below it."""
    lines, kinds = text.lines.all, text.kinds
    one = _ONE_LINE.match(lines[at])
    if one is not None:
        sighting, end = read_function(text, at, lines[at][one.end() :])
        return _piece(end, int(one[1]), [] if sighting is None else [sighting], [(at, end)])
    heading = _HEADING.match(lines[at])
    number = int(heading[1]) if heading is not None else None
    found: list[Sighting] = []
    places = [(at, at + 1)]
    end, indent = at + 1, ""
    while end < len(lines):
        line, kind = lines[end], kinds[end]
        if kind is None and _RULE.match(line):
            end += 1
            continue
        if kind not in ("lspci", RECORDS) or (indent and line[:1] not in " \t["):
            break
        sighting, after = (read_block if kind == RECORDS else read_function)(text, end)
        if sighting is None or any(sighting.device.address == other.device.address for other in found):
            break
        indent = line[: len(line) - len(line.lstrip())]
        found.append(sighting)
        places.append((end, after))
        end = after
    return _piece(end, number, found, places)


def _piece(end: int, number: int | None, found: list[Sighting], places: list[tuple[int, int]]) -> Piece:
    seen = tuple(each._replace(device=each.device._replace(group=number), tells=each.tells | GROUP) for each in found)
    return Piece(end, seen, tuple(Taken(*place, f"groups: group {number}") for place in places))


IMPORTER = Importer(
    name=NAME,
    example="IOMMU Group 14 09:00.0 VGA compatible controller [0300]: NVIDIA Corporation ... [10de:1c02]",
    opens=rf"{_NUMBER}(?:[:\s][ \t]*(?:- )?{BDF}\s|(?:\([^()]*\))?[ \t]*:?[\s#*`:-]*$)|No IOMMU group:$",
    score=6,
    read=read,
    needs=("roup ", "ROUP ", "No IOMMU"),
    once=True,
)
