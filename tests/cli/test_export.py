"""``iommutui export`` on the built-in machine."""

from pathlib import Path

from iommutui.core.errors import Exit
from iommutui.export import FORMATS
from tests.cli.conftest import Run

CARD = "09:00.0"


def test_export_without_a_format_lists_the_formats(run: Run) -> None:
    answer = run("export")
    assert answer.code == Exit.DONE
    assert [line.split()[0] for line in answer.out.splitlines()] == list(FORMATS)


def test_every_format_exports_a_card(on_demo: Run) -> None:
    for name in FORMATS:
        answer = on_demo("export", name, "--card", CARD)
        assert answer.code == Exit.DONE, (name, answer.err)
        assert f"0000:{CARD}" in answer.out


def test_a_device_a_card_a_group_and_a_plan_give_the_same_text(on_demo: Run, tmp_path: Path) -> None:
    plan = str(tmp_path / "plan.json")
    assert on_demo("plan", "--card", CARD, "-o", plan).code == Exit.DONE
    texts = [
        on_demo("export", "qemu", *words).out
        for words in ((CARD,), ("--card", CARD), ("--group", "17"), ("--plan", plan))
    ]
    assert texts[0].count("vfio-pci,host=") == 4
    assert len(set(texts)) == 1


def test_a_target_can_be_given(on_demo: Run) -> None:
    answer = on_demo("export", "driverctl", f"{CARD}=none")
    assert "set-override 0000:09:00.0 none" in answer.out


def test_o_writes_the_export_to_a_file(on_demo: Run, tmp_path: Path) -> None:
    path = tmp_path / "vm.xml"
    answer = on_demo("export", "libvirt", "--card", CARD, "-o", str(path))
    assert (answer.code, answer.out) == (Exit.DONE, "")
    assert path.read_text() == on_demo("export", "libvirt", "--card", CARD).out


def test_json_has_the_same_text(on_demo: Run) -> None:
    document = on_demo("export", "libvirt", "--card", CARD, "--json").document
    assert document["schema"] == 1
    assert document["text"] == on_demo("export", "libvirt", "--card", CARD).out


def test_warnings_are_on_standard_error_as_well(on_demo: Run) -> None:
    answer = on_demo("export", "shell", "08:00.0=none")
    assert "DANGER" in answer.err
    assert "DANGER" in answer.out


def test_wrong_usage_and_refusals_have_their_exit_codes(on_demo: Run) -> None:
    assert on_demo("export", "libvrt", "--card", CARD).code == Exit.USAGE
    assert on_demo("export", "libvirt").code == Exit.USAGE
    assert on_demo("export", "libvirt", CARD, "--plan", "plan.json").code == Exit.USAGE
    assert on_demo("export", "libvirt", "00:00.0").code == Exit.REFUSED
    assert on_demo("export", "libvirt", "77:00.0").code == Exit.ERROR
