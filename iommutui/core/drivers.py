"""What is known of drivers: who does DMA with a device, in each model's terms.

The table is data. ``hint`` is what the design mail of September 2021 marks (clauses S-01 and S-17): a driver that says
nothing is KERNEL. ``managed`` is the first kernel whose driver sets ``driver_managed_dma``. ``vfio`` tells that it
registers a VFIO device. Sources: the mail, and the flag's users in Linux 6.1, 6.12 and 7.x.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from iommutui.core.host import Device
from iommutui.core.kernel import Version


class Role(StrEnum):
    """For whom a driver lets its device do DMA."""

    KERNEL = "kernel"
    USER = "user"
    NONE = "none"


class DriverFacts(NamedTuple):
    """A row of the table."""

    name: str
    hint: Role = Role.KERNEL
    managed: Version | None = None
    vfio: bool = False
    buses: tuple[str, ...] = ("pci",)


TABLE: tuple[DriverFacts, ...] = (
    DriverFacts("pci-stub", Role.NONE, Version(5, 19)),
    DriverFacts("pcieport", managed=Version(5, 19)),
    DriverFacts("vfio-pci", Role.USER, Version(5, 19), vfio=True),
    DriverFacts("mlx5_vfio_pci", managed=Version(5, 19), vfio=True),
    DriverFacts("hisi_acc_vfio_pci", managed=Version(5, 19), vfio=True),
    DriverFacts("pds_vfio_pci", managed=Version(6, 6), vfio=True),
    DriverFacts("virtio_vfio_pci", managed=Version(6, 8), vfio=True),
    DriverFacts("nvgrace_gpu_vfio_pci", managed=Version(6, 9), vfio=True),
    DriverFacts("qat_vfio_pci", managed=Version(6, 10), vfio=True),
    DriverFacts("xe-vfio-pci", managed=Version(6, 19), vfio=True),
    DriverFacts("ism_vfio_pci", managed=Version(7, 0), vfio=True),
    DriverFacts("vfio-platform", managed=Version(5, 19), vfio=True, buses=("platform",)),
    DriverFacts("vfio-amba", managed=Version(5, 19), vfio=True, buses=("amba",)),
    DriverFacts("vfio-fsl-mc", managed=Version(5, 19), vfio=True, buses=("fsl-mc",)),
    DriverFacts("vfio-cdx", managed=Version(6, 4), vfio=True, buses=("cdx",)),
    DriverFacts("ifcvf", Role.USER),
)

_in_force = {row.name: row for row in TABLE}


def learn(rows: Iterable[DriverFacts]) -> None:
    """Adds rows from the user's configuration to the table, or replaces those of the same name.

    For the whole program, and meant to be called once, by what reads the configuration, before anything is asked.
    """
    _in_force.update((row.name, row) for row in rows)


def table() -> tuple[DriverFacts, ...]:
    """The rows in force: those of ``TABLE``, and what has been learnt."""
    return tuple(_in_force.values())


def facts_of(driver: str) -> DriverFacts | None:
    """The table's row for a driver, or None for one that it does not name."""
    return _in_force.get(driver)


class KnownRole(NamedTuple):
    """A role, and whether it is a guess from the driver's name."""

    role: Role
    assumed: bool = False


_VFIO = KnownRole(Role.USER)


def vfio_role(device: Device, driver: str) -> KnownRole | None:
    """USER where the driver registers a VFIO device, by the table, by ``vfio-dev``, or (assumed) by its name.

    ``vfio-dev`` exists from 6.1 while a VFIO driver is bound, whatever the driver is called.
    """
    row = facts_of(driver)
    if row is not None:
        return _VFIO if row.vfio else None
    if device.driver == driver and device.vfio_dev is not None:
        return _VFIO
    if any(fit.driver == driver and fit.vfio for fit in device.fits or ()):
        return _VFIO
    return KnownRole(Role.USER, assumed=True) if "vfio" in driver else None


def is_vfio(device: Device, driver: str | None) -> bool:
    """Whether a driver hands the device to virtual machines; None is no driver."""
    return driver is not None and vfio_role(device, driver) is not None


def serves_host(device: Device, driver: str | None) -> bool:
    """Whether a driver puts the device to work for the host: any but those of VFIO, and the one that does nothing."""
    return driver is not None and driver != STUB and not is_vfio(device, driver)


def hinted_role(device: Device, driver: str) -> KnownRole:
    """The role under the design mail's draft: its marks, and KERNEL for every driver that says nothing (S-01)."""
    row = facts_of(driver)
    return KnownRole(row.hint if row else Role.KERNEL)


def managed_role(device: Device, driver: str) -> KnownRole:
    """The role from 5.19: ``driver_managed_dma`` set or not.

    The versions in the table say when a driver came; distributions backport them, so a driver that is bound is taken
    to have been written with the flag.
    """
    vfio = vfio_role(device, driver)
    if vfio is not None:
        return vfio
    row = facts_of(driver)
    return KnownRole(Role.NONE if row is not None and row.managed else Role.KERNEL)


def underscored(name: str) -> str:
    """A name as the kernel compares those of modules: ``-`` and ``_`` are the same."""
    return name.replace("-", "_")


STUB = "pci-stub"
VFIO_PCI = "vfio-pci"
PCIEPORT = "pcieport"
SHPCHP = "shpchp"

PORT_TYPES = frozenset({4, 5, 6, 10})
"""PCIe port types that ``pcieport`` takes: root port, upstream and downstream port, event collector."""

PORT_CLASSES = ("060400", "060401", "060700")
"""Classes in the table of ``pcieport``; that of ``shpchp`` has the first of them."""
