"""``lshw -businfo``: ``pci@0000:01:00.0  enp1s0  network  I211 Gigabit``; names, but no ids, groups or drivers."""

import re

from iommutui.core.address import parse_pci
from iommutui.sources.listings.base import Importer, Piece, Sighting, Taken, Text
from iommutui.sources.listings.functions import BDF

_LINE = re.compile(rf"\s*pci@({BDF})\s+(?:\S+\s+)?([a-z]+)\s{{2,}}(\S.*?)\s*$")


def read(text: Text, at: int) -> Piece:
    """One line."""
    match = _LINE.match(text.lines.all[at])
    address = parse_pci(match[1]) if match is not None else None
    if match is None or address is None:
        return Piece(at + 1)
    return Piece(at + 1, (Sighting(at, address, {"device_name": match[3]}),), (Taken(at, at + 1, f"lshw: {address}"),))


IMPORTER = Importer(
    name="lshw",
    example="pci@0000:01:00.0  display  GA102 [GeForce RTX 3090] (lshw -businfo)",
    opens=rf"\s*pci@{BDF}\s",
    score=7,
    read=read,
    needs=("pci@",),
    once=True,
)
