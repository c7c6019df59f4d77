"""A fault at every write of many plans: everything is restored, or each difference is named."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from iommutui.apply.events import Compensating, Event, StepDone, StepWaiting, from_line, to_json
from iommutui.apply.executor import execute
from iommutui.core.errors import Exit
from tests.apply.journals import list_journals
from tests.apply.machines import CASES, CLOCK, UNLOADED, Case, differences, facts, finished
from tests.reacting import FakeKernel, Faults


def _run(case: Case, faults: Faults, directory: Path) -> tuple[FakeKernel, list[Event]]:
    kernel = FakeKernel(case.host, case.model, faults)
    return kernel, list(execute(case.plan, kernel, directory, clock=CLOCK))


def _check_differences_are_named(case: Case, kernel: FakeKernel, events: list[Event]) -> None:
    """Checks that exactly the differences are named."""
    end = finished(events)
    differing = differences(case.host, kernel.host)
    if end.exit is Exit.ROLLED_BACK:
        assert differing == set()
        assert end.left == ()
    else:
        assert end.exit is Exit.NOT_ROLLED_BACK
        assert {(change.subject, change.fact) for change in end.left} == differing
        assert all(change.subject in end.summary for change in end.left)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_without_a_fault_the_plan_is_applied(case: Case, tmp_path: Path) -> None:
    kernel, events = _run(case, Faults(), tmp_path / "state/journal")
    assert finished(events).exit is Exit.DONE
    assert finished(events).left == ()
    assert not any(isinstance(event, Compensating) for event in events)
    predicted = facts(case.plan.predicted)
    moved = {goal.device for goal in case.plan.goals}
    assert {a: f for a, f in facts(kernel.host).items() if a in moved} == {a: predicted[a] for a in moved}
    assert [step.event for step in kernel.steps] == [step.event for step in case.plan.steps]
    (entry,) = list_journals(tmp_path / "state/journal")
    assert entry.exit is Exit.DONE
    assert [done.result for done in entry.steps] == ["ok"] * len(case.plan.steps)


KINDS: dict[str, Callable[[int], Faults]] = {
    "fails": lambda number: Faults(fail={number: "EIO"}),
    "fails half": lambda number: Faults(half={number: "EIO"}),
    "is ignored": lambda number: Faults(ignore=frozenset({number})),
    "is interrupted": lambda number: Faults(interrupt=frozenset({number})),
    "fails for good": lambda number: Faults(fail_from=(number, "EIO")),
    "blocks": lambda number: Faults(block=frozenset({number})),
}
"""The ways in which the write of this number can fail."""


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_at_every_write(case: Case, kind: str, tmp_path: Path) -> None:
    choosing = {goal.device for goal in case.plan.goals if goal.any_driver}
    for number, step in enumerate(case.plan.steps, 1):
        kernel, events = _run(case, KINDS[kind](number), tmp_path / f"{number}/journal")
        taken = {UNLOADED} if "mpt3sas" in case.plan.modules else set()
        if kind == "is ignored" and step.op == "probe" and step.device in choosing | taken:
            # The kernel may choose no driver, and a newly loaded module binds its device without a probe.
            assert finished(events).exit is Exit.DONE
            continue
        _check_differences_are_named(case, kernel, events)
        if kind in ("fails", "fails half", "is ignored", "is interrupted"):
            assert finished(events).exit is Exit.ROLLED_BACK
        if kind == "blocks":
            assert finished(events).exit is Exit.NOT_ROLLED_BACK or differences(case.host, kernel.host) == set()
            assert len(kernel.steps) == number
            assert isinstance(events[-2], StepWaiting)
            assert step.device in finished(events).summary
            assert "holder (1)" in finished(events).summary


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_a_second_fault_at_every_write_of_every_rollback(case: Case, kind: str, tmp_path: Path) -> None:
    """The first fault hits each write in turn, after it has taken effect, so the rollback is the longest possible."""
    met = 0
    for first in range(1, len(case.plan.steps) + 1):
        for second in range(first + 1, first + 100):
            faults = KINDS[kind](second)
            faults.half[first] = "EIO"
            kernel, events = _run(case, faults, tmp_path / f"{first}.{second}/journal")
            _check_differences_are_named(case, kernel, events)
            if len(kernel.steps) < second:
                break
            met += 1
            assert kind != "blocks" or len(kernel.steps) == second
    assert met >= len(case.plan.steps)


def test_a_device_that_cannot_be_restored_does_not_stop_the_others(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "gpu")
    last = len(case.plan.steps)
    # The rollback has two overrides, an unbind and two probes; the first probe fails.
    kernel, events = _run(case, Faults(fail={last: "EIO", last + 4: "EIO"}), tmp_path / "state/journal")
    _check_differences_are_named(case, kernel, events)
    assert {change.subject for change in finished(events).left} == {"0000:01:00.0"}
    results = [event.result for event in events if isinstance(event, StepDone)]
    assert results.count("EIO") == 2
    assert results[-1] == "ok"


def test_a_module_that_never_loads(tmp_path: Path) -> None:
    """It is reported as a waiting step, and nothing follows it."""
    case = next(c for c in CASES if c.name == "gpu, vfio not loaded")
    kernel = FakeKernel(case.host, case.model, Faults(stuck_module=True))
    events = list(execute(case.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
    (waiting,) = [event for event in events if isinstance(event, StepWaiting)]
    assert (waiting.step.op, waiting.step.value) == ("modprobe", "vfio-pci")
    assert from_line(json.dumps(to_json(waiting))) == waiting
    assert kernel.steps == []
    assert finished(events).exit is Exit.NOT_ROLLED_BACK
    assert "Loading the module vfio-pci has not returned after 60 s" in finished(events).summary
    assert facts(kernel.host) == facts(case.host)
