"""``iommutui preview``."""

import pytest

from tests.cli.conftest import Run


def test_a_permitted_plan_as_a_document(on_demo: Run) -> None:
    answer = on_demo("preview", "09:00.0=vfio-pci", "--json")
    document = answer.document
    assert (answer.code, document["schema"], document["permitted"]) == (0, 1, True)
    assert [(s["op"], s["value"], s["outcome"]) for s in document["steps"]] == [
        ("override", "vfio-pci", "ok"),
        ("unbind", "nouveau", "ok"),
        ("probe", None, "ok"),
    ]
    assert document["steps"][0]["path"] == "/sys/bus/pci/devices/0000:09:00.0/driver_override"
    assert [g["id"] for g in document["groups"]] == [17]
    assert document["groups"][0]["before"]["viable"] is False
    assert document["groups"][0]["after"]["viable"] is False
    assert document["fix"] == [{"device": f"0000:09:00.{n}", "target": "vfio-pci"} for n in (1, 2, 3)]


def test_with_the_fix_the_group_is_viable_and_nothing_more_is_needed(on_demo: Run) -> None:
    document = on_demo("preview", *(f"09:00.{n}=vfio-pci" for n in range(4)), "--json").document
    assert document["groups"][0]["after"] == {"viable": True, "state": "idle", "claim": "ok", "reasons": []}
    assert document["fix"] == []


def test_overrides_come_first_then_unbinds_then_probes(on_demo: Run) -> None:
    document = on_demo("preview", *(f"09:00.{n}=vfio-pci" for n in range(4)), "--json").document
    assert [step["op"] for step in document["steps"]] == ["override"] * 4 + ["unbind"] * 4 + ["probe"] * 4


def test_a_device_already_on_target_is_a_no_op(on_demo: Run) -> None:
    document = on_demo("preview", "0a:00.0=vfio-pci", "--json").document
    assert (document["permitted"], document["steps"]) == (True, [])
    assert [no_op["device"] for no_op in document["no_ops"]] == ["0000:0a:00.0"]


@pytest.mark.parametrize(
    ("intent", "code"),
    [
        ("00:03.2=vfio-pci", "bridge"),
        ("09:00.0=nosuchdriver", "no-driver"),
        ("09:00.0=xhci_hcd", "unfit-driver"),
        ("00:00.0=vfio-pci", "of-the-board"),
        ("01:00.0=none", "host-needs-it"),
        ("0b:00.0=none", "in-use"),
    ],
)
def test_a_refused_plan_says_why(on_demo: Run, intent: str, code: str) -> None:
    answer = on_demo("preview", intent, "--json")
    assert (answer.code, answer.document["permitted"]) == (3, False)
    assert code in [reason["code"] for reason in answer.document["refusals"]]
    text = on_demo("preview", intent)
    assert text.code == 3
    assert "Not permitted:" in text.out


def test_the_draft_model_refuses_until_every_host_driver_is_unbound(on_demo: Run) -> None:
    alone = on_demo("preview", "09:00.0=vfio-pci", "--model", "dma-hint", "--json")
    assert alone.code == 3
    assert "user-beside-kernel" in {r["code"] for r in alone.document["refusals"]}
    words = [f"{entry['device']}={entry['target']}" for entry in alone.document["fix"]]
    assert on_demo("preview", "09:00.0=vfio-pci", *words, "--model", "dma-hint", "--json").code == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["0000:ff:00.0=vfio-pci"], 1, "There is no device 0000:ff:00.0."),
        (["1022:1483=none"], 3, "ambiguous"),
        (["dead:beef=none"], 1, "no device dead:beef"),
        (["09:00.0"], 2, "is not DEVICE=TARGET"),
        (["=vfio-pci"], 2, "is not DEVICE=TARGET"),
        (["09:00.0=vfio-pci", "09:00.0=none"], 2, "two targets"),
        (["eth7=none"], 1, "eth7"),
        (["09:00.9=none"], 2, "does not name a device"),
    ],
)
def test_an_invalid_or_unknown_device_is_named(on_demo: Run, words: list[str], code: int, said: str) -> None:
    answer = on_demo("preview", *words)
    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err


@pytest.mark.parametrize("spelling", ["0000:09:00.0", "09:00.0", "pci_0000_09_00_0", "10de:1f08", "10DE:1F08"])
def test_every_spelling_names_the_same_device(on_demo: Run, spelling: str) -> None:
    document = on_demo("preview", f"{spelling}=none", "--json").document
    assert {step["device"] for step in document["steps"]} == {"0000:09:00.0"}


def test_hazards_are_shown(on_demo: Run) -> None:
    hazards = on_demo("preview", "08:00.0=vfio-pci", "--json").document["hazards"]
    assert ("boot-display", "0000:08:00.0") in [(h["code"], h["device"]) for h in hazards]


def test_a_refused_plan_without_steps_begins_with_the_reason(on_demo: Run) -> None:
    assert on_demo("preview", "02:00.2=vfio-pci").out.startswith("Not permitted:\n")
    assert on_demo("preview", "09:00.0=vfio-pci").out.startswith("0000:09:00.0  nouveau")


def test_no_fix_is_reported_only_if_a_device_leaves_the_host(on_demo: Run) -> None:
    assert "No further rebinds" not in on_demo("preview", "00:14.0=default").out
    assert (
        "No further rebinds let a virtual machine have every group here." in on_demo("preview", "0d:00.0=vfio-pci").out
    )
    assert "No further rebinds" not in on_demo("preview", "0d:00.0=vfio-pci", "--kernel", "6.1").out
