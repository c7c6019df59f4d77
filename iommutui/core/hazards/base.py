"""What a hazard is, and who is asked about it. The checks stand beside this, one module a topic."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.host import Device, Host
from iommutui.core.plan.intents import Goal
from iommutui.core.reasons import Code, Reason
from iommutui.core.roles import is_vfio, serves_host
from iommutui.core.uses import Opener, Uses


class Severity(StrEnum):
    """How much is lost. A danger has to be accepted by name before anything is written, unless it is ``refused``."""

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
    refused: bool = False
    """Nobody can accept it: the running system would not survive, or the unbind would never return."""

    def fact(self, name: str) -> str:
        """One of the facts, or an empty string."""
        return dict(self.facts).get(name, "")

    @property
    def acceptance(self) -> "Acceptance":
        """What accepts it."""
        return Acceptance(self.code, self.device)


class Kind(NamedTuple):
    """What one code means, whatever device it is about."""

    code: str
    topic: Topic
    loses: str
    """What the host loses or risks, for a table."""
    severities: tuple[Severity, ...]
    """Those that it may have, the worst first; a check says which one it is."""
    advice: str
    """What to do instead, or first."""
    alone: str = ""
    """The advice where the same plan takes what ``advice`` relies on; empty where it relies on nothing."""
    never: bool = False
    """A danger of this kind is refused, whatever is accepted."""
    says: str = ""
    """The sentence, with the facts by name; a part in brackets is left out where a fact of it is empty."""
    asks: str = ""
    """What is not known where the hazard is unknown."""

    def of(
        self, device: Device, severity: Severity, facts: Iterable[tuple[str, str]] = (), unknown: str = ""
    ) -> Hazard:
        """The hazard of this kind for a device; facts that are empty are left out."""
        told = tuple((name, value) for name, value in facts if value)
        refused = self.never and severity is Severity.DANGER
        return Hazard(self.code, self.topic, severity, device.address, told, unknown, refused)


class HazardCheck(NamedTuple):
    """One entry of the registry: the codes, and the function that finds them."""

    find: Callable[[Host, Sequence[Goal]], Iterable[Hazard]]
    kinds: tuple[Kind, ...]


class Acceptance(NamedTuple):
    """One danger that somebody has accepted, for one device."""

    code: str
    device: Address

    def __str__(self) -> str:
        return f"{self.code}:{self.device}"


def unaccepted(hazards: Iterable[Hazard], accepted: Iterable[Acceptance]) -> tuple[Hazard, ...]:
    """The dangers that nobody has accepted yet, and those that nobody can accept."""
    done = frozenset(accepted)
    return tuple(h for h in hazards if h.severity is Severity.DANGER and (h.refused or h.acceptance not in done))


def refusals_of(hazards: Iterable[Hazard]) -> list[Reason]:
    """The dangers that nobody can accept, as reasons not to permit a plan."""
    return [
        Reason(Code.HOST_NEEDS, None, h.device, facts=(("hazard", h.code), ("unknown", h.unknown), *h.facts))
        for h in hazards
        if h.refused
    ]


DANGER, WARN, INFO = Severity.DANGER, Severity.WARN, Severity.INFO

LIFELINES = (Topic.DISPLAY, Topic.NETWORK, Topic.INPUT)
"""What somebody needs to see that something went wrong, and to say so."""


def cuts_a_lifeline(hazards: Iterable[Hazard]) -> bool:
    """Whether a danger is about display, network or input: then an apply takes itself back unless it is confirmed."""
    return any(h.severity is Severity.DANGER and h.topic in LIFELINES for h in hazards)


def on_kernel_driver(host: Host, device: Device) -> bool:
    """Whether a driver that works for the host is bound to it."""
    return serves_host(host, device, device.driver)


def taken(host: Host, goals: Sequence[Goal]) -> Iterator[tuple[Device, Goal]]:
    """The devices that no kernel driver has afterwards."""
    for goal in goals:
        device = host.devices[goal.device]
        if not goal.any_driver and not serves_host(host, device, goal.driver):
            yield device, goal


def given_away(host: Host, goals: Sequence[Goal]) -> Iterator[Device]:
    """The devices that go to a virtual machine."""
    for device, goal in taken(host, goals):
        if is_vfio(host, device, goal.driver):
            yield device


def unbound(host: Host, goals: Sequence[Goal]) -> list[Device]:
    """The devices that leave their kernel driver, wherever they go: what the host does with them ends at that moment.

    With the ones that vanish because their physical function is unbound, and those of which it is not known whether
    they have a driver.
    """
    found: dict[Address, Device] = {}
    for goal in goals:
        device = host.devices[goal.device]
        perhaps = device.driver is None and device.gap("driver") is not None
        if (on_kernel_driver(host, device) or perhaps) and not goal.any_driver and goal.driver != device.driver:
            found[device.address] = device
    for device in list(found.values()):
        vanishing = (host.devices[address] for address in device.virtfns if address in host.devices)
        found.update((each.address, each) for each in vanishing if on_kernel_driver(host, each))
    return list(found.values())


def uses_of(host: Host) -> Uses:
    """What is known of what the machine does with its devices; ``unknown`` says what may be missing."""
    return host.uses or Uses()


def unknown(host: Host, field: str) -> str:
    """Why a field of the Host's uses may be incomplete; empty where everything is known."""
    return "not-recorded" if host.uses is None else host.uses.gap(field)


def openers_words(openers: Iterable[Opener]) -> str:
    """``Xorg (pid 1201), a process``."""
    return listed(f"{o.name or 'a process'} (pid {o.pid})" if o.pid else o.name or "a process" for o in openers)


def listed(words: Iterable[str], most: int = 4) -> str:
    """Words for a sentence, each once: ``a, b, c, d and 3 more``."""
    found = list(dict.fromkeys(words))
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more
