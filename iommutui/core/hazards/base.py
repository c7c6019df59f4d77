"""Hazards and their kinds, and how a plan moves devices. The checks are beside this module, one module per topic."""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import NamedTuple

from iommutui.core.address import Address, sort_key
from iommutui.core.host import Device, Host, is_vfio, serves_host
from iommutui.core.plan.intents import Goal
from iommutui.core.uses import NOT_RECORDED, Opener, Uses


class Severity(StrEnum):
    """How much is lost. A danger has to be accepted by name before anything is written, unless it is ``refused``."""

    INFO = "info"
    WARN = "warn"
    DANGER = "danger"


class Topic(StrEnum):
    """What a hazard is about."""

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
    """Why it is unknown (an errno name, ``not-recorded``); empty if it is known."""
    refused: bool = False
    """It cannot be accepted: the running system would not survive, or the unbind would never return."""

    def fact(self, name: str) -> str:
        """One of the facts, or an empty string."""
        return dict(self.facts).get(name, "")

    @property
    def acceptance(self) -> "Acceptance":
        """The acceptance of this hazard."""
        return Acceptance(self.code, self.device)


class Kind(NamedTuple):
    """The meaning of one code, for any device."""

    code: str
    topic: Topic
    severities: tuple[Severity, ...]
    """Every severity it can have, worst first; a check picks one."""
    advice: str
    """What to do instead, or first."""
    alone: str = ""
    """The advice if the same plan takes what ``advice`` relies on; empty if it relies on nothing."""
    never: bool = False
    """A danger of this kind is refused, whatever is accepted."""
    says: str = ""
    """The sentence, with named facts; a part in brackets is left out if one of its facts is empty."""
    asks: str = ""
    """The question that an unknown hazard leaves open."""

    def of(self, device: Device, severity: Severity | None = None, unknown: str = "", /, **facts: str) -> Hazard:
        """The hazard of this kind for a device, by default of its worst severity; empty facts are left out."""
        severity = severity or self.severities[0]
        told = tuple((name, value) for name, value in facts.items() if value)
        refused = self.never and severity is Severity.DANGER
        return Hazard(self.code, self.topic, severity, device.address, told, unknown, refused)


class Acceptance(NamedTuple):
    """One accepted danger, for one device."""

    code: str
    device: Address

    def __str__(self) -> str:
        return f"{self.code}:{self.device}"


DANGER, WARN, INFO = Severity.DANGER, Severity.WARN, Severity.INFO


class Moves(NamedTuple):
    """The devices that a plan moves, by destination."""

    host: Host
    uses: Uses
    goals: list[tuple[Device, Goal]]
    taken: list[Device]
    """Devices without a host driver afterwards."""
    given: list[Device]
    """Devices handed over to a virtual machine."""
    leaving: list[Device]
    """Devices unbound from their host driver, whatever their target: the host stops using them at that moment. Includes
    virtual functions that vanish because their physical function is unbound, and devices whose driver is unknown."""


Check = Callable[[Moves], Iterable[Hazard]]
"""A function that finds hazards of some kinds."""


def moves_of(host: Host, goals: Iterable[Goal]) -> Moves:
    """The moves that these goals make."""
    pairs = sorted(((host.devices[goal.device], goal) for goal in goals), key=lambda pair: sort_key(pair[0].address))
    taken = [(d, goal) for d, goal in pairs if not goal.any_driver and not serves_host(host, d, goal.driver)]
    given = [device for device, goal in taken if is_vfio(host, device, goal.driver)]
    leaving = {device.address: device for device, goal in pairs if _leaves(host, device, goal)}
    for device in [*leaving.values()]:
        virtual = (host.devices[address] for address in device.virtfns if address in host.devices)
        leaving |= {each.address: each for each in virtual if serves_host(host, each, each.driver)}
    return Moves(host, host.uses or NOT_RECORDED, pairs, [device for device, _ in taken], given, [*leaving.values()])


def _leaves(host: Host, device: Device, goal: Goal) -> bool:
    perhaps = device.driver is None and device.gap("driver") is not None
    bound = perhaps or serves_host(host, device, device.driver)
    return bound and not goal.any_driver and goal.driver != device.driver


def openers_words(openers: Iterable[Opener]) -> str:
    """``Xorg (pid 1201), a process``."""
    return listed(f"{o.name or 'a process'} (pid {o.pid})" if o.pid else o.name or "a process" for o in openers)


def listed(words: Iterable[str], most: int = 4) -> str:
    """Words joined for a sentence, each once: ``a, b, c, d and 3 more``."""
    found = list(dict.fromkeys(words))
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more
