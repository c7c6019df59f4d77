"""One write after the other, each begun in the record, made, and looked at; and what is known after it."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from iommutui.apply.clock import Clock
from iommutui.apply.events import Event, Finished, StepBegun, StepDone, StepWaiting
from iommutui.apply.kernel import GivenUp, Kernel, Waiting, Written
from iommutui.apply.lines import BLOCKED, Begin, End, Result
from iommutui.apply.record import Record
from iommutui.apply.words import step_words, stuck_words
from iommutui.apply.writer import DENIED
from iommutui.core.address import Address
from iommutui.core.errors import Exit, IommutuiError
from iommutui.core.outcome import OK
from iommutui.core.plan.drift import Change, DeviceFacts
from iommutui.core.plan.intents import Goal
from iommutui.core.plan.planner import Step


class FailedError(Exception):
    """The plan is not going on; the text says why."""


class StuckError(Exception):
    """A write has not returned: nothing further may be written, not even to take something back."""


class DeniedError(Exception):
    """The very first write was denied, so that nothing has changed; the text is its path."""


class _Seen(NamedTuple):
    """What was read back after a write."""

    right: bool
    note: str = ""


class Steps:
    """Makes writes and keeps what they did. ``expected`` holds the facts of every device that the plan depends on."""

    def __init__(self, kernel: Kernel, record: Record, clock: Clock, expected: Iterable[DeviceFacts]) -> None:
        self.kernel = kernel
        self.record = record
        self.expected = {facts.device: facts for facts in expected}
        self.touched: set[Address] = set()
        self.number = 0
        self._clock = clock

    def write(self, step: Step, goal: Goal, *, back: bool = False) -> Iterator[Event]:
        """The write, what it answered, and what it did. FailedError and StuckError say what went wrong.

        DeniedError: it was the first thing that was changed, and it was denied.
        """
        self.number += 1
        number = self.number
        self.record.append(Begin(number, step.op, step.device, step.value, back))
        self.touched.add(step.device)
        yield StepBegun(number, step)
        started = self._clock.monotonic()
        result = ""
        for answer in self.kernel.write(step, self.record.late_teller(number)):
            match answer:
                case Waiting():
                    yield StepWaiting(number, step, answer.seconds, answer.holders)
                case GivenUp():
                    if step.op == "unbind":
                        # The link of a device goes before its driver has let go.
                        self.expected[step.device] = self.expected[step.device]._replace(driver=None)
                    self.record.muted = True
                    self.record.append(Result(number, BLOCKED, answer.seconds))
                    raise StuckError(stuck_words(step, answer.seconds, answer.holders))
                case Written():
                    result = answer.result
        seconds = max(self._clock.monotonic() - started, 0.0)
        first = number == 1 and self.touched == {step.device}
        seen = self._look(step, goal)
        self.record.append(Result(number, result, seconds, seen.note))
        if first and result in DENIED:
            raise DeniedError(step.path)
        yield StepDone(number, step, result, seconds, seen.note)
        if result != OK:
            raise FailedError(f"{step_words(step)} failed with {result}")
        if not seen.right:
            raise FailedError(f"{step_words(step)} did not do what it should: {seen.note}")

    def _look(self, step: Step, goal: Goal) -> _Seen:
        """What a write did; its success says nothing, and neither does its failure."""
        try:
            found = self.kernel.read_back(step.device)
        except IommutuiError as error:
            return _Seen(right=False, note=error.what.rstrip("."))
        self.expected[step.device] = self.expected[step.device]._replace(driver=found.driver, override=found.override)
        if step.op == "override":
            right = found.override == step.value
            return _Seen(right, "" if right else f"the override reads {found.override or 'none'}")
        if step.op == "probe" and goal.any_driver:
            return _Seen(right=True, note=f"the kernel chose {found.driver}" if found.driver else "no driver took it")
        right = found.driver == (None if step.op == "unbind" else goal.driver)
        return _Seen(right, "" if right else f"{step.device} is on {found.driver or 'no driver'}")

    def end(self, code: Exit, summary: str, left: tuple[Change, ...]) -> Finished:
        """The last line and the last event."""
        self.record.muted = True
        told = summary + _BROKEN if self.record.broken else summary
        self.record.append(End(code, told, left))
        # The last line may be the first that cannot be written.
        return Finished(code, summary + _BROKEN if self.record.broken else summary, left)


_BROKEN = " The journal is not complete, because it could not be written."
