"""Applies, keeps and reverts that are killed, and how they are settled."""

import os
import signal

import pytest

from iommutui.apply.journal import at_work
from iommutui.apply.journal.format import JournalWriter, Line
from iommutui.apply.recovery import plan_revert
from iommutui.apply.request import request_of
from iommutui.core.models import model_for
from iommutui.sources import load
from tests.apply.journals import list_journals
from tests.apply.machines import GPU, NIC, SOUND, facts
from tests.cli.conftest import Run
from tests.cli.reacting_machine import LONG, Server, eventually, journal_of, processes_of, request_for, request_to_json
from tests.reacting_tree import ReactingTree


def _cut_off(tree: ReactingTree, within: float | None, at: str) -> None:
    """Kills every process of an apply at the first event of a kind."""
    server = Server("apply", "--stdin")
    server.send(request_to_json(request_for(tree, keep_within=within)) + "\n")
    list(server.events(until=at))
    for pid in processes_of(server.pid):
        os.kill(pid, signal.SIGKILL)
    server.wait()
    server.leave()
    assert eventually(lambda: not at_work(journal_of(tree)))


@pytest.mark.parametrize(("within", "at"), [(None, "step-done"), (LONG, "counting")])
def test_an_interrupted_apply_is_reported_and_reverted(
    machine: ReactingTree, run: Run, within: float | None, at: str
) -> None:
    before = facts(load(machine.root))
    _cut_off(machine, within, at)
    for command in (["list"], ["preview", f"{NIC}=none"], ["plan", f"{NIC}=none"]):
        answer = run(*command)
        assert answer.code == 0
        assert "was interrupted" in answer.err
    refused = run("apply", f"{NIC}=none", "--yes")
    assert refused.code == 3
    assert "iommutui revert" in refused.err
    assert ("waited to be confirmed" in refused.err) is (within is not None)
    assert run("revert", "--yes").code == 0
    assert facts(load(machine.root)) == before
    assert run("list").err == ""


@pytest.mark.parametrize(("within", "at"), [(None, "step-done"), (LONG, "counting")])
def test_an_interrupted_apply_can_be_kept(machine: ReactingTree, run: Run, within: float | None, at: str) -> None:
    before = facts(load(machine.root))
    _cut_off(machine, within, at)
    now = facts(load(machine.root))
    assert run("keep").code == 0
    assert facts(load(machine.root)) == now
    assert run("list").err == ""
    assert run("apply", f"{NIC}=none", "--yes").code == 0
    assert run("revert", "--yes").code == 0
    assert run("revert", "--yes").code == 0
    assert facts(load(machine.root)) == before


@pytest.mark.parametrize("lines", [0, 1, 2])
@pytest.mark.parametrize("then", ["keep", "revert"])
def test_a_keep_that_dies_can_be_repeated_or_reverted(
    machine: ReactingTree, run: Run, monkeypatch: pytest.MonkeyPatch, lines: int, then: str
) -> None:
    """SIGKILL after each line that ``keep`` adds to the journal of an interrupted apply."""
    before = facts(load(machine.root))
    _cut_off(machine, None, "step-done")
    now = facts(load(machine.root))
    append, written = JournalWriter.append, [0]

    def dying(journal: JournalWriter, line: Line) -> None:
        if written[0] == lines:
            os.kill(os.getpid(), signal.SIGKILL)
        append(journal, line)
        written[0] += 1

    pid = os.fork()
    if pid == 0:
        try:
            monkeypatch.setattr(JournalWriter, "append", dying)
            run("keep")
        finally:
            os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code == (-signal.SIGKILL if lines < 2 else 0)
    assert facts(load(machine.root)) == now
    if then == "keep" and lines < 2:
        assert run("keep").code == 0
        assert run("list").err == ""
        assert facts(load(machine.root)) == now
    assert run("revert", "--yes").code == 0
    assert facts(load(machine.root)) == before
    assert run("list").err == ""


@pytest.mark.parametrize("within", [None, LONG])
def test_an_interrupted_revert_is_reported_and_settled(machine: ReactingTree, run: Run, within: float | None) -> None:
    before = facts(load(machine.root))
    assert run("apply", f"{GPU}=vfio-pci", f"{SOUND}=vfio-pci", "--yes").code == 0
    (entry,) = list_journals(journal_of(machine))
    host = load(machine.root)
    request = request_of(plan_revert(entry, host, model_for(host.kernel)), (), reverts=entry.id, keep_within=within)
    server = Server("apply", "--stdin")
    server.send(request_to_json(request) + "\n")
    list(server.events(until="step-done" if within is None else "counting"))
    for pid in processes_of(server.pid):
        os.kill(pid, signal.SIGKILL)
    server.wait()
    server.leave()
    assert eventually(lambda: not at_work(journal_of(machine)))
    assert f"'iommutui revert {entry.id}'" in run("list").err
    assert run("revert", "--yes").code == 0
    assert facts(load(machine.root)) == before
    assert run("list").err == ""
