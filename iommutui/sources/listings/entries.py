"""What formats with named fields have in common: JSON, tables, XML and records tell the same by other names."""

import re
from collections.abc import Mapping
from typing import Any, cast

from iommutui.core.address import Address, parse_pci
from iommutui.core.pci_classes import class_code
from iommutui.sources.listings.base import DRIVER, GROUP, NOTHING, Facts, Sighting

_LAST_ID = re.compile(r"(.*?)[ \t]*\[([0-9a-fA-F]{4})\]$")
_CODE = re.compile(r"[0-9a-f]{4}|[0-9a-f]{6}")
_ID = ("vendorid", "hex", "value", "id")
"""Fields of an object that stands for a vendor or device."""


def facts_of(entry: Mapping[str, Any]) -> Facts:
    """The facts of ``class``, ``vendor``, ``device``, ``subsystem_...``, ``revision``, ``driver`` and ``iommugroup``.

    An id is ``0x10de``, ``10de``, ``GP106 [1c02]``, or an object with one of these.
    """
    group = str(entry.get("iommugroup", ""))
    class_name, code = split_id(_string(entry.get("class")))
    code = code or id_of(entry.get("class")) or class_code(class_name)
    interface = _string(entry.get("interface")).lower()
    found = {
        "vendor_id": id_of(entry.get("vendor")),
        "device_id": id_of(entry.get("device")),
        "subsystem_vendor_id": id_of(entry.get("subsystem_vendor")),
        "subsystem_device_id": id_of(entry.get("subsystem_device")),
        "class_code": f"{code}{interface if len(code) == 4 else ''}" if code else None,
        "revision": _string(entry.get("revision")).lower() or None,
        "driver": _string(entry.get("driver")) or None,
        "group": int(group) if re.fullmatch(r"\d{1,9}", group) else None,
        "vendor_name": _name(entry.get("vendor_name") or entry.get("vendor")),
        "device_name": _name(entry.get("device_name") or entry.get("device")),
        "class_name": _name(entry.get("class")),
    }
    return cast(Facts, {name: value for name, value in found.items() if value is not None})


def sighting_of(entry: Mapping[str, Any], address: Address, line: int, *, drivers: bool) -> Sighting:
    """The sighting of an entry; ``drivers`` where the format tells them."""
    tells = (DRIVER if drivers else NOTHING) | (GROUP if "iommugroup" in entry else NOTHING)
    return Sighting(line, address, facts_of(entry), tells)


def split_id(text: str) -> tuple[str, str | None]:
    """``Intel Corporation [8086]`` -> the name and the id; ``8086`` alone is an id."""
    match = _LAST_ID.match(text)
    if match is not None:
        return match[1], match[2].lower()
    return ("", text.lower()) if re.fullmatch(r"[0-9a-fA-F]{4}", text) else (text, None)


def id_of(value: Any) -> str | None:
    """Four or six hex digits, in lower case."""
    if isinstance(value, dict):
        return next((found for name in _ID if (found := id_of(value.get(name))) is not None), None)
    text = _string(value).strip().lower()
    digits = text[2:].zfill(4) if text.startswith("0x") else text
    return digits if _CODE.fullmatch(digits) else split_id(_string(value))[1]


def address_in(value: Any) -> Address | None:
    """The address that a value is."""
    return parse_pci(_string(value))


def _name(value: Any) -> str | None:
    if isinstance(value, dict):
        return _name(value.get("name"))
    name, _ = split_id(_string(value).strip())
    return name if name and not name.startswith("0x") and not _CODE.fullmatch(name) else None


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""
