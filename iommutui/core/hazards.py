"""What the host loses by a plan. One registry entry per hazard."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.drivers import STUB, is_vfio
from iommutui.core.host import Device, Host
from iommutui.core.intents import Goal


class Severity(StrEnum):
    """How much is lost."""

    INFO = "info"
    WARN = "warn"
    DANGER = "danger"


class Hazard(NamedTuple):
    """One thing that the host loses or risks."""

    code: str
    severity: Severity
    device: Address
    facts: tuple[tuple[str, str], ...] = ()

    def fact(self, name: str) -> str:
        """One of the facts, or an empty string."""
        return dict(self.facts).get(name, "")


def _taken(host: Host, goals: Sequence[Goal]) -> Iterator[tuple[Device, Goal]]:
    """The devices that leave a kernel driver."""
    for goal in goals:
        device = host.devices[goal.device]
        to_kernel = goal.any_driver or (
            goal.driver is not None and goal.driver != STUB and not is_vfio(device, goal.driver)
        )
        if not to_kernel:
            yield device, goal


def boot_display(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """The display that the firmware and the console started on (``boot_vga``)."""
    for device, _ in _taken(host, goals):
        if device.boot_vga and device.driver is not None:
            yield Hazard("boot-display", Severity.WARN, device.address)


def card_split(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """Functions of a card that stay behind on a kernel driver while another goes to a VFIO driver."""
    moved = {goal.device for goal in goals}
    for device, goal in _taken(host, goals):
        if goal.driver is None or not is_vfio(device, goal.driver):
            continue
        behind = [
            other
            for other in host.same_card(device.address)
            if other.address not in moved
            and other.driver is not None
            and other.driver != STUB
            and not is_vfio(other, other.driver)
            and not other.is_bridge
            and other.physfn is None
        ]
        for other in behind:
            facts = (("driver", other.driver or ""), ("moved", device.address))
            yield Hazard("card-split", Severity.INFO, other.address, facts)


def no_reset(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """A device for a virtual machine that the kernel knows no way to reset (``reset_method``, from 5.15).

    Where no device at all has such a file, the kernel is older or the file was not recorded, and nothing is known.
    """
    recorded = any(device.details and device.details.reset_methods for device in host.devices.values())
    for device, goal in _taken(host, goals):
        details = device.details
        to_vfio = goal.driver is not None and is_vfio(device, goal.driver)
        if recorded and to_vfio and details is not None and not details.reset_methods:
            yield Hazard("no-reset", Severity.INFO, device.address)


def not_responding(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """Configuration space reads as all ones: the device has fallen off the bus or sleeps in D3cold."""
    for goal in goals:
        device = host.devices[goal.device]
        if device.details is not None and device.details.config_answers is False:
            yield Hazard("not-responding", Severity.WARN, device.address)


HAZARDS: tuple[Callable[[Host, Sequence[Goal]], Iterable[Hazard]], ...] = (
    boot_display,
    card_split,
    no_reset,
    not_responding,
)


def hazards_of(host: Host, goals: Sequence[Goal]) -> list[Hazard]:
    """Every hazard of moving these devices, each once."""
    return list(dict.fromkeys(hazard for check in HAZARDS for hazard in check(host, goals)))
