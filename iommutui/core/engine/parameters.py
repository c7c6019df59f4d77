"""Devices that ``vfio-pci`` and ``pci-stub`` take without an override, because their parameter ``ids`` names them.

Only what stands on the kernel's command line is seen here. A file of ``modprobe.d`` says the same, but not whether it
was in force when the module was loaded.
"""

from iommutui.core.drivers import STUB, VFIO_PCI
from iommutui.core.host import Device, Host

ANY = 0xFFFFFFFF
"""``PCI_ANY_ID``."""

PARAMETERS = {VFIO_PCI: "vfio_pci.ids", STUB: "pci_stub.ids"}


def taken_by_ids(host: Host, device: Device) -> list[str]:
    """The drivers whose ``ids`` on the command line hold the device (``vfio_pci_fill_ids``, ``pci_add_dynid``)."""
    if host.cmdline is None or device.bus != "pci" or ".ids=" not in host.cmdline:
        return []
    return [driver for driver, name in PARAMETERS.items() if any(_holds(text, device) for text in _ids(host, name))]


def denylist_is_off(host: Host) -> bool:
    """Whether the command line turns off what ``vfio-pci`` refuses by itself (``disable_denylist``)."""
    words = (word.partition("=") for word in (host.cmdline or "").split())
    return any(name.replace("-", "_") == "vfio_pci.disable_denylist" and value[:1] in "1yY" for name, _, value in words)


def _ids(host: Host, parameter: str) -> list[str]:
    """The ids of the last time that the parameter is given; a dash in its name counts as an underscore."""
    found = ""
    for word in (host.cmdline or "").split():
        name, _, value = word.partition("=")
        if name.replace("-", "_") == parameter:
            found = value
    return found.split(",")


def _holds(text: str, device: Device) -> bool:
    """``vendor:device[:subvendor[:subdevice[:class[:mask]]]]`` in hex; what is left out matches everything."""
    try:
        given = [int(part, 16) for part in text.split(":")]
    except ValueError:
        return False
    if not 2 <= len(given) <= 6:
        return False
    *wanted, code, mask = [*given, *(ANY, ANY, ANY, ANY, 0, 0)[len(given) :]]
    shown = (device.vendor_id, device.device_id, device.subsystem_vendor_id, device.subsystem_device_id)
    if any(number not in (ANY, _number(text)) for number, text in zip(wanted, shown, strict=True)):
        return False
    return (code ^ (_number(device.class_code) or 0)) & mask == 0


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else int(text, 16)
    except ValueError:
        return None
