"""Formats with named fields: JSON, tables, ``lspci -vmm``, libvirt's XML and ``umockdev-record``."""

import ast
import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree import ElementTree

from iommutui.core.address import Address, is_pci, parse_pci
from iommutui.sources.listings.base import STDERR, Facts, Importer, Read, Record, facts_of, named, of_config
from iommutui.sources.listings.text import BDF, Text

_DECODER = json.JSONDecoder(strict=False)
_PYTHON = r"\{'(?:bios|board|groups)'"
"""The beginning of a document as Python prints it (iommu.info)."""
_FIRST, _NEXT, _END = (re.compile(each) for each in (r"[\s\[]{0,200}(?=\{)", r"\s*,\s*(?=\{)", r"\s*\]"))
_ADDRESSES = ("id", "address", "slot", "sysfsbusid", "pciaddress", "hostpci", "bdf")
"""Names of fields that hold an address, as `named` writes them."""


def _read_json(text: Text, at: int) -> Read:
    """One document. If it is truncated, its complete entries."""
    start = text.starts[at]
    objects, stop = _decode(text.whole, start)
    if not objects:
        # Nothing in it could be used; nor can a document that is nested too deeply.
        end = max(at + 1, text.line_at(stop))
        while stop == start and end < len(text.lines) and text.kinds[end] == JSON.name:
            end += 1
        return [], end
    records: list[Record] = []
    place = start
    for written, address, entry in _functions(objects):
        place = max(place, text.whole.find(written, place, stop))
        line = text.line_at(place)
        records.append(Record(line, line + 1, address, facts_of(entry)))
    end = text.line_at(max(stop - 1, start)) + 1
    return ([Record(at, end, what=f"{len(records)} functions"), *records], end) if records else ([], at + 1)


def _decode(text: str, start: int) -> tuple[list[Any], int]:
    """The object that begins there, or those of an array, and where they end; if there is none, how far it parsed."""
    if re.compile(rf"\s*{_PYTHON}").match(text, start) is not None:
        stop = text.rfind("}", start) + 1
        try:
            # A terminal may have broken a line within a word.
            return [ast.literal_eval(text[start:stop].replace("\n", "").strip())], stop
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return [], stop
    objects: list[Any] = []
    stop = start
    following = _FIRST.match(text, start)
    while following is not None:
        try:
            value, stop = _DECODER.raw_decode(text, following.end())
        except (ValueError, RecursionError) as error:
            return objects, stop if objects else getattr(error, "pos", start)
        objects.append(value)
        following = _NEXT.match(text, stop)
    end = _END.match(text, stop)
    return objects, end.end() if end is not None else stop


def _functions(document: Any) -> Iterator[tuple[str, Address, dict[str, Any]]]:
    """Every function of a document, at any depth: its address as written and as parsed, and its fields.

    Proxmox, iommu.info, lsiommu and nixos-facter differ in the names of fields. A function is an object with an
    address; its group is its own field, or that of the object around it.
    """
    waiting: list[tuple[Any, Any]] = [(document, None)]
    for value, group in waiting:
        if isinstance(value, list):
            waiting += [(each, group) for each in value]
        elif isinstance(value, dict):
            entry = named(value)
            if "iommugroup" not in entry and group is not None:
                entry["iommugroup"] = group
            if not entry.get("driver"):
                entry.pop("driver", None)
            written = [entry[name] for name in _ADDRESSES if isinstance(entry.get(name), str)]
            places = ((text, address) for text in written if (address := parse_pci(text)) is not None)
            if (place := next(places, None)) is not None:
                yield *place, entry
            else:
                # A virtual machine has an id and devices as well, and a name of its own.
                is_group = "devices" in value and "group" in str(value.get("name", "group")).lower()
                around = value.get("id") if is_group else None
                waiting += [(each, entry.get("iommugroup", around)) for each in value.values()]


JSON = Importer(
    name="json",
    example='[{"id": "0000:01:00.0", "iommugroup": 15, ...}] (pvesh get /nodes/NODE/hardware/pci --output-format json)',
    opens=r"\s*(?:\[\s*(?:$|\{)|\{\s*(?:$|\"))|\s*" + _PYTHON,
    read=_read_json,
    needs=("{",),
    hides=True,
)

_ROW = re.compile(r"\s*\+|[^\n]*[│┃|├┌└╞╟]")
_CELL = re.compile(r"[│┃|]")
_COLUMNS = ["class", "device", "id", "iommugroup", "vendor", "device_name"]
_PLACE = re.compile(rf"({BDF})(?:[ \t,:]+(.*))?")
_GROUP = re.compile(r"(?:[Gg]roup )?(\d{1,9})(?:, .*| \(.*)?")


def _read_table(text: Text, at: int) -> Read:
    """Rows and the rules between them; the columns are those of the heading above, or Proxmox's own order."""
    columns, first = _COLUMNS if _cells(text.lines[at])[0].startswith("0x") else [], at
    for above in range(max(0, at - 4), at):
        if "iommugroup" in named(dict.fromkeys(cells := _cells(text.lines[above]))):
            columns, first = cells, above
    records: list[Record] = []
    end = at
    while end < len(text.lines) and _ROW.match(text.lines[end]):
        for _, address, entry in _functions(_row(columns, _cells(text.lines[end]))):
            # Nothing follows from an empty cell, or from one whose line was cut off.
            records.append(Record(end, end + 1, address, facts_of(entry), cut=True))
        end += 1
    return [Record(first, end, what="a table"), *records] if records else [], max(end, at + 1)


def _row(columns: list[str], cells: list[str]) -> dict[str, str]:
    """A row by its columns. In one made by hand a name may follow the address, and words the group (``15, alone``)."""
    heads = ["name" if column.lower() in ("description", "hardware") else column for column in columns]
    row = {head: cell for head, cell in zip(heads, cells, strict=False) if cell and "guest" not in head.lower()}
    group = _GROUP.fullmatch(str(named(row).get("iommugroup")))
    if group is not None:
        row["iommugroup"] = group[1]
    for column, cell in row.items():
        if (place := _PLACE.fullmatch(cell)) is not None:
            rest = {other: each for other, each in row.items() if other != column}
            return {**({"name": place[2]} if place[2] else {}), **rest, "address": place[1]}
    return row


def _cells(line: str) -> list[str]:
    return [cell.strip(" \t`*") for cell in _CELL.split(line.strip().strip("│┃|"))]


TABLE = Importer(
    name="table",
    example="│ 0x030000 │ 0x2204 │ 0000:01:00.0 │ 15 │ 0x10de │ ... (pvesh get /nodes/NODE/hardware/pci)",
    opens=rf"(?=[^\n]*[│┃|])(?:[^│┃|\n]{{0,60}}[│┃|]){{0,8}}[\s`*]*{BDF}"
    r"(?:[\s`*]*(?:[│┃|]|$)|[ \t,:][^│┃|\n]{1,200}[│┃|])",
    read=_read_table,
    needs=("│", "┃", "|"),
    once=True,
    hides=True,
)

_TAG = re.compile(r"\s*([A-Za-z]+):[ \t]*(.*?)\s*$")
_TAGS = {
    *("slot", "device", "class", "vendor", "svendor", "sdevice", "physlot", "rev", "progif", "driver", "module"),
    *("numanode", "dtnode", "iommugroup", "ids"),
}
"""The tags of ``lspci -vmm`` (pciutils 3.13, ``show_machine``): any other is damaged."""
_JOINED = re.compile(r"\s(?:Slot|Class|S?Vendor|S?Device|Driver|Module|IOMMUGroup):\s")
_ONCE = ("class", "vendor", "driver", "iommugroup")


def _read_record(text: Text, at: int) -> Read:
    """The record that begins on a line. It ends with a blank line, or where the next one begins."""
    tags: dict[str, str] = {}
    cut = False
    end = at
    while end < len(text.lines) and text.lines[end].strip() and (end == at or text.kinds[end] is None):
        found = _TAG.match(text.lines[end])
        # -vm, the old form: the address is the first of two lines "Device".
        tag = "slot" if end == at else (found[1].lower() if found is not None else "")
        if tag in tags and tag in _ONCE:
            cut = True
            break  # another record, whose first line is damaged or missing
        if found is not None and tag in _TAGS and _JOINED.search(found[2]) is None:
            tags.setdefault(tag, found[2])
        elif not text.lines[end].startswith(STDERR):
            cut = True
        end += 1
    address = parse_pci(tags.get("slot", "").partition(" ")[0])
    if address is None:
        return [], max(end, at + 1)
    if "module" in tags:
        tags.setdefault("driver", "")
    goes_on = text.kinds[end : end + 2] == [None, None] and _TAG.match(text.lines[end + 1]) is not None
    cut = cut or goes_on or not text.cut.isdisjoint(range(at, end))
    return [Record(at, end, address, facts_of(tags), cut=cut)], end


RECORDS = Importer(
    name="records",
    example="Slot: 01:00.0, and below it Class:, Vendor:, Device:, Driver:, IOMMUGroup: (lspci -vmmnnk)",
    opens=rf"\s*(?:Slot|Device):[ \t]+{BDF}\s*$",
    read=_read_record,
    once=True,
    ascends=True,
)

_LONGEST = 1 << 16
"""Characters of an element; a card with 64 virtual functions has a tenth."""


def _read_nodedev(text: Text, at: int) -> Read:
    """The elements that begin on a line (libvirt's nodedev.rng); a truncated or broken one is left out."""
    records: list[Record] = []
    end = at + 1
    start = text.starts[at]
    stop = start + len(text.lines[at])
    while (start := text.whole.find("<device>", start, stop)) >= 0:
        close = text.whole.find("</device>", start, start + _LONGEST)
        if close < 0:
            break
        close += len("</device>")
        line, end = text.line_at(start), text.line_at(close - 1) + 1
        records += [Record(line, end, *told) for told in _of_element(text.whole[start:close])]
        start = close
    return records, end


def _of_element(content: str) -> Iterator[tuple[Address, Facts]]:
    """A function, and the other members of its group, all of which it names."""
    try:
        node = ElementTree.fromstring(content)
    except (ElementTree.ParseError, ValueError):
        return
    if (pci := node.find("capability[@type='pci']")) is None:
        return
    entry: dict[str, Any] = {"class": pci.findtext("class"), "driver": node.findtext("driver/name")}
    for name, tag in (("vendor", "vendor"), ("device", "product")):
        if (element := pci.find(tag)) is not None:
            entry[name] = {"id": element.get("id"), "name": element.text}
    if (group := pci.find("iommuGroup")) is not None and re.fullmatch(r"\d{1,9}", group.get("number", "")):
        entry["iommugroup"] = group.get("number")
    facts = facts_of(entry)
    if (parent := parse_pci(node.findtext("parent") or "")) is not None:
        facts["parent"] = parent
    physical = pci.find("capability[@type='phys_function']/address")
    if physical is not None and (function := _address(physical.get, 16)) is not None:
        facts["physfn"] = function
    if (own := _address(pci.findtext, 10)) is not None:
        yield own, facts
    for element in pci.iterfind("iommuGroup/address") if "group" in facts else ():
        member = _address(element.get, 16)
        if member is not None and member != own:
            yield member, {"group": facts["group"]}


def _address(part: Callable[[str], str | None], base: int) -> Address | None:
    """Text is decimal, attributes are hexadecimal. None for numbers that no function can have."""
    try:
        domain, bus, slot, function = (int(part(name) or "", base) for name in ("domain", "bus", "slot", "function"))
    except ValueError:
        return None
    address = Address(f"{domain:04x}:{bus:02x}:{slot:02x}.{function:x}")
    return address if min(domain, bus, slot, function) >= 0 and is_pci(address) else None


NODEDEV = Importer(
    name="nodedev",
    example="<device><name>pci_0000_01_00_0</name>... (virsh nodedev-dumpxml)",
    opens=r"[^\n]{0,300}?<device>",
    read=_read_nodedev,
    needs=("</device>",),
)

_TYPED = re.compile(r"([PNSEAHL]): ?([^=]*)=?(.*)$")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")


def _read_umockdev(text: Text, at: int) -> Read:
    """One device: a block of typed lines, ``P:`` first, and a blank line below it."""
    said: dict[str, str] = {}
    end = at
    while end < len(text.lines) and (found := _TYPED.match(text.lines[end])) and (end == at or found[1] != "P"):
        said[f"{found[1]}:{found[2]}"] = found[3].strip()
        end += 1
    *above, last = text.lines[at][2:].strip().split("/")
    address = parse_pci(last)
    if address is None:
        return [Record(at, end, what="no PCI function")], end
    entry = {
        "class": said.get("A:class") or (said["E:PCI_CLASS"].zfill(6) if "E:PCI_CLASS" in said else None),
        "driver": said.get("L:driver", "").rpartition("/")[2] or said.get("E:DRIVER"),
        "iommugroup": said.get("L:iommu_group", "").rpartition("/")[2],
    }
    for field, prefix in (("E:PCI_ID", ""), ("E:PCI_SUBSYS_ID", "subsystem_")):
        vendor, colon, device = said.get(field, "").partition(":")
        entry |= {f"{prefix}vendor": f"0x{vendor}", f"{prefix}device": f"0x{device}"} if colon else {}
    facts = facts_of(entry)
    config = said.get("H:config", "")
    dump, _ = of_config(bytes.fromhex(config) if _HEX.fullmatch(config) else b"")
    facts = {**dump, **facts}
    override, modalias = said.get("A:driver_override"), said.get("E:MODALIAS")
    if override and override != "(null)":
        facts["driver_override"] = override
    if modalias is not None:
        facts["modalias"] = modalias
    if above and (parent := parse_pci(above[-1])) is not None:
        facts["parent"] = parent
    return [Record(at, end, address, facts)], end


UMOCKDEV = Importer(
    name="umockdev",
    example="P: /devices/pci0000:00/0000:00:01.0 (umockdev-record)",
    opens=r"P: ?/devices/\S",
    read=_read_umockdev,
)
