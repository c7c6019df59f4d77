"""The interface of a machine on the screen, and the values that it exchanges with it."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

from iommutui.core.hazards import Acceptance, Severity
from iommutui.core.host import Host
from iommutui.core.models import Model
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import Plan
from iommutui.tui.state import Source

if TYPE_CHECKING:
    from iommutui.apply.events import Event


class Job(NamedTuple):
    """A reviewed plan to apply."""

    plan: Plan
    intents: tuple[Intent, ...]
    model: Model
    revert: bool = False
    journal: str = ""
    """The journal of a revert, on a live system."""
    keep_within: float | None = None
    """Reverts unless confirmed within these seconds; None: it stays."""

    @property
    def accepted(self) -> tuple[Acceptance, ...]:
        """The accepted dangers: every one that the review names."""
        return tuple(h.acceptance for h in self.plan.hazards if h.severity is Severity.DANGER)


class WayBack(NamedTuple):
    """The plan that reverts the last apply, and its journal."""

    plan: Plan
    journal: str = ""
    left_alone: str = ""
    """The facts not restored, because something else has changed them since; a sentence."""


class CutOff(NamedTuple):
    """An apply that a crash interrupted."""

    journal: str | None
    """The plan that reverts it; None if its journal is damaged."""
    words: str
    """What happened to it, as a sentence."""
    remedy_words: str
    """What can be done about it, as a sentence."""


class Watch(NamedTuple):
    """A watch on changes of the machine. ``lacks`` says why there is none."""

    stop: Callable[[], None]
    lacks: str = ""


class Applier(Protocol):
    """Carries out a job. Tests replace it with their own."""

    needs_terminal: bool
    """Whether `begin` may ask the user at the terminal."""

    def begin(self, job: Job) -> None:
        """Starts it; if `needs_terminal`, with the terminal handed over, so that it can ask for a password."""

    def events(self, job: Job) -> "Iterator[Event]":
        """The events of the apply, read in a thread until the end."""

    def keep(self) -> None:
        """Confirms the apply during a countdown. From any thread."""

    def undo(self) -> None:
        """Reverts the apply at once during a countdown. From any thread."""


class Machine(Protocol):
    """The source of the Host and the target of writes; the defaults are those of a simulated machine."""

    source: Source
    applier: Applier
    notes: tuple[str, ...] = ()
    """Notes on how it was read, as sentences."""

    def scan(self) -> Host:
        """The machine as it is now; called in a thread. Raises IommutuiError if it cannot be read."""

    def claims(self, host: Host) -> Host:
        """The Host with its present claims, or the same one; called in a thread from time to time."""
        return host

    def watch(self, changed: Callable[[], None]) -> Watch:
        """Calls ``changed``, from any thread, when something may have changed."""
        return Watch(lambda: None)

    def way_back(self, host: Host, model: Model, journal: str | None = None) -> WayBack | None:
        """The plan that reverts the last apply, or this journal; None if there is nothing to revert."""

    def cut_off(self) -> CutOff | None:
        """The oldest interrupted apply, neither reverted nor kept; called in a thread."""
        return None

    def before_boot(self, host: Host) -> Host | None:
        """The machine as it was in the previous boot, if known; ``host`` is saved for the next. Called in a thread."""
        return None
