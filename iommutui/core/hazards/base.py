"""What a hazard is, and who is asked about it. The checks stand beside this, one module a topic."""

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.drivers import STUB, is_vfio
from iommutui.core.host import Device, Host
from iommutui.core.intents import Goal


class Severity(StrEnum):
    """How much is lost. A danger has to be accepted by name before anything is written."""

    INFO = "info"
    WARN = "warn"
    DANGER = "danger"


class Topic(StrEnum):
    """What it is about."""

    DISPLAY = "display"
    STORAGE = "storage"
    NETWORK = "network"
    INPUT = "input"
    AUDIO = "audio"
    USE = "use"
    CARD = "card"
    DEVICE = "device"


class Hazard(NamedTuple):
    """One thing that the host loses or risks."""

    code: str
    topic: Topic
    severity: Severity
    device: Address
    facts: tuple[tuple[str, str], ...] = ()
    """The evidence."""
    unknown: str = ""
    """Why it could not be found out (an errno name, ``not-recorded``); empty where it is known."""

    def fact(self, name: str) -> str:
        """One of the facts, or an empty string."""
        return dict(self.facts).get(name, "")

    @property
    def acceptance(self) -> "Acceptance":
        """What accepts it."""
        return Acceptance(self.code, self.device)


class Acceptance(NamedTuple):
    """One danger that somebody has accepted, for one device."""

    code: str
    device: Address

    def __str__(self) -> str:
        return f"{self.code}:{self.device}"


def unaccepted(hazards: Iterable[Hazard], accepted: Iterable[Acceptance]) -> tuple[Hazard, ...]:
    """The dangers that nobody has accepted yet."""
    done = frozenset(accepted)
    return tuple(h for h in hazards if h.severity is Severity.DANGER and h.acceptance not in done)


LIFELINES = (Topic.DISPLAY, Topic.NETWORK, Topic.INPUT)
"""What somebody needs to see that something went wrong, and to say so."""


def cuts_a_lifeline(hazards: Iterable[Hazard]) -> bool:
    """Whether a danger is about display, network or input: then an apply takes itself back unless it is confirmed."""
    return any(h.severity is Severity.DANGER and h.topic in LIFELINES for h in hazards)


def taken(host: Host, goals: Sequence[Goal]) -> Iterator[tuple[Device, Goal]]:
    """The devices that leave a kernel driver."""
    for goal in goals:
        device = host.devices[goal.device]
        to_kernel = goal.any_driver or (
            goal.driver is not None and goal.driver != STUB and not is_vfio(device, goal.driver)
        )
        if not to_kernel:
            yield device, goal
