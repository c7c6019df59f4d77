"""A fault at every write of many plans: everything is as before, or each difference is named."""

from pathlib import Path

import pytest

from iommutui.apply.events import Compensating, Event, StepDone, StepWaiting
from iommutui.apply.executor import execute
from iommutui.apply.journal import list_entries
from iommutui.core.errors import Exit
from tests.apply.machines import CASES, CLOCK, UNLOADED, Case, differences, facts, finished
from tests.reacting import FakeKernel, Faults


def _run(case: Case, faults: Faults, directory: Path) -> tuple[FakeKernel, list[Event]]:
    kernel = FakeKernel(case.host, case.model, faults)
    return kernel, list(execute(case.plan, kernel, directory, clock=CLOCK))


def _honest(case: Case, kernel: FakeKernel, events: list[Event]) -> None:
    """Nothing differs that is not named, and nothing is named that does not differ."""
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
def test_without_a_fault(case: Case, tmp_path: Path) -> None:
    kernel, events = _run(case, Faults(), tmp_path / "state/journal")
    assert finished(events).exit is Exit.DONE
    assert finished(events).left == ()
    assert not any(isinstance(event, Compensating) for event in events)
    predicted = facts(case.plan.predicted)
    moved = {goal.device for goal in case.plan.goals}
    assert {a: f for a, f in facts(kernel.host).items() if a in moved} == {a: predicted[a] for a in moved}
    assert [step.event for step in kernel.steps] == [step.event for step in case.plan.steps]
    (entry,) = list_entries(tmp_path / "state/journal")
    assert entry.exit is Exit.DONE
    assert [done.result for done in entry.steps] == ["ok"] * len(case.plan.steps)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("kind", ["fails", "fails half", "is ignored", "is interrupted", "fails for good", "blocks"])
def test_a_fault_at_every_write(case: Case, kind: str, tmp_path: Path) -> None:
    choosing = {goal.device for goal in case.plan.goals if goal.any_driver}
    for number, step in enumerate(case.plan.steps, 1):
        faults = {
            "fails": Faults(fail={number: "EIO"}),
            "fails half": Faults(half={number: "EIO"}),
            "is ignored": Faults(ignore=frozenset({number})),
            "is interrupted": Faults(interrupt=frozenset({number})),
            "fails for good": Faults(fail_from=(number, "EIO")),
            "blocks": Faults(block=frozenset({number})),
        }[kind]
        kernel, events = _run(case, faults, tmp_path / f"{number}/journal")
        taken = {UNLOADED} if "mpt3sas" in case.plan.modules else set()
        if kind == "is ignored" and step.op == "probe" and step.device in choosing | taken:
            # The kernel may choose no driver; and a module that has just come took its device without a probe.
            assert finished(events).exit is Exit.DONE
            continue
        _honest(case, kernel, events)
        if kind in ("fails", "fails half", "is ignored", "is interrupted"):
            assert finished(events).exit is Exit.ROLLED_BACK
        if kind == "blocks":
            assert finished(events).exit is Exit.NOT_ROLLED_BACK or differences(case.host, kernel.host) == set()
            assert len(kernel.steps) == number
            assert isinstance(events[-2], StepWaiting)
            assert step.device in finished(events).summary
            assert "holder (1)" in finished(events).summary


@pytest.mark.parametrize("case", [case for case in CASES if len(case.plan.steps) > 4], ids=str)
@pytest.mark.parametrize("kind", ["fails", "blocks"])
def test_a_second_fault_on_the_way_back(case: Case, kind: str, tmp_path: Path) -> None:
    last = len(case.plan.steps)
    for second in range(last + 1, last + 30):
        faults = Faults(fail={last: "EIO"})
        if kind == "fails":
            faults.fail[second] = "EBUSY"
        else:
            faults.block = frozenset({second})
        kernel, events = _run(case, faults, tmp_path / f"{second}/journal")
        _honest(case, kernel, events)
        if len(kernel.steps) < second:
            break
        if kind == "blocks":
            assert len(kernel.steps) == second


def test_a_device_that_cannot_return_does_not_keep_the_others(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "gpu")
    last = len(case.plan.steps)
    # Back: two overrides, an unbind, two probes: the first of the probes fails.
    kernel, events = _run(case, Faults(fail={last: "EIO", last + 4: "EIO"}), tmp_path / "state/journal")
    _honest(case, kernel, events)
    assert {change.subject for change in finished(events).left} == {"0000:01:00.0"}
    results = [event.result for event in events if isinstance(event, StepDone)]
    assert results.count("EIO") == 2
    assert results[-1] == "ok"
