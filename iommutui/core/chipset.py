"""Functions that serve the machine itself: its firmware, its chipset, its buses. One table, by class and by driver.

No virtual machine can use them, and the machine may not survive without them: a flash chip that is being written,
a management engine that resets the board, sensors and fans behind an SMBus.
"""

from typing import NamedTuple

from iommutui.core.host import NO_IOMMU, Device, Group, Host
from iommutui.core.topology import controller_of

INTEL, AMD, HYGON = "8086", "1022", "1d94"


class Part(NamedTuple):
    """A row: a name, the classes and makers it has, or the drivers that identify it."""

    what: str
    classes: tuple[str, ...] = ()
    vendors: tuple[str, ...] = ()
    """Empty: of any maker. Plug-in cards have some of these classes as well."""
    drivers: tuple[str, ...] = ()
    on_root_bus: bool = False
    """Only a function that no bridge is above."""


PARTS: tuple[Part, ...] = (
    Part("a host bridge", ("0600",)),
    Part("an ISA bridge", ("0601",), drivers=("lpc_ich",)),
    Part("an IOMMU", ("0806",)),
    Part("an SMBus controller", ("0c05",), drivers=("i801_smbus", "piix4_smbus", "nForce2_smbus", "ismt_smbus")),
    Part("the flash chip of the firmware", drivers=("intel-spi", "intel_spi_pci")),
    Part("a serial bus of the chipset (SPI flash, I2C, UCSI)", ("0c80",), (INTEL,), ("intel-lpss",), True),
    Part("a serial bus of the chipset (I2C, UCSI)", ("0c80",), (AMD, HYGON)),
    Part("memory of the chipset (PMC, shared SRAM)", ("0500", "0580"), (INTEL, AMD, HYGON), ("intel_pmc_core",), True),
    Part("the management engine", drivers=("mei_me", "mei_txe")),
    Part("the management engine or a serial port of the chipset", ("0780", "0700"), (INTEL,), on_root_bus=True),
    Part("the security processor (PSP)", ("1080",), (AMD, HYGON), ("ccp",)),
    Part("a sensor of the chipset", ("1180",), (INTEL,), ("intel_pch_thermal", "intel_vsec", "pcie_mp2_amd"), True),
)


def chipset_part(device: Device) -> str:
    """The name of a device that serves the machine itself and no other; an empty string otherwise."""
    return next((part.what for part in PARTS if _is(device, part)), "")


def _is(device: Device, part: Part) -> bool:
    if device.driver is not None and device.driver in part.drivers:
        return True
    if (device.class_code or "")[:4] not in part.classes or (part.on_root_bus and device.parent is not None):
        return False
    return not part.vendors or device.vendor_id in part.vendors


def is_of_use(host: Host, device: Device) -> bool:
    """Whether a virtual machine can use the device, and can have it alone."""
    return device.bus == "pci" and not device.is_bridge and not chipset_part(device) and not controller_of(host, device)


def passable(host: Host, group: Group) -> bool:
    """Whether the group holds a device that could be handed to a virtual machine, whatever blocks it now."""
    return group.name != NO_IOMMU and any(is_of_use(host, device) for device in host.members(group))
