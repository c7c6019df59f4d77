"""``umockdev-record``: a block of typed lines for each device, ``P:`` first, a blank line between blocks."""

import re

from iommutui.core.address import parse_pci
from iommutui.sources.listings.base import Facts, Importer, Piece, Taken, Text
from iommutui.sources.listings.entries import sighting_of
from iommutui.sources.listings.hexdump import of_bytes

NAME = "umockdev"

_LINE = re.compile(r"([PNSEAHL]): ?([^=]*)=?(.*)$")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")


def read(text: Text, at: int) -> Piece:
    """One block."""
    lines = text.lines.all
    said: dict[str, str] = {}
    end = at
    while end < len(lines) and (match := _LINE.match(lines[end])) is not None and (end == at or match[1] != "P"):
        said[f"{match[1]}:{match[2]}"] = match[3].strip()
        end += 1
    path = [part for part in lines[at][2:].strip().split("/") if part]
    address = parse_pci(path[-1]) if path else None
    if address is None:
        return Piece(end, taken=(Taken(at, end, "umockdev: no PCI function"),))
    vendor, _, product = said.get("E:PCI_ID", "").partition(":")
    subvendor, _, subproduct = said.get("E:PCI_SUBSYS_ID", "").partition(":")
    code = said.get("A:class", "").removeprefix("0x") or said.get("E:PCI_CLASS", "")
    entry = {
        "vendor": vendor and vendor.zfill(4),
        "device": product and product.zfill(4),
        "subsystem_vendor": subvendor and subvendor.zfill(4),
        "subsystem_device": subproduct and subproduct.zfill(4),
        "class": code and code.zfill(6),
        "driver": said.get("L:driver", "").rpartition("/")[2] or said.get("E:DRIVER", ""),
        "iommugroup": said.get("L:iommu_group", "").rpartition("/")[2],
    }
    sighting = sighting_of(entry, address, at, drivers=True)
    config = said.get("H:config", "")
    dump, _ = of_bytes(bytes.fromhex(config) if _HEX.fullmatch(config) else b"")
    facts: Facts = {**dump, **sighting.facts}
    override, modalias = said.get("A:driver_override"), said.get("E:MODALIAS")
    if override and override != "(null)":
        facts["driver_override"] = override
    if modalias is not None:
        facts["modalias"] = modalias
    if len(path) > 1 and (parent := parse_pci(path[-2])) is not None:
        facts["parent"] = parent
    return Piece(end, (sighting._replace(facts=facts),), (Taken(at, end, f"umockdev: {address}"),))


IMPORTER = Importer(
    name=NAME,
    example="P: /devices/pci0000:00/0000:00:01.0 (umockdev-record)",
    opens=r"P: ?/devices/\S",
    score=9,
    read=read,
    needs=("/devices/",),
)
