"""What of a kernel's configuration passthrough depends on, beside what the `Host` holds."""

from typing import NamedTuple

from iommutui.core.drivers import VFIO_PCI
from iommutui.core.host import Host
from iommutui.sources.modules import PLACES
from iommutui.sources.tree import PAGE, Tree, read_file


class KernelSetup(NamedTuple):
    """None is not known: not recorded, not readable, or nothing that this processor shows."""

    vfio_pci: bool | None = None
    """Whether the driver is registered, built in, or among the modules of the running release."""
    interrupt_remapping: bool | None = None
    lockdown: str | None = None
    """``none``, ``integrity`` or ``confidentiality``."""


def read_kernel_setup(host: Host, root: str | None) -> KernelSetup:
    """The setup of the machine below ``root`` (None: of a snapshot, which holds the registered drivers alone)."""
    if root is None:
        return KernelSetup(vfio_pci=_registered(host))
    tree = Tree(root)
    return KernelSetup(_registered(host) or _installed(tree, host.kernel), _remaps(tree), _lockdown(tree))


def _registered(host: Host) -> bool | None:
    fits = (fit for device in host.devices.values() for fit in device.fits or ())
    return True if (host.drivers and host.has_driver(VFIO_PCI)) or any(fit.driver == VFIO_PCI for fit in fits) else None


def _installed(tree: Tree, release: str | None) -> bool | None:
    """``modules.dep`` has a line for each module, and ``modules.builtin`` one for what needs none."""
    if release is None or "/" in release or release.startswith("."):
        return None
    known = False
    for place in PLACES:
        for name in ("modules.dep", "modules.builtin"):
            data = tree.bytes(f"{place}/{release}/{name}")
            if isinstance(data, bytes):
                known = True
                if b"/vfio-pci.ko" in data:
                    return True
    return False if known else None


def _remaps(tree: Tree) -> bool | None:
    """On x86 the chip of an interrupt that is remapped has a name that begins with ``IR-`` (ioapic_ir_chip)."""
    data = tree.bytes("proc/interrupts", 1 << 20)
    if not isinstance(data, bytes) or not any(chip in data for chip in (b"IO-APIC", b"PCI-MSI", b"PCI_MSI")):
        return None
    return b" IR-" in data


def _lockdown(tree: Tree) -> str | None:
    """``none [integrity] confidentiality``: the one in brackets is in force (security/lockdown/lockdown.c, 5.4)."""
    data = read_file(f"{tree.sys}/kernel/security/lockdown", PAGE)
    return (
        data.decode(errors="replace").partition("[")[2].partition("]")[0] or None if isinstance(data, bytes) else None
    )
