"""Small machines for the screen."""

from iommutui.core.address import Address
from iommutui.core.host import Bar, Details, Device, Driver, Fit, Group, Host, Iommu, by_address, by_number
from iommutui.core.uses import Uses

GPU, SOUND = Address("0000:01:00.0"), Address("0000:01:00.1")
PORT, NIC, DISK = Address("0000:00:01.0"), Address("0000:05:00.0"), Address("0000:06:00.0")


def _fits(*drivers: str) -> tuple[Fit, ...]:
    return tuple(Fit(driver, driver, loaded=True) for driver in drivers)


def small(kernel: str = "6.12.1") -> Host:
    """A card of two functions behind a port in one group; a network card and an unbound disk, each in its own group."""
    devices = [
        Device(PORT, vendor_id="8086", device_id="1901", class_code="060400", header_type=1, driver="pcieport", group=1,
               vendor_name="Intel Corporation", device_name="Root Port", class_name="PCI bridge"),
        Device(GPU, vendor_id="10de", device_id="2484", class_code="030000", header_type=0, driver="nvidia", group=1,
               vendor_name="NVIDIA Corporation", device_name="GA104 [GeForce RTX 3070]", parent=PORT, iommu="dmar1",
               class_name="VGA compatible controller", boot_vga=False, fits=_fits("nouveau", "nvidia"),
               details=Details(numa_node=0, reset_methods=("flr", "bus"), power_state="D0",
                               bars=(Bar(0, 0xF6000000, 1 << 24, 0x200),), link_speed="8.0 GT/s", link_width="16",
                               max_link_speed="16.0 GT/s", max_link_width="16")),
        Device(SOUND, vendor_id="10de", device_id="228b", class_code="040300", header_type=0, driver="snd_hda_intel",
               group=1, vendor_name="NVIDIA Corporation", device_name="GA104 Audio", class_name="Audio device",
               parent=PORT, fits=_fits("snd_hda_intel")),
        Device(NIC, vendor_id="8086", device_id="1533", class_code="020000", header_type=0, driver="igb", group=2,
               vendor_name="Intel Corporation", device_name="I210", class_name="Ethernet controller",
               interfaces=("enp5s0",), fits=_fits("igb")),
        Device(DISK, vendor_id="144d", device_id="a808", class_code="010802", header_type=0, group=3,
               vendor_name="Samsung", device_name="SM981", class_name="NVMe controller", fits=_fits("nvme")),
    ]  # fmt: skip
    groups = [
        Group(1, (PORT, GPU, SOUND), "DMA"),
        Group(2, (NIC,), "DMA"),
        Group(3, (DISK,), "DMA"),
    ]
    drivers = tuple(Driver(n) for n in ("pcieport", "nvidia", "nouveau", "snd_hda_intel", "igb", "nvme", "pci-stub"))
    return Host(by_address(devices), by_number(groups), kernel, cpu_vendor="GenuineIntel",
                iommus=(Iommu("dmar1", "intel-iommu"),), drivers=drivers, uses=Uses())  # fmt: skip


def changed(host: Host, address: Address, **facts: object) -> Host:
    """The machine with changed facts of one device."""
    return host.with_device(host.devices[address]._replace(**facts))  # type: ignore[arg-type]


def without_iommu() -> Host:
    """The same devices without groups."""
    host = small()
    devices = by_address(device._replace(group=None) for device in host.devices.values())
    return host._replace(devices=devices, groups={}, iommus=())
