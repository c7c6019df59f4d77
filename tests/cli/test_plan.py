"""``iommutui plan``, and ``apply`` of its plan files."""

import json
from pathlib import Path

import pytest

from iommutui.core.address import Address
from iommutui.core.host import Device, Group
from iommutui.demo import demo_host
from iommutui.sources import load
from iommutui.sources.snapshot import write
from tests.apply.machines import GPU, SOUND, USB, facts
from tests.cli.conftest import Run
from tests.reacting_tree import ReactingTree


def test_a_card_is_freed_with_the_rest_of_its_group_and_nothing_else(on_demo: Run) -> None:
    document = on_demo("plan", "--card", "09:00.2", "--json").document
    assert document["intents"] == [{"device": f"0000:09:00.{n}", "target": "vfio-pci"} for n in range(4)]
    assert [group["id"] for group in document["groups"]] == [17]
    assert document["counts"] == {"writes": 12, "devices": 4, "no_ops": 0, "modules": 0, "groups": 1}
    assert document["predicted"]["groups"][0]["viable"] is True
    assert {d["driver"] for d in document["predicted"]["devices"]} == {"vfio-pci"}


@pytest.mark.parametrize("preset", [["--group", "17"], ["--free", "09:00.0"], ["--free", "09:00.0", "09:00.1"]])
def test_group_and_free_plan_for_the_whole_group(on_demo: Run, preset: list[str]) -> None:
    document = on_demo("plan", *preset, "--json").document
    assert {intent["device"] for intent in document["intents"]} == {f"0000:09:00.{n}" for n in range(4)}
    assert document["groups"][0]["after"]["viable"] is True


@pytest.mark.parametrize("words", [["09:00.3=none", "--card", "09:00.0"], ["--free", "09:00.0", "09:00.3=none"]])
def test_a_target_given_by_name_wins_over_a_preset(on_demo: Run, words: list[str]) -> None:
    answer = on_demo("plan", *words, "--json")
    assert {i["target"] for i in answer.document["intents"] if i["device"] == "0000:09:00.3"} == {"none"}
    assert "0000:09:00.3 will go to none, as requested; the rest of the request needs vfio-pci." in answer.err


def test_devices_already_on_target_are_named(on_demo: Run) -> None:
    document = on_demo("plan", "--card", "0a:00.0", "--json").document
    assert document["steps"] == []
    assert [no_op["device"] for no_op in document["no_ops"]] == ["0000:0a:00.0"]
    assert "(already so)" in on_demo("plan", "--card", "0a:00.0").out


def test_a_danger_comes_with_the_option_that_accepts_it(on_demo: Run) -> None:
    answer = on_demo("plan", "--card", "08:00.0")
    assert answer.code == 0
    assert "--accept boot-display:0000:08:00.0" in answer.out
    document = on_demo("plan", "--card", "08:00.0", "--json").document
    dangers = [h for h in document["hazards"] if h["severity"] == "danger"]
    assert document["accept"] == [f"{h['code']}:{h['device']}" for h in dangers]
    assert "boot-display:0000:08:00.0" in document["accept"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ([], 2, "Name the devices to plan for"),
        (["--group", "999"], 2, "no IOMMU group 999"),
        (["--group", "x"], 2, "invalid int value"),
        (["--card", "00:03.2"], 3, "bridge"),
        (["--free", "0000:ff:00.0"], 1, "no device"),
        (["--free", "00:00.0"], 3, "is a host bridge of this machine"),
        (["--card", "00:00.0"], 3, "is a host bridge of this machine"),
        (["--card", "00:14.3"], 3, "is an ISA bridge"),
        (["--free", "00:14.0"], 3, "is an SMBus controller"),
        (["--group", "10"], 3, "0000:00:14.0 is an SMBus controller of this machine"),
        (["--group", "20"], 3, "No driver is bound in group 20"),
        (["--group", "1"], 3, "is a bridge, and vfio-pci refuses bridges"),
        (["09:00.0=nosuchdriver"], 3, "nosuchdriver"),
    ],
)
def test_an_impossible_plan_is_refused(on_demo: Run, words: list[str], code: int, said: str) -> None:
    answer = on_demo("plan", *words)
    assert answer.code == code
    assert said in answer.out + answer.err


def test_a_plan_for_a_virtual_function_leaves_its_physical_function_out(run: Run, tmp_path: Path) -> None:
    host = demo_host()
    port, virtual = Address("0000:04:00.0"), Address("0000:04:00.1")
    machine = host.with_device(host.devices[port]._replace(virtfns=(virtual,)))
    machine = machine.with_device(Device(virtual, class_code="020000", header_type=0, physfn=port, group=40))
    recording = str(tmp_path / "virtual.json")
    write(machine.with_group(Group(40, (virtual,))), recording)
    answer = run("plan", "--card", "04:00.1", "--from", recording, "--json")
    assert (answer.code, answer.document["permitted"]) == (0, True)
    assert [intent["device"] for intent in answer.document["intents"]] == [virtual]
    intents = run("plan", "--card", "04:00.0", "--from", recording, "--json").document["intents"]
    assert virtual not in [intent["device"] for intent in intents]


def test_plan_and_why_give_the_same_advice_on_the_iommu(run: Run, tmp_path: Path) -> None:
    host = demo_host()
    devices = {address: device._replace(group=None) for address, device in host.devices.items()}
    path = str(tmp_path / "off.json")
    write(host._replace(devices=devices, groups={}, iommus=()), path)
    planned, explained = run("plan", "--card", "09:00.0", "--from", path), run("why", "09:00.0", "--from", path)
    assert planned.code == 3
    assert "has no IOMMU group" in planned.err
    turning_on = [line for line in explained.out.splitlines() if "firmware" in line]
    assert turning_on
    assert all(line in planned.err for line in turning_on)


def test_the_plan_file_is_the_json_document_and_reproducible(on_demo: Run, tmp_path: Path) -> None:
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path in paths:
        assert on_demo("plan", "--card", "09:00.0", "-o", str(path)).code == 0
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert json.loads(paths[0].read_text()) == on_demo("plan", "--card", "09:00.0", "--json").document


def test_a_plan_that_is_not_permitted_is_not_written(on_demo: Run, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    answer = on_demo("plan", "09:00.0=nosuchdriver", "-o", str(path))
    assert answer.code == 3
    assert "was not written" in answer.err
    assert not path.exists()


# -- applied


def _planned(run: Run, tmp_path: Path, *words: str) -> str:
    path = str(tmp_path / "plan.json")
    answer = run("plan", *words, "-o", path)
    assert answer.code == 0, answer.err
    return path


def test_a_plan_file_is_applied(run: Run, machine: ReactingTree, tmp_path: Path) -> None:
    path = _planned(run, tmp_path, "--card", GPU)
    answer = run("apply", path, "--yes")
    assert answer.code == 0, answer.err
    now = load(machine.root)
    assert (now.devices[GPU].driver, now.devices[SOUND].driver) == ("vfio-pci", "vfio-pci")


def test_drift_is_listed_fact_by_fact(run: Run, machine: ReactingTree, tmp_path: Path) -> None:
    path = _planned(run, tmp_path, f"{GPU}=vfio-pci")
    assert run("apply", f"{SOUND}=pci-stub", "--yes").code == 0
    before = facts(load(machine.root))
    answer = run("apply", path, "--yes")
    assert answer.code == 3
    assert f"{SOUND}: driver was snd_hda_intel and is pci-stub" in answer.err
    assert f"{SOUND}: override was none and is pci-stub" in answer.err
    assert facts(load(machine.root)) == before


def test_steps_other_than_those_shown_are_refused(run: Run, machine: ReactingTree, tmp_path: Path) -> None:
    path = _planned(run, tmp_path, f"{GPU}=vfio-pci", f"{SOUND}=vfio-pci")
    document = json.loads(Path(path).read_text())
    del document["steps"][-1]
    Path(path).write_text(json.dumps(document))
    before = facts(load(machine.root))
    answer = run("apply", path, "--yes")
    assert answer.code == 3
    assert "would differ from those shown" in answer.err
    assert facts(load(machine.root)) == before


@pytest.mark.parametrize(
    "kind", ["hostile step", "hostile intent", "no json", "another", "schema", "model", "a device"]
)
def test_an_invalid_or_tampered_plan_file_is_refused(
    run: Run, machine: ReactingTree, tmp_path: Path, kind: str
) -> None:
    path = _planned(run, tmp_path, f"{GPU}=vfio-pci")
    document = json.loads(Path(path).read_text())
    match kind:
        case "hostile step":
            document["steps"][0] |= {"path": "/etc/passwd", "value": "../../x"}
        case "hostile intent":
            document["intents"][0]["target"] = "../../x"
        case "another":
            document["kind"] = "something"
        case "schema":
            document["schema"] = 99
        case "model":
            document["model"] = "no-such"
        case "a device":
            path = "/dev/null"
    if kind != "a device":
        Path(path).write_text("{" if kind == "no json" else json.dumps(document))
    before = facts(load(machine.root))
    answer = run("apply", path, "--yes")
    assert answer.code in (1, 3)
    assert answer.err
    assert "Traceback" not in answer.err
    assert facts(load(machine.root)) == before


def test_the_paths_in_a_plan_file_are_ignored(run: Run, machine: ReactingTree, tmp_path: Path) -> None:
    path = _planned(run, tmp_path, f"{GPU}=vfio-pci")
    document = json.loads(Path(path).read_text())
    for step in document["steps"]:
        step |= {"path": str(tmp_path / "victim"), "data": "x"}
    Path(path).write_text(json.dumps(document))
    (tmp_path / "victim").touch()
    assert run("apply", path, "--yes").code == 0
    assert (tmp_path / "victim").read_text() == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no-such-file"], "neither DEVICE=TARGET nor a plan file"),
        (["/dev/null", "--model", "dma-owner"], "Leave --model out"),
        (["x.json", "y.json"], "is not DEVICE=TARGET"),
        ([], "Name the devices"),
        ([f"{GPU}=none", "--accept", "boot-display"], "is not CODE:DEVICE"),
        ([f"{GPU}=none", "--keep-within", "0"], "seconds"),
        ([f"{GPU}=none", "--keep-within", "nan"], "seconds"),
    ],
)
def test_wrong_arguments_are_refused(run: Run, machine: ReactingTree, words: list[str], said: str) -> None:
    answer = run("apply", *words, "--yes")
    assert (answer.code, answer.out) == (2, "")
    assert said in answer.err


def test_an_empty_plan_needs_no_root_and_writes_no_journal(run: Run, machine: ReactingTree, tmp_path: Path) -> None:
    answer = run("apply", f"{USB}=vfio-pci", "--json")
    assert answer.code == 0
    assert [event["event"] for event in answer.lines] == ["finished"]
    assert not (tmp_path / "state").exists()


# -- dangers


def test_a_danger_is_refused_until_it_is_accepted(run: Run, machine: ReactingTree) -> None:
    (Path(machine.root) / "sys/bus/pci/devices" / GPU / "boot_vga").write_text("1\n")
    before = facts(load(machine.root))
    answer = run("apply", f"{GPU}=vfio-pci", "--yes")
    assert answer.code == 3
    assert "the display that this machine booted on" in answer.err
    assert f"--accept boot-display:{GPU}" in answer.err
    assert facts(load(machine.root)) == before
    assert run("apply", f"{GPU}=vfio-pci", "--yes", "--accept", "boot-display:01:00.0").code == 0
    assert load(machine.root).devices[GPU].driver == "vfio-pci"
