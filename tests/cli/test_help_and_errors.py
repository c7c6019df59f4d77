"""The text that a newcomer reads: the help of every command, and error messages."""

import json
import re
import sys
from pathlib import Path

import pytest

from iommutui.cli.parser import COMMANDS
from iommutui.core.query import KEYS
from tests.apply.machines import GPU, NIC, SOUND
from tests.cli.conftest import Run
from tests.reacting_tree import ReactingTree


def _journals(machine: ReactingTree) -> list[Path]:
    """The journals; nothing is written without one."""
    return list(Path(machine.root).parent.glob("state/journal/*.jsonl"))


AT_WORK = ("apply", "keep", "revert", "journal", "persist", "unpersist")
"""Commands about this machine, which do not work on a recording."""


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_help_has_an_example_and_placeholders_in_capitals(run: Run, command: object, demo: str) -> None:
    name = command.name  # type: ignore[attr-defined]
    text = run(name, "--help").out
    assert f"  iommutui {name}" in text[text.index("examples:") :]
    assert "--from PATH" in text
    usage = text[: text.index("options:")]
    # Placeholders are in capitals.
    assert set(re.findall(r"(?<![-\w])[a-z]+(?=[\] .]*$)", usage.split("\n\n")[0])) <= {name}


@pytest.mark.parametrize(
    "command", [c for c in COMMANDS if c.name not in (*AT_WORK, "simulate", "snapshot", "diff")], ids=lambda c: c.name
)
def test_every_example_runs_on_the_built_in_machine(
    run: Run, command: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in command.examples:  # type: ignore[attr-defined]
        answer = run(command.name, "--demo", *words.split())  # type: ignore[attr-defined]
        assert (answer.code, answer.out != "" or "-o" in words.split()) == (0, True), answer.err


@pytest.mark.parametrize("command", [("apply", f"{GPU}=vfio-pci"), ("revert",), ("keep",)], ids=lambda words: words[0])
def test_a_recording_is_not_written_to(run: Run, command: tuple[str, ...], demo: str) -> None:
    for source in (("--demo",), ("--from", demo)):
        answer = run(*command, *source)
        assert (answer.code, answer.out) == (3, "")
        assert "is a recording" in answer.err


def test_a_recording_does_not_show_the_journal_of_this_machine(run: Run, machine: ReactingTree, demo: str) -> None:
    assert run("apply", f"{GPU}=vfio-pci", "--yes").code == 0
    assert run("journal").out != ""
    for source in (("--demo",), ("--from", demo)):
        answer = run("journal", *source)
        assert (answer.code, answer.out) == (3, "")
        assert "the log (L) lists" in answer.err


def test_an_unknown_command_gets_a_suggestion(run: Run, demo: str) -> None:
    assert "did you mean 'list'?" in run("lst").err
    assert "did you mean" not in run("xyzzy").err
    assert f"'--from {demo}' opens" in run(demo).err


def test_commands_to_copy_name_the_same_machine(run: Run, demo: str) -> None:
    for source in (("--demo",), ("--from", demo), ("--demo", "--model", "vfio-group")):
        answer = run("why", "17", *source)
        words = next(line for line in answer.out.splitlines() if "iommutui preview" in line).split()[1:]
        assert words[-len(source) :] == list(source)
        assert run(*words).code == 0


def test_a_filter_without_matches_explains_filters(run: Run) -> None:
    answer = run("list", "--demo", "nosuchword")
    assert answer.code == 0
    assert all(f"{key}:" in answer.err for key in KEYS)
    answer = run("list", "--demo", "drivr:nvme", "viable:maybe")
    assert answer.code == 0
    assert "Nothing matches. Unknown key 'drivr'; the keys are bus, class, driver, " in answer.err
    assert "viable: takes yes, no, " in answer.err
    assert all(f"{key}:" in run("list", "--help").out for key in KEYS)
    assert "Nothing matches" not in run("list", "--demo", "driver:nvme").err


def test_a_shared_remedy_is_printed_once_below_its_causes(run: Run) -> None:
    out = run("why", "--error", "group 17 is not viable", "--demo").out
    assert out.count("is bound to") == 4
    assert out.count("'iommutui why 17 --demo'") == 1


def test_the_numbers_of_writes_are_aligned(run: Run) -> None:
    lines = [line for line in run("plan", "--demo", "--group", "17").out.splitlines() if ". echo " in line]
    assert len({line.index(". echo ") for line in lines}) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--keep-within", "abc"], "could not convert string to float: 'abc'"),
        (["--keep-within", "nan"], "not nan"),
        (["--keep-within", "-1"], "not -1"),
        (["--keep-within", "0"], "not 0"),
        (["--keep-within", "1e9"], "1 to 86400 seconds"),
        (["--accept", "boot-dipslay:01:00.0"], "'boot-dipslay:01:00.0' is not CODE:DEVICE"),
        (["--accept", "01:00.0"], "'01:00.0' is not CODE:DEVICE"),
        (["--accept", "nonsense"], "not CODE:DEVICE"),
    ],
    ids=str,
)
def test_invalid_option_values_are_refused(run: Run, machine: ReactingTree, words: list[str], said: str) -> None:
    answer = run("apply", f"{NIC}=none", "--yes", *words)
    assert (answer.code, said in answer.err) == (2, True), answer.err
    assert _journals(machine) == []


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("", 1, "not valid: Invalid JSON"),
        ('{"kind": "iommutui-plan", "sch', 1, "not valid: Invalid JSON"),
        ("[]", 1, "not valid: Input should be"),
        ("{}", 1, "not valid: kind"),
        ('{"kind": "iommutui-plan", "schema": 7}', 1, "not valid: schema"),
        ('{"kind": "iommutui-plan", "schema": 7}', 1, "for this version of iommutui"),
        ('{"kind": "iommutui-plan", "schema": 1}', 1, "not valid: intents"),
    ],
    ids=str,
)
def test_an_invalid_plan_file_is_refused(
    run: Run, machine: ReactingTree, tmp_path: Path, text: str, code: int, said: str
) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)
    answer = run("apply", str(path), "--yes")
    assert (answer.code, said in answer.err) == (code, True), answer.err
    assert "'iommutui plan ... -o FILE'" in answer.err
    assert _journals(machine) == []


def test_the_plan_of_another_machine_is_refused_fact_by_fact(run: Run, machine: ReactingTree, tmp_path: Path) -> None:
    path = str(tmp_path / "plan.json")
    assert run("plan", "--demo", "--card", "09:00.0", "-o", path).code == 0
    answer = run("apply", path, "--yes")
    assert answer.code == 3
    assert "0000:09:00.3: device was present and is absent" in answer.err
    assert _journals(machine) == []


def test_an_unfit_driver_is_refused_and_the_fitting_ones_are_named(on_demo: Run) -> None:
    for target in ("nosuch", "amdgpu"):
        answer = on_demo("preview", f"01:00.0={target}")
        assert answer.code == 3
        assert "0000:01:00.0 can go to vfio-pci, pci-stub, none, default, nvme." in answer.out


def test_no_fix_takes_the_root_disk_and_the_review_says_why(on_demo: Run, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "machine.json"
    assert on_demo("snapshot", "--unredacted", "-o", str(path)).code == 0
    document = json.loads(path.read_text())
    devices = {device["address"]: device for device in document["host"]["devices"]}
    groups = {group["id"]: group for group in document["host"]["groups"]}
    devices["0000:01:00.0"]["group"] = 17
    groups[17]["members"] = ["0000:01:00.0", *groups[17]["members"]]
    groups[11]["members"] = []
    path.write_text(json.dumps(document))
    words = [f"09:00.{n}=vfio-pci" for n in range(4)]
    out = run("preview", *words, "--from", str(path)).out
    assert "No further rebinds let a virtual machine have every group here." in out
    assert "  0000:01:00.0 holds file systems mounted at /" in out
    assert "add: " not in out


# -- the journal


def test_the_journal_lists_changes_times_and_how_to_revert(run: Run, machine: ReactingTree) -> None:
    done = run("apply", f"{GPU}=vfio-pci", f"{SOUND}=none", "--yes")
    (entry,) = json.loads(run("journal", "--json").out)["journals"]
    back = f"'iommutui revert {entry['id']}' reverts it."
    assert back in done.out
    lines = run("journal").out.splitlines()
    assert re.fullmatch(rf"{entry['id']}  \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d  in effect", lines[0])
    assert lines[1:] == [f"  {GPU}  nvidia → vfio-pci", f"  {SOUND}  snd_hda_intel → free", f"  {back}"]
    whole = run("journal", entry["id"]).out
    assert len(re.findall(r"^ +\d\. .*: ok, \d+\.\d\d s$", whole, re.MULTILINE)) == len(entry["steps"]) == 5
    assert f"unbinding {GPU} from nvidia: ok" in whole
    assert run("revert", "--yes").code == 0
    first, second = (line for line in run("journal").out.splitlines() if "  20" in line)
    assert "reverted by" in first
    assert f"revert of {entry['id']}" in second
    assert "reverts it" not in run("journal").out


def test_the_journal_says_why_an_apply_failed_and_what_was_rolled_back(run: Run, machine: ReactingTree) -> None:
    machine.instead = lambda number, write: "EBUSY" if write.path.endswith("unbind") else None
    assert run("apply", f"{NIC}=none", "--yes").code == 5
    lines = run("journal").out.splitlines()
    assert "failed, and rolled back" in lines[0]
    assert "failed with EBUSY. Drivers and overrides are restored." in lines[-1]
    whole = run("journal", lines[0].split()[0]).out
    assert f"unbinding {NIC} from e1000e: EBUSY" in whole
    assert "Rolled back: unbinding" in whole
    assert f"3. clearing the override of {NIC}: ok" in whole


def test_unreadable_settings_block_neither_list_nor_revert(
    run: Run, machine: ReactingTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("apply", f"{GPU}=vfio-pci", "--yes").code == 0
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "iommutui").mkdir()
    (tmp_path / "iommutui" / "config.toml").write_text("foo\n", encoding="utf-8")
    listed = run("list")
    assert listed.code == 0
    assert re.search(r"config.toml cannot be read: .* \(at line 1, column 4\)", listed.err)
    answer = run("revert", "--yes")
    assert answer.code == 0, answer.err
    assert "It is ignored" in answer.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--demo", "--model", "foo"), "Unknown model 'foo'."),
        (("--demo", "--kernel", "x"), "'x' is not a kernel release."),
        (("--demo", "--from", "x.json"), "--demo and --from cannot be combined."),
    ],
)
def test_the_screen_refuses_the_options_that_a_command_refuses(
    run: Run, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], said: str
) -> None:
    opened: list[str] = []

    def screen(*_: object, **__: object) -> int:
        opened.append("screen")
        return 0

    monkeypatch.setattr("iommutui.tui.run", screen)
    monkeypatch.setenv("TERM", "xterm")
    for stream in (sys.stdin, sys.stdout):
        monkeypatch.setattr(stream, "isatty", lambda: True)
    answer = run(*words)
    assert (answer.code, opened) == (2, [])
    assert said in answer.err
    assert run("--demo").code == 0
    assert opened == ["screen"]
    monkeypatch.setenv("TERM", "dumb")
    assert "Group 17" in run("--demo").out
    assert opened == ["screen"]
