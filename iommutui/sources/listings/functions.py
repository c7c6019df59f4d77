"""The line that names a PCI function, as ``lspci`` prints it and everybody copies it.

``00:01.0 PCI bridge [0604]: Intel Corporation 6th-10th Gen Core Processor (x16) [8086:1901] (rev 07)``; pciutils 3.13,
``show_terse``.
"""

import re

from iommutui.core.address import Address, parse_pci
from iommutui.core.host import Device
from iommutui.sources.listings.classes import class_code

BDF = r"(?:[0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7]"
"""An address, with or without its domain."""

FULL = r"(?<![0-9a-fA-F:])[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7](?![0-9a-fA-F.])"
"""An address with its domain, anywhere in a line."""

PATH = rf"{BDF}(?:/(?:[0-9a-fA-F]{{2}}:)?[01][0-9a-fA-F]\.[0-7])*"
"""An address, or the way to it: ``00:01.0/01:00.0`` (``-PP``), ``00:01.0/00.0`` (``-P``)."""

_LINE = re.compile(rf"({PATH})[ \t,]+(?:- )?(?:Class )?(\S.*)")
_TAIL = re.compile(
    r"[ \t]*\((?:rev ([0-9a-fA-F]{2})|prog-if ([0-9a-fA-F]{2})(?: \[[^\]]*\])?|[^()\[\]]{0,40})\)[ \t]*$"
)
_CLASS = re.compile(r"(.*?)[ \t]?\[([0-9a-fA-F]{4})\]:[ \t]*(.*)")
_NUMERIC = re.compile(r"([0-9a-fA-F]{4}):[ \t]*([0-9a-fA-F]{4}:[0-9a-fA-F]{4})\b(.*)")
_IDS = re.compile(r"\[([0-9a-fA-F]{4}):([0-9a-fA-F]{4})\]")
_COLUMN = re.compile(r'"([^"]*)"')
_BROKEN = re.compile(r"\[[0-9a-fA-F]{0,4}:?\s*$")
_LAST_ID = re.compile(r"(.*?)[ \t]*\[([0-9a-fA-F]{4})\]$")


def parse_function(text: str) -> tuple[Device, str] | None:
    """The function that a line names, and its address as it is written there; None for any other line."""
    match = _LINE.match(text)
    if match is None:
        return None
    path, rest = match.groups()
    address = address_of(path)
    if address is None:
        return None
    if rest.startswith('"'):
        return _columns(address, rest), path
    rest, revision, interface = _without_tail(rest.rstrip())
    numeric = _NUMERIC.match(rest)
    if numeric is not None:
        code, ids, rest = numeric[1], numeric[2], rest.replace(numeric[2], f"[{numeric[2]}]", 1)
        class_name, name = None, ""
    elif (named := _CLASS.match(rest)) is not None:
        class_name, code, name = named.groups()
        ids = ""
    else:
        class_name, colon, name = rest.partition(": ")
        if not colon:
            class_name, name = "", rest
        code, ids = class_code(class_name) or "", ""
    found = list(_IDS.finditer(rest))
    if found:
        ids = f"{found[-1][1]}:{found[-1][2]}"
        name = name if numeric is not None else name[: max(0, name.rfind(found[-1][0]))].rstrip()
    vendor, _, product = ids.lower().partition(":")
    return Device(
        address=address,
        vendor_id=vendor or None,
        device_id=product or None,
        class_code=_with_interface(code.lower(), interface),
        revision=revision,
        class_name=class_name or None,
        device_name=name or None,
    ), path


def address_of(path: str) -> Address | None:
    """The address at the end of a path, whose domain only the first of its parts may have; of ``-P`` the first part."""
    first, _, _ = path.partition("/")
    last = path.rpartition("/")[2]
    domain = first.rpartition(":")[0].rpartition(":")[0]
    return parse_pci(f"{domain}:{last}" if domain and last.count(":") == 1 else last) or parse_pci(first)


def _without_tail(rest: str) -> tuple[str, str | None, str]:
    """A line without ``(rev 07) (prog-if 00 [Normal decode])``, the revision, and the interface."""
    revision, interface = None, ""
    while (tail := _TAIL.search(rest)) is not None and (tail[1] or tail[2]):
        revision, interface = (tail[1] or revision), (tail[2] or interface)
        rest = rest[: tail.start()]
    return rest, revision.lower() if revision else None, interface.lower()


def _with_interface(code: str, interface: str) -> str | None:
    """Four digits where the programming interface is not shown."""
    return code + interface if code else None


def _columns(address: Address, rest: str) -> Device:
    """``-mm``: ``"VGA compatible controller [0300]" "Intel Corporation [8086]" "HD Graphics [1912]" -r06``."""
    class_, vendor, product, *more = [*_COLUMN.findall(rest), "", "", ""]
    class_name, code = split_id(class_)
    vendor_name, vendor_id = split_id(vendor)
    device_name, device_id = split_id(product)
    revision = re.search(r"-r([0-9a-f]{2})\b", rest)
    interface = re.search(r"-p([0-9a-f]{2})\b", rest)
    return Device(
        address=address,
        vendor_id=vendor_id,
        device_id=device_id,
        subsystem_vendor_id=split_id(more[0])[1],
        subsystem_device_id=split_id(more[1])[1] if len(more) > 1 else None,
        class_code=_with_interface(code or class_code(class_name) or "", interface[1] if interface else ""),
        revision=revision[1] if revision else None,
        class_name=class_name or None,
        vendor_name=vendor_name or None,
        device_name=device_name or None,
    )


def split_id(text: str) -> tuple[str, str | None]:
    """``Intel Corporation [8086]`` -> the name and the id; ``8086`` alone is an id."""
    match = _LAST_ID.match(text)
    if match is not None:
        return match[1], match[2].lower()
    return ("", text.lower()) if re.fullmatch(r"[0-9a-fA-F]{4}", text) else (text, None)


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
