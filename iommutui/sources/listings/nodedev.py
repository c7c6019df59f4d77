"""``virsh nodedev-dumpxml``: one ``<device>`` a function, several without a root around them (libvirt's nodedev.rng).

Numbers in elements are decimal, those in attributes hexadecimal. A group names all of its members.
"""

import re
from xml.etree import ElementTree

from iommutui.core.address import Address, is_pci, parse_pci
from iommutui.sources.listings.base import Importer, Piece, Sighting, Taken, Text
from iommutui.sources.listings.entries import sighting_of

NAME = "nodedev"

_END = "</device>"
_PARTS = ("domain", "bus", "slot", "function")
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
            taken.append(Taken(text.lines.line_at(start), end, f"nodedev: {seen[0].address}"))
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
    group = pci.find("iommuGroup")
    number = "" if group is None else group.get("number", "")
    number = number if re.fullmatch(r"\d{1,9}", number) else ""
    seen = []
    address = _address([pci.findtext(name) for name in _PARTS], 10)
    if address is not None:
        entry = {
            "class": (pci.findtext("class") or "").strip(),
            "vendor": _named(pci.find("vendor")),
            "device": _named(pci.find("product")),
            "driver": node.findtext("driver/name"),
            **({"iommugroup": number} if number else {}),
        }
        own = sighting_of(entry, address, line, drivers=True)
        if (parent := parse_pci(node.findtext("parent") or "")) is not None:
            own.facts["parent"] = parent
        physical = pci.find("capability[@type='phys_function']/address")
        if physical is not None and (function := _of_attributes(physical)) is not None:
            own.facts["physfn"] = function
        seen.append(own)
    members = map(_of_attributes, group.findall("address") if group is not None and number else [])
    return seen + [Sighting(line, each, {"group": int(number)}) for each in members if each and each != address]


def _named(element: "ElementTree.Element | None") -> dict[str, str | None]:
    return {} if element is None else {"id": element.get("id"), "name": element.text}


def _of_attributes(element: "ElementTree.Element") -> Address | None:
    return _address([element.get(name) for name in _PARTS], 16)


def _address(parts: list[str | None], base: int) -> Address | None:
    """None for numbers that no function has, as made-up documents have them."""
    try:
        domain, bus, slot, function = (int(part or "", base) for part in parts)
    except ValueError:
        return None
    address = Address(f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}")
    return address if min(domain, bus, slot, function) >= 0 and is_pci(address) else None


IMPORTER = Importer(
    name=NAME,
    example="<device><name>pci_0000_01_00_0</name>... (virsh nodedev-dumpxml)",
    opens=r"[^\n]{0,300}?<device>",
    score=8,
    read=read,
    needs=("<device>",),
)
