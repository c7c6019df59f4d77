"""``iommutui why``."""

from pathlib import Path

import pytest

from iommutui.core.address import Address
from iommutui.demo import demo_host
from iommutui.sources.snapshot import write
from tests.cli.conftest import Run


def test_reasons_name_device_driver_and_rule(on_demo: Run) -> None:
    out = on_demo("why", "17").out
    assert out.startswith("✖ Group 17 is not viable.")
    for device, driver in (("09:00.0", "nouveau"), ("09:00.1", "snd_hda_intel"), ("09:00.3", "nvidia-gpu")):
        assert f"0000:{device} is bound to the host driver {driver}" in out


def test_the_fix_of_a_card_hands_the_card_over(on_demo: Run) -> None:
    document = on_demo("why", "09:00.1", "--json").document
    assert document["device"] == "0000:09:00.1"
    assert document["group"]["id"] == 17
    assert document["fix"] == [{"device": f"0000:09:00.{n}", "target": "vfio-pci"} for n in range(4)]


def test_the_fix_only_unbinds_other_devices(on_demo: Run) -> None:
    fix = {entry["device"]: entry["target"] for entry in on_demo("why", "enp5s0", "--json").document["fix"]}
    assert fix.pop("0000:05:00.0") == "vfio-pci"
    assert set(fix.values()) == {"none"}
    assert "0000:02:00.2" not in fix  # a bridge on pcieport blocks nothing


@pytest.mark.parametrize(("group", "word"), [("18", "is viable"), ("19", "is in use"), ("23", "fails with EINVAL")])
def test_every_other_verdict_is_explained(on_demo: Run, group: str, word: str) -> None:
    assert word in on_demo("why", group).out


@pytest.mark.parametrize(("kernel", "refused"), [("6.12.41", True), ("6.1.0", False)])
def test_a_refused_group_gets_no_fix(run: Run, tmp_path: Path, kernel: str, refused: bool) -> None:
    host = demo_host()
    disk = host.devices[Address("0000:0d:00.0")]
    path = str(tmp_path / "bound.json")
    write(host.with_device(disk._replace(driver="mpt3sas")), path)
    machine = ("--from", path, "--kernel", kernel)
    answer = run("why", "23", *machine)
    assert answer.out.startswith("✖ Group 23 is not viable.")
    assert ("Firmware requires a direct mapping" in answer.out) is refused
    assert ("No rebind lets" in answer.out) is refused
    document = run("why", "23", *machine, "--json").document
    assert (document["fix"] is None) is refused
    assert [reason["code"] for reason in document.get("no_fix", [])] == (["direct-region"] if refused else [])
    assert (run("preview", "0d:00.0=vfio-pci", *machine, "--json").document["fix"] is None) is refused
    for preset in (["--group", "23"], ["--card", "0d:00.0"], ["--free", "0d:00.0"]):
        planned = run("plan", *preset, *machine)
        assert planned.code == (3 if refused else 0)
        assert ("Nothing frees 0000:0d:00.0 for a virtual machine: Firmware requires" in planned.err) is refused


def test_a_group_refused_without_a_blocking_driver_has_no_fix(on_demo: Run) -> None:
    assert on_demo("why", "23", "--json").document["fix"] is None
    assert on_demo("why", "23").out.count("Firmware requires a direct mapping") == 1
    assert "no_fix" not in on_demo("why", "18", "--json").document


def test_a_device_without_a_group_is_explained(on_demo: Run) -> None:
    assert "has no IOMMU group" in on_demo("why", "00:00.2").out


def test_all_models_are_compared(on_demo: Run) -> None:
    models = on_demo("why", "13", "--all-models", "--json").document["models"]
    assert {name: verdict["viable"] for name, verdict in models.items()} == {
        "kernel-ownership": False,
        "dma-hint": False,
        "vfio-group": True,
        "dma-owner": True,
    }
    codes = [reason["code"] for reason in models["dma-hint"]["reasons"]]
    assert "draft-gap-bridge" in codes


def test_an_unknown_group_is_an_error(on_demo: Run) -> None:
    answer = on_demo("why", "99")
    assert answer.code == 1
    assert "There is no group 99" in answer.err


def test_an_argument_names_the_device_that_an_error_message_omits(on_demo: Run) -> None:
    named = on_demo("why", "09:00.1", "--error", "write error: Device or resource busy", "--json")
    assert [cause["code"] for cause in named.document["causes"]] == ["already-bound"]
    grouped = on_demo("why", "23", "--error", "failed to set container: Invalid argument", "--json")
    assert [cause["code"] for cause in grouped.document["causes"]] == ["direct-region"]
    assert on_demo("why", "77", "--error", "Device or resource busy").code == 1


def test_the_remedy_of_an_unknown_error_is_one_line(on_demo: Run) -> None:
    assert len(on_demo("why", "--error", "flux capacitor").err.splitlines()) == 2


def test_an_error_without_a_present_cause_says_when_to_ask_again(on_demo: Run) -> None:
    said = on_demo("why", "1", "--error", "write error: Device or resource busy")
    assert said.code == 0
    assert "Nothing in the present state of this machine explains it" in said.out
    assert "Ask again while it fails" in said.out


def test_the_next_command_names_the_same_machine(run: Run) -> None:
    found = run("why", "--demo", "--error", "group 17 is not viable")
    assert "'iommutui why 17 --demo' shows the smallest fix." in found.out
    assert "'iommutui list --demo' shows the devices" in run("why", "--demo", "77:00.0").err


def test_an_unknown_message_shows_facts_about_the_devices_it_names(on_demo: Run) -> None:
    said = on_demo("why", "--error", "something odd about 09:00.0")
    assert said.code == 0
    assert said.out.startswith("This message is unknown.")
    assert "0000:09:00.0 is on nouveau" in said.out
    document = on_demo("why", "--error", "something odd about 09:00.0", "--json").document
    assert (document["message"], document["causes"]) == (None, [])
    assert any("Group 17" in sentence for sentence in document["about"])


def test_an_unknown_message_without_names_is_an_error(on_demo: Run) -> None:
    answer = on_demo("why", "--error", "everything is fine")
    assert answer.code == 1
    assert "Unknown error message" in answer.err


def test_an_error_names_every_message_that_was_recognised(on_demo: Run) -> None:
    text = "vfio 0000:09:00.0: group 17 is not viable\n[    1.000000] AMD-Vi: Completion-Wait loop timed out"
    document = on_demo("why", "--error", text, "--json").document
    assert document["message"] == "the IOMMU waits for a device"
    assert document["messages"] == ["the IOMMU waits for a device", "group is not viable"]


def test_ids_that_came_too_late_are_reported(run: Run, tmp_path: Path) -> None:
    path = str(tmp_path / "late.json")
    write(demo_host()._replace(cmdline="quiet vfio-pci.ids=10de:1f08"), path)
    said = run("why", "09:00.0", "--from", path).out
    assert "Note: The kernel command line gives 0000:09:00.0 to vfio-pci" in said
    assert f"preview 0000:09:00.0=vfio-pci --from {path}" in said
    (notice,) = run("why", "17", "--from", path, "--json").document["notices"]
    assert (notice["code"], notice["device"]) == ("ids-too-late", "0000:09:00.0")
    assert run("why", "09:00.1", "--from", path, "--json").document["notices"] == []
