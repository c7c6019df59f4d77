"""What a driver's own probe function says to a device that matches."""

from iommutui.core.drivers import PCIEPORT, PORT_TYPES, SHPCHP, STUB, VFIO_PCI
from iommutui.core.engine.matching import fit_of, fits_known, matches_class, takes_any
from iommutui.core.engine.noiommu import may_have_group
from iommutui.core.engine.parameters import denylist_is_off
from iommutui.core.host import Device, Host
from iommutui.core.models.base import Check, since
from iommutui.core.reasons import Code, Reason, groupless
from iommutui.core.roles import is_vfio

DENYLIST = {
    ("8086", device): first
    for first, devices in (
        ((5, 9), ("0435", "0443", "19e2", "19e3", "37c8", "37c9")),  # QAT DH895xCC, C3xxx, C62x and their VFs
        ((6, 10), ("0b25", "0cfe")),  # DSA and IAX of Sapphire Rapids
    )
    for device in devices
}
"""What ``vfio-pci`` itself refuses with EINVAL (``vfio_pci_dev_in_denylist``), and since when."""


def own_probe(host: Host, device: Device, driver: str) -> Check:
    """The driver's own probe function, as far as it is known."""
    fit = fit_of(device, driver)
    if is_vfio(host, device, driver):
        return _vfio_probe(host, device, driver)
    if driver == STUB or (fit is not None and fit.proven):
        return Check()
    if driver == PCIEPORT:
        unknown = device.pcie_type is None and device.gap("pcie_type") is not None
        if matches_class(device, PCIEPORT) and (unknown or device.pcie_type in PORT_TYPES):
            return Check()
        return Check("ENODEV", (Reason(Code.NOT_A_PORT, device.group, device.address, driver),))
    if driver == SHPCHP:
        return Check("ENODEV", (Reason(Code.NO_HOTPLUG_CONTROLLER, device.group, device.address, driver),))
    if fit is not None and fit.refused and device.driver_override is None:
        return Check("ENODEV", (Reason(Code.REFUSED_BEFORE, device.group, device.address, driver),))
    if fit is not None or takes_any(host, driver) or not fits_known(host, device):
        return Check()
    return Check("ENODEV", (Reason(Code.UNFIT_DRIVER, device.group, device.address, driver),))


def _vfio_probe(host: Host, device: Device, driver: str) -> Check:
    """``vfio_pci_probe`` and ``vfio_pci_core_register_device``, in their order."""

    def refuse(errno: str, code: Code, *facts: tuple[str, str]) -> Check:
        return Check(errno, (Reason(code, device.group, device.address, driver, facts),))

    ids = (device.vendor_id or "", device.device_id or "")
    if driver == VFIO_PCI and ids in DENYLIST and since(host, DENYLIST[ids]) and not denylist_is_off(host):
        return refuse("EINVAL", Code.DENYLISTED, ("ids", ":".join(ids)))
    if device.bus == "pci" and device.is_bridge:
        return refuse("EINVAL", Code.BRIDGE)
    if device.virtfns:
        return refuse("EBUSY", Code.VFS_ENABLED)
    if device.group is None and not may_have_group(host):
        return Check("EINVAL", (groupless(device),))
    return Check()
