"""``virsh nodedev-dumpxml``: one ``<device>`` a function, several without a root around them (libvirt's nodedev.rng).

Numbers in elements are decimal, those in attributes hexadecimal. A group names all of its members.
"""

import re
from xml.etree import ElementTree

from iommutui.core.address import Address, is_pci, parse_pci
from iommutui.core.host import Device
from iommutui.sources.listings.base import DRIVER, GROUP, Importer, Piece, Sighting, Taken, Text

NAME = "nodedev"

_END = "</device>"
_LONGEST = 1 << 16
"""Characters of an element; a card with 64 virtual functions has a tenth."""


def read(text: Text, at: int) -> Piece:
    """The elements that begin on a line; one that is cut off or broken is left out."""
    content, start = text.lines.text, text.lines.start_of(at)
    stop = content.find("\n", start)
    found: list[Sighting] = []
    taken: list[Taken] = []
    end = at + 1
    start = content.find("<device>", start)
    while 0 <= start <= (stop if stop >= 0 else len(content)):
        close = content.find(_END, start, start + _LONGEST)
        if close < 0:
            break
        close += len(_END)
        seen = _sightings(content[start:close], text.lines.line_at(start))
        end = text.lines.line_at(close - 1) + 1
        if seen:
            found += seen
            taken.append(Taken(text.lines.line_at(start), end, f"nodedev: {seen[0].device.address}"))
        start = content.find("<device>", close)
    return Piece(end, tuple(found), tuple(taken))


def _sightings(element: str, line: int) -> list[Sighting]:
    try:
        node = ElementTree.fromstring(element)
    except (ElementTree.ParseError, ValueError):
        return []
    pci = node.find("capability[@type='pci']")
    if pci is None:
        return []
    group, members = _group(pci)
    address = _address([pci.findtext(name) for name in ("domain", "bus", "slot", "function")], 10)
    physical = pci.find("capability[@type='phys_function']/address")
    seen = []
    if address is not None:
        device = Device(
            address=address,
            vendor_id=_id(pci.find("vendor")),
            device_id=_id(pci.find("product")),
            class_code=_hex(pci.findtext("class"), 6),
            driver=node.findtext("driver/name") or None,
            group=group,
            parent=parse_pci(node.findtext("parent") or ""),
            physfn=None if physical is None else _of_attributes(physical),
            vendor_name=_text(pci.findtext("vendor")),
            device_name=_text(pci.findtext("product")),
        )
        seen.append(Sighting(line, device, DRIVER | GROUP if group is not None else DRIVER))
    seen += [Sighting(line, Device(member, group=group)) for member in members if member != address]
    return seen


def _group(pci: "ElementTree.Element") -> tuple[int | None, list[Address]]:
    element = pci.find("iommuGroup")
    number = element.get("number", "") if element is not None else ""
    if element is None or not re.fullmatch(r"\d{1,9}", number):
        return None, []
    return int(number), [a for each in element.findall("address") if (a := _of_attributes(each)) is not None]


def _of_attributes(element: "ElementTree.Element") -> Address | None:
    return _address([element.get(name) for name in ("domain", "bus", "slot", "function")], 16)


def _address(parts: list[str | None], base: int) -> Address | None:
    """None for numbers that no function has, as made-up documents have them."""
    try:
        domain, bus, slot, function = (int(part or "", base) for part in parts)
    except ValueError:
        return None
    address = Address(f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}")
    return address if min(domain, bus, slot, function) >= 0 and is_pci(address) else None


def _hex(text: str | None, digits: int) -> str | None:
    match = re.fullmatch(r"\s*0x([0-9a-fA-F]{1,6})\s*", text or "")
    return match[1].lower().zfill(digits) if match is not None else None


def _id(element: "ElementTree.Element | None") -> str | None:
    return None if element is None else _hex(element.get("id"), 4)


def _text(text: str | None) -> str | None:
    return (text or "").strip() or None


IMPORTER = Importer(
    name=NAME,
    example="<device><name>pci_0000_01_00_0</name>... (virsh nodedev-dumpxml)",
    opens=r"[^\n]{0,300}?<device>",
    score=8,
    read=read,
    needs=("<device>",),
)
