"""``lspci`` in its line formats: ``-nn``, ``-k``, ``-v`` to ``-vvv``, ``-n``, ``-mm``, ``-P``, with ``-x`` dumps.

Groups are in it with ``-v`` from pciutils 3.7 on, drivers with ``-k`` or ``-v`` (``show_kernel``, ``show_verbose``).
"""

import re

from iommutui.core.address import Address
from iommutui.sources.listings.base import DRIVER, GROUP, NOTHING, UNTOLD, Facts, Importer, Piece, Sighting, Taken, Text
from iommutui.sources.listings.functions import BDF, IDS, MARKS, PATH, address_of, joined, parse_function
from iommutui.sources.listings.hexdump import read_dump

NAME = "lspci"

_DETAIL = re.compile(
    r"^[ \t]*(?:Subsystem:\s+(?P<subsystem>[^\n]*)"
    r"|Kernel\s+driver\s+in\s+use:\s*(?P<driver>[^\s,]+)"
    r"|Driver override:\s*(?P<driver_override>\S+)"
    r"|Kernel\s+modules:\s*(?P<modules>\S+)"
    r"|(?:Flags:[^\n]*?\b)?IOMMU\s+group:?\s+(?P<group>\d{1,9})\b"
    r"|Bus:\s*primary=[0-9a-f]{2},\s*secondary=(?P<below>[0-9a-f]{2})"
    r"|Capabilities:[^\n]*?Express\s+\(v\d+\)\s+(?P<port>[A-Z][\w/ -]*))",
    re.MULTILINE,
)
_IDS = re.compile(r"([0-9a-fA-F]{4}):([0-9a-fA-F]{4})\]?\s*$")

PORT_TYPES = {
    "Endpoint": 0,
    "Legacy Endpoint": 1,
    "Root Port": 4,
    "Upstream Port": 5,
    "Downstream Port": 6,
    "PCI-Express to PCI/PCI-X Bridge": 7,
    "PCI/PCI-X to PCI-Express Bridge": 8,
    "Root Complex Integrated Endpoint": 9,
    "Root Complex Event Collector": 10,
}


def read_function(text: Text, at: int, line: str | None = None) -> tuple[Sighting | None, int]:
    """The function that a line names, with the details below it, and where they end; ``line`` stands for that line."""
    lines, kinds = text.lines.all, text.kinds
    header, count = joined(lines, kinds, at, lines[at] if line is None else line)
    start = end = at + count
    while end < len(lines) and lines[end].strip() and (kinds[end] is None or lines[end - 1].rstrip().endswith(",")):
        end += 1
    parsed = parse_function(header)
    if parsed is None:
        return None, at + 1
    path, address, facts = parsed
    if end == start and "/" not in path:
        return Sighting(at, address, facts, DRIVER if "driver" in facts else NOTHING), end
    return _with_details(path, address, facts, at, "\n".join(lines[start:end])), end


def _with_details(path: str, address: Address, facts: Facts, line: int, details: str) -> Sighting:
    below = None
    if "00: " in details:
        # What the line itself says goes before what a dump says, but for the class, which a dump tells in full.
        dump, below = read_dump(details)
        facts = {**dump, **facts, "class_code": dump["class_code"]} if dump else facts
    tells = NOTHING
    for found in _DETAIL.finditer(details):
        kind, text = found.lastgroup, found[found.lastgroup or 0]
        if kind == "subsystem" and (ids := _IDS.search(text)) is not None:
            facts["subsystem_vendor_id"], facts["subsystem_device_id"] = ids[1].lower(), ids[2].lower()
        elif kind == "driver":
            facts["driver"] = None if text in ("none", "?") else text
            tells |= UNTOLD if text == "?" else DRIVER
        elif kind == "modules":
            tells |= DRIVER
        elif kind == "driver_override":
            facts["driver_override"] = text
        elif kind == "group":
            facts["group"] = int(text)
            tells |= GROUP
        elif kind == "below":
            below = text
            facts["header_type"] = 2 if facts.get("class_code", "").startswith("0607") else 1
        elif kind == "port":
            port = PORT_TYPES.get(re.split(r",| \(|  |\s+(?:MSI|IntMsgNum)\b", text)[0].strip())
            facts.update({} if port is None else {"pcie_type": port})
    domain = address.partition(":")[0]
    parents, _, last = path.rpartition("/")
    if ":" in last and (parent := address_of(parents)) is not None:
        facts["parent"] = parent
    way = f"{address}/{path.partition('/')[2]}" if parents and ":" not in last else ""
    return Sighting(line, address, facts, tells, f"{domain}:{below}" if below else None, way)


def read(text: Text, at: int) -> Piece:
    """One function."""
    sighting, end = read_function(text, at)
    if sighting is None:
        return Piece(end)
    return Piece(end, (sighting,), (Taken(at, end, f"lspci: {sighting.address}"),))


IMPORTER = Importer(
    name=NAME,
    example="01:00.0 VGA compatible controller [0300]: NVIDIA Corporation ... [10de:2204]",
    opens=rf'{MARKS}{PATH}[ \t]+(?:"|(?:- )?[A-Z0-9][^\n]{{0,120}}?(?:: ?|\[[0-9a-f]{{4}}\] )\S)'
    rf"|\s*{IDS}\s+(?:\[R\]\s+)?{BDF}\s",
    score=2,
    read=read,
    once=True,
)
