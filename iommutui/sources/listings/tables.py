"""Tables made by hand (Markdown), as the lines that a script prints."""

import re
from itertools import pairwise

_GROUP_CELL = re.compile(r"(?:IOMMU[ -])?group(?: ?(?:#|no\.?|number|id))?", re.IGNORECASE)
_RULE = re.compile(r"[ \t|:-]*-[ \t:]*\|")
"""The line below the heads of a table."""
_GUEST_CELL = re.compile(r"\b(?:guest|vm)\b")
_PRIVATE_CELL = re.compile(
    r"^(?!.*\b(?:device|ids?|vendor|model|description|pci)\b).*"
    r"\b(?:serial|s/?n|notes?|comments?|remarks?|status|mac|ip|addr\w*|host\w*|user|owner|location|path|mount\w*|vm|used?)\b"
)
"""The head of a column that may name people, and does not describe the device."""
_IDS_CELL = re.compile(r"\[?([0-9a-f]{4}:[0-9a-f]{4})\]?", re.IGNORECASE)
_IDS_IN_CELL = re.compile(r"\[[0-9a-fA-F]{4}:[0-9a-fA-F]{4}\]")
_DASHES = "-\u2013\u2014"
_PLACE_CELL = re.compile(r"((?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7])\b(.*)", re.IGNORECASE)


def untabled(lines: list[str]) -> list[str]:
    """The text, with each row of a table that has a column of groups as the line that a script prints."""
    if not any("group" in heads.lower() for heads, rule in pairwise(lines) if _RULE.match(rule)):
        return lines
    columns: list[str] = []
    group = slot = ""
    rows: list[str] = []
    for line in lines:
        cells = [cell.strip(" \t`*") for cell in line[:1000].strip().removeprefix("|").removesuffix("|").split("|")]
        if len(cells) > 1 and any(map(_GROUP_CELL.fullmatch, cells)):
            columns = ["group" if _GROUP_CELL.fullmatch(cell) else cell.lower() for cell in cells]
        elif len(cells) == len(columns):
            row = {name: cell for name, cell in zip(columns, cells, strict=True) if _GUEST_CELL.search(name) is None}
            place = next(filter(None, map(_PLACE_CELL.match, row.values())), None)
            if place is not None:
                # An empty cell may say the same as above, or none: what is one device has one group.
                slot, before = place[1].rpartition(".")[0], slot
                group = row.pop("group") or (group if slot == before else "")
                line = _as_line(place, group, row)
        rows.append(line)
    return rows


def _as_line(place: re.Match[str], group: str, row: dict[str, str]) -> str:
    """``IOMMU Group 14 01:00.0 NVIDIA GP106 [10de:1c03] Driver: vfio-pci``."""
    driver = next((row.pop(name).strip(_DASHES) for name in list(row) if "driver" in name), "")
    cells = (
        cell if _PRIVATE_CELL.search(name) is None else " ".join(_IDS_IN_CELL.findall(cell))
        for name, cell in row.items()
        if cell != place[0]
    )
    rest = [cell for cell in cells if cell.strip(_DASHES)]
    words = " ".join([place[2], *(cell for cell in rest if not _IDS_CELL.fullmatch(cell))]).strip() or "Device"
    ids = [f" [{found[1]}]" for found in map(_IDS_CELL.fullmatch, rest) if found and found[1] not in words]
    number = re.fullmatch(r"\D*(\d{1,9})\D*", group)
    head = f"IOMMU Group {number[1]} " if number is not None else ""
    return f"{head}{place[1]} {words}{''.join(ids)}" + (f" Driver: {driver}" if driver else "")
