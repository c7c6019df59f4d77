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
}  # fmt: skip


def kind_word(device: Device) -> str:
    """One word for what the device is."""
    if device.bus != "pci":
        return device.bus
    code = (device.class_code or "")[:4]
    return _KINDS.get(code) or {"02": "Network", "03": "Display", "01": "Storage", "06": "Bridge"}.get(
        code[:2], class_words(device)
    )


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
