"""``iommutui simulate``."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Answer, Run

Event = dict[str, Any]


@pytest.fixture
def simulate(on_demo: Run, tmp_path: Path) -> Any:
    """Runs events through the engine."""

    def run(*events: Event | str, model: str = "dma-owner") -> Answer:
        path = tmp_path / "events.jsonl"
        path.write_text("".join((e if isinstance(e, str) else json.dumps(e)) + "\n" for e in events))
        return on_demo("simulate", str(path), "--model", model)

    return run


def rebind(function: int) -> list[Event]:
    device = f"0000:09:00.{function}"
    return [
        {"op": "override", "device": device, "driver": "vfio-pci"},
        {"op": "unbind", "device": device},
        {"op": "probe", "device": device},
    ]


def test_a_card_is_handed_over_and_claimed(simulate: Any) -> None:
    events = [event for function in range(4) for event in rebind(function)]
    lines = simulate(*events, {"op": "claim", "group": 17, "owner": "vm1"}).lines
    assert [line["n"] for line in lines] == list(range(13))
    assert {line["result"] for line in lines} == {"ok"}
    viable = [line["groups"]["17"]["viable"] for line in lines]
    assert viable == [False] * 10 + [True] * 3
    assert lines[-1]["groups"]["17"]["owner"] == "vm1"
    assert lines[-1]["groups"]["17"]["members"] == {f"0000:09:00.{n}": "vfio-pci" for n in range(4)}


def test_a_claim_fails_while_host_drivers_are_bound(simulate: Any) -> None:
    line = simulate(*rebind(0), {"op": "claim", "group": 17, "owner": "vm1"}).lines[-1]
    assert line["result"] == "EPERM"
    assert {reason["device"] for reason in line["reasons"]} == {f"0000:09:00.{n}" for n in (1, 2, 3)}


@pytest.mark.parametrize(("op", "result"), [("bind", "EBUSY"), ("probe", "EINVAL")])
def test_a_host_driver_cannot_bind_in_a_claimed_group(simulate: Any, op: str, result: str) -> None:
    moves = [e for n in (0, 1, 2) for e in rebind(n)] + [{"op": "unbind", "device": "0000:09:00.3"}]
    claim = {"op": "claim", "group": 17, "owner": "vm1"}
    line = simulate(*moves, claim, {"op": op, "device": "0000:09:00.3", "driver": "nvidia-gpu"}).lines[-1]
    assert (line["result"], line["driver"], line["crash"]) == (result, None, False)


def test_a_host_driver_in_a_claimed_group_crashes_an_old_kernel(simulate: Any) -> None:
    moves = [e for n in (0, 1, 2) for e in rebind(n)] + [{"op": "unbind", "device": "0000:09:00.3"}]
    claim = {"op": "claim", "group": 17, "owner": "vm1"}
    probe = {"op": "probe", "device": "0000:09:00.3"}
    line = simulate(*moves, claim, probe, model="vfio-group").lines[-1]
    assert line["crash"] is True
    assert "kernel BUG" in line["crash_text"]


def test_an_unbind_of_an_open_device_blocks(simulate: Any) -> None:
    lines = simulate(
        {"op": "unbind", "device": "0b:00.0"},
        {"op": "release", "group": 19, "owner": "qemu-system-x86"},
    ).lines
    assert (lines[0]["blocks"], lines[0]["driver"], lines[0]["result"]) == (True, None, "ok")
    assert lines[1]["groups"]["19"]["owner"] is None


def test_a_write_to_a_missing_device_returns_enodev(simulate: Any) -> None:
    assert simulate({"op": "unbind", "device": "0000:ff:00.0"}).lines[0]["result"] == "ENODEV"


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("{", "line 1"),
        ("[]", "JSON object"),
        ({"op": "explode"}, "'op' must be one of"),
        ({"op": "bind", "device": "0000:09:00.0"}, "driver: "),
        ({"op": "claim", "group": "x", "owner": "a"}, "group: "),
        ({"op": "claim", "group": 17}, "owner: "),
    ],
)
def test_an_invalid_event_is_named_with_its_line(simulate: Any, event: Event | str, said: str) -> None:
    answer = simulate(event)
    assert answer.code == 1
    assert said in answer.err
    assert "line 1" in answer.err
