"""Codes of PCI classes by the names that ``lspci`` prints where it is not asked for numbers (pci.ids, 2024)."""

_BY_BASE = {
    "00": "00 Non-VGA unclassified device|01 VGA compatible unclassified device",
    "01": "00 SCSI storage controller|01 IDE interface|04 RAID bus controller|05 ATA controller|06 SATA controller"
    "|07 Serial Attached SCSI controller|08 Non-Volatile memory controller|09 Universal Flash Storage controller"
    "|80 Mass storage controller",
    "02": "00 Ethernet controller|07 Infiniband controller|08 Fabric controller|80 Network controller",
    "03": "00 VGA compatible controller|01 XGA compatible controller|02 3D controller|80 Display controller",
    "04": "00 Multimedia video controller|01 Multimedia audio controller|03 Audio device|80 Multimedia controller",
    "05": "00 RAM memory|01 FLASH memory|02 CXL|80 Memory controller",
    "06": "00 Host bridge|01 ISA bridge|04 PCI bridge|05 PCMCIA bridge|07 CardBus bridge"
    "|09 Semi-transparent PCI-to-PCI bridge|0a InfiniBand to PCI host bridge|80 Bridge",
    "07": "00 Serial controller|01 Parallel controller|02 Multiport serial controller|03 Modem"
    "|80 Communication controller",
    "08": "00 PIC|01 DMA controller|02 Timer|03 RTC|04 PCI Hot-plug controller|05 SD Host controller|06 IOMMU"
    "|80 System peripheral",
    "09": "00 Keyboard controller|02 Mouse controller|80 Input device controller",
    "0b": "20 Power PC|40 Co-processor",
    "0c": "00 FireWire (IEEE 1394)|03 USB controller|04 Fibre Channel|05 SMBus|06 InfiniBand|07 IPMI Interface"
    "|09 CANBUS|80 Serial bus controller",
    "0d": "00 IRDA controller|10 RF controller|11 Bluetooth|20 802.1a controller|21 802.1b controller"
    "|80 Wireless controller",
    "10": "00 Network and computing encryption device|10 Entertainment encryption device|80 Encryption controller",
    "11": "00 DPIO module|01 Performance counters|10 Communication synchronizer|20 Signal processing management"
    "|80 Signal processing controller",
    "12": "00 Processing accelerators",
}

_CODES = {entry[3:].lower(): base + entry[:2] for base, entries in _BY_BASE.items() for entry in entries.split("|")}


def class_code(name: str) -> str | None:
    """``PCI bridge`` -> ``0604``; None for a name that is not in the table."""
    return _CODES.get(name.strip().lower())
