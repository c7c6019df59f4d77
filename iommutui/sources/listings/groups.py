"""Scripts that print the group before its functions, which look as in ``lspci``, with or without details.

``IOMMU Group 14 09:00.0 VGA ...`` (the Arch wiki's, ls-iommu), or a heading and the functions below it: the wiki's
later form, lsgroup (``### Group 14 ###``), iommutui's own report, r15ch13 (``Group 14: [10de:2206] [R] 09:00.0 ...``,
the rest of the group below it without its number) and trees of IOMMU units (``IOMMU: dmar0``, ``IOMMU Group: 14``).
"""

import re

from iommutui.core.address import parse_pci
from iommutui.sources.listings import fields, lspci
from iommutui.sources.listings.base import BOUNDARY, Importer, Read, Record
from iommutui.sources.listings.text import BDF, IDS, Text

NAME = "groups"

_NUMBER = r"[\s#*`'\"|=─═•+\[-]*+(?:IOM+U[ \t]+)?(?:group|GROUP|Group:?)[ \t]+[\[(#]?(\d{1,9})[\])]?[ \t]*"
_REST = rf"[:\s|][ \t|]*(?:(?:-|[-=]>) )?(?={BDF}\s|{IDS}\s+(?:\[R\]\s+)?{BDF}\s)"
_ALONE = r"(?:\([^()]*\))?[ \t]*:?[\s#*`:=─═-]*$"
_ONLY = rf"[:-][ \t]*{BDF}(?:[ \t,]+{BDF})*[\s'\",]*$"

_ONE_LINE = re.compile(_NUMBER + _REST)
_HEADING = re.compile(f"{_NUMBER}(?:{_ALONE}|{_ONLY})")
_RULE = re.compile(r"[\s=-]*$|\s*# ")
_BARE = re.compile(rf"[\s*-]*({BDF})\s*$")
_IDS_FIRST = re.compile(rf"\s*{IDS}\s")

_READERS = {lspci.NAME: lspci.read, fields.RECORDS.name: fields.RECORDS.read}


def read(text: Text, at: int) -> Read:
    """A line with its function, or a heading and everything below it."""
    line = text.lines[at]
    if (one := _ONE_LINE.match(line)) is not None:
        records, end = lspci.read(text, at, one.end())
        if records and _IDS_FIRST.match(line, one.end()):
            more, end = _read_below(text, end, _depth(line), _IDS_FIRST)
            records += more
        return _in_group(int(one[1]), records), end
    heading = _HEADING.match(line)
    number = None if heading is None else int(heading[1])
    if listed := re.findall(BDF, line):
        return _in_group(number, [Record(at, at + 1, parse_pci(each), {}) for each in listed]), at + 1
    fenced = text.kinds[at + 1 : at + 3] == [BOUNDARY, lspci.NAME] and "```" in text.lines[at + 1]
    records, end = _read_below(text, at + 1 + fenced, _depth(line))
    members = " ".join(str(record.address) for record in records)
    told = (f"members of group {number}", members) if number is not None and members else None
    what = "a heading" if number is None else f"group {number}"
    return [Record(at, at + 1, what=what, machine=told), *_in_group(number, records)], end


def _read_below(text: Text, at: int, depth: int, form: re.Pattern[str] | None = None) -> Read:
    """The functions from a line on, of this form: those indented below the heading, or not named before."""
    found: list[Record] = []
    deep = blank = False
    # With a blank line below the heading, all lines are apart, and so they are in a form that names each function.
    apart = form is not None or (at < len(text.lines) and not text.lines[at].strip())
    while at < len(text.lines):
        line, kind = text.lines[at], text.kinds[at]
        if kind is None and _RULE.match(line):
            blank = not apart and (blank or (not line.strip() and bool(found)))
            at += 1
            continue
        if kind is None and (bare := _BARE.match(line)) is not None:
            found.append(Record(at, at + 1, parse_pci(bare[1]), {}))
            at += 1
            continue
        deeper = _depth(line) > depth or line[:1] == "["
        if kind not in _READERS or (deep and not deeper) or (form and not form.match(line)):
            break
        records, end = _READERS[kind](text, at)
        if not records or (not deeper and _is_of_another(records[0], found, blank)):
            break  # a listing of the whole machine has begun
        deep, blank = deeper, False
        found += records
        at = end
    return found, at


def _is_of_another(record: Record, found: list[Record], blank: bool) -> bool:
    """Whether it is not in the group of these: named before, or below a blank line that no details explain."""
    named = any(record.address == each.address for each in found)
    return named or (blank and not any(each.end > each.line + 1 for each in found))


def _depth(line: str) -> int:
    """Its indentation."""
    return len(line) - len(line.lstrip())


def _in_group(number: int | None, records: list[Record]) -> list[Record]:
    for record in records:
        record.facts["group"] = number
    return records


IMPORTER = Importer(
    name=NAME,
    example="IOMMU Group 14 09:00.0 VGA compatible controller [0300]: NVIDIA Corporation ... [10de:1c02]",
    opens=rf"{_NUMBER}(?:{_REST}|{_ALONE}|{_ONLY})|No IOMMU group:$|\s*IOMMU:[ \t]*\S+\s*$",
    read=read,
    once=True,
)
