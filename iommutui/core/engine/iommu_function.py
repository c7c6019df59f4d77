"""The PCI function that is an IOMMU itself, as AMD's are: no driver gets it.

Up to 6.15 nothing matches it (``match_driver = false`` in ``iommu_init_pci``, commit cbbc00be2ce3; seen on 5.10 and
6.1). 6.16 has reverted that, and ``really_probe`` refuses with EBUSY a device that has resources before it is probed,
here those of the IOMMU's driver (``Resources present before probing``; seen on 7.2).
"""

from iommutui.core.host import Device, Host
from iommutui.core.models.base import Check
from iommutui.core.reasons import Code, Reason


def is_iommu(host: Host, device: Device) -> bool:
    """Whether an active IOMMU is this function."""
    return any(iommu.function == device.address for iommu in host.iommus or ())


def probe_refused(host: Host, device: Device, driver: str) -> Check | None:
    """What ``really_probe`` says where a driver matches it, which it does from 6.16 only."""
    if not is_iommu(host, device):
        return None
    return Check("EBUSY", (Reason(Code.IOMMU_FUNCTION, device.group, device.address, driver),))
