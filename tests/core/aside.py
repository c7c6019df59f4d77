"""The rules that set aside facts of a recorded kernel; everything else must agree with the engine."""

from collections.abc import Collection

from iommutui.core.address import Address
from iommutui.core.drivers import PCIEPORT, STUB, VFIO_PCI
from iommutui.core.events import Bind, Event, Probe, Unbind
from iommutui.core.host import Device, Host
from iommutui.core.models import since
from tests.core.traces import State

UNFIT = "own probe of an unfit driver: an override made a driver try a device that it does not know"
PORT = "own probe of pcieport: it failed on a port that pcieport had just left"
"""5.10 only, and only ports without a PM capability and an interrupt pin, as QEMU's switches have them: PCI_UNKNOWN,
which ``pci_device_remove`` leaves there, is never looked up again, so that MSI is refused and no service is left. PCI
Express asks for that capability in every function, so that no machine has such ports. Later kernels do not set the
state (6.1.189, 6.12.111), and take a port without services (6.12.117)."""
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
    """The rule that sets aside where a device has ended up: ``seen`` on the kernel, ``here`` on the Host.

    ``returned`` are the devices that a rescan of this step has brought back.
    """
    if seen is None or here is None or seen[1] != here[1]:
        return None
    if seen[0] == here[0] and address in returned and not since(host, (5, 19)):
        return RESCAN
    return PORT if not since(host, (6, 1)) and (seen[0], here[0], seen[2]) == (None, PCIEPORT, here[2]) else None


def is_refused_port(host: Host, event: Event, kernel: str, engine: str) -> bool:
    """Whether `PORT` explains what ``bind`` has returned."""
    refused = isinstance(event, Bind) and event.driver == PCIEPORT and (kernel, engine) == ("ENODEV", "OK")
    return refused and not since(host, (6, 1))


def is_unfit(device: Device, event: Event) -> bool:
    """Whether the event has a driver at work that the device is not made for."""
    if isinstance(event, Bind | Probe) and device.driver is None and device.driver_override is not None:
        driver = device.driver_override
    elif isinstance(event, Unbind) and device.driver is not None:
        driver = device.driver
    else:
        return False
    ours = (VFIO_PCI, STUB, PCIEPORT, "nosuchdriver")
    return driver not in ours and all(fit.driver != driver for fit in device.fits or ())
