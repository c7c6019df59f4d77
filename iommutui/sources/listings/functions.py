"""The line that names a PCI function, as ``lspci`` prints it and everybody copies it.

``00:01.0 PCI bridge [0604]: Intel Corporation 6th-10th Gen Core Processor (x16) [8086:1901] (rev 07)``; pciutils 3.13,
``show_terse``.
"""

import re

from iommutui.core.address import Address, parse_pci
from iommutui.core.pci_classes import class_code
from iommutui.sources.listings.base import Facts
from iommutui.sources.listings.entries import facts_of

BDF = r"(?:[0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7]"
"""An address, with or without its domain."""

FULL = r"(?<![0-9a-fA-F:])[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7](?![0-9a-fA-F.])"
"""An address with its domain, anywhere in a line."""

PATH = rf"{BDF}(?:/(?:[0-9a-fA-F]{{2}}:)?[01][0-9a-fA-F]\.[0-7])*"
"""An address, or the way to it: ``00:01.0/01:00.0`` (``-PP``), ``00:01.0/00.0`` (``-P``)."""

IDS = r"\[([0-9a-fA-F]{4}):([0-9a-fA-F]{4})\]"

MARKS = rf"[\s*#`|>-]*+(?:Group Device:\s*|IOMMU Group \*\s)?(?:{IDS}\s+)?(?:\[R(?:ESET)?\]\s*|\(\d+\)\s*)?"
"""What scripts put before an address: marks of lists, its ids, of what can be reset, or the number of the group."""

_LINE = re.compile(rf"{MARKS}({PATH})[ \t,]+(?:- )?(?:Class )?(\S.*)")
_IDS = re.compile(IDS)
_REVISION = re.compile(r"\(rev ([0-9a-fA-F]{2})\)")
_INTERFACE = re.compile(r"\(prog-if ([0-9a-fA-F]{2})\b")
_DRIVER = re.compile(r"\bDriver: *(\S+)")
_TAIL = re.compile(r"[ \t]*\((?:rev|prog-if) [0-9a-fA-F]{2}\b")
_CLASS = re.compile(r"(.*?)[ \t]?\[([0-9a-fA-F]{4})\](?::[ \t]*|[ \t]+(?=\S))(.*)")
_NUMERIC = re.compile(r"([0-9a-fA-F]{4}):[ \t]*([0-9a-fA-F]{4}):([0-9a-fA-F]{4})\b")
_COLUMN = re.compile(r'"([^"]*)"')
_BROKEN = re.compile(r"\[[0-9a-fA-F]{0,4}:?\s*$")


def parse_function(text: str) -> tuple[str, Address, Facts] | None:
    """The function that a line names: its address as it is written there, as a kernel spells it, and its facts."""
    match = _LINE.match(text)
    address = address_of(match[3]) if match is not None else None
    if match is None or address is None:
        return None
    vendor, device, path, rest = match.groups()
    if rest[0] == '"':
        return path, address, _columns(rest)
    facts: Facts = {}
    tail = rest
    for ids in _IDS.finditer(rest):
        vendor, device, tail = ids[1], ids[2], rest[ids.end() :]
    if tail is not rest:
        rest = rest[: -len(tail) - len("[10de:2204]")].rstrip()
    elif (end := _TAIL.search(rest)) is not None:
        rest, tail = rest[: end.start()], rest[end.start() :]
    revision, interface = (_REVISION.search(tail), _INTERFACE.search(tail)) if tail else (None, None)
    if revision is not None:
        facts["revision"] = revision[1].lower()
    if tail and (driver := _DRIVER.search(tail)) is not None:
        facts["driver"] = driver[1]
    if (named := _CLASS.match(rest)) is not None:
        facts["class_name"], code, name = named.groups()
    elif (numeric := _NUMERIC.match(rest)) is not None:
        code, vendor, device = numeric.groups()
        name = ""
    else:
        class_name, colon, name = rest.partition(": ")
        class_name, _, name = (class_name, "", name) if colon else rest.partition("  ")
        if not name:
            class_name, name = "", rest
        code = class_code(class_name) or ""
        if class_name:
            facts["class_name"] = class_name
    if vendor and device:
        facts["vendor_id"], facts["device_id"] = vendor.lower(), device.lower()
    if code:
        facts["class_code"] = (code + interface[1] if interface is not None else code).lower()
    if name := name.strip():
        facts["device_name"] = name
    return path, address, facts


def address_of(path: str) -> Address | None:
    """The address at the end of a path, whose domain only the first of its parts may have; of ``-P`` the first part."""
    if "/" not in path:
        return parse_pci(path)
    first, _, _ = path.partition("/")
    last = path.rpartition("/")[2]
    domain = first.rpartition(":")[0].rpartition(":")[0]
    return parse_pci(f"{domain}:{last}" if domain and last.count(":") == 1 else last) or parse_pci(first)


def _columns(rest: str) -> Facts:
    """``-mm``: ``"VGA compatible controller [0300]" "Intel Corporation [8086]" "HD Graphics [1912]" -r06 -p00``."""
    names = ("class", "vendor", "device", "subsystem_vendor", "subsystem_device")
    options = {f"-{option}": value for option, value in re.findall(r" -([rp])([0-9a-f]{2})\b", rest)}
    more = {"revision": options.get("-r"), "interface": options.get("-p")}
    return facts_of({**dict(zip(names, _COLUMN.findall(rest), strict=False)), **more})


def joined(lines: list[str], kinds: list[str | None], at: int, text: str) -> tuple[str, int]:
    """``text``, the line at ``at``, with what a mail program wrapped onto the next ones, and how many lines that is.

    A line is continued only where that gives it the ids that it lacks: ``... NVIDIA Corporation`` and below it
    ``GP106 [10de:1c02]``.
    """
    whole = text
    if _IDS.search(text):
        return text, 1
    for count, more in enumerate(lines[at + 1 : at + 4], 1):
        if kinds[at + count] is not None or not more.strip() or more[0].isspace():
            break
        # A line is broken at a blank, or within brackets that are longer than the rest of it.
        text = text.rstrip() + ("" if _BROKEN.search(text) else " ") + more.strip()
        if (found := _IDS.search(text)) is not None:
            return (text, count + 1) if len(text) - found.end() < 40 else (whole, 1)
    return whole, 1
