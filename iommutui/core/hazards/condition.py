"""The state that the device itself is in."""

from collections.abc import Iterator, Sequence

from iommutui.core.drivers import is_vfio
from iommutui.core.hazards.base import Hazard, Severity, Topic, taken
from iommutui.core.host import Host
from iommutui.core.intents import Goal


def no_reset(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """A device for a virtual machine that the kernel knows no way to reset (``reset_method``, from 5.15).

    Where no device at all has such a file, the kernel is older or the file was not recorded, and nothing is known.
    """
    recorded = any(device.details and device.details.reset_methods for device in host.devices.values())
    for device, goal in taken(host, goals):
        details = device.details
        to_vfio = goal.driver is not None and is_vfio(device, goal.driver)
        if recorded and to_vfio and details is not None and not details.reset_methods:
            yield Hazard("no-reset", Topic.DEVICE, Severity.INFO, device.address)


def not_responding(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """Configuration space reads as all ones: the device has fallen off the bus or sleeps in D3cold."""
    for goal in goals:
        device = host.devices[goal.device]
        if device.details is not None and device.details.config_answers is False:
            yield Hazard("not-responding", Topic.DEVICE, Severity.WARN, device.address)
