"""What every view of the rows shares: which there are, what a device is in a word, what it is used for. Pure."""

from iommutui.core.host import Device, Host
from iommutui.core.labels import class_words
from iommutui.core.cache import last_call


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


class Listing(NamedTuple):
    """The rows that are on the list, in order."""

    keys: tuple[Key, ...]
    begins: Mapping[Key, int]
    """Where the rows of groups are; in the topology, which has none, where every row is."""
    shown: int
    total: int
    """Devices that pass the filter, and all of them."""

    def place(self, key: Key | None) -> int | None:
        """Where a row is, or None where it is not on the list."""
        if key is None or key in self.begins:
            return None if key is None else self.begins[key]
        first = self.begins.get(Key(key.group))
        if first is not None:
            for index in range(first + 1, len(self.keys)):
                if self.keys[index] == key:
                    return index
                if self.keys[index].device is None:
                    break
        return None


EMPTY = Listing((), {}, 0, 0)


class Every(NamedTuple):
    """Every row of a machine, folded or not, and the widths of its columns."""

    blocks: dict[int | None, tuple[Key, ...]]
    """Of each group its own row, and those of its members."""
    address: int
    number: int


@last_call
def every(host: Host) -> Every:
    """The rows of a machine."""
    blocks: dict[int | None, tuple[Key, ...]] = {}
    for number, group in host.groups.items():
        members = group.members
        if len(members) > 1:
            members = tuple(sorted(members, key=sort_key))
        blocks[number] = (Key(number), *[Key(number, a) for a in members if a in host.devices])
    alone = [Key(None, d.address) for d in host.devices.values() if d.group is None or d.group not in host.groups]
    if alone:
        blocks[None] = (Key(None), *alone)
    return Every(
        blocks,
        max([12, *(len(address) for address in host.devices)]),
        max([2, *(len(str(number)) for number in host.groups)]),
    )


@last_call
def texts(host: Host) -> dict[Address, str]:
    """What a filter's words are looked for in."""
    return {device.address: searched_text(device) for device in host.devices.values()}


@last_call
def used_for(host: Host) -> dict[Address, tuple[str, ...]]:
    """What the machine does with each device, in a few words."""
    return marks_of(host)
