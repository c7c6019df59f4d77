"""Applying a plan: lock, admission, journal, writes, read-back, and the way back where anything fails."""

from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

from iommutui.apply.admission import admit, moved
from iommutui.apply.attempt import Attempt
from iommutui.apply.clock import SYSTEM_CLOCK, Clock
from iommutui.apply.events import Event, Finished
from iommutui.apply.interrupts import Stop, held_signals
from iommutui.apply.journal import Journal, new_id
from iommutui.apply.kernel import Kernel
from iommutui.apply.lines import SCHEMA, Header, Planned
from iommutui.apply.record import NoRecord, Record
from iommutui.apply.state import lock
from iommutui.core.drift import device_facts
from iommutui.core.errors import Exit
from iommutui.core.host import Host
from iommutui.core.planner import Plan


def execute(
    plan: Plan, kernel: Kernel, journal_dir: Path | None, *, clock: Clock = SYSTEM_CLOCK, reverts: str | None = None
) -> Generator[Event, None, None]:
    """Carries out the plan and tells what happens; the last event is `Finished`.

    RefusedError, before anything is written: the plan is not permitted, the machine has drifted, another apply is at
    work. NotPermittedError: the writes are denied. Any other trouble is compensated and ends in `Finished`.
    Signals are obeyed between two writes. Closing the iterator early takes everything back first.
    ``journal_dir`` may be None only for a kernel whose writes do not last.
    """
    if journal_dir is None and kernel.lasting:
        raise ValueError("writes that last need a journal")
    with held_signals() as stop:
        events = _events(plan, kernel, journal_dir, clock, reverts, stop)
        for event in events:
            try:
                yield event
            except KeyboardInterrupt:
                stop.ask("it was interrupted")
            except GeneratorExit:
                # Nobody listens any more; a machine that is half rebound must not be left behind for that.
                stop.ask("the program that asked for it has gone")
                for _ in events:
                    pass
                raise


def _events(
    plan: Plan, kernel: Kernel, journal_dir: Path | None, clock: Clock, reverts: str | None, stop: Stop
) -> Iterator[Event]:
    with ExitStack() as stack:
        if journal_dir is not None:
            stack.enter_context(lock(journal_dir))
        before = admit(plan, kernel)
        if not plan.steps and reverts is None:
            yield Finished(Exit.DONE, "Nothing to do: every device is where it should be.")
            return
        kernel.check(plan.steps)
        record: Record = NoRecord()
        if journal_dir is not None:
            header = _header(plan, before, new_id(journal_dir, clock.now()), clock, reverts)
            record = stack.enter_context(Journal.open_new(journal_dir, header))
        yield from Attempt(plan, kernel, record, before, clock, stop).run()


def _header(plan: Plan, before: Host, journal_id: str, clock: Clock, reverts: str | None) -> Header:
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
    )
