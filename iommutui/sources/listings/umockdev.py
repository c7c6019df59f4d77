"""``umockdev-record``: a block of typed lines for each device, ``P:`` first, a blank line between blocks."""

import re

from iommutui.core.address import Address, parse_pci
from iommutui.core.host import Device
from iommutui.sources.listings.base import DRIVER, GROUP, Importer, Piece, Sighting, Taken, Text
from iommutui.sources.listings.hexdump import of_bytes

NAME = "umockdev"

_LINE = re.compile(r"([PNSEAHL]): ?([^=]*)=?(.*)$")


def read(text: Text, at: int) -> Piece:
    """One block."""
    lines = text.lines.all
    said: dict[tuple[str, str], str] = {}
    end = at
    while end < len(lines) and (match := _LINE.match(lines[end])) is not None and (end == at or match[1] != "P"):
        said[(match[1], match[2])] = match[3]
        end += 1
    path = [part for part in lines[at][3:].strip().split("/") if part]
    address = parse_pci(path[-1]) if path else None
    if address is None:
        return Piece(end, taken=(Taken(at, end, "umockdev: no PCI function"),))
    device = _device(address, path, said)
    return Piece(end, (Sighting(at, device, DRIVER | GROUP),), (Taken(at, end, f"umockdev: {address}"),))


def _device(address: Address, path: list[str], said: dict[tuple[str, str], str]) -> Device:
    vendor, _, product = said.get(("E", "PCI_ID"), "").lower().partition(":")
    subvendor, _, subproduct = said.get(("E", "PCI_SUBSYS_ID"), "").lower().partition(":")
    code = said.get(("A", "class"), "").removeprefix("0x") or said.get(("E", "PCI_CLASS"), "").lower()
    group = said.get(("L", "iommu_group"), "").rpartition("/")[2]
    override = said.get(("A", "driver_override"))
    dump = of_bytes(_bytes(said.get(("H", "config"), "")))
    dump.pop("below", None)
    facts: dict[str, object] = {
        "vendor_id": vendor.zfill(4) if vendor else None,
        "device_id": product.zfill(4) if product else None,
        "subsystem_vendor_id": subvendor.zfill(4) if subvendor else None,
        "subsystem_device_id": subproduct.zfill(4) if subproduct else None,
        "class_code": code.zfill(6) if re.fullmatch(r"[0-9a-f]{1,6}", code) else None,
        "driver": said.get(("L", "driver"), "").rpartition("/")[2] or said.get(("E", "DRIVER")) or None,
        "driver_override": None if override in (None, "", "(null)") else override,
        "group": int(group) if re.fullmatch(r"\d{1,9}", group) else None,
        "parent": parse_pci(path[-2]) if len(path) > 1 else None,
        "modalias": said.get(("E", "MODALIAS")),
    }
    return Device(address)._replace(**{**dump, **{name: value for name, value in facts.items() if value is not None}})


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text.strip())
    except ValueError:
        return b""


IMPORTER = Importer(
    name=NAME,
    example="P: /devices/pci0000:00/0000:00:01.0 (umockdev-record)",
    opens=r"P: ?/devices/\S",
    score=9,
    read=read,
    needs=("/devices/",),
)
