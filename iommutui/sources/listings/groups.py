"""Scripts that print the group before its functions, which are as ``lspci`` prints them, with or without its details.

``IOMMU Group 14 09:00.0 VGA ...`` (the Arch wiki's, ls-iommu), or a heading and the functions below it: the wiki's
later form, lsgroup (``### Group 14 ###``), iommutui's own report, r15ch13 (``Group 14: [10de:2206] [R] 09:00.0 ...``,
the rest of the group below it without its number) and trees of IOMMU units (``IOMMU: dmar0``, ``IOMMU Group: 14``).
"""

import re

from iommutui.core.address import parse_pci
from iommutui.sources.listings.base import GROUP, Importer, Piece, Sighting, Taken, Text
from iommutui.sources.listings.functions import BDF, IDS
from iommutui.sources.listings.lspci import read_function
from iommutui.sources.listings.records import NAME as RECORDS
from iommutui.sources.listings.records import read_block

NAME = "groups"

_NUMBER = r"[\s#*`|=─═-]*+(?:IOM+U[ \t]+)?(?:group|GROUP|Group:?)[ \t]+(\d{1,9})[ \t]*"
_REST = rf"[:\s|][ \t|]*(?:- )?(?={BDF}\s|{IDS}\s+(?:\[R\]\s+)?{BDF}\s)"
_ALONE = r"(?:\([^()]*\))?[ \t]*:?[\s#*`:=─═-]*$"
_UNIT = r"\s*IOMMU:[ \t]*(\S+)\s*$"

_ONE_LINE = re.compile(_NUMBER + _REST)
_HEADING = re.compile(_NUMBER + _ALONE)
_UNIT_LINE = re.compile(_UNIT)
_RULE = re.compile(r"[\s=-]*$|\s*# ")
_BARE = re.compile(rf"[\s*-]*({BDF})\s*$")
_IDS_FIRST = re.compile(rf"\s*{IDS}\s")


def read(text: Text, at: int) -> Piece:
    """A line with its function, or a heading and everything below it."""
    line = text.lines.all[at]
    if (one := _ONE_LINE.match(line)) is None:
        if (unit := _UNIT_LINE.match(line)) is not None:
            return _read_unit(text, at, unit[1])
        heading = _HEADING.match(line)
        return _read_below(text, at, None if heading is None else int(heading[1]))
    sighting, end = read_function(text, at, line[one.end() :])
    piece = Piece(end) if sighting is None else _in_group(int(one[1]), [(sighting, end)])
    if sighting is None or not _IDS_FIRST.match(line, one.end()):
        return piece
    more = _read_below(text, end - 1, int(one[1]), _IDS_FIRST)
    return Piece(max(end, more.end), piece.sightings + more.sightings, piece.taken + more.taken[1:], GROUP)


def _read_below(text: Text, at: int, number: int | None, form: re.Pattern[str] = re.compile("")) -> Piece:
    """A heading and the functions below it, as far as they are indented alike, not named before, and of this form."""
    lines, kinds = text.lines.all, text.kinds
    found: list[tuple[Sighting, int]] = []
    named: set[str] = set()
    end, indent = at + 1, ""
    while end < len(lines):
        line, kind = lines[end], kinds[end]
        if kind is None and _RULE.match(line):
            end += 1
            continue
        if kind is None and (bare := _BARE.match(line)) is not None and (address := parse_pci(bare[1])) is not None:
            found.append((Sighting(end, address, {}), end + 1))
            end += 1
            continue
        if kind not in ("lspci", RECORDS) or (indent and line[:1] not in " \t[") or not form.match(line):
            break
        sighting, after = (read_block if kind == RECORDS else read_function)(text, end)
        indent = line[: len(line) - len(line.lstrip())]
        if sighting is None or (sighting.address in named and not indent):
            break  # unindented: a listing of the whole machine has begun
        named.add(sighting.address)
        found.append((sighting, after))
        end = after
    piece = _in_group(number, found)
    return piece._replace(end=end, taken=(Taken(at, at + 1, f"groups: group {number}"), *piece.taken))


def _read_unit(text: Text, at: int, unit: str) -> Piece:
    """An IOMMU and the groups below it. A group with several functions is printed as often as it has some."""
    found: dict[str, Sighting] = {}
    taken = [Taken(at, at + 1, f"groups: IOMMU {unit}")]
    end = at + 1
    while end < len(text.kinds) and text.kinds[end] == NAME and _HEADING.match(text.lines.all[end]):
        piece = read(text, end)
        for sighting in piece.sightings:
            sighting.facts["iommu"] = unit
            found.setdefault(sighting.address, sighting)
        taken += piece.taken
        end = piece.end
    return Piece(end, tuple(found.values()), tuple(taken), GROUP)


def _in_group(number: int | None, found: list[tuple[Sighting, int]]) -> Piece:
    if number is not None:
        for sighting, _ in found:
            sighting.facts["group"] = number
    taken = tuple([Taken(sighting.line, after, f"groups: group {number}") for sighting, after in found])
    return Piece(found[-1][1] if found else 0, tuple([sighting for sighting, _ in found]), taken, GROUP)


IMPORTER = Importer(
    name=NAME,
    example="IOMMU Group 14 09:00.0 VGA compatible controller [0300]: NVIDIA Corporation ... [10de:1c02]",
    opens=rf"{_NUMBER}(?:{_REST}|{_ALONE})|No IOMMU group:$|{_UNIT}",
    score=6,
    read=read,
    needs=("roup ", "ROUP ", "roup: ", "No IOMMU", "IOMMU: "),
    once=True,
)
