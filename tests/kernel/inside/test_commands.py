"""The commands on a real kernel, compared with the answers of another program."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from . import pci
from .program import NOBODY, Run

Ask = Callable[[int], dict[str, Any]]
pytestmark = pytest.mark.skipif(os.environ.get("IOMMUTUI_GUEST") != "gpu", reason="needs the topology gpu")

CARD = ["0000:01:00.0", "0000:01:00.1", "0000:01:00.2", "0000:01:00.3"]
LONE = "0000:00:05.0"
PORT = "0000:00:02.0"


def test_the_last_function_makes_the_group_viable_and_revert_restores_each(
    iommutui: Run, vfio_status: Ask, restored: pci.State
) -> None:
    number = pci.group(CARD[0])
    assert iommutui("list", "--json").group(number)["viable"] is False
    for count, address in enumerate(CARD, 1):
        applied = iommutui("apply", f"{address}=vfio-pci", "--yes")
        assert applied.code == 0, applied.out + applied.err
        assert pci.driver(address) == "vfio-pci"
        assert pci.wait_for(Path(f"/dev/vfio/{number}").exists)
        ours = iommutui("list", "--json").group(number)
        assert ours["viable"] is vfio_status(number)["viable"] is (count == len(CARD))
        assert [r["device"] for r in ours["reasons"]] == CARD[count:]
    for address in reversed(CARD):
        assert iommutui("revert", "--yes").code == 0
        assert pci.driver(address) == restored.drivers[address]
        assert pci.override(address) == restored.overrides[address]
    assert pci.State.now() == restored
    nothing = iommutui("revert", "--yes")
    assert nothing.code == 1
    assert "nothing to revert" in nothing.err


def test_one_plan_hands_over_a_whole_card_and_revert_returns_it(
    iommutui: Run, vfio_status: Ask, restored: pci.State
) -> None:
    number = pci.group(CARD[0])
    preview = iommutui("preview", f"{CARD[0]}=vfio-pci", "--json")
    assert preview.code == 0
    assert preview.document["groups"][0]["after"]["viable"] is False
    fix = preview.document["fix"]
    assert {entry["device"] for entry in fix} == set(CARD[1:])
    words = [f"{CARD[0]}=vfio-pci", *(f"{entry['device']}={entry['target']}" for entry in fix)]
    events = [json.loads(line) for line in iommutui("apply", *words, "--yes", "--json").out.splitlines()]
    assert events[-1]["event"] == "finished"
    assert events[-1]["exit"] == 0
    assert vfio_status(number)["viable"] is True
    assert iommutui("journal").out.count("in effect") == 1
    assert iommutui("revert", "--yes").code == 0
    assert pci.State.now() == restored


@pytest.mark.parametrize("target", ["pci-stub", "none"])
def test_a_neutral_or_unbound_device_does_not_block_its_group(
    iommutui: Run, vfio_status: Ask, restored: pci.State, target: str
) -> None:
    number = pci.group(CARD[0])
    words = [f"{CARD[0]}=vfio-pci", *(f"{address}={target}" for address in CARD[1:])]
    assert iommutui("apply", *words, "--yes").code == 0
    assert [pci.driver(address) for address in CARD[1:]] == [None if target == "none" else target] * 3
    assert vfio_status(number)["viable"] is iommutui("list", "--json").group(number)["viable"] is True
    default = iommutui("apply", *(f"{address}=default" for address in CARD), "--yes")
    assert default.code == 0, default.out + default.err
    assert pci.State.now() == restored


def test_a_snapshot_equals_the_live_machine(iommutui: Run, tmp_path: Path, restored: pci.State) -> None:
    pci.bind(CARD[0], "vfio-pci")
    file = str(tmp_path / "machine.json")
    assert iommutui("snapshot", "-o", file).code == 0
    live, recorded = iommutui("list", "--json").document, iommutui("list", "--json", "--from", file).document
    assert recorded["devices"] == live["devices"]
    assert recorded["groups"] == live["groups"]
    assert recorded["host"] == live["host"]


def test_a_device_of_a_group_in_use_is_not_unbound(
    iommutui: Run, vfio_hold: Callable[..., dict[str, Any]], restored: pci.State
) -> None:
    pci.bind(LONE, "vfio-pci")
    number = pci.group(LONE)
    assert pci.wait_for(Path(f"/dev/vfio/{number}").exists)
    vfio_hold(number, "--devices")
    why = iommutui("why", str(number))
    assert "in use" in why.out
    refused = iommutui("apply", f"{LONE}=default", "--yes")
    assert refused.code == 3
    assert LONE in refused.out
    assert "in use" in refused.out
    assert pci.driver(LONE) == "vfio-pci"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["00:1e.7=vfio-pci"], 1, "no device 0000:00:1e.7"),
        (["8086:293e=vfio-pci"], 3, "ambiguous"),
        ([f"{LONE}=nosuchdriver"], 3, "nosuchdriver"),
        ([f"{LONE}=xhci_hcd"], 3, "does not support"),
        ([f"{PORT}=vfio-pci"], 3, "bridge"),
        (["nonsense"], 2, "DEVICE=TARGET"),
    ],
)
def test_a_refused_command_says_why(iommutui: Run, words: list[str], code: int, said: str) -> None:
    before = pci.State.now()
    answer = iommutui("apply", *words, "--yes")
    assert answer.code == code
    assert said in answer.out + answer.err
    assert pci.State.now() == before


def test_without_root_nothing_is_written(iommutui: Run) -> None:
    before = pci.State.now()
    answer = iommutui("apply", f"{LONE}=vfio-pci", "--yes", prefix=NOBODY)
    assert answer.code == 4
    assert "root" in answer.err
    assert pci.State.now() == before
    assert iommutui("list", prefix=NOBODY).code == 0


def test_drift_is_named(iommutui: Run, restored: pci.State) -> None:
    from iommutui.apply.request import request_of
    from iommutui.apply.validation import to_line
    from iommutui.core.address import Address
    from iommutui.core.models import model_for
    from iommutui.core.plan.intents import Intent
    from iommutui.core.plan.planner import plan_intents
    from iommutui.sources import load

    host, intents = load(), [Intent(Address(LONE), "vfio-pci")]
    request = to_line(request_of(plan_intents(host, intents, model_for(host.kernel)), intents)).decode()
    pci.bind(LONE, "pci-stub")
    answer = iommutui("apply", "--stdin", text=request)
    assert answer.code == 3
    assert f"{LONE}: driver was e1000e and is pci-stub" in answer.err
    assert pci.driver(LONE) == "pci-stub"
