"""One attempt at a plan: forwards step by step, and back again where anything is not as it should be."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from iommutui.apply.admission import moved, silent
from iommutui.apply.clock import Clock
from iommutui.apply.events import (
    Compensating,
    Event,
    Finished,
    ModuleLoaded,
    Started,
    StepBegun,
    StepDone,
    StepWaiting,
)
from iommutui.apply.interrupts import Stop
from iommutui.apply.kernel import GivenUp, Kernel, ReadBack, Waiting, Written
from iommutui.apply.lines import BLOCKED, Begin, End, Module, Result, Turn
from iommutui.apply.record import Record
from iommutui.apply.words import back_words, changes_words, done_words, step_words, stuck_words
from iommutui.apply.writer import DENIED, denied
from iommutui.core.address import Address
from iommutui.core.drift import Basis, Change, DeviceFacts, device_facts, differences, drift
from iommutui.core.errors import Exit, IommutuiError
from iommutui.core.host import Host
from iommutui.core.intents import Goal, restoring
from iommutui.core.models import MODELS
from iommutui.core.outcome import OK
from iommutui.core.planner import Plan, Step, plan_goals
from iommutui.core.transition import transition


class _FailedError(Exception):
    """The plan is not going on; the text says why."""


class _StuckError(Exception):
    """A write has not returned: nothing further may be written, not even to take something back."""


class _DeniedError(Exception):
    """The very first write was denied, so that nothing has changed."""


class _Seen(NamedTuple):
    """What was read back after a write."""

    right: bool
    note: str = ""


class Attempt:
    """Carries out a plan that has been admitted. ``before`` is the Host that the admission saw."""

    def __init__(self, plan: Plan, kernel: Kernel, record: Record, before: Host, clock: Clock, stop: Stop) -> None:
        self._plan = plan
        self._kernel = kernel
        self._record = record
        self._clock = clock
        self._stop = stop
        self._goals = {goal.device: goal for goal in plan.goals}
        self._model = MODELS[plan.model]
        with_steps = {step.device for step in plan.steps}
        self._before = {a: device_facts(before.devices[a]) for a in moved(plan) if a in with_steps}
        self._expected: dict[Address, DeviceFacts] = {facts.device: facts for facts in plan.basis.devices}
        self._touched: set[Address] = set()
        self._number = 0

    def run(self) -> Iterator[Event]:
        """The events up to `Finished`. NotPermittedError where the very first write is denied."""
        yield Started(self._record.id, len(self._plan.steps))
        try:
            yield from self._forward()
        except _StuckError as stuck:
            yield self._end(Exit.NOT_ROLLED_BACK, str(stuck), self._left_unread())
            return
        except _DeniedError as error:
            refusal = denied(str(error))
            self._end(Exit.PERMISSION, refusal.what, ())
            raise refusal from None
        except KeyboardInterrupt:
            why = "it was interrupted"
        except _FailedError as error:
            why = str(error)
        except IommutuiError as error:
            why = f"{error.what} {error.remedy}".strip()
        except Exception as error:
            why = f"something unexpected happened ({type(error).__name__}: {error})"
        else:
            yield self._end(Exit.DONE, done_words(self._number, len(self._touched)), ())
            return
        yield from self._back(why)

    # -- forwards

    def _forward(self) -> Iterator[Event]:
        for module in self._plan.modules:
            self._obey()
            self._record.append(Module(module))
            # A driver that has just come takes what matches it, so any device may be changed by this.
            self._touched |= self._before.keys()
            self._kernel.load_module(module)
            yield ModuleLoaded(module)
        phase = "" if self._plan.modules else "override"
        for step in self._plan.steps:
            self._obey()
            if step.op != phase:
                phase = step.op
                self._check_drift()
            self._check_device(step)
            yield from self._write(step, self._goals[step.device])
        self._obey()
        self._verify()

    def _obey(self) -> None:
        if self._stop.why is not None:
            raise _FailedError(self._stop.why)

    def _check_drift(self) -> None:
        """Everything that the plan depends on is still as it has to be at this point."""
        basis = Basis(self._plan.basis.kernel, tuple(self._expected.values()), self._plan.basis.claims)
        changes = drift(basis, self._kernel.observe(), moved(self._plan))
        surprises = [change for change in changes if not self._arrived(change)]
        if surprises:
            raise _FailedError(f"the machine changed meanwhile ({changes_words(surprises)})")

    def _arrived(self, change: Change) -> bool:
        """The device is where it is to go already: a module that came took it, as its override says."""
        goal = self._goals.get(Address(change.subject))
        if goal is None or goal.device not in self._touched or (change.fact, change.before) != ("driver", "none"):
            return False
        if not goal.any_driver and change.now != goal.driver:
            return False
        self._expected[goal.device] = self._expected[goal.device]._replace(driver=change.now)
        return True

    def _check_device(self, step: Step) -> None:
        """The last look at a device, right before its binding is changed."""
        if step.op == "override":
            return
        found = self._kernel.read_back(step.device)
        expected = self._expected[step.device]
        goal = self._goals[step.device]
        if step.op == "unbind":
            fits = found.driver == step.value
        else:
            fits = goal.any_driver or found.driver in (None, goal.driver)
        if not fits or found.override != expected.override:
            now = differences([expected], [expected._replace(driver=found.driver, override=found.override)])
            raise _FailedError(f"the machine changed meanwhile ({changes_words(now)})")

    def _verify(self) -> None:
        """Every device is where its goal says, as a fresh look at the whole machine shows."""
        host = self._kernel.observe()
        for goal in self._plan.goals:
            device = host.devices.get(goal.device)
            if device is None:
                raise _FailedError(f"{goal.device} is gone")
            wrong = _difference(goal, ReadBack(device.driver, device.driver_override))
            if wrong:
                raise _FailedError(f"in the end {wrong}")

    # -- one write

    def _write(self, step: Step, goal: Goal, *, back: bool = False) -> Iterator[Event]:
        """The write, what it answered, and what it did. _FailedError and _StuckError say what went wrong."""
        self._number += 1
        number = self._number
        self._record.append(Begin(number, step.op, step.device, step.value, back))
        self._touched.add(step.device)
        yield StepBegun(number, step)
        started = self._clock.monotonic()
        result = ""
        for answer in self._kernel.write(step, self._record.late_teller(number)):
            match answer:
                case Waiting():
                    yield StepWaiting(number, step, answer.seconds, answer.holders)
                case GivenUp():
                    if step.op != "override":
                        # The link of a device goes before its driver has let go.
                        self._expected[step.device] = self._expected[step.device]._replace(driver=None)
                    self._record.muted = True
                    self._record.append(Result(number, BLOCKED, answer.seconds))
                    raise _StuckError(stuck_words(step, answer.seconds, answer.holders))
                case Written():
                    result = answer.result
        seconds = max(self._clock.monotonic() - started, 0.0)
        first = number == 1 and not self._plan.modules
        seen = self._look(step, goal) if result == OK else _Seen(right=False)
        self._record.append(Result(number, result, seconds, seen.note))
        if first and result in DENIED:
            raise _DeniedError(step.path)
        yield StepDone(number, step, result, seconds, seen.note)
        if result != OK:
            raise _FailedError(f"{step_words(step)} failed with {result}")
        if not seen.right:
            raise _FailedError(f"{step_words(step)} did not do what it should: {seen.note}")

    def _look(self, step: Step, goal: Goal) -> _Seen:
        """What a successful write did; its success says nothing."""
        try:
            found = self._kernel.read_back(step.device)
        except IommutuiError as error:
            return _Seen(right=False, note=error.what.rstrip("."))
        self._expected[step.device] = self._expected[step.device]._replace(driver=found.driver, override=found.override)
        if step.op == "override":
            right = found.override == step.value
            return _Seen(right, "" if right else f"the override reads {found.override or 'none'}")
        if step.op == "probe" and goal.any_driver:
            return _Seen(right=True, note=f"the kernel chose {found.driver}" if found.driver else "no driver took it")
        right = found.driver == (None if step.op == "unbind" else goal.driver)
        return _Seen(right, "" if right else f"{step.device} is on {found.driver or 'no driver'}")

    # -- back

    def _back(self, why: str) -> Iterator[Event]:
        """Puts every device that was touched back, each as far as it goes, and looks at what is left."""
        self._record.muted = True
        self._record.append(Turn(why))
        yield Compensating(why)
        try:
            steps, goals = self._way_back()
            failed: set[Address] = set()
            for step in steps:
                # The last override of a device is put back even where its driver could not be.
                if step.device in failed and step.op != "override":
                    continue
                try:
                    self._refuse_harm(step)
                    yield from self._write(step, goals[step.device], back=True)
                except (_FailedError, IommutuiError, OSError, KeyboardInterrupt):
                    failed.add(step.device)
            left = self._left()
        except _StuckError as stuck:
            left = self._left_unread()
            yield self._end(Exit.NOT_ROLLED_BACK, f"{back_words(why, left)} {stuck}", left)
            return
        except Exception as error:
            left = self._left_unread()
            why = f"{why.rstrip('.')}; and while taking it back: {error}"
        yield self._end(Exit.NOT_ROLLED_BACK if left else Exit.ROLLED_BACK, back_words(why, left), left)

    def _way_back(self) -> tuple[Sequence[Step], dict[Address, Goal]]:
        now = self._kernel.observe()
        goals = {
            address: restoring(address, facts.driver, facts.override)
            for address, facts in self._before.items()
            if address in self._touched and self._can_return(now, facts)
        }
        return plan_goals(now, list(goals.values()), self._model).steps, goals

    def _can_return(self, now: Host, facts: DeviceFacts) -> bool:
        """Another device at the address is left alone, and so is one that does not answer: a write to it might hang."""
        device = now.devices.get(facts.device)
        return device is not None and device_facts(device).ids == facts.ids and silent(device) is None

    def _refuse_harm(self, step: Step) -> None:
        """A way back is not worth a crash, nor taking a device away from a virtual machine that has it by now."""
        if step.op == "override":
            return
        outcome = transition(self._kernel.observe(), step.event, self._model)
        if outcome.crash is not None or outcome.blocks:
            raise _FailedError(f"{step_words(step)} would do harm")

    def _left(self) -> tuple[Change, ...]:
        """Each difference to the state before, as the machine shows it now."""
        host = self._kernel.observe()
        now = [device_facts(host.devices[address]) for address in self._before if address in host.devices]
        unread = [
            Change(address, "state", "known", "not known")
            for address in self._before
            if address in host.devices and silent(host.devices[address]) is not None
        ]
        return (*differences(self._before.values(), now), *unread)

    def _left_unread(self) -> tuple[Change, ...]:
        """The same from what was read after each write, for a machine that must not be asked now."""
        return tuple(differences(self._before.values(), [self._expected[address] for address in self._before]))

    def _end(self, code: Exit, summary: str, left: tuple[Change, ...]) -> Finished:
        self._record.muted = True
        if self._record.broken:
            summary += " The journal is not complete, because it could not be written."
        self._record.append(End(code, summary, left))
        return Finished(code, summary, left)


def _difference(goal: Goal, found: ReadBack) -> str:
    """What of the goal is not reached, in words."""
    if not goal.any_driver and found.driver != goal.driver:
        return f"{goal.device} is on {found.driver or 'no driver'}, not on {goal.driver or 'none'}"
    if found.override != goal.override:
        return f"the override of {goal.device} is {found.override or 'none'}, not {goal.override or 'none'}"
    return ""
