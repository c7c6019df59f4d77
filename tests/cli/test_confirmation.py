"""The countdown of the applying process, which outlives the asking program."""

import json
import os
import signal
from pathlib import Path

import pytest

from iommutui.core.errors import Exit
from iommutui.sources import load
from tests.apply.journals import list_journals
from tests.apply.machines import NIC, facts
from tests.cli.conftest import Run
from tests.cli.reacting_machine import (
    LONG,
    Server,
    driver_of,
    eventually,
    journal_of,
    processes_of,
    request_for,
    request_to_json,
)
from tests.reacting_tree import ReactingTree


def _counting(tree: ReactingTree, within: float) -> Server:
    server = Server("apply", "--stdin")
    server.send(request_to_json(request_for(tree, keep_within=within)) + "\n")
    assert list(server.events(until="counting"))[-1]["within"] == within
    assert driver_of(tree) == "vfio-pci"
    return server


@pytest.mark.parametrize(("word", "code", "driver"), [("keep", 0, "vfio-pci"), ("undo", 5, "nvidia")])
def test_the_asking_program_confirms_or_reverts(machine: ReactingTree, word: str, code: int, driver: str) -> None:
    server = _counting(machine, LONG)
    server.send(f"{word}\n")
    names = [event["event"] for event in server.events()]
    assert ("kept" in names, names[-1]) == (word == "keep", "finished")
    assert server.wait() == code
    assert driver_of(machine) == driver


def test_an_answer_before_the_countdown_does_not_count(machine: ReactingTree) -> None:
    server = Server("apply", "--stdin")
    server.send(request_to_json(request_for(machine, keep_within=1.0)) + "\nkeep\n")
    assert list(server.events())[-1]["exit"] == Exit.ROLLED_BACK
    assert server.wait() == Exit.ROLLED_BACK
    assert driver_of(machine) == "nvidia"


def test_an_unconfirmed_apply_is_reverted(machine: ReactingTree) -> None:
    before = facts(load(machine.root))
    server = _counting(machine, 1.0)
    assert list(server.events())[-1]["exit"] == Exit.ROLLED_BACK
    assert server.wait() == Exit.ROLLED_BACK
    assert facts(load(machine.root)) == before


@pytest.mark.parametrize("when", ["before", "during"])
def test_the_countdown_outlives_the_asking_program_and_reverts(machine: ReactingTree, when: str) -> None:
    before = facts(load(machine.root))
    if when == "before":
        server = Server("apply", "--stdin")
        server.send(request_to_json(request_for(machine, keep_within=1.0)) + "\n")
        list(server.events(until="started"))
    else:
        server = _counting(machine, 1.0)
    server.leave()
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    assert eventually(lambda: bool(list_journals(journal_of(machine))[-1].exit))
    entry = list_journals(journal_of(machine))[-1]
    assert (entry.exit, entry.within) == (Exit.ROLLED_BACK, 1.0)
    assert facts(load(machine.root)) == before


def test_another_terminal_confirms_after_the_asking_program_ends(machine: ReactingTree, run: Run) -> None:
    server = _counting(machine, LONG)
    server.leave()
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    assert "waits to be confirmed" in run("journal").out
    answer = run("keep")
    assert (answer.code, answer.err) == (0, "")
    assert eventually(lambda: list_journals(journal_of(machine))[-1].exit is Exit.DONE)
    assert driver_of(machine) == "vfio-pci"
    assert not list(journal_of(machine).glob("*.keep"))
    assert run("keep").code == 1


def test_a_hang_up_does_not_end_the_countdown(machine: ReactingTree, run: Run) -> None:
    server = _counting(machine, LONG)
    waiting, writing = processes_of(server.pid)
    assert waiting == server.pid
    assert os.getsid(writing) == writing
    os.kill(writing, signal.SIGHUP)
    assert run("keep").code == 0
    assert server.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_reverts_the_apply(machine: ReactingTree, number: signal.Signals) -> None:
    server = _counting(machine, LONG)
    os.kill(server.pid, number)
    assert list(server.events())[-1]["exit"] == Exit.ROLLED_BACK
    assert server.wait() == Exit.ROLLED_BACK
    assert driver_of(machine) == "nvidia"


def test_no_other_apply_starts_during_a_countdown(machine: ReactingTree, run: Run) -> None:
    server = _counting(machine, LONG)
    answer = run("apply", f"{NIC}=none", "--yes")
    assert answer.code == 3
    assert "Another apply is running" in answer.err
    server.send("undo\n")
    server.wait()


def test_keep_without_a_countdown_is_an_error(machine: ReactingTree, run: Run) -> None:
    answer = run("keep")
    assert (answer.code, answer.out) == (1, "")
    assert "No apply waits to be confirmed" in answer.err
    assert run("apply", f"{NIC}=none", "--yes").code == 0
    (entry,) = list_journals(journal_of(machine))
    ended = run("keep", entry.id)
    assert ended.code == 3
    assert "has ended" in ended.err
    assert run("keep", "../../etc/passwd").code == 1


def test_a_confirmation_during_the_revert_is_too_late(machine: ReactingTree, run: Run) -> None:
    server = _counting(machine, LONG)
    server.send("undo\n")
    list(server.events())
    server.wait()
    (entry,) = list_journals(journal_of(machine))
    assert run("keep", entry.id).code == 3


@pytest.mark.parametrize("read", [0, 1])
def test_a_reader_that_stops_reading_does_not_stop_the_countdown(machine: ReactingTree, read: int) -> None:
    """The pipe is full long before the countdown ends."""
    before = facts(load(machine.root))
    server = Server("apply", "--stdin", room=4096)
    server.send(request_to_json(request_for(machine, keep_within=2.0)) + "\n")
    os.read(server.stdout, read)
    assert eventually(lambda: any(journal.exit for journal in list_journals(journal_of(machine))))
    (journal,) = list_journals(journal_of(machine))
    assert (journal.exit, journal.why) == (Exit.ROLLED_BACK, "it was not confirmed within 2 seconds")
    assert facts(load(machine.root)) == before
    assert server.wait() == Exit.ROLLED_BACK
    server.leave()


def test_endless_input_does_not_stop_the_countdown(machine: ReactingTree) -> None:
    server = Server("apply", "--stdin")
    server.send(request_to_json(request_for(machine, keep_within=2.0)) + "\n")
    talking = os.fork()
    if talking == 0:
        try:
            while True:
                os.write(server.stdin, b"what " * 1000)
        finally:
            os._exit(0)
    try:
        assert list(server.events())[-1]["exit"] == Exit.ROLLED_BACK
    finally:
        os.kill(talking, signal.SIGKILL)
        os.waitpid(talking, 0)


def test_a_reader_that_takes_one_byte_at_a_time_does_not_stop_the_countdown(machine: ReactingTree) -> None:
    """The pipe is full nearly all the time; only whole lines get through."""
    before = facts(load(machine.root))
    server = Server("apply", "--stdin", room=4096)
    server.send(request_to_json(request_for(machine, keep_within=2.0)) + "\n")
    taken = bytearray()

    def ended() -> bool:
        taken.extend(os.read(server.stdout, 1))
        return any(journal.exit for journal in list_journals(journal_of(machine)))

    assert eventually(ended)
    assert list_journals(journal_of(machine))[-1].why == "it was not confirmed within 2 seconds"
    assert facts(load(machine.root)) == before
    while part := os.read(server.stdout, 1 << 16):
        taken += part
    events = [json.loads(line)["event"] for line in taken.splitlines()]
    assert events[0] == "started"
    assert taken.endswith(b"\n")
    assert server.wait() == Exit.ROLLED_BACK


def test_a_suspended_reader_does_not_stop_the_countdown(machine: ReactingTree) -> None:
    """After ``kill -STOP`` of the reader, the apply is reverted in time; on continuing, the reader gets the outcome."""
    before = facts(load(machine.root))
    server = Server("apply", "--stdin")
    server.send(request_to_json(request_for(machine, keep_within=2.0)) + "\n")
    screen = os.fork()
    if screen == 0:
        code = 1
        try:
            for event in server.events():
                if event["event"] == "counting" and code == 1:
                    code = 2
                    os.kill(os.getpid(), signal.SIGSTOP)
                code = 0 if event["event"] == "finished" else code
        finally:
            os._exit(code)
    server.out.close()
    _, status = os.waitpid(screen, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    try:
        assert server.wait() == Exit.ROLLED_BACK
        (journal,) = list_journals(journal_of(machine))
        assert journal.why == "it was not confirmed within 2 seconds"
        assert facts(load(machine.root)) == before
    finally:
        os.kill(screen, signal.SIGCONT)
        _, status = os.waitpid(screen, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_two_users_with_journals_of_their_own_cannot_apply_at_once(
    machine: ReactingTree, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = _counting(machine, LONG)
    monkeypatch.setenv("IOMMUTUI_STATE_DIR", str(tmp_path / "another"))
    answer = run("apply", f"{NIC}=none", "--yes")
    assert answer.code == 3
    assert "Another apply is running on this machine" in answer.err
    assert list((tmp_path / "another/journal").glob("*.jsonl")) == []
    server.send("keep\n")
    assert server.wait() == 0
    assert run("apply", f"{NIC}=none", "--yes").code == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
def test_the_countdown_outlives_the_session_of_the_asking_program(
    machine: ReactingTree, run: Run, number: signal.Signals
) -> None:
    """A terminal hangs up, or every process of a session is killed: another terminal can still confirm."""
    server = Server("apply", "--stdin", before=os.setsid)
    server.send(request_to_json(request_for(machine, keep_within=LONG)) + "\n")
    list(server.events(until="counting"))
    os.killpg(server.pid, number)
    assert server.wait() == -number
    server.leave()
    assert run("keep").code == 0
    assert eventually(lambda: list_journals(journal_of(machine))[-1].exit is Exit.DONE)
    assert driver_of(machine) == "vfio-pci"


def test_the_end_of_its_own_session_reverts_at_once(machine: ReactingTree) -> None:
    """SIGTERM to every process of the session, as logind sends it, interrupts the countdown and does not kill it."""
    before = facts(load(machine.root))
    server = _counting(machine, LONG)
    for pid in reversed(processes_of(server.pid)):
        os.kill(pid, signal.SIGTERM)
    assert server.wait() == Exit.ROLLED_BACK
    assert facts(load(machine.root)) == before
