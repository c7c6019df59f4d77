"""Open journals, running applies, and drift of a basis."""

import fcntl
import os
from pathlib import Path

import pytest

from iommutui.apply import journal as places
from iommutui.apply.events import Finished, Kept
from iommutui.apply.executor import execute
from iommutui.apply.journal import at_work, lock, may_be_open
from iommutui.apply.journal.format import JournalWriter
from iommutui.apply.journal.reader import Journal
from iommutui.apply.recovery import interrupted_words, open_journals, plan_revert, remedy_words, unfinished
from iommutui.core.errors import Exit, RefusedError
from iommutui.core.host import Claim, Gap, Host
from iommutui.core.plan.drift import drift
from iommutui.core.plan.planner import Plan
from tests.apply.journals import list_journals, load
from tests.apply.machines import CASES, CLOCK, GPU, SOUND, desktop, finished
from tests.reacting import BOOT, FakeKernel, Faults, Killed

CASE = CASES[0]


def _cut_off(directory: Path, host: Host, reverts: str | None = None, point: int = 9) -> Host:
    """Start an apply, or a revert, that is killed."""
    kernel = FakeKernel(host, CASE.model, Faults(kill_at=point))
    plan = (
        CASE.plan
        if reverts is None
        else plan_revert(load(directory, reverts), host, CASE.model, list_journals(directory))
    )
    with pytest.raises(Killed):
        list(execute(plan, kernel, directory, clock=CLOCK, reverts=reverts))
    return kernel.host


def _back(directory: Path, journal: str, host: Host) -> Plan:
    return plan_revert(load(directory, journal), host, CASE.model, list_journals(directory))


def _reverted(directory: Path, host: Host, journal: str) -> Host:
    kernel = FakeKernel(host, CASE.model)
    plan = _back(directory, journal, host)
    assert finished(list(execute(plan, kernel, directory, clock=CLOCK, reverts=journal))).exit is Exit.DONE
    return kernel.host


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "s/journal"


def test_without_journals_nothing_is_open(directory: Path) -> None:
    assert not may_be_open(directory, BOOT)
    assert open_journals(directory, BOOT) == ()
    assert not at_work(directory)


def test_an_apply_that_ended_is_not_open(directory: Path) -> None:
    list(execute(CASE.plan, FakeKernel(CASE.host, CASE.model), directory, clock=CLOCK))
    assert not may_be_open(directory, BOOT)
    assert open_journals(directory, BOOT) == ()


def test_an_interrupted_apply_is_open_until_it_is_reverted(directory: Path) -> None:
    host = _cut_off(directory, CASE.host)
    (entry,) = open_journals(directory, BOOT)
    assert interrupted_words(entry) == f"the apply {entry.id} was interrupted."
    assert f"iommutui revert {entry.id}" in remedy_words(entry)
    _reverted(directory, host, entry.id)
    assert may_be_open(directory, BOOT)
    assert open_journals(directory, BOOT) == ()


def test_an_interrupted_revert_is_settled_with_its_apply(directory: Path) -> None:
    done = FakeKernel(CASE.host, CASE.model)
    list(execute(CASE.plan, done, directory, clock=CLOCK))
    first = load(directory).id
    host = _cut_off(directory, done.host, reverts=first)
    (entry,) = open_journals(directory, BOOT)
    assert isinstance(entry, Journal)
    assert entry.header.reverts == first
    assert f"iommutui revert {first}" in remedy_words(entry)
    with pytest.raises(RefusedError, match="was interrupted"):
        list(execute(CASE.plan, FakeKernel(CASE.host, CASE.model), directory, clock=CLOCK))
    _reverted(directory, host, first)
    assert open_journals(directory, BOOT) == ()


def test_a_kept_apply_does_not_block(directory: Path) -> None:
    _cut_off(directory, CASE.host)
    (entry,) = unfinished(directory, BOOT)
    with open(directory / f"{entry.id}.jsonl", "ab") as file:
        file.write(b'{"line":"resu')  # the line that was being written when it was killed
    with lock(directory), JournalWriter.reopen(directory, entry.id) as journal:
        journal.append(Kept("somebody"))
        journal.append(Finished(Exit.NOT_ROLLED_BACK, "Left."))
    assert not may_be_open(directory, BOOT)
    again = load(directory, entry.id)
    assert (again.kept_by, again.exit, again.changed_something) == ("somebody", Exit.NOT_ROLLED_BACK, True)
    assert isinstance(entry, Journal)
    assert again.steps == entry.steps


def test_a_damaged_journal_hides_no_other_and_does_not_block(directory: Path) -> None:
    _cut_off(directory, CASE.host)
    (directory / "20200101T000000-0000.jsonl").write_text("nonsense\n")
    assert len(open_journals(directory, BOOT)) == 1


def test_every_user_sees_a_running_apply(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with lock(directory):
        assert at_work(directory)
        assert places._listed(directory / "lock")
        assert open_journals(directory, BOOT) == ()
    assert not at_work(directory)
    assert not places._listed(directory / "lock")

    def denied(*_: object, **__: object) -> int:
        raise PermissionError(13, "denied")

    with lock(directory):
        monkeypatch.setattr(os, "open", denied)
        assert at_work(directory)


def test_a_query_takes_no_lock(directory: Path) -> None:
    _cut_off(directory, CASE.host)
    before = sorted(path.name for path in directory.iterdir())
    assert not at_work(directory)
    assert sorted(path.name for path in directory.iterdir()) == before


def test_a_query_never_stops_an_apply(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A query at the moment an apply begins does not take the lock."""
    with lock(directory):
        pass
    real, seen = fcntl.fcntl, []

    def between(file: int, command: int, argument: bytes) -> bytes:
        answer: bytes = real(file, command, argument)
        if command == fcntl.F_OFD_GETLK:
            with lock(directory):
                seen.append(command)
        return answer

    monkeypatch.setattr(fcntl, "fcntl", between)
    assert not at_work(directory)
    assert seen == [fcntl.F_OFD_GETLK]


# -- an unknown fact is not drift


def _claimed(owner: str | None, *, hidden: bool) -> Host:
    host = desktop()
    if owner is not None:
        host = host.with_group(host.groups[14]._replace(claim=Claim(owner)))
    return host._replace(gaps=(Gap("claims", "EACCES"),)) if hidden else host


@pytest.mark.parametrize(
    ("before", "now", "drifted"),
    [
        (_claimed(None, hidden=False), _claimed("vm1", hidden=False), True),
        (_claimed(None, hidden=True), _claimed("vm1", hidden=False), False),
        (_claimed("vm1", hidden=False), _claimed(None, hidden=False), True),
        (_claimed("vm1", hidden=True), _claimed(None, hidden=False), True),
        (_claimed("vm1", hidden=False), _claimed(None, hidden=True), False),
        (_claimed("vm1", hidden=True), _claimed("vm2", hidden=False), True),
        (_claimed(None, hidden=True), _claimed(None, hidden=True), False),
    ],
)
def test_an_invisible_owner_is_not_drift(before: Host, now: Host, drifted: bool) -> None:
    from iommutui.core.plan.drift import basis_of

    assert bool(drift(basis_of(before, [GPU, SOUND]), now, [GPU, SOUND])) is drifted
