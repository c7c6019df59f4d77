"""Which drivers match a device (``pci_match_device``, ``driver_match_device``), and how their own probes answer."""

from iommutui.core.drivers import PCIEPORT, PORT_CLASSES, PORT_TYPES, SHPCHP, STUB, VFIO_PCI
from iommutui.core.host import Device, Fit, Gap, Host, is_vfio
from iommutui.core.kernel import parameter
from iommutui.core.models import Check, since, turned_down
from iommutui.core.reasons import Code, groupless


def is_iommu(host: Host, device: Device) -> bool:
    """Whether this function is itself an active IOMMU, as AMD's are: no driver can bind to it.

    Up to 6.15 nothing matches it (``match_driver = false`` in ``iommu_init_pci``, commit cbbc00be2ce3; seen on 5.10 and
    6.1, and in the source of 6.12.118). Commit 3be5fa236649 reverted that for 6.16, where ``really_probe`` refuses a
    device with resources before it is probed, here those of the IOMMU's driver (seen on 7.2).
    """
    return any(iommu.function == device.address for iommu in host.iommus or ())


def candidates(host: Host, device: Device) -> list[str]:
    """The drivers that ``drivers_probe`` tries, in order (``driver_match_device``)."""
    if is_iommu(host, device) and not since(host, (6, 16)):
        return []
    override = device.driver_override
    if override is not None:
        known = _named(host, override) if host.drivers is None else host.has_driver(override)
        return [override] if known else []
    found = [fit.driver for fit in device.fits or () if fit.loaded and not fit.vfio and host.has_driver(fit.driver)]
    # Their tables match classes, and no module alias shows that. They are built in, so they come before the others.
    registered = found if host.drivers is None else [driver.name for driver in host.drivers]
    ports = [name for name in (PCIEPORT, SHPCHP) if name in registered and matches_class(device, name)]
    # Given ids, they load before the driver that would otherwise bind to the device.
    aside = [name for name in taken_by_ids(host, device) if host.has_driver(name)]
    return [*ports, *aside, *(name for name in found if name not in ports)]


def matches_by_id(host: Host, device: Device, driver: str) -> bool:
    """Whether the driver's table matches; those of VFIO drivers and pci-stub hold only what ``ids`` gave them."""
    if driver == STUB or is_vfio(host, device, driver):
        return driver in taken_by_ids(host, device)
    if driver in (PCIEPORT, SHPCHP):
        return matches_class(device, driver)
    return fit_of(device, driver) is not None or not (takes_any(host, driver) or fits_known(host, device))


def matches_class(device: Device, driver: str) -> bool:
    """Whether the table of ``pcieport`` or ``shpchp`` has the device's class."""
    classes = PORT_CLASSES if driver == PCIEPORT else PORT_CLASSES[:1]
    code = device.class_code or PORT_CLASSES[0]
    return device.bus == "pci" and device.is_bridge and any(each.startswith(code) for each in classes)


def takes_any(host: Host, driver: str) -> bool:
    """Whether the driver's probe accepts every device with an override that names it."""
    return driver in host.driver_table and host.driver_table[driver].any_device


def fit_of(device: Device, driver: str) -> Fit | None:
    return next((fit for fit in device.fits or () if fit.driver == driver), None)


def proven(host: Host, device: Device, driver: str) -> Device:
    """The device, marked as accepted by the driver's own probe, because it has been seen on the driver."""
    if driver in (STUB, VFIO_PCI):
        return device
    if device.fits is None:
        device = device._replace(fits=(), gaps=(*device.gaps, Gap("fits", "not-recorded")))
    known = device.fits or ()
    if fit_of(device, driver) is None:
        known = (*known, Fit(driver, None, True, is_vfio(host, device, driver)))
    fits = (fit._replace(loaded=True, proven=True) if fit.driver == driver else fit for fit in known)
    return device._replace(fits=tuple(fits))


def fits_known(host: Host, device: Device) -> bool:
    """Whether a driver that is not among ``fits`` is known not to fit."""
    partly = device.gap("fits") or host.gap("modules.alias")
    return device.fits is not None and not partly


def _named(host: Host, driver: str) -> bool:
    """Whether a driver of this exact name is seen anywhere, for a Host that does not list registered drivers."""
    found = (d.driver == driver or fit_of(d, driver) is not None for d in host.devices.values())
    return driver in host.driver_table or any(found)


DENYLIST = {
    **dict.fromkeys(("8086:0435", "8086:0443"), (5, 9)),  # QAT DH895xCC and its VFs
    **dict.fromkeys(("8086:19e2", "8086:19e3", "8086:37c8", "8086:37c9"), (5, 9)),  # QAT C3xxx and C62x, and their VFs
    **dict.fromkeys(("8086:0b25", "8086:0cfe"), (6, 10)),  # DSA and IAX of Sapphire Rapids
}
"""Devices that ``vfio-pci`` itself refuses with EINVAL (``vfio_pci_dev_in_denylist``), and since which kernel."""


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
        return turned_down("ENODEV", Code.NOT_A_PORT, device, driver)
    if driver == SHPCHP:
        return turned_down("ENODEV", Code.NO_HOTPLUG_CONTROLLER, device, driver)
    if fit is not None and fit.refused and device.driver_override is None:
        return turned_down("ENODEV", Code.REFUSED_BEFORE, device, driver)
    if fit is not None or takes_any(host, driver) or not fits_known(host, device):
        return Check()
    return turned_down("ENODEV", Code.UNFIT_DRIVER, device, driver)


def _vfio_probe(host: Host, device: Device, driver: str) -> Check:
    """``vfio_pci_probe`` and ``vfio_pci_core_register_device``, in their order."""
    first = DENYLIST.get(device.ids or "")
    switch = parameter(host.cmdline, "vfio_pci.disable_denylist")
    listed = first is not None and since(host, first) and (switch is None or switch[:1] not in ("", "1", "y", "Y"))
    if driver == VFIO_PCI and listed:
        return turned_down("EINVAL", Code.DENYLISTED, device, driver, ("ids", device.ids or ""))
    if device.bus == "pci" and device.is_bridge:
        return turned_down("EINVAL", Code.BRIDGE, device, driver)
    if device.virtfns:
        return turned_down("EBUSY", Code.VFS_ENABLED, device, driver)
    # In no-IOMMU mode VFIO makes a group; before 5.19 only where there is no IOMMU (``iommu_present``).
    makes_group = host.vfio.noiommu and (since(host, (5, 19)) or not host.iommus)
    if device.group is None and not makes_group:
        return Check("EINVAL", (groupless(device),))
    return Check()


ANY = 0xFFFFFFFF
"""``PCI_ANY_ID``."""

PARAMETERS = {VFIO_PCI: "vfio_pci.ids", STUB: "pci_stub.ids"}


def taken_by_ids(host: Host, device: Device) -> list[str]:
    """The drivers whose ``ids`` on the command line hold the device (``vfio_pci_fill_ids``, ``pci_add_dynid``).

    They bind to it without an override. A file of ``modprobe.d`` may say the same, but not whether it was in force
    when the module was loaded.
    """
    if host.cmdline is None or device.bus != "pci" or ".ids=" not in host.cmdline:
        return []
    given = {driver: (parameter(host.cmdline, name) or "").split(",") for driver, name in PARAMETERS.items()}
    return [driver for driver, ids in given.items() if any(_holds(text, device) for text in ids)]


def _holds(text: str, device: Device) -> bool:
    """``vendor:device[:subvendor[:subdevice[:class[:mask]]]]`` in hex; an omitted field matches everything."""
    try:
        given = [int(part, 16) for part in text.split(":")]
    except ValueError:
        return False
    if not 2 <= len(given) <= 6:
        return False
    *wanted, code, mask = [*given, *(ANY, ANY, ANY, ANY, 0, 0)[len(given) :]]
    shown = (device.vendor_id, device.device_id, device.subsystem_vendor_id, device.subsystem_device_id)
    same = all(number in (ANY, _number(text)) for number, text in zip(wanted, shown, strict=True))
    return same and (code ^ (_number(device.class_code) or 0)) & mask == 0


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else int(text, 16)
    except ValueError:
        return None
