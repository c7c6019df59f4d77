"""The process that writes: what it is sent, what it says, and what outlives who asked."""

import json
import os
import signal
from pathlib import Path

import pytest

from iommutui.apply.entries import list_entries
from iommutui.apply.journal import Journal
from iommutui.apply.lines import Line
from iommutui.apply.recovery import at_work
from iommutui.apply.revert import plan_revert
from iommutui.apply.session import Request, request_of, request_to_json
from iommutui.config import Config, take_effect
from iommutui.core import drivers
from iommutui.core.drivers import Role
from iommutui.core.errors import Exit
from iommutui.core.hazards import Acceptance
from iommutui.core.intents import Intent
from iommutui.core.models import model_for
from iommutui.core.planner import Plan, plan_intents
from iommutui.sources import load
from tests.apply.machines import GPU, NIC, ODD, SOUND, facts
from tests.cli.conftest import Run
from tests.cli.machine import Server, eventually, machine
from tests.reacting_tree import ReactingTree

__all__ = ["machine"]

INTENTS = (Intent(GPU, "vfio-pci"), Intent(SOUND, "vfio-pci"))
LONG = 600.0
"""Seconds that no test waits for."""


def _request(tree: ReactingTree, **terms: object) -> Request:
    host = load(tree.root)
    plan = plan_intents(host, INTENTS, model_for(host.kernel))
    return request_of(plan, INTENTS)._replace(**terms)  # type: ignore[arg-type]


def _journal(tree: ReactingTree) -> Path:
    return Path(tree.root).parent / "state/journal"


def _driver(tree: ReactingTree) -> str | None:
    return load(tree.root).devices[GPU].driver


def test_a_request_is_carried_out(machine: ReactingTree) -> None:
    server = Server("apply", "--stdin")
    server.send(request_to_json(_request(machine)), end=True)
    events = list(server.events())
    assert [events[0]["event"], events[-1]["event"], events[-1]["exit"]] == ["started", "finished", 0]
    assert server.wait() == 0
    assert _driver(machine) == "vfio-pci"


def test_a_revert_names_its_journal(machine: ReactingTree, run: Run) -> None:
    before = facts(load(machine.root))
    assert run("apply", f"{GPU}=vfio-pci", "--yes").code == 0
    (entry,) = list_entries(_journal(machine))
    host = load(machine.root)
    from iommutui.apply.revert import plan_revert

    plan = plan_revert(entry, host, model_for(host.kernel))
    server = Server("apply", "--stdin")
    server.send(request_to_json(request_of(plan, (), reverts=entry.id)), end=True)
    assert [event["event"] for event in server.events()][-1] == "finished"
    assert server.wait() == 0
    assert facts(load(machine.root)) == before


@pytest.mark.parametrize(
    ("change", "said", "code"),
    [
        ({"basis": None}, "not valid", Exit.ERROR),
        ({"reverts": "../../etc/passwd", "intents": []}, "no journal's id", Exit.ERROR),
        ({"reverts": "20261122T104501-1a2b"}, "beside the journal", Exit.ERROR),
        ({"reverts": "20261122T104501-1a2b", "intents": []}, "no journal", Exit.ERROR),
        ({"keep_within": 0.5}, "seconds", Exit.ERROR),
        ({"keep_within": 1e9}, "seconds", Exit.ERROR),
        ({"keep_within": True}, "not valid", Exit.ERROR),
        ({"accepted": [{"code": "a b", "device": GPU}]}, "no danger", Exit.ERROR),
        ({"accepted": [{"code": "a", "device": "../x"}]}, "no danger", Exit.ERROR),
        ({"shown": {"modules": [], "steps": []}}, "not what was shown", Exit.REFUSED),
        ({"shown": {"modules": ["../x"], "steps": []}}, "not what was shown", Exit.REFUSED),
        ({"path": "/etc/passwd"}, "not valid", Exit.ERROR),
        ({"kernel": "5.10.0"}, "not valid", Exit.ERROR),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_refused_is_an_event_and_nothing_is_written(
    machine: ReactingTree, change: dict[str, object], said: str, code: Exit
) -> None:
    before = facts(load(machine.root))
    server = Server("apply", "--stdin")
    server.send(json.dumps(json.loads(request_to_json(_request(machine))) | change), end=True)
    (event,) = server.events()
    assert (event["event"], event["exit"], server.wait()) == ("refused", code, code)
    assert said in event["what"]
    assert event["what"] in server.talk()
    assert facts(load(machine.root)) == before
    assert not list(_journal(machine).glob("*.jsonl"))


def _asked_with(tree: ReactingTree, roles: dict[str, str], intents: tuple[Intent, ...]) -> tuple[Plan, Request]:
    """What somebody asks for who has said so of drivers in his settings; they are not in force any more afterwards."""
    known = dict(drivers._in_force)
    take_effect(Config({name: Role(role) for name, role in roles.items()}))
    try:
        host = load(tree.root)
        plan = plan_intents(host, intents, model_for(host.kernel))
        return plan, request_of(plan, intents)
    finally:
        drivers._in_force.clear()
        drivers._in_force.update(known)


def test_settings_that_only_change_a_verdict_do_not_keep_the_applying_process_from_it(machine: ReactingTree) -> None:
    intents = (Intent(GPU, "vfio-pci"),)
    asked, request = _asked_with(machine, {"snd_hda_intel": "none"}, intents)
    assert asked.groups[0].after.viable is True
    host = load(machine.root)
    assert plan_intents(host, intents, model_for(host.kernel)).groups[0].after.viable is False
    server = Server("apply", "--stdin")
    server.send(request_to_json(request), end=True)
    assert list(server.events())[-1]["exit"] == 0
    assert server.wait() == 0
    assert _driver(machine) == "vfio-pci"


def test_settings_that_change_the_writes_are_refused_and_named(machine: ReactingTree) -> None:
    before = facts(load(machine.root))
    intents = (Intent(ODD, "default"),)
    asked, request = _asked_with(machine, {"igb": "user"}, intents)
    assert [step.op for step in asked.steps] == ["override", "unbind", "probe"]
    server = Server("apply", "--stdin")
    server.send(request_to_json(request), end=True)
    (event,) = server.events()
    assert (event["event"], server.wait()) == ("refused", Exit.REFUSED)
    assert "your settings' [drivers]" in event["what"]
    assert facts(load(machine.root)) == before


def test_no_setting_hides_a_danger_from_the_applying_process(machine: ReactingTree) -> None:
    (Path(machine.root) / "sys/bus/pci/devices" / GPU / "boot_vga").write_text("1\n")
    _, request = _asked_with(machine, {"nvidia": "user"}, INTENTS)
    server = Server("apply", "--stdin")
    server.send(request_to_json(request), end=True)
    (event,) = server.events()
    assert (event["event"], server.wait()) == ("refused", Exit.REFUSED)
    assert _driver(machine) == "nvidia"


def test_a_danger_that_only_the_applying_process_sees_is_refused(machine: ReactingTree) -> None:
    request = _request(machine)
    (Path(machine.root) / "sys/bus/pci/devices" / GPU / "boot_vga").write_text("1\n")
    for accepted, code in (((), 3), ((Acceptance("boot-display", GPU),), 0)):
        server = Server("apply", "--stdin")
        server.send(request_to_json(request._replace(accepted=accepted)), end=True)
        last = list(server.events())[-1]
        assert server.wait() == code
        assert (last["event"] == "refused") is (code == 3)


def test_a_reader_that_goes_away_has_everything_taken_back(machine: ReactingTree) -> None:
    before = facts(load(machine.root))
    server = Server("apply", "--stdin")
    server.send(request_to_json(_request(machine)) + "\n")
    list(server.events(until="step-begun"))
    server.leave()
    assert server.wait() == Exit.ROLLED_BACK
    assert facts(load(machine.root)) == before
    assert list_entries(_journal(machine))[-1].exit is Exit.ROLLED_BACK


# -- kept in time


def _counting(tree: ReactingTree, within: float) -> Server:
    server = Server("apply", "--stdin")
    server.send(request_to_json(_request(tree, keep_within=within)) + "\n")
    assert list(server.events(until="counting"))[-1]["within"] == within
    assert _driver(tree) == "vfio-pci"
    return server


@pytest.mark.parametrize(("word", "code", "driver"), [("keep", 0, "vfio-pci"), ("undo", 5, "nvidia")])
def test_who_asked_keeps_it_or_takes_it_back(machine: ReactingTree, word: str, code: int, driver: str) -> None:
    server = _counting(machine, LONG)
    server.send(f"{word}\n")
    names = [event["event"] for event in server.events()]
    assert ("kept" in names, names[-1]) == (word == "keep", "finished")
    assert server.wait() == code
    assert _driver(machine) == driver


def test_a_word_before_the_countdown_keeps_nothing(machine: ReactingTree) -> None:
    server = Server("apply", "--stdin")
    server.send(request_to_json(_request(machine, keep_within=1.0)) + "\nkeep\n")
    assert list(server.events())[-1]["exit"] == Exit.ROLLED_BACK
    assert server.wait() == Exit.ROLLED_BACK
    assert _driver(machine) == "nvidia"


def test_nobody_keeps_it(machine: ReactingTree) -> None:
    before = facts(load(machine.root))
    server = _counting(machine, 1.0)
    assert list(server.events())[-1]["exit"] == Exit.ROLLED_BACK
    assert server.wait() == Exit.ROLLED_BACK
    assert facts(load(machine.root)) == before


@pytest.mark.parametrize("when", ["before", "during"])
def test_it_outlives_who_asked_and_is_taken_back(machine: ReactingTree, when: str) -> None:
    before = facts(load(machine.root))
    if when == "before":
        server = Server("apply", "--stdin")
        server.send(request_to_json(_request(machine, keep_within=1.0)) + "\n")
        list(server.events(until="started"))
    else:
        server = _counting(machine, 1.0)
    server.leave()
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    assert eventually(lambda: bool(list_entries(_journal(machine))[-1].exit))
    entry = list_entries(_journal(machine))[-1]
    assert (entry.exit, entry.within) == (Exit.ROLLED_BACK, 1.0)
    assert facts(load(machine.root)) == before


def test_it_is_kept_from_elsewhere_although_who_asked_is_gone(machine: ReactingTree, run: Run) -> None:
    server = _counting(machine, LONG)
    server.leave()
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    assert "waits to be kept" in run("journal").out
    answer = run("keep")
    assert (answer.code, answer.err) == (0, "")
    assert eventually(lambda: list_entries(_journal(machine))[-1].exit is Exit.DONE)
    assert _driver(machine) == "vfio-pci"
    assert not list(_journal(machine).glob("*.keep"))
    assert run("keep").code == 1


def test_a_hang_up_is_nothing_to_it(machine: ReactingTree, run: Run) -> None:
    server = _counting(machine, LONG)
    waiting, writing = _below(server.pid)
    assert waiting == server.pid
    assert os.getsid(writing) == writing
    os.kill(writing, signal.SIGHUP)
    assert run("keep").code == 0
    assert server.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_takes_it_back(machine: ReactingTree, number: signal.Signals) -> None:
    server = _counting(machine, LONG)
    os.kill(server.pid, number)
    assert list(server.events())[-1]["exit"] == Exit.ROLLED_BACK
    assert server.wait() == Exit.ROLLED_BACK
    assert _driver(machine) == "nvidia"


def test_nothing_else_is_applied_while_it_waits(machine: ReactingTree, run: Run) -> None:
    server = _counting(machine, LONG)
    answer = run("apply", f"{NIC}=none", "--yes")
    assert answer.code == 3
    assert "Another apply is at work" in answer.err
    server.send("undo\n")
    server.wait()


def test_what_has_ended_or_has_nothing_to_keep(machine: ReactingTree, run: Run) -> None:
    answer = run("keep")
    assert (answer.code, answer.out) == (1, "")
    assert "Nothing waits to be kept" in answer.err
    assert run("apply", f"{NIC}=none", "--yes").code == 0
    (entry,) = list_entries(_journal(machine))
    ended = run("keep", entry.id)
    assert ended.code == 3
    assert "has ended" in ended.err
    assert run("keep", "../../etc/passwd").code == 1


def test_it_is_too_late_to_keep_what_is_taken_back(machine: ReactingTree, run: Run) -> None:
    server = _counting(machine, LONG)
    server.send("undo\n")
    list(server.events())
    server.wait()
    (entry,) = list_entries(_journal(machine))
    assert run("keep", entry.id).code == 3


# -- cut off


def _cut_off(tree: ReactingTree, within: float | None, at: str) -> None:
    """A SIGKILL for every process of an apply, at the first event of a kind."""
    server = Server("apply", "--stdin")
    server.send(request_to_json(_request(tree, keep_within=within)) + "\n")
    list(server.events(until=at))
    for pid in _below(server.pid):
        os.kill(pid, signal.SIGKILL)
    server.wait()
    server.leave()
    assert eventually(lambda: not at_work(_journal(tree)))


def _below(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(below for child in children for below in _below(int(child)))]


@pytest.mark.parametrize(("within", "at"), [(None, "step-done"), (LONG, "counting")])
def test_what_was_cut_off_is_told_and_taken_back(
    machine: ReactingTree, run: Run, within: float | None, at: str
) -> None:
    before = facts(load(machine.root))
    _cut_off(machine, within, at)
    for command in (["list"], ["preview", f"{NIC}=none"], ["plan", f"{NIC}=none"]):
        answer = run(*command)
        assert answer.code == 0
        assert "was cut off" in answer.err
    refused = run("apply", f"{NIC}=none", "--yes")
    assert refused.code == 3
    assert "iommutui revert" in refused.err
    assert ("nobody has kept it" in refused.err) is (within is not None)
    assert run("revert", "--yes").code == 0
    assert facts(load(machine.root)) == before
    assert run("list").err == ""


@pytest.mark.parametrize(("within", "at"), [(None, "step-done"), (LONG, "counting")])
def test_what_was_cut_off_can_be_left_as_it_is(machine: ReactingTree, run: Run, within: float | None, at: str) -> None:
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
def test_a_keep_that_dies_itself_can_be_said_again_or_taken_back(
    machine: ReactingTree, run: Run, monkeypatch: pytest.MonkeyPatch, lines: int, then: str
) -> None:
    """A SIGKILL after each line that ``keep`` adds to a journal that was cut off."""
    before = facts(load(machine.root))
    _cut_off(machine, None, "step-done")
    now = facts(load(machine.root))
    append, written = Journal.append, [0]

    def dying(journal: Journal, line: Line) -> None:
        if written[0] == lines:
            os.kill(os.getpid(), signal.SIGKILL)
        append(journal, line)
        written[0] += 1

    pid = os.fork()
    if pid == 0:
        try:
            monkeypatch.setattr(Journal, "append", dying)
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
def test_a_revert_that_is_cut_off_is_told_and_ended(machine: ReactingTree, run: Run, within: float | None) -> None:
    before = facts(load(machine.root))
    assert run("apply", f"{GPU}=vfio-pci", f"{SOUND}=vfio-pci", "--yes").code == 0
    (entry,) = list_entries(_journal(machine))
    host = load(machine.root)
    request = request_of(plan_revert(entry, host, model_for(host.kernel)), (), reverts=entry.id, keep_within=within)
    server = Server("apply", "--stdin")
    server.send(request_to_json(request) + "\n")
    list(server.events(until="step-done" if within is None else "counting"))
    for pid in _below(server.pid):
        os.kill(pid, signal.SIGKILL)
    server.wait()
    server.leave()
    assert eventually(lambda: not at_work(_journal(machine)))
    assert f"'iommutui revert {entry.id}'" in run("list").err
    assert run("revert", "--yes").code == 0
    assert facts(load(machine.root)) == before
    assert run("list").err == ""
