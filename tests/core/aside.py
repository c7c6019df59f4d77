"""The rules by which facts of a recorded kernel are set aside; everything else must agree with the engine."""

from collections.abc import Collection

from iommutui.core.address import Address
from iommutui.core.drivers import PCIEPORT, STUB, VFIO_PCI
from iommutui.core.events import Bind, Event, Probe, Unbind
from iommutui.core.host import Device, Host
from iommutui.core.models import since
from tests.core.traces import State

UNFIT = "own probe of an unfit driver: an override made a driver try a device that it does not know"
PORT = "own probe of pcieport: it failed on a port that pcieport had just left"
"""Only 5.10, and only ports without a PM capability and an interrupt pin, such as those of QEMU's switches.
``pci_device_remove`` leaves them in PCI_UNKNOWN, which is never read again, so MSI is refused and no service remains.
PCI Express requires that capability in every function, so no real machine has such ports. Later kernels do not set
the state (6.1.189, 6.12.111), and bind a port without services (6.12.117)."""
NO_VECTORS = "own probe of nvme: the machine had no interrupt vector left for it (error -28)"
RESCAN = "group after rescan: on 5.10 a function that comes back by itself loses its group again"
UNRECORDED = "moved between two steps by the recorder, without a record"
SRIOV = "virtual functions come and go by sriov_numvfs, which is no event of the engine"
EMPTY = "malformed on purpose: an empty write does not reach the kernel"
WRONG_FILE = "malformed on purpose: unbind through a driver that the device is not on"
DIED = "the kernel died of something that no rule of ownership is about"
FOREIGN_FILE = "a write to a file that is no event of the engine (reset, sriov_*, a module's parameter)"
NOT_BOUND_CDEV = "a device's file is opened and not bound to an iommufd, which is no event of the engine"
RULES = (
    UNFIT,
    PORT,
    NO_VECTORS,
    RESCAN,
    UNRECORDED,
    SRIOV,
    EMPTY,
    WRONG_FILE,
    FOREIGN_FILE,
    DIED,
    NOT_BOUND_CDEV,
)


def rule_for(
    host: Host, address: Address, seen: State | None, here: State | None, returned: Collection[Address]
) -> str | None:
    """The rule by which a device's final binding is set aside: ``seen`` on the kernel, ``here`` on the Host.

    ``returned`` are the devices that a rescan of this step has brought back.
    """
    if seen is None or here is None or seen[1] != here[1]:
        return None
    if seen[0] == here[0] and address in returned and not since(host, (5, 19)):
        return RESCAN
    return PORT if not since(host, (6, 1)) and (seen[0], here[0], seen[2]) == (None, PCIEPORT, here[2]) else None


def is_refused_port(host: Host, event: Event, kernel: str, engine: str) -> bool:
    """Whether `PORT` explains the result of ``bind``."""
    refused = isinstance(event, Bind) and event.driver == PCIEPORT and (kernel, engine) == ("ENODEV", "OK")
    return refused and not since(host, (6, 1))


def is_unfit(device: Device, event: Event) -> bool:
    """Whether the event involves a driver that is not made for the device."""
    if isinstance(event, Bind | Probe) and device.driver is None and device.driver_override is not None:
        driver = device.driver_override
    elif isinstance(event, Unbind) and device.driver is not None:
        driver = device.driver
    else:
        return False
    ours = (VFIO_PCI, STUB, PCIEPORT, "nosuchdriver")
    return driver not in ours and all(fit.driver != driver for fit in device.fits or ())
