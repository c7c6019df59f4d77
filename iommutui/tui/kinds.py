"""What a device is, in one word, and how much it matters to somebody who hands devices over. Pure."""

from iommutui.core.host import Device, Host
from iommutui.core.labels import class_words
from iommutui.tui.memo import last_call

_KINDS = {
    "0100": "SCSI", "0101": "IDE", "0104": "RAID", "0106": "SATA", "0107": "SAS", "0108": "NVMe", "0200": "Ethernet",
    "0280": "Network", "0207": "InfiniBand", "0300": "VGA", "0302": "3D", "0380": "Display", "0400": "Video",
    "0401": "Audio", "0403": "Audio", "0500": "RAM", "0600": "Host", "0601": "ISA", "0604": "Bridge",
    "0607": "CardBus", "0700": "Serial", "0805": "SD card", "0806": "IOMMU", "0c03": "USB", "0c05": "SMBus",
    "0c80": "Serial", "1300": "Other", "0d11": "Bluetooth", "1080": "Crypto", "1000": "Crypto", "1200": "Accel",
    "0780": "Comms", "0880": "System", "0b40": "Coproc", "1101": "Counters", "1180": "Signal",
}  # fmt: skip
_KINDS_OF_BASE = {"00": "Other", "01": "Storage", "02": "Network", "03": "Display", "04": "Media", "05": "Memory",
                  "06": "Bridge", "07": "Comms", "08": "System", "09": "Input", "0d": "Wireless",
                  "ff": "Other"}  # fmt: skip


def kind_word(device: Device) -> str:
    """One word for what the device is."""
    if device.bus != "pci":
        return device.bus
    code = (device.class_code or "")[:4]
    return _KINDS.get(code) or _KINDS_OF_BASE.get(code[:2]) or class_words(device)


def rank(device: Device) -> int:
    """Displays first, then what else is handed over often; what only holds the machine together last."""
    code = device.class_code or ""
    return 8 if structural(device) else {"03": 0, "12": 1, "02": 2, "01": 3, "0c": 4, "04": 5}.get(code[:2], 6)


def structural(device: Device) -> bool:
    """Whether it holds the machine together, and is never handed over."""
    return device.is_bridge or (device.class_code or "")[:4] == "0600"


@last_call
def bridges_only(host: Host) -> frozenset[int | None]:
    """Groups that hold nothing to hand over: they are folded at first."""
    return frozenset(
        group.id
        for group in host.groups.values()
        if all((d := host.devices.get(a)) is not None and structural(d) for a in group.members)
    )
