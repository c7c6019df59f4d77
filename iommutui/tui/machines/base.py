"""What a machine on the screen can do, and what passes between it and the screen."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

from iommutui.core.hazards import Acceptance, Severity
from iommutui.core.host import Host
from iommutui.core.models.base import Model
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import Plan
from iommutui.tui.state import Source

if TYPE_CHECKING:
    from iommutui.apply.events import Event


class Job(NamedTuple):
    """What is to be applied: a plan that was reviewed."""

    plan: Plan
    intents: tuple[Intent, ...]
    model: Model
    revert: bool = False
    journal: str = ""
    """What a revert takes back, on a live system."""
    keep_within: float | None = None
    """Taken back unless the person keeps it within these seconds; None: it stays."""

    @property
    def accepted(self) -> tuple[Acceptance, ...]:
        """What applying this accepts: every danger that the review names."""
        return tuple(h.acceptance for h in self.plan.hazards if h.severity is Severity.DANGER)


class WayBack(NamedTuple):
    """The plan that takes back what was applied last, and the journal that it comes from."""

    plan: Plan
    journal: str = ""
    left_alone: str = ""
    """What is not put back, because something else has changed it since; a sentence."""


class CutOff(NamedTuple):
    """An apply that a crash has left half way."""

    journal: str | None
    """What takes it back; None where its journal is damaged."""
    words: str
    """What happened to it, as a sentence."""
    way_out: str
    """What can be done about it, as a sentence."""


class Watch(NamedTuple):
    """Changes of the machine are being reported. ``lacks`` says why they are not, or only slowly."""

    stop: Callable[[], None]
    lacks: str = ""


class Applier(Protocol):
    """Carries out a job. Tests put their own in its place."""

    needs_terminal: bool
    """Whether `begin` may talk to the person at the terminal."""

    def begin(self, job: Job) -> None:
        """Called with the terminal handed over, where `needs_terminal`: asks for a password if there is one to ask."""

    def events(self, job: Job) -> "Iterator[Event]":
        """What happens, in a thread, until it is over."""

    def keep(self) -> None:
        """While a countdown goes on: what was applied may stay. From any thread."""

    def undo(self) -> None:
        """While a countdown goes on: take it back at once. From any thread."""


class Machine(Protocol):
    """Where the Host comes from and where writes go; what is answered here is what one says that is not real."""

    source: Source
    applier: Applier
    notes: tuple[str, ...] = ()
    """What somebody has to know of how it was read, once it has been: sentences."""

    def scan(self) -> Host:
        """The machine as it is now; called in a thread. IommutuiError says what is wrong."""

    def claims(self, host: Host) -> Host:
        """The Host with the claims of this moment, or the same one; called in a thread now and then."""
        return host

    def watch(self, changed: Callable[[], None]) -> Watch:
        """Calls ``changed``, from any thread, when something may have changed."""
        return Watch(lambda: None)

    def way_back(self, host: Host, model: Model, journal: str | None = None) -> WayBack | None:
        """The plan that takes back what was applied last, or this journal; None if there is nothing to take back."""

    def cut_off(self) -> CutOff | None:
        """The oldest apply that was cut off, and is neither taken back nor kept; called in a thread."""
        return None

    def before_boot(self, host: Host) -> Host | None:
        """The machine as it was in the boot before this one, where that is known; ``host`` is remembered for the next.

        Called in a thread.
        """
        return None
