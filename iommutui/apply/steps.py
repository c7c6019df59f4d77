"""One write after the other, each begun in the journal, made, and looked at; and what is known after it."""

from collections.abc import Generator, Iterable, Iterator
from typing import NamedTuple

from iommutui import debug
from iommutui.apply.child import Stop
from iommutui.apply.events import Event, Finished, ModuleLoaded, StepBegun, StepDone, StepWaiting
from iommutui.apply.journal.format import BLOCKED, Begin, End, Module, Result
from iommutui.apply.journal.writer import JournalWriter
from iommutui.apply.kernel import DENIED, Clock, GivenUp, Kernel, LoadAnswer, Waiting, Written
from iommutui.apply.wording import step_words, stuck_words
from iommutui.core.address import Address
from iommutui.core.errors import Exit, IommutuiError
from iommutui.core.outcome import OK
from iommutui.core.plan.drift import Change, DeviceFacts
from iommutui.core.plan.intents import Goal
from iommutui.core.plan.planner import Step


class FailedError(Exception):
    """The plan is not going on; the text says why."""


class StuckError(Exception):
    """A write has not returned: nothing further may be written, not even by a rollback."""


class DeniedError(Exception):
    """The very first write was denied, so that nothing has changed; the text is its path."""


class _Seen(NamedTuple):
    """What was read back after a write."""

    right: bool
    note: str = ""


class Steps:
    """Makes writes and keeps what they did. ``expected`` holds the facts of every device that the plan depends on."""

    def __init__(
        self, kernel: Kernel, journal: JournalWriter, clock: Clock, stop: Stop, expected: Iterable[DeviceFacts]
    ) -> None:
        self.kernel = kernel
        self.journal = journal
        self.expected = {facts.device: facts for facts in expected}
        self.touched: set[Address] = set()
        """Devices that may have been changed."""
        self.written: dict[Address, None] = {}
        """Devices that were written to."""
        self.number = 0
        self._clock = clock
        self._stop = stop

    def load_module(self, name: str) -> Iterator[Event]:
        """Loads a module. StuckError where that does not return."""
        self.journal.append(Module(name))
        # A driver that has just come takes what matches it, so any device may be changed by this.
        self.touched |= self.expected.keys()
        yield from self._wait(0, Step("modprobe", Address(""), name, "", OK), self.kernel.load_module(name))
        yield ModuleLoaded(name)

    def write(self, step: Step, goal: Goal, *, back: bool = False) -> Iterator[Event]:
        """The write, what it answered, and what it did. FailedError and StuckError say what went wrong.

        DeniedError: it was the first thing that was changed, and it was denied.
        """
        self.number += 1
        number = self.number
        self.journal.append(Begin(number, step.op, step.device, step.value, back))
        self.touched.add(step.device)
        self.written[step.device] = None
        yield StepBegun(number, step)
        started = self._clock.monotonic()
        answers = self.kernel.write(step, self.journal.late_teller(number))
        answer = yield from self._wait(number, step, answers, back=back)
        result = answer.result if isinstance(answer, Written) else ""
        seconds = max(self._clock.monotonic() - started, 0.0)
        first = number == 1 and self.touched == {step.device}
        seen = self._look(step, goal)
        debug.log("apply: %s. %s %s %s: %s, %.3f s %s", number, step.op, step.device, step.value, result, seconds, seen)
        self.journal.append(Result(number, result, seconds, seen.note))
        if first and result in DENIED:
            raise DeniedError(step.path)
        yield StepDone(number, step, result, seconds, seen.note)
        if result != OK:
            raise FailedError(f"{step_words(step)} failed with {result}")
        if not seen.right:
            raise FailedError(f"{step_words(step)} did not do what it should: {seen.note}")

    def _wait(
        self, number: int, step: Step, answers: Iterator[Written | LoadAnswer], *, back: bool = False
    ) -> Generator[Event, None, Written | LoadAnswer | None]:
        """The last answer. StuckError where there is none in time, or somebody asks to stop while it is waited for."""
        answer: Written | LoadAnswer | None = None
        for answer in answers:
            if not isinstance(answer, Waiting | GivenUp):
                break
            debug.log("apply: waiting for %s %s: %s", step.op, step.device or step.value, answer)
            asked = None
            if isinstance(answer, Waiting):
                if not answer.notable:
                    continue  # many writes take a second or two, and an interrupt can wait for those
                yield StepWaiting(number, step, answer.seconds, answer.holders)
                asked = None if back else self._stop.why
            if asked is not None or isinstance(answer, GivenUp):
                self._give_up(number, step, answer)
                raise StuckError(stuck_words(step, answer.seconds, answer.holders, asked))
        return answer

    def _give_up(self, number: int, step: Step, answer: Waiting | GivenUp) -> None:
        if step.op == "unbind":
            # The link of a device goes before its driver has let go.
            self.expected[step.device] = self.expected[step.device]._replace(driver=None)
        self.journal.muted = True
        if number:
            self.journal.append(Result(number, BLOCKED, answer.seconds))

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

    def end(self, code: Exit, summary: str, left: tuple[Change, ...] = ()) -> Finished:
        """The last line and the last event."""
        self.journal.muted = True
        told = summary + _BROKEN if self.journal.broken else summary
        lasting = code in (Exit.DONE, Exit.NOT_ROLLED_BACK)
        self.journal.append(End(code, told, left, tuple(self.expected[a] for a in self.written) if lasting else ()))
        # The last line may be the first that cannot be written.
        return Finished(code, summary + _BROKEN if self.journal.broken else summary, left)


_BROKEN = " The journal is not complete, because it could not be written."
