"""Configuration space as ``lspci -x`` to ``-xxxx`` prints it: ``00: 86 80 01 19 ...``."""

import re

from iommutui.sources import pci_config
from iommutui.sources.listings.base import Facts

_ROW = re.compile(r"^\s*([0-9a-fA-F]{2,3}): ((?:[0-9a-fA-F]{2}[ \t]?){16})\s*$", re.MULTILINE)
_SECONDARY_BUS = 0x19
_BRIDGE, _CARDBUS = 1, 2


def read_dump(details: str) -> tuple[Facts, str | None]:
    """What it tells, and the bus behind a bridge; nothing where the dump is cut or reads as ones."""
    data = bytearray()
    for row in _ROW.finditer(details):
        if int(row[1], 16) != len(data):
            break
        data += bytes.fromhex(row[2])
    return of_bytes(bytes(data))


def of_bytes(header: bytes) -> tuple[Facts, str | None]:
    """The same of the bytes themselves."""
    if len(header) < pci_config.HEADER or not pci_config.answers(header, False):
        return {}, None
    kind = pci_config.header_type(header)
    facts: Facts = {
        "vendor_id": _word(header, 0),
        "device_id": _word(header, 2),
        "revision": pci_config.revision(header),
        "class_code": bytes(reversed(header[9:12])).hex(),
        "header_type": kind,
        "multifunction": pci_config.multifunction(header),
    }
    if kind == 0 and header[0x2C:0x30].strip(b"\0"):
        facts |= {"subsystem_vendor_id": _word(header, 0x2C), "subsystem_device_id": _word(header, 0x2E)}
    if len(header) >= 256:
        port = pci_config.pcie_type(header, lambda offset: header[offset : offset + 4])
        facts.update({} if port is None else {"pcie_type": port})
    bus = header[_SECONDARY_BUS] if kind in (_BRIDGE, _CARDBUS) else 0
    return facts, f"{bus:02x}" if bus else None


def _word(data: bytes, offset: int) -> str:
    return f"{int.from_bytes(data[offset : offset + 2], 'little'):04x}"
