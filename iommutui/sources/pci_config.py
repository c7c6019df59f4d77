"""Facts from a function's configuration space. Pure: bytes in, values out.

Only the header and the wanted capability are read: some chips lock up when undefined bytes are read, which is why the
kernel shows unprivileged users only the first 64 bytes.
"""

from collections.abc import Callable

HEADER = 64
_STATUS, _REVISION, _HEADER_TYPE = 0x06, 0x08, 0x0E
_HAS_CAPABILITIES = 0x10
_FIRST_CAPABILITY = {0: 0x34, 1: 0x34, 2: 0x14}
_PCI_EXPRESS = 0x10


def answers(header: bytes, is_vf: bool) -> bool:
    """False if a device reads as all ones; a virtual function has no ids of its own there, even while it works."""
    return header[:16].strip(b"\xff") != b"" if is_vf else header[:4] != b"\xff\xff\xff\xff"


def revision(header: bytes) -> str:
    """Two hex digits; of 16 bytes or more, as the two below."""
    return f"{header[_REVISION]:02x}"


def header_type(header: bytes) -> int:
    """0 normal, 1 PCI-to-PCI bridge, 2 CardBus bridge; without the bit that says multi-function."""
    return header[_HEADER_TYPE] & 0x7F


def multifunction(header: bytes) -> bool:
    """The bit that ``header_type`` leaves out."""
    return bool(header[_HEADER_TYPE] & 0x80)


def pcie_type(header: bytes, read: Callable[[int], bytes]) -> int | None:
    """Device/port type of the PCI Express capability; ``read(offset)`` gives 4 bytes, or fewer if none are shown."""
    if len(header) < HEADER or not header[_STATUS] & _HAS_CAPABILITIES:
        return None
    pointer = header[_FIRST_CAPABILITY.get(header_type(header), 0x34)] & 0xFC
    seen: set[int] = set()
    while pointer >= HEADER and pointer not in seen:
        seen.add(pointer)
        capability = read(pointer)
        if len(capability) < 4:
            return None
        if capability[0] == _PCI_EXPRESS:
            return capability[2] >> 4
        pointer = capability[1] & 0xFC
    return None
