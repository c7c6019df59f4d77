"""Names of devices as the kernel spells them, and the other spellings people use."""

import re
from typing import NewType

Address = NewType("Address", str)
"""A device's name on its bus. For PCI ``DDDD:BB:DD.F`` in lower case, with a domain of 4 to 8 hex digits."""

_PCI = r"(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[01][0-9a-f]\.[0-7])"  # compiled where somebody types one
_FUNCTION = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]")


def parse_pci(text: str) -> Address | None:
    """The address in ``0000:01:00.0``, ``01:00.0`` (domain 0000) or libvirt's ``pci_0000_01_00_0``; else None.

    The kernel writes a domain with at least 4 digits, some tools always with 8 (``00000000:01:00.0``).
    """
    full = f"0000:{text}" if len(text) == 7 else text
    if len(full) == 12 and _FUNCTION.fullmatch(full):
        return Address(full)
    text = text.lower()
    if text.startswith("pci_"):
        text = text[4:].replace("_", ":", 2).replace("_", ".")
    match = re.fullmatch(_PCI, text)
    return Address(f"{int(match[1] or '0', 16):04x}:{match[2]}") if match is not None else None


def is_pci(address: str) -> bool:
    """Whether the name is the address of a PCI function as a kernel spells it: with its domain, in lower case."""
    return _FUNCTION.fullmatch(address) is not None


def sort_key(address: str) -> tuple[int, int, str]:
    """Orders PCI addresses by domain, bus, slot and function, and other names after them."""
    return (0, int(address[:-8], 16), address[-7:]) if is_pci(address) else (1, 0, address)


def domain_of(address: str) -> str:
    """The PCI domain: ``0000``, or ``10000`` behind Intel's VMD."""
    return address.partition(":")[0]


def card_of(address: str) -> str:
    """The part of the address that the functions of one card share: ``0000:01:00.1`` -> ``0000:01:00``."""
    return address.rpartition(".")[0]


def nodedev_name(address: str) -> str:
    """libvirt's spelling: ``0000:01:00.0`` -> ``pci_0000_01_00_0``."""
    return "pci_" + address.replace(":", "_").replace(".", "_")
