"""What a listing tells of a function, whoever prints it and by whatever names."""

import re
from collections.abc import Mapping
from typing import Any, TypedDict, cast

from iommutui.core.address import Address
from iommutui.core.pci_classes import class_code
from iommutui.sources import pci_config

BDF = r"(?:[0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7]"
"""An address, with or without its domain."""

FULL = r"(?<![0-9a-fA-F:])[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7](?![0-9a-fA-F.])"
"""An address with its domain, anywhere in a line."""

IDS = r"\[([0-9a-fA-F]{4}):([0-9a-fA-F]{4})\]"

_LAST_ID = re.compile(r"(.*?)[ \t]*\[([0-9a-fA-F]{4})\]$")
_CODE = re.compile(r"[0-9a-f]{4}|[0-9a-f]{6}")
_ID_FIELDS = ("vendorid", "hex", "value", "id")
"""Fields of an object that stands for a vendor or device."""


class Facts(TypedDict, total=False):
    """Fields of a `Device`, as far as they are told: a driver or group of None is one that it has not."""

    vendor_id: str
    device_id: str
    subsystem_vendor_id: str
    subsystem_device_id: str
    class_code: str
    revision: str
    header_type: int
    multifunction: bool
    pcie_type: int
    modalias: str
    driver: str | None
    driver_override: str
    group: int | None
    parent: Address | None
    physfn: Address
    iommu: str
    vendor_name: str | None
    device_name: str | None
    class_name: str | None


UNTOLD = "?"
"""The driver of a function, where the listing tells drivers and of this one that it does not know."""


def facts_of(entry: Mapping[str, Any]) -> Facts:
    """The facts of ``class``, ``vendor``, ``device``, ``subsystem_...``, ``revision``, ``driver`` and ``iommugroup``.

    An id is ``0x10de``, ``10de``, ``GP106 [1c02]``, or an object with one of these. A driver or group that is there and
    is none is None.
    """
    group = str(entry.get("iommugroup", ""))
    class_name, code = _split_id(_string(entry.get("class")))
    code = code or _id_of(entry.get("class")) or class_code(class_name)
    interface = _string(entry.get("interface")).lower()
    found = {
        "vendor_id": _id_of(entry.get("vendor")),
        "device_id": _id_of(entry.get("device")),
        "subsystem_vendor_id": _id_of(entry.get("subsystem_vendor")),
        "subsystem_device_id": _id_of(entry.get("subsystem_device")),
        "class_code": f"{code}{interface if len(code) == 4 else ''}" if code else None,
        "revision": _string(entry.get("revision")).lower() or None,
        "vendor_name": _name(entry.get("vendor_name") or entry.get("vendor")),
        "device_name": _name(entry.get("device_name") or entry.get("device")),
        "class_name": _name(entry.get("class")),
    }
    facts = cast(Facts, {name: value for name, value in found.items() if value is not None})
    if "driver" in entry:
        facts["driver"] = _string(entry["driver"]) or None
    if "iommugroup" in entry:
        facts["group"] = int(group) if re.fullmatch(r"\d{1,9}", group) else None
    return facts


def _split_id(text: str) -> tuple[str, str | None]:
    """``Intel Corporation [8086]`` -> the name and the id; ``8086`` alone is an id."""
    match = _LAST_ID.match(text)
    if match is not None:
        return match[1], match[2].lower()
    return ("", text.lower()) if re.fullmatch(r"[0-9a-fA-F]{4}", text) else (text, None)


def _id_of(value: Any) -> str | None:
    """Four or six hex digits, in lower case."""
    if isinstance(value, dict):
        return next((found for name in _ID_FIELDS if (found := _id_of(value.get(name))) is not None), None)
    text = _string(value).strip().lower()
    digits = text[2:].zfill(4) if text.startswith("0x") else text
    return digits if _CODE.fullmatch(digits) else _split_id(_string(value))[1]


def _name(value: Any) -> str | None:
    if isinstance(value, dict):
        return _name(value.get("name"))
    name, _ = _split_id(_string(value).strip())
    return name if name and not name.startswith("0x") and not _CODE.fullmatch(name) else None


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def of_config(config: bytes) -> tuple[Facts, str | None]:
    """What configuration space tells, and the bus behind a bridge; nothing where it is cut or reads as ones."""
    if len(config) < pci_config.HEADER or not pci_config.answers(config, False):
        return {}, None
    kind = pci_config.header_type(config)
    facts: Facts = {
        "vendor_id": config[1::-1].hex(),
        "device_id": config[3:1:-1].hex(),
        "revision": pci_config.revision(config),
        "class_code": config[11:8:-1].hex(),
        "header_type": kind,
        "multifunction": pci_config.multifunction(config),
    }
    if kind == 0 and any(config[0x2C:0x30]):
        facts |= {"subsystem_vendor_id": config[0x2D:0x2B:-1].hex(), "subsystem_device_id": config[0x2F:0x2D:-1].hex()}
    if len(config) >= 256:
        port = pci_config.pcie_type(config, lambda offset: config[offset : offset + 4])
        facts.update({} if port is None else {"pcie_type": port})
    bus = config[0x19] if kind in (1, 2) else 0
    return facts, f"{bus:02x}" if bus else None
