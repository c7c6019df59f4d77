"""Data between processes: requests to the privileged process, and events from it."""

import json
from typing import Any

import pytest

from iommutui.apply.confirmation import REQUEST_LIMIT
from iommutui.apply.events import (
    LINE_LIMIT,
    Compensating,
    Event,
    Finished,
    ModuleLoaded,
    Started,
    StepBegun,
    StepDone,
    StepWaiting,
    from_line,
    to_json,
)
from iommutui.apply.request import parse_request, plan_request, request_of, shown_of
from iommutui.apply.validation import to_jsonable, to_line
from iommutui.core.errors import Exit, IommutuiError, RefusedError
from iommutui.core.host import Claim
from iommutui.core.models import MODELS
from iommutui.core.plan.drift import Change
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import plan_intents
from tests.apply.machines import CASES, GPU, SOUND, TWIN_A, TWIN_B, desktop

PLAN = CASES[0].plan
STEP = PLAN.steps[0]

EVENTS: tuple[Event, ...] = (
    Started("20261122T104501-1a2b", 6),
    ModuleLoaded("vfio-pci"),
    StepBegun(1, STEP),
    StepDone(1, STEP, "ok", 0.25, "the kernel chose nvidia"),
    StepDone(2, STEP._replace(value=None), "EBUSY", 0.0),
    StepWaiting(1, STEP, 4.0, ("qemu (1): /dev/vfio/14",)),
    Compensating("it failed"),
    Finished(Exit.DONE, "Done."),
    Finished(Exit.NOT_ROLLED_BACK, "Alas.", (Change(GPU, "driver", "nvidia", "none"),)),
)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_events_round_trip(event: Event) -> None:
    value = to_json(event)
    assert from_line(json.dumps(value)) == event


def test_steps_with_reasons_round_trip() -> None:
    plan = plan_intents(desktop(), [Intent(GPU, "vfio-pci"), Intent(TWIN_A, "vfio-pci")], MODELS["dma-hint"])
    assert any(step.reasons for step in plan.steps)
    for step in plan.steps:
        assert from_line(json.dumps(to_json(StepBegun(1, step)))) == StepBegun(1, step)


@pytest.mark.parametrize(
    "value",
    [
        None,
        1,
        "x",
        [],
        {},
        {"event": "boom"},
        {"event": ["started"]},
        {"event": "started"},
        {"event": "started", "journal_id": 1, "steps": 1},
        {"event": "started", "journal_id": "x", "steps": "1"},
        {"event": "started", "journal_id": "x", "steps": 1, "more": 1},
        {"event": "finished", "exit": 99, "summary": ""},
        {"event": "finished", "exit": 0, "summary": "", "left": [["a", "b"]]},
        to_json(EVENTS[3]) | {"seconds": float("nan")},
        to_json(EVENTS[3]) | {"seconds": float("inf")},
        to_json(EVENTS[3]) | {"step": "rm"},
        {"event": "compensating", "why": "\ud800"},
    ],
    ids=lambda value: repr(value)[:40],
)
def test_an_invalid_event_is_an_error(value: object) -> None:
    with pytest.raises(IommutuiError):
        from_line(json.dumps(value))


def test_a_deep_or_long_event_is_an_error() -> None:
    deep = "[" * 100_000 + "]" * 100_000
    for why in (deep, json.dumps("x" * LINE_LIMIT)):
        with pytest.raises(IommutuiError):
            from_line(f'{{"event":"compensating","why":{why}}}')
    with pytest.raises(IommutuiError):
        from_line(b"\xff")
    with pytest.raises(IommutuiError):
        from_line(json.dumps(to_json(EVENTS[3])).replace("0.25", "1e999"))


def test_hostile_names_are_not_repeated() -> None:
    with pytest.raises(IommutuiError) as caught:
        from_line(json.dumps({"event": "started", "journal_id": "x", "steps": 1, "\x1b[2J" + "y" * 500: 1}))
    assert "\x1b" not in caught.value.what
    assert len(caught.value.what) < 250


# -- requests

REQUEST = request_of(PLAN, (Intent(GPU, "vfio-pci"), Intent(SOUND, "vfio-pci")))
DOCUMENT: dict[str, Any] = {
    "schema": 1,
    "intents": [[GPU, "vfio-pci"], {"device": SOUND, "target": "vfio-pci"}],
    "basis": to_jsonable(PLAN.basis),
    "model": "dma-owner",
    "shown": to_jsonable(shown_of(PLAN)),
}


def test_a_request_is_parsed() -> None:
    assert parse_request(json.dumps(DOCUMENT)) == REQUEST
    assert parse_request(to_line(REQUEST).decode()) == REQUEST


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"schema": "1"},
        {"schema": None},
        {"intents": []},
        {"intents": [[GPU]]},
        {"intents": [[GPU, "vfio-pci", "x"]]},
        {"intents": [[GPU, None]]},
        {"intents": [[GPU, "../../etc"]]},
        {"intents": [[GPU, "a\nb"]]},
        {"intents": [[GPU, ""]]},
        {"intents": [[GPU, "x" * 200]]},
        {"intents": [["01:00.0", "vfio-pci"]]},
        {"intents": [["0000:01:00.0/../x", "vfio-pci"]]},
        {"intents": [["0000:0A:00.0", "vfio-pci"]]},
        {"intents": [[GPU, "vfio-pci"], [GPU, "none"]]},
        {"intents": {"device": GPU, "target": "none"}},
        {"basis": None},
        {"basis": {}},
        {"basis": {"kernel": 1, "devices": []}},
        {"basis": {"kernel": None, "devices": [{"device": GPU}]}},
        {"model": "no-such-model"},
        {"model": 1},
        {"model": None},
        {"shown": None},
        {"kernel": "5.10.0"},
        {"path": "/etc/passwd"},
        {"command": ["rm"]},
    ],
    ids=lambda change: repr(change)[:50],
)
def test_an_invalid_request_is_an_error(change: dict[str, object]) -> None:
    with pytest.raises(IommutuiError) as caught:
        parse_request(json.dumps(DOCUMENT | change))
    assert caught.value.exit_code is Exit.ERROR


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{",
        '"x"',
        "[" * 500_000,
        '{"schema":' * 100_000,
        '{"schema":1}',
        json.dumps(DOCUMENT) + "x",
        json.dumps(DOCUMENT) + " " * REQUEST_LIMIT,
        json.dumps(DOCUMENT, ensure_ascii=False).replace("6.12.0", "é" * (REQUEST_LIMIT // 2)),
        "\ud800",
        "\0",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_hostile_text_is_an_error(text: str) -> None:
    with pytest.raises(IommutuiError) as caught:
        parse_request(text)
    assert caught.value.exit_code is Exit.ERROR
    assert len(caught.value.what) < 250


def test_the_plan_is_computed_by_the_applying_process() -> None:
    assert plan_request(REQUEST, desktop()) == PLAN


def test_a_changed_fact_refuses_the_request() -> None:
    host = desktop()
    host = host.with_device(host.devices[GPU]._replace(driver="nouveau"))
    with pytest.raises(RefusedError, match=f"{GPU}: driver was nvidia and is nouveau"):
        plan_request(REQUEST, host)


def test_missing_facts_are_drift() -> None:
    bare = REQUEST._replace(basis=PLAN.basis._replace(devices=PLAN.basis.devices[:1]))
    with pytest.raises(RefusedError, match="device was absent and is present"):
        plan_request(bare, desktop())


def test_another_model_does_not_bypass_the_kernels_rules() -> None:
    """Up to 5.18, a host driver in a group in use hits a BUG_ON, whatever model is requested."""
    host = desktop("5.10.0")
    host = host.with_device(host.devices[TWIN_A]._replace(driver=None))
    host = host.with_device(host.devices[TWIN_B]._replace(driver="vfio-pci"))
    host = host.with_group(host.groups[24]._replace(claim=Claim("vm1")))
    intents = (Intent(TWIN_A, "igb"),)
    request = request_of(plan_intents(host, intents, MODELS["vfio-group"]), intents)
    assert not plan_request(request, host).permitted
    for model in sorted({*MODELS} - {"vfio-group"}):
        shown = shown_of(plan_intents(host, intents, MODELS[model]))
        with pytest.raises(RefusedError, match=f"{TWIN_A} is bound to the host driver igb"):
            plan_request(request._replace(model=model, shown=shown), host)
