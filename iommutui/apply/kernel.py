"""The interface of a machine for an apply: its kernel and its clock. And a kernel simulated by the engine."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from typing import Protocol

from iommutui.core.address import Address
from iommutui.core.drivers import STUB, VFIO_PCI, underscored
from iommutui.core.engine import transition
from iommutui.core.errors import IommutuiError, NotPermittedError
from iommutui.core.events import Bind
from iommutui.core.host import Driver, Fit, Host
from iommutui.core.models import Model
from iommutui.core.plan.planner import Step
from iommutui.core.reasons import OK


@dataclass(frozen=True, slots=True)
class Waiting:
    """A call to the kernel has not returned after this many seconds."""

    seconds: float
    given_up: bool = False
    """The wait was given up. The call may still return, so nothing must be written meanwhile."""
    holders: tuple[str, ...] = ()


Answer = Waiting | str
"""A wait, or the final result: ``ok``, or the name of an errno."""

DENIED = frozenset({"EACCES", "EPERM", "EROFS"})
"""Results that mean that this user, or any user here, must not write."""

TellLate = Callable[[str, float], None]
"""Called with the result and the seconds of a write that ended after it had been given up, in whichever process."""


@dataclass(frozen=True, slots=True)
class ReadBack:
    """The facts that show whether a write had the intended effect."""

    driver: str | None
    override: str | None


class Kernel(Protocol):
    """The kernel of a machine."""

    lasting: bool
    """Writes outlast the program, so a journal has to be on disk first."""

    def hold(self) -> AbstractContextManager[None]:
        """Locks the machine for one apply, against any user. Raises RefusedError if another apply has the lock."""

    def boot(self) -> str | None:
        """The kernel's id of this boot; None if that is not known."""

    def check(self, steps: Sequence[Step]) -> None:
        """Raises NotPermittedError if one of the writes would be denied."""

    def observe(self) -> Host:
        """The bindings of the machine as it is now."""

    def survey(self) -> Host:
        """The machine as it is now, with everything that hazards depend on."""

    def read_back(self, address: Address) -> ReadBack:
        """Driver and override of one device now. Raises IommutuiError if it is gone or does not answer."""

    def write(self, step: Step, late: TellLate) -> Iterator[Answer]:
        """Does the write: any number of `Waiting`, then its result unless it was given up. Closing gives up."""

    def load_module(self, name: str) -> Iterator[Answer]:
        """Loads a module, as `write` does it. IommutuiError: it is missing, blocked by an administrator, or failed."""


class DeniedError(NotPermittedError):
    """A write that this user may not make: nothing has been changed yet."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"Writing to {path} is not permitted.",
            "Apply as root, for example with sudo; in a container /sys is often read-only, even to root.",
        )


class Clock:
    """The clock of this machine: the date, and seconds that only go forward."""

    def now(self) -> datetime:
        """The date and time, with its zone."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """``CLOCK_BOOTTIME``: a machine that is woken with a dark screen must not wait for the rest of a countdown."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)


CLOCK = Clock()


class SimulatedKernel:
    """The simulated kernel of a snapshot: it has no access to any file. ``host`` is the machine as it is now.

    Implements `Kernel`, which says what its methods do.
    """

    lasting = False

    def __init__(self, host: Host, model: Model) -> None:
        self.host = host
        self.model = model

    def hold(self) -> AbstractContextManager[None]:
        return nullcontext()

    def boot(self) -> str | None:
        return None

    def check(self, steps: Sequence[Step]) -> None:
        pass

    def observe(self) -> Host:
        return self.host

    survey = observe

    def read_back(self, address: Address) -> ReadBack:
        device = self.host.devices.get(address)
        if device is None:
            raise IommutuiError(f"There is no device {address} any more.")
        return ReadBack(device.driver, device.driver_override)

    def write(self, step: Step, late: TellLate) -> Iterator[Answer]:
        """One transition; a blocking one is given up at once. Raises IommutuiError if the kernel would crash."""
        outcome = transition(self.host, step.event, self.model)
        if outcome.crash is not None:
            raise IommutuiError(f"The kernel would not survive this write: {outcome.crash}")
        self.host = outcome.host
        if outcome.blocks:
            holders = tuple(reason.fact("owner") for reason in outcome.reasons if reason.fact("owner"))
            yield Waiting(0.0, holders=holders)
            yield Waiting(0.0, given_up=True, holders=holders)
            return
        yield outcome.result

    def load_module(self, name: str) -> Iterator[Answer]:
        """Registers the module's drivers, which then bind to the free devices that match, as on a real machine."""
        host, module = self.host, underscored(name)

        def loaded(fit: Fit) -> Fit:
            return fit._replace(loaded=True) if underscored(fit.module or "") == module else fit

        devices = {a: d._replace(fits=d.fits and tuple(map(loaded, d.fits))) for a, d in host.devices.items()}
        fits = [fit for device in devices.values() for fit in device.fits or ()]
        # Two drivers that any machine can have are named after their modules.
        drivers = {driver for driver in (VFIO_PCI, STUB) if underscored(driver) == module}
        drivers |= {fit.driver for fit in fits if underscored(fit.module or "") == module}
        if not drivers:
            raise IommutuiError(f"The module {name} is missing: no driver of this machine comes from it.")
        new = [Driver(driver, name) for driver in sorted(drivers) if not host.has_driver(driver)]
        self.host = host._replace(devices=devices, drivers=None if host.drivers is None else (*host.drivers, *new))
        free = [device for device in devices.values() if device.bus == "pci" and device.driver is None]
        for device, driver in product(free, sorted(drivers)):
            outcome = transition(self.host, Bind(device.address, driver), self.model)
            if outcome.ok:
                self.host = outcome.host
        yield OK
