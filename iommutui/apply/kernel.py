"""What an apply needs of a machine: its kernel, real or simulated, and its clock."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from iommutui.core.address import Address
from iommutui.core.host import Host
from iommutui.core.plan.planner import Step


class Waiting(NamedTuple):
    """A write, or a module that is being loaded, has not returned yet."""

    seconds: float
    holders: tuple[str, ...] = ()
    notable: bool = True
    """It takes long enough to be shown."""


class Written(NamedTuple):
    """A write has returned: ``ok``, or the name of an errno."""

    result: str


class GivenUp(NamedTuple):
    """A write has not returned, and is not waited for any more. It may still end; nothing must be written meanwhile."""

    seconds: float
    holders: tuple[str, ...] = ()


class Loaded(NamedTuple):
    """A module is there."""


DENIED = frozenset({"EACCES", "EPERM", "EROFS"})
"""Results that say that this user, or anybody here, must not write."""

Answer = Waiting | Written | GivenUp
LoadAnswer = Waiting | Loaded | GivenUp

Late = Callable[[str, float], None]
"""Told the result and the seconds of a write that ended after it had been given up, in whichever process it ended."""


class ReadBack(NamedTuple):
    """What decides whether a write did what it should."""

    driver: str | None
    override: str | None


class Kernel(Protocol):
    """The kernel of a machine."""

    lasting: bool
    """What is written here outlives the program, so that a journal has to be on disk first."""

    def hold(self) -> AbstractContextManager[None]:
        """Holds the machine for one apply, whoever else may write to it; RefusedError where another has it."""

    def boot(self) -> str | None:
        """What the kernel calls this boot; None where that is not known."""

    def check(self, steps: Sequence[Step]) -> None:
        """NotPermittedError where one of the writes would be denied."""

    def observe(self) -> Host:
        """The machine as it is now, as far as bindings go."""

    def survey(self) -> Host:
        """The machine as it is now, with everything that a hazard is seen by."""

    def read_back(self, address: Address) -> ReadBack:
        """Driver and override of one device now; IommutuiError where it is gone or does not answer."""

    def write(self, step: Step, late: Late) -> Iterator[Answer]:
        """Does the write: any number of `Waiting`, then `Written` or `GivenUp`. Closing the iterator gives up."""

    def load_module(self, name: str) -> Iterator[LoadAnswer]:
        """Loads a module: any number of `Waiting`, then `Loaded` or `GivenUp`.

        IommutuiError says whether it is missing, blocked by an administrator, or failed.
        """


class Clock(Protocol):
    """The date, and seconds that only go forward, also while the machine sleeps."""

    def now(self) -> datetime:
        """The date and time, with its zone."""

    def monotonic(self) -> float:
        """Seconds from some fixed point."""


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """In UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """``CLOCK_BOOTTIME``: a machine that is woken with a dark screen must not wait for the rest of a countdown."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)


SYSTEM_CLOCK = SystemClock()
