"""Configuration space as ``lspci -x`` to ``-xxxx`` prints it: ``00: 86 80 01 19 ...``."""

import re
from typing import Any

from iommutui.sources import pci_config

_ROW = re.compile(r"^\s*([0-9a-fA-F]{2,3}): ((?:[0-9a-fA-F]{2}[ \t]?){16})\s*$", re.MULTILINE)
_SECONDARY_BUS = 0x19
_BRIDGE, _CARDBUS = 1, 2


def read_dump(details: str) -> dict[str, Any]:
    """Fields of a `Device`, and ``below``, the bus behind a bridge; nothing where the dump is cut or reads as ones."""
    data = bytearray()
    for row in _ROW.finditer(details):
        if int(row[1], 16) != len(data):
            break
        data += bytes.fromhex(row[2])
    return of_bytes(bytes(data))


def of_bytes(header: bytes) -> dict[str, Any]:
    """The same of the bytes themselves."""
    if len(header) < pci_config.HEADER or not pci_config.answers(header, False):
        return {}
    kind = pci_config.header_type(header)
    facts: dict[str, Any] = {
        "vendor_id": _word(header, 0),
        "device_id": _word(header, 2),
        "revision": pci_config.revision(header),
        "class_code": bytes(reversed(header[9:12])).hex(),
        "header_type": kind,
        "multifunction": pci_config.multifunction(header),
    }
    if kind == 0 and header[0x2C:0x30].strip(b"\0"):
        facts |= {"subsystem_vendor_id": _word(header, 0x2C), "subsystem_device_id": _word(header, 0x2E)}
    if kind in (_BRIDGE, _CARDBUS) and header[_SECONDARY_BUS]:
        facts["below"] = f"{header[_SECONDARY_BUS]:02x}"
    if len(header) >= 256:
        facts["pcie_type"] = pci_config.pcie_type(header, lambda offset: header[offset : offset + 4])
    return facts


def _word(data: bytes, offset: int) -> str:
    return f"{int.from_bytes(data[offset : offset + 2], 'little'):04x}"
