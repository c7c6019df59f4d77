"""The built-in machine: an invented desktop, composed so that every state of the screen appears on it.

A boot GPU has the monitors, a second card could go to a virtual machine, and the chipset's group holds the keyboard and
the default route. A virtual machine uses a disk, and firmware prevents a storage card from being handed over.
"""

from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.drivers import VFIO_PCI
from iommutui.core.host import (
    Bar,
    Claim,
    Details,
    Device,
    Driver,
    Fit,
    Group,
    Host,
    Iommu,
    Region,
    by_address,
    by_number,
)
from iommutui.core.pci_classes import class_name
from iommutui.core.uses import Held, Input, Network, Opener, Screen, Sound, Storage, Uses

_VENDORS = {
    "1000": "Broadcom / LSI",
    "1002": "Advanced Micro Devices, Inc. [AMD/ATI]",
    "1022": "Advanced Micro Devices, Inc. [AMD]",
    "10de": "NVIDIA Corporation",
    "10ec": "Realtek Semiconductor Co., Ltd.",
    "144d": "Samsung Electronics Co Ltd",
    "1912": "Renesas Technology Corp.",
    "8086": "Intel Corporation",
}


class _Row(NamedTuple):
    address: str
    ids: str
    code: str
    name: str
    group: int | None = None
    driver: str | None = None
    fits: tuple[str, ...] = ()
    """Host drivers that fit, beside the one that it is on."""
    below: tuple[str, ...] = ()
    """The buses below a bridge, which is always on ``pcieport``."""


_ROWS = (
    _Row("00:00.0", "1022:1480", "060000", "Starship/Matisse Root Complex"),
    _Row("00:00.2", "1022:1481", "080600", "Starship/Matisse IOMMU"),
    _Row("00:01.0", "1022:1482", "060000", "Starship/Matisse PCIe Dummy Host Bridge", 0),
    _Row("00:01.1", "1022:1483", "060400", "Starship/Matisse GPP Bridge", 1, below=("01",)),
    _Row("00:01.2", "1022:1483", "060400", "Starship/Matisse GPP Bridge", 2, below=("02",)),
    _Row("00:02.0", "1022:1482", "060000", "Starship/Matisse PCIe Dummy Host Bridge", 3),
    _Row("00:03.0", "1022:1482", "060000", "Starship/Matisse PCIe Dummy Host Bridge", 4),
    _Row("00:03.1", "1022:1483", "060400", "Starship/Matisse GPP Bridge", 5, below=("06",)),
    _Row("00:03.2", "1022:1483", "060400", "Starship/Matisse GPP Bridge", 6, below=("09",)),
    _Row("00:03.3", "1022:1483", "060400", "Starship/Matisse GPP Bridge", 7, below=("0a",)),
    _Row("00:03.4", "1022:1483", "060400", "Starship/Matisse GPP Bridge", 8, below=("0b", "0d")),
    _Row("00:08.1", "1022:1484", "060400", "Starship/Matisse Internal PCIe GPP Bridge 0 to bus[E:B]", 9, below=("0c",)),
    _Row("00:14.0", "1022:790b", "0c0500", "FCH SMBus Controller", 10, "piix4_smbus"),
    _Row("00:14.3", "1022:790e", "060100", "FCH LPC Bridge", 10),
    _Row("01:00.0", "144d:a808", "010802", "NVMe SSD Controller SM981/PM981/PM983", 11, "nvme"),
    _Row("02:00.0", "1022:43ee", "0c0330", "500 Series Chipset USB 3.1 XHCI Controller", 12, "xhci_hcd"),
    _Row("02:00.1", "1022:43eb", "010601", "500 Series Chipset SATA Controller", 12, "ahci"),
    _Row("02:00.2", "1022:43e9", "060400", "500 Series Chipset Switch Upstream Port", 12, below=("03",)),
    _Row("03:08.0", "1022:43ea", "060400", "500 Series Chipset Switch Downstream Port", 12, below=("04",)),
    _Row("03:09.0", "1022:43ea", "060400", "500 Series Chipset Switch Downstream Port", 12, below=("05",)),
    _Row("04:00.0", "8086:2723", "028000", "Wi-Fi 6 AX200", 12, "iwlwifi"),
    _Row("05:00.0", "10ec:8125", "020000", "RTL8125 2.5GbE Controller", 12, "r8169"),
    _Row("06:00.0", "1002:1478", "060400", "Navi 10 XL Upstream Port of PCI Express Switch", 13, below=("07",)),
    _Row("07:00.0", "1002:1479", "060400", "Navi 10 XL Downstream Port of PCI Express Switch", 14, below=("08",)),
    _Row("08:00.0", "1002:73ff", "030000", "Navi 23 [Radeon RX 6600/6600 XT/6600M]", 15, "amdgpu"),
    _Row("08:00.1", "1002:ab28", "040300", "Navi 21/23 HDMI/DP Audio Controller", 16, "snd_hda_intel"),
    _Row("09:00.0", "10de:1f08", "030000", "TU106 [GeForce RTX 2060 Rev. A]", 17, "nouveau", ("nvidia",)),
    _Row("09:00.1", "10de:10f9", "040300", "TU106 High Definition Audio Controller", 17, "snd_hda_intel"),
    _Row("09:00.2", "10de:1ada", "0c0330", "TU106 USB 3.1 Host Controller", 17, "xhci_hcd"),
    _Row("09:00.3", "10de:1adb", "0c8000", "TU106 USB Type-C UCSI Controller", 17, "nvidia-gpu"),
    _Row("0a:00.0", "1912:0015", "0c0330", "uPD720202 USB 3.0 Host Controller", 18, VFIO_PCI, ("xhci_hcd",)),
    _Row("0b:00.0", "144d:a809", "010802", "NVMe SSD Controller 980", 19, VFIO_PCI, ("nvme",)),
    _Row("0c:00.0", "1022:1485", "130000", "Starship/Matisse Reserved SPP", 20),
    _Row("0c:00.3", "1022:149c", "0c0330", "Matisse USB 3.0 Host Controller", 21, "xhci_hcd"),
    _Row("0c:00.4", "1022:1487", "040300", "Starship/Matisse HD Audio Controller", 22, "snd_hda_intel"),
    _Row("0d:00.0", "1000:0097", "010700", "SAS3008 PCI-Express Fusion-MPT SAS-3", 23, None, ("mpt3sas",)),
)

_PORTS = {bus: row.address for row in _ROWS for bus in row.below}
"""The port above each bus."""

_NOT_LOADED = ("nvidia", "mpt3sas")
_MODULES = {"xhci_hcd": "xhci_pci", "nvidia-gpu": "i2c_nvidia_gpu", "piix4_smbus": "i2c_piix4", "pcieport": None}
_MODULES |= {"vfio-pci": "vfio_pci", "pci-stub": "pci_stub"}
_INTERFACES = {"05:00.0": ("enp5s0",), "04:00.0": ("wlp4s0",)}
_NO_RESET = ("02:00.1", "0d:00.0")


def _full(short: str) -> Address:
    return Address(f"0000:{short}")


def _details(row: _Row, parent: str | None) -> Details:
    bridge = row.code.startswith("0604")
    gpu = row.code.startswith("03")
    reset, width, size = (("pm", "bus"), "16", 0x1000_0000) if gpu else (("flr", "bus"), "4", 0x4000)
    # Each device gets a window of its own, so that no two BARs overlap.
    base = 0xC000_0000 + int(row.address[:2], 16) * 0x1100_0000 + int(row.address[-1]) * 0x100_0000
    return Details(
        numa_node=-1,
        reset_methods=() if bridge or row.address in _NO_RESET else reset,
        power_state="D3hot" if row.driver == VFIO_PCI else "D0",
        d3cold_allowed=True,
        bars=() if bridge or row.group is None else (Bar(0, base, size, 0x40200),),
        link_speed="8.0 GT/s PCIe" if parent else None,
        link_width=width if parent else None,
        config_answers=True,
    )


def _device(row: _Row) -> Device:
    vendor, product = row.ids.split(":")
    bridge = row.code.startswith("0604")
    parent = _PORTS.get(row.address[:2])
    driver = "pcieport" if bridge else row.driver
    own = () if driver in (None, VFIO_PCI) else (driver,)
    return Device(
        address=_full(row.address),
        vendor_id=vendor,
        device_id=product,
        subsystem_vendor_id=None if bridge else "1043",
        subsystem_device_id=None if bridge else "87c0",
        class_code=row.code,
        revision="a1" if vendor == "10de" else "00",
        header_type=1 if bridge else 0,
        modalias=f"pci:v0000{vendor.upper()}d0000{product.upper()}sv00001043sd000087C0"
        f"bc{row.code[:2].upper()}sc{row.code[2:4].upper()}i{row.code[4:].upper()}",
        driver=driver,
        driver_override=row.driver if row.driver == VFIO_PCI else None,
        group=row.group,
        parent=_full(parent) if parent else None,
        boot_vga={"08:00.0": True, "09:00.0": False}.get(row.address),
        vfio_dev=(f"vfio{0 if row.address.startswith('0a') else 1}",) if row.driver == VFIO_PCI else None,
        iommu=None if row.group is None else "ivhd0",
        interfaces=_INTERFACES.get(row.address, ()),
        fits=tuple(Fit(d, _MODULES.get(d, d), d not in _NOT_LOADED) for d in (*own, *row.fits)),
        vendor_name=_VENDORS[vendor],
        device_name=row.name,
        class_name=class_name(row.code),
        details=_details(row, parent),
    )


def _uses() -> Uses:
    """The desktop of somebody who is logged in: two monitors on the boot GPU, music, a cable, a keyboard, a mouse."""
    shown, disk, cable = _full("08:00.0"), _full("01:00.0"), _full("05:00.0")
    ports, sata, sound = _full("02:00.0"), _full("02:00.1"), _full("0c:00.4")
    return Uses(
        screens=(Screen(shown, ("DP-1", "HDMI-A-1"), ("fb0",), console=True), Screen(_full("09:00.0"))),
        storage=(
            Storage(disk, Held.MOUNT, ("/", "/home"), ("dm-0 (vg-root)", "nvme0n1p3")),
            Storage(disk, Held.MOUNT, ("/boot/efi",), ("nvme0n1p1",)),
            Storage(disk, Held.SWAP, ("[SWAP]",), ("dm-1 (vg-swap)", "nvme0n1p3")),
            Storage(disk, Held.DISK, ("nvme0n1",), ("nvme0n1p1 (vfat)", "nvme0n1p3 (LVM2_member)")),
            Storage(sata, Held.FSTAB, ("/srv",), ("sda1",)),
            Storage(sata, Held.DISK, ("sda",), ("sda1 (ext4)",)),
        ),
        network=(Network(cable, ("br0", "enp5s0"), default_route=True, address=True),),
        inputs=(
            Input(ports, "Cherry G80-3000 keyboard", keyboard=True),
            Input(_full("0c:00.3"), "Logitech M500 mouse", pointer=True),
        ),
        sounds=(Sound(sound, "card1", ("pcm0p",)), Sound(_full("08:00.1"), "card0"), Sound(_full("09:00.1"), "card2")),
        openers=(
            Opener(shown, "kwin_wayland", 1204, "/dev/dri/card0"),
            Opener(shown, "Xwayland", 1311, "/dev/dri/renderD128"),
            Opener(sound, "pipewire", 1189, "/dev/snd/controlC1"),
        ),
    )


def demo_host() -> Host:
    """The built-in machine; the same value each time."""
    devices = [_device(row) for row in _ROWS]
    members: dict[int, list[Address]] = {}
    for device in devices:
        if device.group is not None:
            members.setdefault(device.group, []).append(device.address)
    msi = Region(0xFEE0_0000, 0xFEEF_FFFF, "msi")
    groups = {n: Group(n, tuple(found), "DMA-FQ", regions=(msi,)) for n, found in members.items()}
    groups[23] = groups[23]._replace(regions=(Region(0x7DF0_0000, 0x7DF0_FFFF, "direct"), msi))
    groups[19] = groups[19]._replace(claim=Claim("qemu-system-x86", 1, "group", (_full("0b:00.0"),)))
    bound = {d.driver for d in devices if d.driver is not None} | {"pci-stub", "shpchp"}
    return Host(
        by_address(devices),
        by_number(groups.values()),
        kernel="6.12.41-amd64",
        cmdline="quiet splash iommu=pt",
        cpu_vendor="AuthenticAMD",
        iommus=(Iommu("ivhd0", "amd-iommu"),),
        uses=_uses(),
        drivers=tuple(Driver(name, _MODULES.get(name, name)) for name in sorted(bound)),
    )
