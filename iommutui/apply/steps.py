"""The writes of a plan: each is begun in the journal, made, and checked; and their rollback."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from iommutui import debug
from iommutui.apply.child import Stop
from iommutui.apply.events import Compensating, Event, Finished, ModuleLoaded, StepBegun, StepDone, StepWaiting
from iommutui.apply.journal.format import BLOCKED, Begin, JournalWriter, Module, Result
from iommutui.apply.journal.reader import JournaledWrite
from iommutui.apply.kernel import DENIED, Answer, Clock, DeniedError, Kernel, Waiting
from iommutui.core.address import Address
from iommutui.core.device import NOT_LISTED, gap_words
from iommutui.core.engine import transition
from iommutui.core.errors import Exit, IommutuiError
from iommutui.core.host import Device, Host
from iommutui.core.models import Model
from iommutui.core.plan.drift import Change, DeviceFacts, device_facts, differences
from iommutui.core.plan.intents import Goal, restoring
from iommutui.core.plan.planner import Step, plan_goals
from iommutui.core.reasons import OK
from iommutui.core.wording import changes_words


class FailedError(IommutuiError):
    """The plan stops and is rolled back; its text, which begins with a small letter, says why."""


class StuckError(Exception):
    """A write has not returned: nothing more may be written, not even by a rollback."""


@dataclass
class Steps:
    """Makes writes, records their effects, and rolls them back."""

    kernel: Kernel
    journal: JournalWriter
    clock: Clock
    stop: Stop
    model: Model
    before: Mapping[Address, DeviceFacts]
    """The facts that a rollback restores."""
    expected: dict[Address, DeviceFacts]
    """The facts of every device that the plan depends on, as they should be now."""
    touched: set[Address] = field(default_factory=set)
    """Devices that may have been changed."""
    written: dict[Address, None] = field(default_factory=dict)
    """Devices that were written to, in this order."""
    number: int = 0
    """How many writes were begun."""
    restoring: bool = False
    """Set during a rollback, which cannot be interrupted."""

    def load_module(self, name: str) -> Iterator[Event]:
        """Loads a module. Raises StuckError if that does not return."""
        self.journal.append(Module(name))
        # A newly loaded driver binds to every device that it matches, so any device may change.
        self.touched |= self.expected.keys()
        yield from self._wait(0, Step("modprobe", Address(""), name, "", OK), self.kernel.load_module(name))
        yield ModuleLoaded(name)

    def write(self, step: Step, goal: Goal) -> Iterator[Event]:
        """Makes the write, and yields its result and its effect. Raises FailedError and StuckError.

        DeniedError: it was the first thing that was changed, and it was denied.
        """
        self.number += 1
        number = self.number
        self.journal.append(Begin(number, step.op, step.device, step.value, self.restoring))
        self.touched.add(step.device)
        self.written[step.device] = None
        yield StepBegun(number, step)
        started = self.clock.monotonic()
        result = yield from self._wait(number, step, self.kernel.write(step, partial(self.journal.late, number)))
        seconds = max(self.clock.monotonic() - started, 0.0)
        first = number == 1 and self.touched == {step.device}
        right, note = self._look(step, goal)
        debug.log("apply: %s. %s %s %s: %s, %.3f s %s", number, step.op, step.device, step.value, result, seconds, note)
        self.journal.append(Result(number, result, seconds, note))
        if first and result in DENIED:
            raise DeniedError(step.path)
        yield StepDone(number, step, result, seconds, note)
        if result != OK:
            raise FailedError(f"{step_words(step)} failed with {result}")
        if not right:
            raise FailedError(f"{step_words(step)} had another effect: {note}")

    def _wait(self, number: int, step: Step, answers: Iterator[Answer]) -> Generator[Event, None, str]:
        """The result. Raises StuckError if there is none in time, or a stop is requested meanwhile."""
        for answer in answers:
            if not isinstance(answer, Waiting):
                return answer
            debug.log("apply: waiting for %s %s: %s", step.op, step.device or step.value, answer)
            if not answer.given_up:
                yield StepWaiting(number, step, answer.seconds, answer.holders)
            asked = None if self.restoring else self.stop.why
            if asked is not None or answer.given_up:
                self._give_up(number, step, answer)
                raise StuckError(_stuck_words(step, answer, asked))
        raise FailedError(f"{step_words(step)} got no answer")

    def _give_up(self, number: int, step: Step, answer: Waiting) -> None:
        if step.op == "unbind":
            # The link of a device vanishes before its driver has released it.
            self.expected[step.device] = self.expected[step.device]._replace(driver=None)
        self.journal.muted = True
        if number:
            self.journal.append(Result(number, BLOCKED, answer.seconds))

    def _look(self, step: Step, goal: Goal) -> tuple[bool, str]:
        """Whether a write had the intended effect, and a note. The write's own result is not used."""
        try:
            found = self.kernel.read_back(step.device)
        except IommutuiError as error:
            return False, error.what.rstrip(".")
        self.expected[step.device] = self.expected[step.device]._replace(driver=found.driver, override=found.override)
        if step.op == "override":
            right = found.override == step.value
            return right, "" if right else f"the override reads {found.override or 'none'}"
        if step.op == "probe" and goal.any_driver:
            return True, f"the kernel chose {found.driver}" if found.driver else "no driver took it"
        right = found.driver == (None if step.op == "unbind" else goal.driver)
        return right, "" if right else f"{step.device} is on {found.driver or 'no driver'}"

    def end(self, code: Exit, summary: str, left: tuple[Change, ...] = ()) -> Finished:
        """The last line and the last event."""
        self.journal.muted = True
        after = tuple(self.expected[a] for a in self.written) if code in (Exit.DONE, Exit.NOT_ROLLED_BACK) else ()

        def last() -> Finished:
            broken = " The journal is incomplete, because it could not be written." if self.journal.broken else ""
            return Finished(code, summary + broken, left, after)

        self.journal.append(last())
        return last()  # that line may be the first that cannot be written

    def end_stuck(self, why: str) -> Finished:
        """Like `end`, if a write has not returned: the differences come from earlier reads, because a read may hang."""
        left = self._left_unread()
        return self.end(Exit.NOT_ROLLED_BACK, f"{why}{_left_words(left)}", left)

    def roll_back(self, why: str) -> Iterator[Event]:
        """Restores the state before, and reports what differs; the last event is `Finished`."""
        self.restoring = self.journal.muted = True
        turn = Compensating(why)
        self.journal.append(turn)
        yield turn
        try:
            steps, goals = self._plan_back()
            failed: set[Address] = set()
            for step in steps:
                # The last override of a device is restored even if its driver could not be.
                if step.device in failed and step.op != "override":
                    continue
                try:
                    self._refuse_harm(step)
                    yield from self.write(step, goals[step.device])
                except StuckError:
                    raise
                except (Exception, KeyboardInterrupt):
                    # Whatever happens to one device, the others are restored.
                    failed.add(step.device)
            left = self._left()
        except StuckError as stuck:
            yield self.end_stuck(f"{stuck} This happened while rolling back: {why}.")
            return
        except Exception as error:
            left = (*self._left_unread(), Change("host", "state", "known", "not known"))
            why = f"{why.rstrip('.')}; and while rolling back: {error}"
        if left:
            words = f"{capital(why)}. Not everything could be restored.{_left_words(left)}"
            yield self.end(Exit.NOT_ROLLED_BACK, words, left)
        else:
            yield self.end(Exit.ROLLED_BACK, f"{capital(why)}. Drivers and overrides are restored.")

    def _plan_back(self) -> tuple[Sequence[Step], dict[Address, Goal]]:
        now = self.kernel.observe()
        goals = {
            address: restoring(address, facts.driver, facts.override)
            for address, facts in self.before.items()
            if address in self.touched and _can_return(now, facts)
        }
        return plan_goals(now, list(goals.values()), self.model).steps, goals

    def _refuse_harm(self, step: Step) -> None:
        """Refuses a step that would crash the kernel or take a device from a virtual machine."""
        if step.op == "override":
            return
        outcome = transition(self.kernel.observe(), step.event, self.model)
        if outcome.crash is not None or outcome.blocks:
            raise FailedError(f"{step_words(step)} would be harmful")

    def _left(self) -> tuple[Change, ...]:
        """Each difference from the state before, as the machine shows it now."""
        host = self.kernel.observe()
        present = [host.devices[address] for address in self.before if address in host.devices]
        unread = [Change(each.address, "state", "known", "not known") for each in present if silent(each) is not None]
        return (*differences(self.before.values(), map(device_facts, present)), *unread)

    def _left_unread(self) -> tuple[Change, ...]:
        """Each difference from the state before, according to the reads after each write."""
        return tuple(differences(self.before.values(), [self.expected[address] for address in self.before]))


def silent(device: Device) -> str | None:
    """Why the device's driver or override cannot be read, in words; None if it can.

    A fact that a pasted listing does not show is no obstacle: there everything is simulated.
    """
    gaps = (device.gap(attribute) for attribute in ("driver", "driver_override"))
    return next((gap_words(gap.why) for gap in gaps if gap is not None and gap.why != NOT_LISTED), None)


def step_words(step: Step | JournaledWrite) -> str:
    """What a step does, as the subject of a sentence."""
    device, value = step.device, step.value
    if step.op == "override":
        return f"setting the override of {device} to {value}" if value else f"clearing the override of {device}"
    if step.op == "modprobe":
        return f"loading the module {value}"
    return f"unbinding {device} from {value}" if step.op == "unbind" else f"probing {device}"


def _stuck_words(step: Step, waiting: Waiting, asked: str | None) -> str:
    said = f"{capital(step_words(step))} has not returned after {waiting.seconds:.0f} s, so nothing further is written."
    if asked is not None:
        said = f"{capital(asked)}. {said}"
    return f"{said} It may be held by {'; '.join(waiting.holders)}." if waiting.holders else said


def capital(text: str) -> str:
    """A sentence without its full stop, to be continued."""
    text = text.rstrip(".")
    return text[:1].upper() + text[1:]


def _can_return(now: Host, facts: DeviceFacts) -> bool:
    """Another device at the address is left alone, and so is one that does not answer: a write to it might hang."""
    device = now.devices.get(facts.device)
    return device is not None and device_facts(device).ids == facts.ids and silent(device) is None


def _left_words(left: Sequence[Change]) -> str:
    """The differences from the state before, to append to a sentence."""
    return f" Not restored: {changes_words(left)}." if left else ""
