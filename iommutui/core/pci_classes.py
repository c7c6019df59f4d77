"""Names of PCI classes, if no database of names is installed, and for listings that print no codes.

From the PCI Code and ID Assignment Specification, revision 1.15, in the words of ``pci.ids``.
"""

from functools import cache

_TABLE = """\
00 Unclassified device; 00 Non-VGA unclassified device
01 Mass storage controller; 00 SCSI storage controller; 01 IDE interface; 04 RAID bus controller; 05 ATA controller;\
 06 SATA controller; 07 Serial Attached SCSI controller; 08 Non-Volatile memory controller;\
 09 Universal Flash Storage controller
02 Network controller; 00 Ethernet controller; 07 Infiniband controller; 08 Fabric controller
03 Display controller; 00 VGA compatible controller; 02 3D controller
04 Multimedia controller; 00 Multimedia video controller; 01 Multimedia audio controller; 03 Audio device
05 Memory controller; 00 RAM memory; 01 FLASH memory; 02 CXL
06 Bridge; 00 Host bridge; 01 ISA bridge; 04 PCI bridge; 07 CardBus bridge; 09 Semi-transparent PCI-to-PCI bridge
07 Communication controller; 00 Serial controller; 01 Parallel controller; 02 Multiport serial controller; 03 Modem
08 Generic system peripheral; 00 PIC; 01 DMA controller; 02 Timer; 03 RTC; 04 PCI Hot-plug controller;\
 05 SD Host controller; 06 IOMMU; 80 System peripheral; 99 Timing Card
09 Input device controller
0a Docking station
0b Processor; 40 Co-processor
0c Serial bus controller; 00 FireWire (IEEE 1394); 03 USB controller; 04 Fibre Channel; 05 SMBus; 07 IPMI Interface;\
 09 CANBUS
0d Wireless controller; 11 Bluetooth; 12 Broadband
0e Intelligent controller
0f Satellite communications controller
10 Encryption controller; 00 Network and computing encryption device
11 Signal processing controller; 00 DPIO module; 01 Performance counters; 20 Signal processing management
12 Processing accelerators
13 Non-Essential Instrumentation
40 Coprocessor
ff Unassigned class
"""
"""A base class a line, and its sub-classes after it: those of machines that have an IOMMU."""


def class_name(code: str) -> str:
    """``030200`` -> ``3D controller``; else the base class's name, or ``Class 7f`` where there is none."""
    return _names().get(code[:4]) or _names().get(code[:2]) or f"Class {code[:2]}"


def class_code(name: str) -> str | None:
    """``PCI bridge`` -> ``0604``, and ``Bridge`` -> ``0680``; None for a name that is not in the table."""
    return _codes().get(name.strip().lower())


@cache
def _codes() -> dict[str, str]:
    with_subs = {code[:2] for code in _names() if len(code) == 4}
    other = {code: code + ("80" if code in with_subs else "00") for code in _names() if len(code) == 2}
    return {name.lower(): other.get(code, code) for code, name in _names().items()}


@cache
def _names() -> dict[str, str]:
    names = {}
    for line in _TABLE.splitlines():
        base, *subs = line.split("; ")
        names[base[:2]] = base[3:]
        names |= {base[:2] + sub[:2]: sub[3:] for sub in subs}
    return names
