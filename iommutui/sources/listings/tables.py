"""Proxmox's table of PCI devices, drawn with lines or as Markdown: ``│ 0x030000 │ 0x2204 │ 0000:01:00.0 │ 15 │``."""

import re

from iommutui.core.address import parse_pci
from iommutui.sources.listings.base import Importer, Piece, Sighting, Taken, Text
from iommutui.sources.listings.entries import sighting_of
from iommutui.sources.listings.functions import FULL
from iommutui.sources.listings.json_documents import hides_bridges

NAME = "table"

_CELL = re.compile(r"[│┃|]")
_COLUMNS = ["class", "device", "id", "iommugroup", "vendor", "device_name"]


def read(text: Text, at: int) -> Piece:
    """Rows until a line is none; the columns are those of the heading above, or Proxmox's own order."""
    lines = text.lines.all
    above = [cells for line in lines[max(0, at - 4) : at] if "iommugroup" in (cells := _cells(line))]
    columns = above[-1] if above else _COLUMNS
    found: dict[str, Sighting] = {}
    end = at
    while end < len(lines) and (cells := _cells(lines[end])):
        entry = dict(zip(columns, cells, strict=False))
        if (address := parse_pci(entry.get("id", ""))) is not None:
            found.setdefault(address, sighting_of(entry, address, end, drivers=False))
        end += 1
    taken = (Taken(at, end, f"table: {len(found)} functions"),) if found else ()
    return Piece(max(end, at + 1), tuple(found.values()), taken, hides=hides_bridges([*found.values()]))


def _cells(line: str) -> list[str]:
    cells = [cell.strip() for cell in _CELL.split(line)]
    return cells[1:] if len(cells) > 3 or re.match(r"\s*[├┌└╞╟+|]", line) else []


IMPORTER = Importer(
    name=NAME,
    example="│ 0x030000 │ 0x2204 │ 0000:01:00.0 │ 15 │ 0x10de │ ... (pvesh get /nodes/NODE/hardware/pci)",
    opens=rf"\s*[│┃|](?:[^│┃|\n]{{0,60}}[│┃|]){{0,8}}\s*{FULL}\s*[│┃|]",
    score=7,
    read=read,
    needs=("│", "┃", "|"),
    once=True,
)
