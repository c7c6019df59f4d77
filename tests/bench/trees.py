"""Generated sysfs trees: any number of PCI functions, two per group, with the files that a kernel shows."""

import os
from pathlib import Path

from iommutui.core.address import Address
from iommutui.core.host import Device, Driver, Group, Host, by_address, by_number
from iommutui.core.uses import Held, Network, Opener, Screen, Storage, Uses

RESOURCE = "0x0000000000000000 0x0000000000000000 0x0000000000000000\n" * 13
KINDS = (
    ("8086", "1533", "020000", "igb"),
    ("10de", "2484", "030000", "nouveau"),
    ("144d", "a808", "010802", "nvme"),
    ("1022", "1483", "060400", "pcieport"),
)
NAMES = {
    "8086": ("Intel Corporation", "I210 Gigabit Network Connection"),
    "10de": ("NVIDIA Corporation", "GA104 [GeForce RTX 3070]"),
    "144d": ("Samsung Electronics Co Ltd", "NVMe SSD Controller SM981/PM981/PM983"),
    "1022": ("Advanced Micro Devices, Inc. [AMD]", "Starship/Matisse GPP Bridge"),
}
"""Vendor and device, as in pci.ids."""


def address_of(number: int) -> Address:
    """The address of the function of this number: eight per slot, 32 slots per bus."""
    return Address(f"{number >> 16:04x}:{number >> 8 & 255:02x}:{number >> 3 & 31:02x}.{number & 7}")


def make_tree(root: Path, count: int) -> Path:
    """Writes a bare sysfs with ``count`` functions below ``root``."""
    for name in ("bus/pci/devices", "kernel/iommu_groups", "class/iommu/dmar0/intel-iommu"):
        (root / name).mkdir(parents=True)
    for _, _, _, driver in KINDS:
        (root / "bus/pci/drivers" / driver).mkdir(parents=True)
    for number in range(count):
        _make_function(root, number)
    return root


def _make_function(root: Path, number: int) -> None:
    address = address_of(number)
    vendor, product, code, driver = KINDS[number % len(KINDS)]
    home = f"devices/pci{address[:4]}:00/{address}"
    folder = root / home
    folder.mkdir(parents=True)
    header = bytearray(256)
    header[0:4] = int(vendor, 16).to_bytes(2, "little") + int(product, 16).to_bytes(2, "little")
    header[9:12] = bytes.fromhex(code)[::-1]
    header[14] = 1 if code.startswith("0604") else 0
    alias = f"pci:v0000{vendor.upper()}d0000{product.upper()}sv00008086sd00000001bc{code[:2]}sc{code[2:4]}i{code[4:]}"
    files = {
        "vendor": f"0x{vendor}\n",
        "device": f"0x{product}\n",
        "class": f"0x{code}\n",
        "revision": "0x00\n",
        "subsystem_vendor": "0x8086\n",
        "subsystem_device": "0x0001\n",
        "driver_override": "(null)\n",
        "modalias": alias + "\n",
        "numa_node": "-1\n",
        "power_state": "D0\n",
        "irq": "16\n",
        "d3cold_allowed": "1\n",
        "reset_method": "flr bus\n",
        "resource": RESOURCE,
        "uevent": f"DRIVER={driver}\nPCI_CLASS={int(code, 16):X}\nPCI_ID={vendor.upper()}:{product.upper()}\n"
        f"PCI_SUBSYS_ID=8086:0001\nPCI_SLOT_NAME={address}\nMODALIAS={alias}\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / "config").write_bytes(header)
    group = root / f"kernel/iommu_groups/{number // 2}/devices"
    group.mkdir(parents=True, exist_ok=True)
    os.symlink(f"../../../{home}", root / "bus/pci/devices" / address)
    os.symlink(f"../../../bus/pci/drivers/{driver}", folder / "driver")
    os.symlink(f"../../../kernel/iommu_groups/{number // 2}", folder / "iommu_group")
    os.symlink(f"../../../../{home}", group / address)


def make_host(count: int) -> Host:
    """The same machine as a Host."""
    devices = []
    for number in range(count):
        vendor, product, code, driver = KINDS[number % len(KINDS)]
        vendor_name, device_name = NAMES[vendor]
        devices.append(
            Device(
                address_of(number),
                vendor_id=vendor,
                device_id=product,
                class_code=code,
                header_type=1 if code.startswith("0604") else 0,
                driver=driver,
                group=number // 2,
                vendor_name=vendor_name,
                device_name=device_name,
            )
        )
    groups = [Group(n, (address_of(2 * n), address_of(2 * n + 1))) for n in range(count // 2)]
    drivers = [Driver(kind[3]) for kind in KINDS] + [Driver("vfio-pci"), Driver("pci-stub")]
    return Host(by_address(devices), by_number(groups), kernel="6.12.0", drivers=tuple(drivers))


def busy(host: Host) -> Host:
    """The machine with every usable device in use: the worst case for the screen."""
    screens, storage, network, openers = [], [], [], []
    for number, device in enumerate(host.devices.values()):
        match device.driver:
            case "nouveau":
                screens.append(Screen(device.address, (f"DP-{number}",) if number % 8 == 1 else ()))
                openers.append(Opener(device.address, "Xorg", 100 + number, f"/dev/dri/card{number}"))
            case "nvme":
                storage.append(Storage(device.address, Held.MOUNT, (f"/srv/{number}",), (f"nvme{number}n1",)))
            case "igb":
                network.append(Network(device.address, (f"eth{number}",), address=True))
    return host._replace(
        uses=Uses(screens=tuple(screens), storage=tuple(storage), network=tuple(network), openers=tuple(openers))
    )
