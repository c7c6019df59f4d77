"""A snapshot or the built-in machine, on a simulated kernel. No real writer can be reached from here."""

from collections.abc import Callable, Iterator
from functools import cached_property
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from iommutui.core.address import Address
from iommutui.core.errors import Exit
from iommutui.core.host import Host
from iommutui.core.models import Model
from iommutui.core.plan.intents import Goal, restoring
from iommutui.core.plan.planner import plan_goals
from iommutui.tui.machines.base import Job, Machine, WayBack
from iommutui.tui.state import Source

if TYPE_CHECKING:
    from iommutui.apply.confirmation import Decision
    from iommutui.apply.events import Event


class SimulatedMachine(Machine):
    """Loaded once, and changed only by applies. The plans to revert are kept in memory."""

    needs_terminal = False

    def __init__(self, source: Source, load: Callable[[], Host]) -> None:
        self.source = source
        self.applier = self
        self._load = load
        self._host: Host | None = None
        self._words = _Words()
        self._ways_back: list[list[Goal]] = []

    @cached_property
    def _first(self) -> Host:
        return self._load()

    def scan(self) -> Host:
        return self._host or self._first

    def keep(self) -> None:
        self._words.put(True)

    def undo(self) -> None:
        self._words.put(False)

    def way_back(self, host: Host, model: Model, journal: str | None = None) -> WayBack | None:
        if not self._ways_back:
            return None
        goals = [goal for goal in self._ways_back[-1] if goal.device in host.devices]
        return WayBack(plan_goals(host, goals, model))

    def begin(self, job: Job) -> None:
        """No password is needed."""

    def events(self, job: Job) -> "Iterator[Event]":
        from iommutui.apply.confirmation import Timeout  # part of applying, which no first frame needs
        from iommutui.apply.events import Finished
        from iommutui.apply.executor import execute
        from iommutui.apply.kernel import SimulatedKernel

        before = self.scan()
        kernel = SimulatedKernel(before, job.model)
        accepted = [hazard.acceptance for hazard in job.plan.hazards]  # nothing is real, so nothing can be lost
        timeout = Timeout(job.keep_within, self._words) if job.keep_within is not None else None
        for event in execute(job.plan, kernel, None, accepted=accepted, timeout=timeout):
            self._host = _used_still(self._first, kernel.host)
            if isinstance(event, Finished) and event.exit is Exit.DONE:
                self._remember(job, before)
            yield event

    def _remember(self, job: Job, before: Host) -> None:
        if job.revert:
            self._ways_back.pop()
        elif job.plan.steps:
            addresses = dict.fromkeys(step.device for step in job.plan.steps)
            moved = [before.devices[address] for address in addresses if address in before.devices]
            self._ways_back.append([restoring(d.address, d.driver, d.driver_override) for d in moved])


def _used_still(first: Host, now: Host) -> Host:
    """The uses of a device end when its driver leaves, and resume when it returns."""
    if first.uses is None:
        return now

    def keep(address: Address) -> bool:
        before, after = first.devices.get(address), now.devices.get(address)
        return before is not None and after is not None and before.driver == after.driver

    return now._replace(uses=first.uses.on(keep))


class _Words(SimpleQueue[bool]):
    """The channel through which the user answers a countdown. Implements `iommutui.apply.confirmation.Confirmer`."""

    def begin(self, journal_id: str) -> None:
        """Earlier answers do not count."""
        while not self.empty():
            self.get()

    def wait(self, seconds: float) -> "Decision | None":
        """Waits at most this long for an answer."""
        from iommutui.apply.confirmation import Decision

        try:
            return Decision(keep=self.get(timeout=seconds), by="the screen")
        except Empty:
            return None

    def end(self) -> None:
        """The countdown is over."""
