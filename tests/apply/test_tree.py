"""The same plans on a sysfs that reacts: a fault at every write, and a real SIGKILL around every write."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from iommutui.apply.events import Event
from iommutui.apply.executor import execute
from iommutui.apply.journal.reader import Journal
from iommutui.apply.real_kernel import Write
from iommutui.apply.recovery import open_journals, plan_revert
from iommutui.core.errors import Exit, RefusedError
from iommutui.core.host import Host
from iommutui.core.models import model_for
from iommutui.core.plan.planner import Plan, plan_intents
from iommutui.sources import Depth
from iommutui.sources import load as look
from tests.apply.journals import list_journals, load
from tests.apply.machines import CASES, CLOCK, NIC, UNLOADED, Case, case, differences, facts, finished
from tests.reacting_tree import NEVER, ReactingTree

ON_TREES = [each for each in CASES if each.model is model_for(each.host.kernel)]
OTHER = case("another plan", CASES[0].host, (NIC, "none"))
ERRNOS = ("EACCES", "EBUSY", "ENODEV", "EIO")


def test_there_are_enough_plans() -> None:
    assert len(ON_TREES) >= 20


def _seen(tree: ReactingTree) -> Host:
    """The bindings of the machine."""
    return look(tree.root, depth=Depth.LISTING)


def _plan(case: Case, tree: ReactingTree) -> Plan:
    plan = plan_intents(look(tree.root), case.intents, case.model)
    assert plan.permitted, plan.refusals
    return plan


def _taken(case: Case, before: Host, tree: ReactingTree) -> set[tuple[str, str]]:
    """The differences from before, except devices that a module loaded for the plan has bound."""
    moved = {intent.device for intent in case.intents}
    return {(a, fact) for a, fact in differences(before, _seen(tree)) if a in moved}


@pytest.mark.parametrize("case", ON_TREES, ids=str)
def test_the_tree_gives_the_same_scan_and_plan_as_its_host(case: Case, tmp_path: Path) -> None:
    tree = ReactingTree(tmp_path, case.host)
    assert facts(look(tree.root)) == facts(case.host)
    assert [step[:3] for step in _plan(case, tree).steps] == [step[:3] for step in case.plan.steps]


@pytest.mark.parametrize("case", ON_TREES, ids=str)
def test_a_plan_is_applied_and_reverted(case: Case, tmp_path: Path) -> None:
    tree, directory = ReactingTree(tmp_path, case.host), tmp_path / "s/journal"
    before = look(tree.root)
    plan = _plan(case, tree)
    assert finished(list(execute(plan, tree.kernel(), directory, clock=CLOCK))).exit is Exit.DONE
    moved = {goal.device for goal in plan.goals}
    now, predicted = facts(look(tree.root)), facts(plan.predicted)
    assert {a: now[a] for a in moved} == {a: predicted[a] for a in moved}
    entry = load(directory)
    back = plan_revert(entry, look(tree.root), case.model)
    assert finished(list(execute(back, tree.kernel(), directory, clock=CLOCK, reverts=entry.id))).exit is Exit.DONE
    assert _taken(case, before, tree) == set()


def _fault(kind: str, at: int, tree: ReactingTree) -> Callable[[int, Write], str | None]:
    """Makes the write of this number fail: it does nothing, does half, or does not return."""

    def instead(number: int, write: Write) -> str | None:
        if number != at:
            return None
        if kind == "lost":
            return "ok"
        if kind == "half":
            tree.react(write)
            return "EIO"
        if kind == "never" and write.path.endswith("unbind"):
            tree.react(write)  # the link disappears before the driver has released the device
        return NEVER if kind == "never" else kind

    return instead


def _check_differences_are_named(differing: set[tuple[str, str]], events: list[Event]) -> None:
    """Checks that exactly the differences are named."""
    end = finished(events)
    assert end.exit is (Exit.NOT_ROLLED_BACK if differing else end.exit)
    assert end.exit in (Exit.ROLLED_BACK, Exit.NOT_ROLLED_BACK)
    assert {(change.subject, change.fact) for change in end.left} == differing


@pytest.mark.parametrize("case", ON_TREES, ids=str)
@pytest.mark.parametrize("kind", ["errno", "lost", "half", "never"])
def test_a_fault_at_every_write(case: Case, kind: str, tmp_path: Path) -> None:
    """Each write fails, is lost, fails after taking effect, or does not return."""
    choosing = {goal.device for goal in case.plan.goals if goal.any_driver}
    taken = {UNLOADED} if "mpt3sas" in case.plan.modules else set()
    machines = _Machines(case, tmp_path)
    for number, step in enumerate(case.plan.steps, 1):
        tree, before, directory = machines.at(number)
        answer = ERRNOS[(ON_TREES.index(case) + number) % len(ERRNOS)] if kind == "errno" else kind
        tree.instead = _fault(answer, number, tree)
        plan = _plan(case, tree)
        if number == 1 and answer == "EACCES" and not plan.modules:
            with pytest.raises(Exception, match="not permitted"):
                list(execute(plan, tree.kernel(), directory, clock=CLOCK))
            assert differences(before, _seen(tree)) == set()
            continue
        events = list(execute(plan, tree.kernel(), directory, clock=CLOCK))
        if kind == "lost" and step.op == "probe" and step.device in choosing | taken:
            # The kernel may choose no driver, and a newly loaded module binds its device without a probe.
            assert finished(events).exit is Exit.DONE
            continue
        differing = differences(before, _seen(tree))
        if kind == "never":
            assert len(tree.writes) == number
            assert finished(events).exit is Exit.NOT_ROLLED_BACK or differing == set()
        _check_differences_are_named(differing, events)


def _dying(run: Callable[[], object]) -> bool:
    """Runs the work in its own process; returns whether SIGKILL ended it."""
    pid = os.fork()
    if pid == 0:
        try:
            run()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def _die(number: int) -> Callable[[int], None]:
    def kill(at: int) -> None:
        if at == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return kill


class _Machines:
    """A tree for each number, as the case describes it; an unchanged tree is reused."""

    def __init__(self, case: Case, path: Path) -> None:
        self._case = case
        self._path = path
        self._tree: ReactingTree | None = None
        self._before: Host | None = None

    def at(self, number: int) -> tuple[ReactingTree, Host, Path]:
        """The tree, its state when it was created, and an unused directory for journals."""
        if self._tree is None or self._before is None or facts(_seen(self._tree)) != facts(self._before):
            self._tree = ReactingTree(self._path / str(number), self._case.host)
            self._before = _seen(self._tree)
        self._tree.writes.clear()
        self._tree.before_write = self._tree.after_write = lambda number: None
        self._tree.instead = lambda number, write: None
        return self._tree, self._before, self._path / f"{number}/s/journal"


@pytest.mark.parametrize("case", ON_TREES, ids=str)
@pytest.mark.parametrize("when", ["before", "after"])
def test_sigkill_around_every_write_can_be_reverted(case: Case, when: str, tmp_path: Path) -> None:
    machines = _Machines(case, tmp_path)
    for number in range(1, len(case.plan.steps) + 1):
        tree, before, directory = machines.at(number)
        plan = _plan(case, tree)
        setattr(tree, f"{when}_write", _die(number))
        assert _dying(lambda: list(execute(plan, tree.kernel(), directory, clock=CLOCK)))  # noqa: B023
        if number == 1:
            _refuse_another(tree, directory)
        _recover(case, before, tree, directory)


@pytest.mark.parametrize("case", ON_TREES, ids=str)
def test_sigkill_before_every_write_of_a_rollback_can_be_reverted(case: Case, tmp_path: Path) -> None:
    machines = _Machines(case, tmp_path)
    last = len(case.plan.steps)
    for number in range(last + 1, last + 40):
        tree, before, directory = machines.at(number)
        plan = _plan(case, tree)
        tree.instead = _fault("half", last, tree)
        tree.before_write = _die(number)
        if not _dying(lambda: list(execute(plan, tree.kernel(), directory, clock=CLOCK))):  # noqa: B023
            break
        _recover(case, before, tree, directory)
    assert number > last + 1


def _refuse_another(tree: ReactingTree, directory: Path) -> None:
    (cut_off,) = open_journals(directory, None)
    with pytest.raises(RefusedError, match="was interrupted") as caught:
        list(execute(_plan(OTHER, tree), tree.kernel(), directory, clock=CLOCK))
    assert f"iommutui revert {cut_off.id}" in caught.value.remedy


def _recover(case: Case, before: Host, tree: ReactingTree, directory: Path) -> None:
    """Does what a person does after a crash: finds the journal, and reverts."""
    tree.before_write = tree.after_write = lambda number: None
    tree.instead = lambda number, write: None
    (cut_off,) = open_journals(directory, None)
    assert isinstance(cut_off, Journal)
    plan = plan_revert(cut_off, look(tree.root), case.model)
    assert plan.permitted, plan.refusals
    assert finished(list(execute(plan, tree.kernel(), directory, clock=CLOCK, reverts=cut_off.id))).exit is Exit.DONE
    assert _taken(case, before, tree) == set()
    assert open_journals(directory, None) == ()
    assert [entry.reverted_by is not None for entry in list_journals(directory)] == [True, False]
