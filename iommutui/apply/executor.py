"""Applying a plan: lock, admission, journal, writes, read-back, and the way back where anything fails."""

from collections.abc import Collection, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from iommutui.apply.admission import admit, moved
from iommutui.apply.attempt import Attempt
from iommutui.apply.clock import SYSTEM_CLOCK, Clock
from iommutui.apply.events import Event, Finished
from iommutui.apply.interrupts import Stop, held_signals
from iommutui.apply.journal import Journal, new_id
from iommutui.apply.keeping import Keeping
from iommutui.apply.kernel import Kernel
from iommutui.apply.lines import SCHEMA, Header, Planned
from iommutui.apply.record import NoRecord, Record
from iommutui.apply.recovery import refuse_unfinished
from iommutui.apply.state import lock
from iommutui.core.errors import Exit
from iommutui.core.hazards import Acceptance
from iommutui.core.host import Host
from iommutui.core.plan.drift import device_facts
from iommutui.core.plan.planner import Plan

_GONE = "the program that asked for it has gone"


class ReaderGoneError(Exception):
    """Thrown into the events by who cannot pass them on any more: everything is to be taken back."""


def execute(
    plan: Plan,
    kernel: Kernel,
    journal_dir: Path | None,
    *,
    clock: Clock = SYSTEM_CLOCK,
    reverts: str | None = None,
    accepted: Collection[Acceptance] = (),
    keeping: Keeping | None = None,
) -> Generator[Event, None, None]:
    """Carries out the plan and tells what happens; the last event is `Finished`.

    RefusedError, before anything is written: the plan is not permitted, the machine has drifted, a danger is not among
    ``accepted``, another apply is at work or was cut off. NotPermittedError: the writes are denied. Any other trouble
    is compensated and ends in `Finished`.
    Signals are obeyed between two writes. Closing the iterator early takes everything back first. With ``keeping``,
    everything is taken back at the end as well, unless somebody keeps it in time.
    ``journal_dir`` may be None only for a kernel whose writes do not last.
    """
    if journal_dir is None and kernel.lasting:
        raise ValueError("writes that last need a journal")
    with held_signals() as stop:
        events = _events(plan, kernel, journal_dir, clock, reverts, _Terms(tuple(accepted), keeping), stop)
        for event in events:
            try:
                yield event
            except KeyboardInterrupt:
                stop.ask("it was interrupted")
            except ReaderGoneError:
                stop.ask(_GONE)
            except GeneratorExit:
                # Nobody listens any more; a machine that is half rebound must not be left behind for that.
                stop.ask(_GONE)
                for _ in events:
                    pass
                raise


class _Terms(NamedTuple):
    """On what terms a plan is carried out."""

    accepted: tuple[Acceptance, ...]
    keeping: Keeping | None


def _events(
    plan: Plan, kernel: Kernel, journal_dir: Path | None, clock: Clock, reverts: str | None, terms: _Terms, stop: Stop
) -> Iterator[Event]:
    with ExitStack() as stack:
        if journal_dir is not None:
            stack.enter_context(lock(journal_dir))
            refuse_unfinished(journal_dir, reverts)
        before = admit(plan, kernel, terms.accepted)
        if not plan.steps and reverts is None:
            yield Finished(Exit.DONE, "Nothing to do: every device is where it should be.")
            return
        kernel.check(plan.steps)
        record: Record = NoRecord()
        if journal_dir is not None:
            header = _header(plan, before, new_id(journal_dir, clock.now()), clock, reverts, terms.accepted)
            record = stack.enter_context(Journal.open_new(journal_dir, header))
        attempt = Attempt(plan, kernel, record, before, clock, stop, accepted=terms.accepted, keeping=terms.keeping)
        yield from attempt.run()


def _header(
    plan: Plan, before: Host, journal_id: str, clock: Clock, reverts: str | None, accepted: tuple[Acceptance, ...]
) -> Header:
    with_steps = {step.device for step in plan.steps}
    return Header(
        schema=SCHEMA,
        id=journal_id,
        started=clock.now().isoformat(timespec="seconds"),
        kernel=before.kernel,
        model=plan.model,
        goals=plan.goals,
        modules=plan.modules,
        steps=tuple(Planned(step.op, step.device, step.value) for step in plan.steps),
        before=tuple(device_facts(before.devices[a]) for a in moved(plan) if a in with_steps),
        reverts=reverts,
        accepted=accepted,
    )
