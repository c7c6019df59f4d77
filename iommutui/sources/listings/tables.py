"""Proxmox's table of PCI devices, drawn with lines or as Markdown: ``│ 0x030000 │ 0x2204 │ 0000:01:00.0 │ 15 │``."""

import re

from iommutui.core.address import Address, parse_pci
from iommutui.core.host import Device
from iommutui.sources.listings.base import GROUP, Importer, Piece, Sighting, Taken, Text
from iommutui.sources.listings.functions import FULL

NAME = "table"

_CELL = re.compile(r"[│┃|]")
_COLUMNS = ("class", "device", "id", "iommugroup", "vendor")
_HEX = re.compile(r"0x([0-9a-f]{4}(?:[0-9a-f]{2})?)")


def read(text: Text, at: int) -> Piece:
    """Rows until a line is none; the columns are those of the heading above, or Proxmox's own order."""
    lines = text.lines.all
    heading = next(
        (cells for line in reversed(lines[max(0, at - 4) : at]) if "iommugroup" in (cells := _cells(line))), None
    )
    columns = heading or list(_COLUMNS)
    found: dict[Address, Sighting] = {}
    taken: list[Taken] = []
    end = at
    while end < len(lines) and (cells := _cells(lines[end])):
        said = dict(zip(columns, cells, strict=False))
        address = parse_pci(said.get("id", ""))
        if address is not None and address not in found:
            group = said.get("iommugroup", "")
            device = Device(
                address,
                vendor_id=_id(said.get("vendor", "")),
                device_id=_id(said.get("device", "")),
                class_code=_id(said.get("class", "")),
                group=int(group) if re.fullmatch(r"\d{1,9}", group) else None,
                vendor_name=said.get("vendor_name") or None,
                device_name=said.get("device_name") or None,
            )
            found[address] = Sighting(end, device, GROUP)
            taken.append(Taken(end, end + 1, f"table: {address}"))
        end += 1
    bridges = any((s.device.class_code or "").startswith("06") for s in found.values())
    return Piece(max(end, at + 1), tuple(found.values()), tuple(taken), hides=not bridges)


def _cells(line: str) -> list[str]:
    cells = [cell.strip() for cell in _CELL.split(line)]
    return cells[1:] if len(cells) > 3 or re.match(r"\s*[├┌└╞╟+|]", line) else []


def _id(text: str) -> str | None:
    match = _HEX.fullmatch(text.lower())
    return match[1] if match is not None else None


IMPORTER = Importer(
    name=NAME,
    example="│ 0x030000 │ 0x2204 │ 0000:01:00.0 │ 15 │ 0x10de │ ... (pvesh get /nodes/NODE/hardware/pci)",
    opens=rf"\s*[│┃|](?:[^│┃|\n]{{0,60}}[│┃|]){{0,8}}\s*{FULL}\s*[│┃|]",
    score=7,
    read=read,
    needs=("│", "┃", "|"),
    once=True,
)
