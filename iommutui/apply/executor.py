"""Applies a plan, from the lock to the last line of the journal. `execute` has the phases in order."""

from collections.abc import Collection, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from iommutui import debug
from iommutui.apply.child import Stop, held_signals
from iommutui.apply.confirmation import Timeout, count_down
from iommutui.apply.events import Event, Finished, Notice, ReaderGoneError, Started
from iommutui.apply.journal import lock, new_id
from iommutui.apply.journal.format import SCHEMA, Header, JournalWriter
from iommutui.apply.kernel import CLOCK, Clock, DeniedError, Kernel
from iommutui.apply.recovery import RETENTION, Retention, close_earlier, prune, refuse_unfinished
from iommutui.apply.request import refuse_dangers, refuse_drift, refuse_unpermitted, shown_of
from iommutui.apply.steps import FailedError, Steps, StuckError, silent
from iommutui.core.address import Address
from iommutui.core.errors import Exit, IommutuiError, RefusedError
from iommutui.core.hazards import Acceptance, Hazard, hazards_of
from iommutui.core.host import Host
from iommutui.core.models import MODELS
from iommutui.core.plan.drift import device_facts, differences, drift
from iommutui.core.plan.planner import Plan, Step, still_to_leave
from iommutui.core.wording import changes_words

_GONE = "the program that asked for it has gone"


def execute(
    plan: Plan,
    kernel: Kernel,
    journal_dir: Path | None,
    *,
    clock: Clock = CLOCK,
    reverts: str | None = None,
    accepted: Collection[Acceptance] = (),
    timeout: Timeout | None = None,
    retention: Retention = RETENTION,
) -> Generator[Event, None, None]:
    """Carries out the plan and reports what happens; the last event is `Finished`.

    1. Lock: the machine and its journals are held for this apply alone.
    2. Recovery: nothing begins while an apply of this boot is unfinished.
    3. Admission: the plan is permitted, nothing has drifted, every danger is accepted, the files may be written.
    4. Journal: the state before is on disk.
    5. Modules that the targets need are loaded.
    6. Every override is written, so that no device is ever without a driver and without its override.
    7. Every unbind, after another check of drift and dangers.
    8. Every probe, and the overrides that are left behind, after the same.
    9. Verify: the ``driver`` link of every device decides, not the success of its writes.
    10. Confirm: with a timeout, a user has to confirm.
    11. End: the journal says how the apply ended, and what it left each device on.

    RefusedError and NotPermittedError come from phases 1 to 3, or where the very first write is denied: nothing has
    changed then. Whatever goes wrong in 5 to 10 is rolled back, except where a write does not return: then nothing
    further is written. Signals are obeyed between two writes. Closing the iterator early rolls everything back first.
    ``reverts`` is the journal that the plan reverts. ``journal_dir`` may be None only for a kernel whose writes do not
    last.
    """
    if journal_dir is None and kernel.lasting:
        raise ValueError("writes that last need a journal")
    with held_signals() as stop:
        events = _Apply(plan, kernel, journal_dir, clock, reverts, tuple(accepted), timeout, retention, stop).run()
        for event in events:
            try:
                yield event
            except KeyboardInterrupt:
                stop.ask("it was interrupted")
            except ReaderGoneError:
                stop.ask(_GONE)
            except GeneratorExit:
                # The reader is gone; a half-rebound machine must not be left behind for that.
                stop.ask(_GONE)
                for _ in events:
                    pass
                raise


@dataclass
class _Apply:
    """One call of `execute`."""

    plan: Plan
    kernel: Kernel
    directory: Path | None
    clock: Clock
    reverts: str | None
    accepted: tuple[Acceptance, ...]
    timeout: Timeout | None
    retention: Retention
    stop: Stop

    def run(self) -> Iterator[Event]:
        """The events up to `Finished`."""
        plan, kernel, directory = self.plan, self.kernel, self.directory
        with ExitStack() as stack:
            if directory is not None:
                stack.enter_context(lock(directory))
                stack.enter_context(kernel.hold())
                debug.log("apply: %s and the machine are locked; boot %s", directory, kernel.boot())
                refuse_unfinished(directory, kernel.boot(), self.reverts)
            before = self._admit()
            debug.log("apply: admitted, %s steps, modules %s, model %s", len(plan.steps), plan.modules, plan.model)
            if not plan.steps and self.reverts is None:
                yield Finished(Exit.DONE, "Nothing to do: every device is where it should be.")
                return
            kernel.check(plan.steps)
            journal, notices = JournalWriter(Path(), None), list[str]()
            if directory is not None:
                notices += close_earlier(directory, kernel.boot())
                prune(directory, kernel.boot(), self.clock.now(), self.retention)
                journal = stack.enter_context(JournalWriter.open_new(directory, self._header(directory, before)))
            debug.log("apply: journal %s", journal.path)
            yield Started(journal.id, len(plan.steps))
            yield from map(Notice, notices)
            yield from self._attempt(journal, before)

    def _admit(self) -> Host:
        """The machine as it is now, on which the plan may be carried out. Raises RefusedError if it may not."""
        plan = self.plan
        refuse_unpermitted(plan.refusals, remedy="'iommutui preview' shows which targets fit.")
        fresh = self.kernel.survey()
        refuse_drift(plan.basis, fresh, _moved(plan))
        for address in _moved(plan):
            gap = silent(fresh.devices[address])
            if gap is not None:
                raise RefusedError(
                    f"The state of {address} is not known: {gap}.", "Find out what holds it, and try again."
                )
        refuse_dangers((*plan.hazards, *_dangers(plan, fresh)), self.accepted)
        return fresh

    def _header(self, directory: Path, before: Host) -> Header:
        plan, now, boot = self.plan, self.clock.now(), self.kernel.boot()
        with_steps = {step.device for step in plan.steps}
        return Header(
            schema=SCHEMA,
            id=new_id(directory, now, boot),
            started=now.isoformat(timespec="seconds"),
            kernel=before.kernel,
            model=plan.model,
            goals=plan.goals,
            modules=plan.modules,
            steps=shown_of(plan).steps,
            before=tuple(device_facts(before.devices[a]) for a in _moved(plan) if a in with_steps),
            reverts=self.reverts,
            accepted=self.accepted,
            boot=boot,
        )

    def _attempt(self, journal: JournalWriter, before: Host) -> Iterator[Event]:
        """Phases 5 to 11. Raises NotPermittedError if the very first write is denied."""
        devices = dict.fromkeys(step.device for step in self.plan.steps)
        concerned = {address: device_facts(before.devices[address]) for address in devices}
        if self.plan.modules:
            # A loaded driver may bind to any unbound device.
            free = [device for device in before.devices.values() if device.bus == "pci" and device.driver is None]
            concerned |= {device.address: device_facts(device) for device in free}
        expected = {facts.device: facts for facts in (*self.plan.basis.devices, *concerned.values())}
        model = MODELS[self.plan.model]
        self._goals = {goal.device: goal for goal in self.plan.goals}
        self._steps = steps = Steps(self.kernel, journal, self.clock, self.stop, model, concerned, expected)
        try:
            yield from self._forward()
            if self.timeout is not None:
                yield from count_down(self.timeout, journal, self.clock, self.stop)
        except StuckError as stuck:
            yield steps.end_stuck(str(stuck))
            return
        except DeniedError as error:
            steps.end(Exit.PERMISSION, error.what)
            raise
        except KeyboardInterrupt:
            why = "it was interrupted"
        except IommutuiError as error:
            why = f"{error.what} {error.remedy}".strip()
        except Exception as error:
            # Whatever the error, a half-rebound machine is worse.
            why = f"something unexpected happened ({type(error).__name__}: {error})"
        else:
            writes, changed = f"{steps.number} write{'s' * (steps.number != 1)}", len(devices)
            yield steps.end(Exit.DONE, f"{writes} done, {changed} device{'s' * (changed != 1)} changed.")
            return
        debug.log("apply: rollback: %s", why)
        yield from steps.roll_back(why)

    def _forward(self) -> Iterator[Event]:
        for module in self.plan.modules:
            self._obey()
            yield from self._steps.load_module(module)
        if self.plan.modules:
            self._accept_taken()
        phase = "" if self.plan.modules else "override"
        for step in self.plan.steps:
            self._obey()
            if step.op != phase:
                phase = step.op
                self._check_again()
            self._check_device(step)
            yield from self._steps.write(step, self._goals[step.device])
        self._obey()
        self._verify()

    def _obey(self) -> None:
        if self.stop.why is not None:
            raise FailedError(self.stop.why)

    def _check_again(self) -> None:
        """Checks that everything that the plan depends on still holds, and that continuing has no new impact."""
        host = self.kernel.survey()
        debug.log("apply: another check of drift and dangers")
        expected = tuple(self._steps.expected[facts.device] for facts in self.plan.basis.devices)
        changes = drift(self.plan.basis._replace(devices=expected), host, _moved(self.plan))
        if changes:
            raise FailedError(f"the machine changed meanwhile ({changes_words(changes)})")
        refuse_dangers(_dangers(self.plan, host), self.accepted)

    def _accept_taken(self) -> None:
        """An unbound device that a new module has bound may stay bound, unless the plan has another target for it."""
        host = self.kernel.observe()
        for address, facts in self._steps.expected.items():
            device, goal = host.devices.get(address), self._goals.get(address)
            if facts.driver is not None or device is None:
                continue
            if goal is None or goal.any_driver or device.driver == goal.driver:
                self._steps.expected[address] = facts._replace(driver=device.driver)

    def _check_device(self, step: Step) -> None:
        """The last check of a device, right before its binding changes."""
        if step.op == "override":
            return
        found = self.kernel.read_back(step.device)
        expected = self._steps.expected[step.device]
        goal = self._goals[step.device]
        if step.op == "unbind":
            fits = found.driver == step.value
        else:
            fits = goal.any_driver or found.driver in (None, goal.driver)
        if not fits or found.override != expected.override:
            now = differences([expected], [expected._replace(driver=found.driver, override=found.override)])
            raise FailedError(f"the machine changed meanwhile ({changes_words(now)})")

    def _verify(self) -> None:
        """Checks by a fresh scan that every device is where its goal says."""
        host = self.kernel.observe()
        for goal in self.plan.goals:
            device = host.devices.get(goal.device)
            if device is None:
                raise FailedError(f"{goal.device} is gone")
            if not goal.any_driver and device.driver != goal.driver:
                is_on = device.driver or "no driver"
                raise FailedError(f"in the end {goal.device} is on {is_on}, not on {goal.driver or 'none'}")
            if device.driver_override != goal.override:
                reads = device.driver_override or "none"
                raise FailedError(f"in the end the override of {goal.device} is {reads}, not {goal.override or 'none'}")
            self._steps.expected[goal.device] = device_facts(device)


def _moved(plan: Plan) -> list[Address]:
    """The devices that the plan changes."""
    return [goal.device for goal in plan.goals]


def _dangers(plan: Plan, host: Host) -> tuple[Hazard, ...]:
    """The impact on the host if the apply continues: only devices that are still to be unbound count."""
    return tuple(hazards_of(host, still_to_leave(host, plan.goals)))
