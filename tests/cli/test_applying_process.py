"""The applying process: its requests and its events."""

import json
from pathlib import Path

import pytest

from iommutui.apply.recovery import plan_revert
from iommutui.apply.request import Request, request_of
from iommutui.core.drivers import Role
from iommutui.core.errors import Exit
from iommutui.core.hazards import Acceptance
from iommutui.core.models import model_for
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import Plan, plan_intents
from iommutui.settings import Settings, driver_table
from iommutui.sources import load
from tests.apply.journals import list_journals
from tests.apply.machines import GPU, ODD, facts
from tests.cli.conftest import Run
from tests.cli.reacting_machine import INTENTS, Server, driver_of, journal_of, request_for, request_to_json
from tests.reacting_tree import ReactingTree


def test_a_request_is_applied(machine: ReactingTree) -> None:
    server = Server("apply", "--stdin")
    server.send(request_to_json(request_for(machine)), end=True)
    events = list(server.events())
    assert [events[0]["event"], events[-1]["event"], events[-1]["exit"]] == ["started", "finished", 0]
    assert server.wait() == 0
    assert driver_of(machine) == "vfio-pci"


def test_a_request_reverts_the_journal_that_it_names(machine: ReactingTree, run: Run) -> None:
    before = facts(load(machine.root))
    assert run("apply", f"{GPU}=vfio-pci", "--yes").code == 0
    (entry,) = list_journals(journal_of(machine))
    host = load(machine.root)

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
        ({"reverts": "../../etc/passwd", "intents": []}, "not a journal's id", Exit.ERROR),
        ({"reverts": "20261122T104501-1a2b"}, "beside the journal", Exit.ERROR),
        ({"reverts": "20261122T104501-1a2b", "intents": []}, "no journal", Exit.ERROR),
        ({"keep_within": 0.5}, "seconds", Exit.ERROR),
        ({"keep_within": 1e9}, "seconds", Exit.ERROR),
        ({"keep_within": True}, "not valid", Exit.ERROR),
        ({"accepted": [{"code": "a b", "device": GPU}]}, "not a danger", Exit.ERROR),
        ({"accepted": [{"code": "a", "device": "../x"}]}, "not a danger", Exit.ERROR),
        ({"shown": {"modules": [], "steps": []}}, "would differ from those shown", Exit.REFUSED),
        ({"shown": {"modules": ["../x"], "steps": []}}, "would differ from those shown", Exit.REFUSED),
        ({"path": "/etc/passwd"}, "not valid", Exit.ERROR),
        ({"kernel": "5.10.0"}, "not valid", Exit.ERROR),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_refusal_is_an_event_and_nothing_is_written(
    machine: ReactingTree, change: dict[str, object], said: str, code: Exit
) -> None:
    before = facts(load(machine.root))
    server = Server("apply", "--stdin")
    server.send(json.dumps(json.loads(request_to_json(request_for(machine))) | change), end=True)
    (event,) = server.events()
    assert (event["event"], event["exit"], server.wait()) == ("refused", code, code)
    assert said in event["what"]
    assert event["what"] in server.talk()
    assert facts(load(machine.root)) == before
    assert not list(journal_of(machine).glob("*.jsonl"))


def _request_with_settings(
    tree: ReactingTree, roles: dict[str, str], intents: tuple[Intent, ...]
) -> tuple[Plan, Request]:
    """The plan and the request of a user whose settings give these roles to drivers."""
    table = driver_table(Settings({name: Role(role) for name, role in roles.items()}))
    host = load(tree.root, driver_table=table)
    plan = plan_intents(host, intents, model_for(host.kernel))
    return plan, request_of(plan, intents)


def test_settings_that_only_change_a_verdict_do_not_stop_the_applying_process(machine: ReactingTree) -> None:
    intents = (Intent(GPU, "vfio-pci"),)
    asked, request = _request_with_settings(machine, {"snd_hda_intel": "none"}, intents)
    assert asked.groups[0].after.viable is True
    host = load(machine.root)
    assert plan_intents(host, intents, model_for(host.kernel)).groups[0].after.viable is False
    server = Server("apply", "--stdin")
    server.send(request_to_json(request), end=True)
    assert list(server.events())[-1]["exit"] == 0
    assert server.wait() == 0
    assert driver_of(machine) == "vfio-pci"


def test_settings_that_change_the_writes_are_refused_and_named(machine: ReactingTree) -> None:
    before = facts(load(machine.root))
    intents = (Intent(ODD, "default"),)
    asked, request = _request_with_settings(machine, {"igb": "user"}, intents)
    assert [step.op for step in asked.steps] == ["override", "unbind", "probe"]
    server = Server("apply", "--stdin")
    server.send(request_to_json(request), end=True)
    (event,) = server.events()
    assert (event["event"], server.wait()) == ("refused", Exit.REFUSED)
    assert "your settings' [drivers]" in event["what"]
    assert facts(load(machine.root)) == before


def test_no_setting_hides_a_danger_from_the_applying_process(machine: ReactingTree) -> None:
    (Path(machine.root) / "sys/bus/pci/devices" / GPU / "boot_vga").write_text("1\n")
    asked, request = _request_with_settings(machine, {"nvidia": "user"}, INTENTS)
    assert not request.accepted
    assert not any(hazard.code == "boot-display" for hazard in asked.hazards)
    server = Server("apply", "--stdin")
    server.send(request_to_json(request), end=True)
    (event,) = server.events()
    assert (event["event"], server.wait()) == ("refused", Exit.REFUSED)
    assert driver_of(machine) == "nvidia"


def test_a_danger_that_only_the_applying_process_sees_is_refused(machine: ReactingTree) -> None:
    request = request_for(machine)
    (Path(machine.root) / "sys/bus/pci/devices" / GPU / "boot_vga").write_text("1\n")
    for accepted, code in (((), 3), ((Acceptance("boot-display", GPU),), 0)):
        server = Server("apply", "--stdin")
        server.send(request_to_json(request._replace(accepted=accepted)), end=True)
        last = list(server.events())[-1]
        assert server.wait() == code
        assert (last["event"] == "refused") is (code == 3)


def test_a_reader_that_exits_reverts_everything(machine: ReactingTree) -> None:
    before = facts(load(machine.root))
    server = Server("apply", "--stdin")
    server.send(request_to_json(request_for(machine)) + "\n")
    list(server.events(until="step-begun"))
    server.leave()
    assert server.wait() == Exit.ROLLED_BACK
    assert facts(load(machine.root)) == before
    assert list_journals(journal_of(machine))[-1].exit is Exit.ROLLED_BACK
