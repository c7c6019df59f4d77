"""One attempt at a plan: forwards step by step, with everything checked again on the way."""

from collections.abc import Collection, Iterator

from iommutui.apply.admission import dangers, moved
from iommutui.apply.clock import Clock
from iommutui.apply.events import Event, ModuleLoaded, Started
from iommutui.apply.interrupts import Stop
from iommutui.apply.keeping import Keeping, NotKeptError, count_down
from iommutui.apply.kernel import Kernel, ReadBack
from iommutui.apply.lines import Module
from iommutui.apply.record import Record
from iommutui.apply.steps import DeniedError, FailedError, Steps, StuckError
from iommutui.apply.wayback import WayBack
from iommutui.apply.words import accept_words, changes_words, dangers_words, done_words, left_words
from iommutui.apply.writer import denied
from iommutui.core.address import Address
from iommutui.core.errors import Exit, IommutuiError
from iommutui.core.hazards import Acceptance, unaccepted
from iommutui.core.host import Host
from iommutui.core.models import MODELS
from iommutui.core.plan.drift import Change, device_facts, differences, drift
from iommutui.core.plan.intents import Goal
from iommutui.core.plan.planner import Plan, Step


class Attempt:
    """Carries out a plan that has been admitted. ``before`` is the Host that the admission saw."""

    def __init__(
        self,
        plan: Plan,
        kernel: Kernel,
        record: Record,
        before: Host,
        clock: Clock,
        stop: Stop,
        *,
        accepted: Collection[Acceptance] = (),
        keeping: Keeping | None = None,
    ) -> None:
        self._plan = plan
        self._kernel = kernel
        self._clock = clock
        self._stop = stop
        self._accepted = accepted
        self._keeping = keeping
        self._goals = {goal.device: goal for goal in plan.goals}
        devices = dict.fromkeys(step.device for step in plan.steps)
        concerned = {a: device_facts(before.devices[a]) for a in (*devices, *_bystanders(plan, before))}
        self._steps = Steps(kernel, record, clock, (*plan.basis.devices, *concerned.values()))
        self._way_back = WayBack(self._steps, concerned, MODELS[plan.model])

    def run(self) -> Iterator[Event]:
        """The events up to `Finished`. NotPermittedError where the very first write is denied."""
        steps = self._steps
        yield Started(steps.record.id, len(self._plan.steps))
        try:
            yield from self._forward()
            if self._keeping is not None:
                yield from count_down(self._keeping, steps.record, self._clock, self._stop)
        except StuckError as stuck:
            left = self._way_back.left_unread()
            yield steps.end(Exit.NOT_ROLLED_BACK, f"{stuck}{left_words(left)}", left)
            return
        except DeniedError as error:
            refusal = denied(str(error))
            steps.end(Exit.PERMISSION, refusal.what, ())
            raise refusal from None
        except KeyboardInterrupt:
            why = "it was interrupted"
        except (FailedError, NotKeptError) as error:
            why = str(error)
        except IommutuiError as error:
            why = f"{error.what} {error.remedy}".strip()
        except Exception as error:
            # Whatever it is, a machine that is half rebound is worse.
            why = f"something unexpected happened ({type(error).__name__}: {error})"
        else:
            devices = {step.device for step in self._plan.steps}
            yield steps.end(Exit.DONE, done_words(steps.number, len(devices)), ())
            return
        yield from self._way_back.take(why)

    def _forward(self) -> Iterator[Event]:
        for module in self._plan.modules:
            self._obey()
            self._steps.record.append(Module(module))
            # A driver that has just come takes what matches it, so any device may be changed by this.
            self._steps.touched |= self._steps.expected.keys()
            self._kernel.load_module(module)
            yield ModuleLoaded(module)
        self._accept_taken()
        phase = "" if self._plan.modules else "override"
        for step in self._plan.steps:
            self._obey()
            if step.op != phase:
                phase = step.op
                self._check_again()
            self._check_device(step)
            yield from self._steps.write(step, self._goals[step.device])
        self._obey()
        self._verify()

    def _obey(self) -> None:
        if self._stop.why is not None:
            raise FailedError(self._stop.why)

    def _check_again(self) -> None:
        """Everything that the plan depends on is still as it has to be, and nothing more is lost by going on."""
        host = self._kernel.survey()
        self._check_drift(host)
        left = unaccepted(dangers(self._plan, host), self._accepted)
        if left:
            raise FailedError(f"{dangers_words(left)} What accepts that: {accept_words(left)}")

    def _check_drift(self, host: Host) -> None:
        expected = tuple(self._steps.expected[facts.device] for facts in self._plan.basis.devices)
        basis = self._plan.basis._replace(devices=expected)
        changes = drift(basis, host, moved(self._plan))
        surprises = [change for change in changes if not self._arrived(change)]
        if surprises:
            raise FailedError(f"the machine changed meanwhile ({changes_words(surprises)})")

    def _accept_taken(self) -> None:
        """Other devices that were free, and that a module which came for this plan has taken, may stay as they are."""
        if not self._plan.modules:
            return
        host = self._kernel.observe()
        for address, facts in self._steps.expected.items():
            device = host.devices.get(address)
            if address not in self._goals and facts.driver is None and device is not None:
                self._steps.expected[address] = facts._replace(driver=device.driver)

    def _arrived(self, change: Change) -> bool:
        """The device is where it is to go already: a module that came took it, as its override says."""
        goal = self._goals.get(Address(change.subject))
        if goal is None or goal.device not in self._steps.touched or (change.fact, change.before) != ("driver", "none"):
            return False
        if not goal.any_driver and change.now != goal.driver:
            return False
        self._steps.expected[goal.device] = self._steps.expected[goal.device]._replace(driver=change.now)
        return True

    def _check_device(self, step: Step) -> None:
        """The last look at a device, right before its binding is changed."""
        if step.op == "override":
            return
        found = self._kernel.read_back(step.device)
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
        """Every device is where its goal says, as a fresh look at the whole machine shows."""
        host = self._kernel.observe()
        for goal in self._plan.goals:
            device = host.devices.get(goal.device)
            if device is None:
                raise FailedError(f"{goal.device} is gone")
            wrong = _difference(goal, ReadBack(device.driver, device.driver_override))
            if wrong:
                raise FailedError(f"in the end {wrong}")


def _bystanders(plan: Plan, before: Host) -> list[Address]:
    """The devices that a module which is loaded for the plan may take, although the plan is not about them."""
    if not plan.modules:
        return []
    free = (device for device in before.devices.values() if device.bus == "pci" and device.driver is None)
    return [device.address for device in free if device.address not in moved(plan)]


def _difference(goal: Goal, found: ReadBack) -> str:
    """What of the goal is not reached, in words."""
    if not goal.any_driver and found.driver != goal.driver:
        return f"{goal.device} is on {found.driver or 'no driver'}, not on {goal.driver or 'none'}"
    if found.override != goal.override:
        return f"the override of {goal.device} is {found.override or 'none'}, not {goal.override or 'none'}"
    return ""
