"""Rollback: every device that was touched is put as it was before, each as far as that goes."""

from collections.abc import Iterator, Mapping, Sequence

from iommutui.apply.events import Compensating, Event
from iommutui.apply.steps import FailedError, Steps, StuckError, capital, silent, step_words
from iommutui.core.address import Address
from iommutui.core.engine.transition import transition
from iommutui.core.errors import Exit
from iommutui.core.host import Host
from iommutui.core.models.base import Model
from iommutui.core.plan.drift import Change, DeviceFacts, device_facts, differences
from iommutui.core.plan.intents import Goal, restoring
from iommutui.core.plan.planner import Step, plan_goals
from iommutui.core.wording import changes_words


class Rollback:
    """``before`` holds the facts that are to be restored."""

    def __init__(self, steps: Steps, before: Mapping[Address, DeviceFacts], model: Model) -> None:
        self._steps = steps
        self._before = before
        self._model = model

    def run(self, why: str) -> Iterator[Event]:
        """Does it, and reports what is left; the last event is `Finished`."""
        self._steps.journal.muted = True
        turn = Compensating(why)
        self._steps.journal.append(turn)
        yield turn
        try:
            steps, goals = self._plan()
            failed: set[Address] = set()
            for step in steps:
                # The last override of a device is put back even where its driver could not be.
                if step.device in failed and step.op != "override":
                    continue
                try:
                    self._refuse_harm(step)
                    yield from self._steps.write(step, goals[step.device], back=True)
                except StuckError:
                    raise
                except (Exception, KeyboardInterrupt):
                    # Whatever happens with one device, the others are put back.
                    failed.add(step.device)
            left = self._left()
        except StuckError as stuck:
            left = self.left_unread()
            yield self._steps.end(
                Exit.NOT_ROLLED_BACK, f"{stuck} This happened while rolling back: {why}.{left_words(left)}", left
            )
            return
        except Exception as error:
            left = (*self.left_unread(), Change("host", "state", "known", "not known"))
            why = f"{why.rstrip('.')}; and while rolling back: {error}"
        ended = (
            f"Not everything could be restored.{left_words(left)}" if left else "Drivers and overrides are restored."
        )
        yield self._steps.end(Exit.NOT_ROLLED_BACK if left else Exit.ROLLED_BACK, f"{capital(why)}. {ended}", left)

    def _plan(self) -> tuple[Sequence[Step], dict[Address, Goal]]:
        now = self._steps.kernel.observe()
        goals = {
            address: restoring(address, facts.driver, facts.override)
            for address, facts in self._before.items()
            if address in self._steps.touched and self._can_return(now, facts)
        }
        return plan_goals(now, list(goals.values()), self._model).steps, goals

    def _can_return(self, now: Host, facts: DeviceFacts) -> bool:
        """Another device at the address is left alone, and so is one that does not answer: a write to it might hang."""
        device = now.devices.get(facts.device)
        return device is not None and device_facts(device).ids == facts.ids and silent(device) is None

    def _refuse_harm(self, step: Step) -> None:
        """A rollback is not worth a crash, nor taking a device away from a virtual machine that has it by now."""
        if step.op == "override":
            return
        outcome = transition(self._steps.kernel.observe(), step.event, self._model)
        if outcome.crash is not None or outcome.blocks:
            raise FailedError(f"{step_words(step)} would be harmful")

    def _left(self) -> tuple[Change, ...]:
        """Each difference to the state before, as the machine shows it now."""
        host = self._steps.kernel.observe()
        now = [device_facts(host.devices[address]) for address in self._before if address in host.devices]
        unread = [
            Change(address, "state", "known", "not known")
            for address in self._before
            if address in host.devices and silent(host.devices[address]) is not None
        ]
        return (*differences(self._before.values(), now), *unread)

    def left_unread(self) -> tuple[Change, ...]:
        """Each difference to the state before, from what was read after each write, where nothing may be read now."""
        return tuple(differences(self._before.values(), [self._steps.expected[address] for address in self._before]))


def left_words(left: Sequence[Change]) -> str:
    """What differs from the state before, to be put behind a sentence."""
    return f" What is not as before: {changes_words(left)}." if left else ""
