"""Known drivers by name, and for whom each does DMA.

``hint`` is the mark of the design mail of September 2021 (clauses S-01 and S-17): a driver that says
nothing is KERNEL. ``managed`` is the first kernel whose driver sets ``driver_managed_dma``. ``vfio`` means that it
registers a VFIO device. ``any_device`` means that its probe accepts any device with an override (``uio_pci_generic.c``,
``pci-pf-stub.c``, ``xen-pciback/pci_stub.c``; no other driver of Linux 6.12 does that for an unknown device). Sources:
the mail, and the flag's users in Linux 6.1, 6.12 and 7.x.
"""

from enum import StrEnum
from typing import NamedTuple

from iommutui.core.kernel import Version


class Role(StrEnum):
    """For whom a driver lets its device do DMA."""

    KERNEL = "kernel"
    USER = "user"
    NONE = "none"


class KnownRole(NamedTuple):
    """A role, and whether it is a guess from the driver's name."""

    role: Role
    assumed: bool = False


class DriverFacts(NamedTuple):
    name: str
    hint: Role = Role.KERNEL
    managed: Version | None = None
    vfio: bool = False
    any_device: bool = False


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
    DriverFacts("vfio-platform", managed=Version(5, 19), vfio=True),
    DriverFacts("vfio-amba", managed=Version(5, 19), vfio=True),
    DriverFacts("vfio-fsl-mc", managed=Version(5, 19), vfio=True),
    DriverFacts("vfio-cdx", managed=Version(6, 4), vfio=True),
    DriverFacts("ifcvf", Role.USER),
    DriverFacts("uio_pci_generic", any_device=True),
    DriverFacts("pci-pf-stub", any_device=True),
    DriverFacts("pciback", any_device=True),
)

DriverTable = dict[str, DriverFacts]
"""Rows by the name of the driver; never changed in place."""

KNOWN: DriverTable = {row.name: row for row in TABLE}
"""What is known without settings. Those of the user add rows to it, or replace them, in the table of the `Host`."""


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
"""Classes in the id table of ``pcieport``; the table of ``shpchp`` has only the first."""
