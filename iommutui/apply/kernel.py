"""What an apply needs of a kernel: a real one, or one that is simulated."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from iommutui.core.address import Address
from iommutui.core.host import Host
from iommutui.core.plan.planner import Step


class Waiting(NamedTuple):
    """A write has not returned yet."""

    seconds: float
    holders: tuple[str, ...] = ()


class Written(NamedTuple):
    """A write has returned: ``ok``, or the name of an errno."""

    result: str


class GivenUp(NamedTuple):
    """A write has not returned, and is not waited for any more. It may still end; nothing must be written meanwhile."""

    seconds: float
    holders: tuple[str, ...] = ()


Answer = Waiting | Written | GivenUp

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

    def check(self, steps: Sequence[Step]) -> None:
        """NotPermittedError where one of the writes would be denied."""
        ...

    def observe(self) -> Host:
        """The machine as it is now, as far as bindings go."""
        ...

    def survey(self) -> Host:
        """The machine as it is now, with everything that a hazard is seen by."""
        ...

    def read_back(self, address: Address) -> ReadBack:
        """Driver and override of one device now; IommutuiError where it is gone or does not answer."""
        ...

    def write(self, step: Step, late: Late) -> Iterator[Answer]:
        """Does the write: any number of `Waiting`, then `Written` or `GivenUp`."""
        ...

    def load_module(self, name: str) -> None:
        """Loads a module; IommutuiError says whether it is missing, blocked by an administrator, or failed."""
        ...
