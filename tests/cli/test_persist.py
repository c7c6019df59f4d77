"""``iommutui persist`` and ``unpersist`` on a tree that stands in for this machine.

The tests use driverctl, which needs only its files: no test runs a command that builds this machine's initramfs.
"""

import json
from pathlib import Path

import pytest

from iommutui.apply.journal import journal_dir
from iommutui.apply.persistence import events_of
from iommutui.apply.validation import to_line
from iommutui.core.errors import Exit
from tests.apply.machines import GPU, SOUND
from tests.cli.conftest import Run
from tests.reacting_tree import ReactingTree

WORDS = ("persist", f"{GPU}=vfio-pci", f"{SOUND}=none", "--with", "driverctl")


@pytest.fixture
def persistent(machine: ReactingTree, monkeypatch: pytest.MonkeyPatch) -> ReactingTree:
    """The machine with driverctl; the writing part runs in this process."""
    program = Path(machine.root, "usr/sbin/driverctl")
    program.parent.mkdir(parents=True)
    program.touch()
    monkeypatch.setattr("iommutui.cli.persist.changed_as_root", lambda request: events_of(to_line(request).decode()))
    return machine


def overrides(machine: ReactingTree) -> dict[str, str]:
    folder = Path(machine.root, "etc/driverctl.d")
    return {path.name: path.read_text() for path in folder.iterdir()} if folder.exists() else {}


def test_a_binding_is_persisted_listed_and_unpersisted(persistent: ReactingTree, run: Run) -> None:
    done = run(*WORDS, "--yes")
    assert done.code == Exit.DONE, done.err
    assert f"+++ /etc/driverctl.d/pci-{GPU}" in done.out
    assert overrides(persistent) == {f"pci-{GPU}": "vfio-pci\n", f"pci-{SOUND}": "none\n"}
    listed = run("persist", "--list")
    assert "not in force, it is on" in listed.out
    assert listed.out in run("journal").out
    document = json.loads(run("persist", "--list", "--json").out)
    assert [entry["address"] for entry in document["persisted"]] == [GPU, SOUND]
    assert run("unpersist", SOUND, "--yes").code == Exit.DONE
    assert overrides(persistent) == {f"pci-{GPU}": "vfio-pci\n"}
    assert run("unpersist", "--last", "--yes").code == Exit.DONE
    assert len(overrides(persistent)) == 2
    assert run("unpersist", "--yes").code == Exit.DONE
    assert overrides(persistent) == {}
    assert run("unpersist", "--yes").code == Exit.REFUSED
    assert "Nothing persists" in run("persist", "--list").err


def test_a_danger_is_accepted_by_name(persistent: ReactingTree, run: Run) -> None:
    Path(persistent.root, "sys/bus/pci/devices", GPU, "boot_vga").write_text("1\n")
    refused = run(*WORDS, "--yes")
    assert (refused.code, overrides(persistent)) == (Exit.REFUSED, {})
    assert f"To accept it: --accept boot-display:{GPU}" in refused.err
    assert run(*WORDS, "--yes", "--accept", f"boot-display:{GPU}").code == Exit.DONE


def test_without_a_terminal_persist_does_not_ask(persistent: ReactingTree, run: Run) -> None:
    answer = run(*WORDS)
    assert (answer.code, overrides(persistent)) == (Exit.USAGE, {})


def test_a_plan_file_can_be_persisted(persistent: ReactingTree, run: Run, tmp_path: Path) -> None:
    plan = str(tmp_path / "plan.json")
    assert run("plan", f"{SOUND}=none", "-o", plan).code == Exit.DONE
    words = ("persist", plan, "--with", "driverctl")
    assert run(*words, "--yes").code == Exit.DONE
    assert overrides(persistent) == {f"pci-{SOUND}": "none\n"}


def test_a_journal_can_be_persisted(persistent: ReactingTree, run: Run) -> None:
    assert run("apply", f"{SOUND}=none", "--yes").code == Exit.DONE
    number = json.loads(run("journal", "--json").out)["journals"][0]["id"]
    assert run("persist", number, "--with", "driverctl", "--yes").code == Exit.DONE
    assert overrides(persistent) == {f"pci-{SOUND}": "none\n"}
    assert ": in force" in run("persist", "--list").out


def test_an_unwritable_record_is_reported_before_anything_is_written(persistent: ReactingTree, run: Run) -> None:
    (journal_dir().parent / ".persist.json.new").mkdir(parents=True)
    answer = run(*WORDS, "--yes")
    assert (answer.code, overrides(persistent)) == (Exit.ERROR, {})
    assert ".persist.json.new: Is a directory." in answer.err


def test_an_interrupted_change_is_reported_by_every_list(persistent: ReactingTree, run: Run) -> None:
    assert run(*WORDS, "--yes").code == Exit.DONE
    record = journal_dir().parent / "persist.json"
    record.write_text(record.read_text().replace('"finished":true', '"finished":false'))
    for words in (("persist", "--list"), ("journal",)):
        assert "A change to what persists was interrupted; 'iommutui unpersist --last' reverts it." in run(*words).err
    assert run(*WORDS, "--yes").code == Exit.REFUSED
    assert run("unpersist", "--last", "--yes").code == Exit.DONE
    assert overrides(persistent) == {}


def test_events_are_printed_as_json(persistent: ReactingTree, run: Run) -> None:
    answer = run("persist", f"{SOUND}=none", "--with", "driverctl", "--yes", "--json")
    assert answer.lines[-1]["code"] == answer.code


def test_wrong_usage_and_refusals_change_nothing(persistent: ReactingTree, run: Run) -> None:
    assert run("persist").code == Exit.USAGE
    assert run("persist", "gpu").code == Exit.USAGE
    assert run(*WORDS, "--model", "dma-hint").code == Exit.USAGE
    assert run("unpersist", "gpu").code == Exit.USAGE
    assert run("unpersist", GPU, "--last").code == Exit.USAGE
    assert run("persist", "09:00.0=vfio-pci", "--demo").code == Exit.REFUSED
    assert run("unpersist", "--last", "--yes").code == Exit.REFUSED
    assert run("persist", f"{SOUND}=none", "--yes").code == Exit.REFUSED  # there is no initramfs generator here
    assert overrides(persistent) == {}
