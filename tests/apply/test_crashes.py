"""The process is killed at every point: the journal on disk is enough to revert everything."""

from pathlib import Path

import pytest

from iommutui.apply.executor import execute
from iommutui.apply.journal.reader import Journal
from iommutui.apply.recovery import plan_revert
from iommutui.core.errors import Exit
from iommutui.core.host import Host
from tests.apply.journals import list_journals, load
from tests.apply.machines import CASES, CLOCK, Case, Facts, facts, finished
from tests.reacting import FakeKernel, Faults, Killed


def _die(
    case: Case, faults: Faults, directory: Path, host: Host | None = None, entry: Journal | None = None
) -> FakeKernel:
    """Runs until the process is killed; after that, nothing may change on disk."""
    kernel = FakeKernel(host or case.host, case.model, faults)
    on_disk: list[dict[str, bytes]] = []

    def read() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in directory.glob("*.jsonl")}

    kernel.after_death = lambda: on_disk.append(read())
    plan = case.plan if entry is None else plan_revert(entry, kernel.host, case.model, list_journals(directory))
    try:
        list(execute(plan, kernel, directory, clock=CLOCK, reverts=entry.id if entry else None))
    except Killed:
        assert on_disk == [read()]
    return kernel


def _moved(case: Case, host: Host) -> Facts:
    moved = {goal.device for goal in case.plan.goals}
    return {address: fact for address, fact in facts(host).items() if address in moved}


def _recover(case: Case, host: Host, directory: Path) -> Host:
    """Does what a user does after a crash."""
    entry = load(directory)
    assert entry.exit is not Exit.ROLLED_BACK
    kernel = FakeKernel(host, case.model)
    plan = plan_revert(entry, host, case.model, list_journals(directory))
    assert plan.permitted, plan.refusals
    assert finished(list(execute(plan, kernel, directory, clock=CLOCK, reverts=entry.id))).exit is Exit.DONE
    (again,) = [e for e in list_journals(directory) if e.id == entry.id]
    assert again.reverted_by is not None
    return kernel.host


@pytest.mark.parametrize("case", CASES, ids=str)
def test_an_apply_killed_at_any_point_can_be_reverted(case: Case, tmp_path: Path) -> None:
    point = 0
    while True:
        point += 1
        directory = tmp_path / f"{point}/journal"
        kernel = _die(case, Faults(kill_at=point), directory)
        if not kernel.dead:
            break
        entries = list_journals(directory)
        if not entries:
            assert facts(kernel.host) == facts(case.host)
            continue
        assert entries[0].open
        assert _moved(case, _recover(case, kernel.host, directory)) == _moved(case, case.host)
    assert point > 2 * len(case.plan.steps)


def _points_forward(case: Case, directory: Path) -> int:
    """How many times the kernel is called before the last write."""
    kernel = FakeKernel(case.host, case.model)
    points: list[int] = []
    kernel.before_write = lambda: points.append(kernel.points)
    list(execute(case.plan, kernel, directory, clock=CLOCK))
    return points[-1]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_rollback_killed_at_any_point_can_be_finished(case: Case, tmp_path: Path) -> None:
    failing = len(case.plan.steps)
    first = _points_forward(case, tmp_path / "forward/journal")
    for point in range(first, first + 300):
        directory = tmp_path / f"{point}/journal"
        kernel = _die(case, Faults(half={failing: "EIO"}, kill_at=point), directory)
        if not kernel.dead:
            break
        assert _moved(case, _recover(case, kernel.host, directory)) == _moved(case, case.host)
    assert point > first + 3


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_revert_killed_at_any_point_can_be_finished(case: Case, tmp_path: Path) -> None:
    for point in range(1, 300):
        directory = tmp_path / f"{point}/journal"
        done = _die(case, Faults(), directory)
        kernel = _die(case, Faults(kill_at=point), directory, done.host, load(directory))
        if not kernel.dead:
            break
        assert _moved(case, _recover(case, kernel.host, directory)) == _moved(case, case.host)
    assert point > 3


def test_a_reader_that_exits_reverts_everything(tmp_path: Path) -> None:
    for case in CASES:
        for seen in range(1, 2 * len(case.plan.steps) + 1):
            kernel = FakeKernel(case.host, case.model)
            directory = tmp_path / f"{case.name}{seen}/journal"
            events = execute(case.plan, kernel, directory, clock=CLOCK)
            for _ in range(seen):
                next(events)
            events.close()
            assert facts(kernel.host) == facts(case.host)
            (entry,) = list_journals(directory)
            assert entry.exit is Exit.ROLLED_BACK
