"""Reading journals, including damaged ones."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from iommutui.apply.events import Compensating, Finished
from iommutui.apply.executor import execute
from iommutui.apply.journal.format import Begin, Late, Result
from iommutui.apply.journal.reader import Journals, read_journals
from iommutui.apply.recovery import plan_revert
from iommutui.core.errors import Exit, IommutuiError, RefusedError, SourceError
from tests.apply.journals import HEADER, list_damaged, list_journals, load, written
from tests.apply.machines import CASES, CLOCK, GPU, finished
from tests.reacting import FakeKernel


class TestReading:
    def test_a_missing_directory_has_no_journals(self, directory: Path) -> None:
        assert list_journals(directory) == []
        assert read_journals(directory) == Journals()

    def test_a_journal_is_read(self, directory: Path) -> None:
        written(
            directory,
            Begin(1, "override", GPU, "vfio-pci"),
            Result(1, "ok", 0.5),
            Begin(2, "unbind", GPU, "nvidia"),
            Result(2, "blocked", 30.0),
            Late(2, "ok", 99.0),
            Compensating("it failed"),
            Begin(3, "override", GPU, None, True),
            Finished(Exit.NOT_ROLLED_BACK, "Alas."),
        )
        (entry,) = list_journals(directory)
        assert (entry.id, entry.header.started, entry.open) == (HEADER.id, HEADER.started, False)
        assert (entry.end, entry.why) == (Finished(Exit.NOT_ROLLED_BACK, "Alas."), "it failed")
        assert entry.header.before == HEADER.before
        assert entry.header.goals == HEADER.goals
        assert [(s.number, s.result, s.seconds, s.late, s.restoring) for s in entry.steps] == [
            (1, "ok", 0.5, False, False),
            (2, "ok", 99.0, True, False),
            (3, None, 0.0, False, True),
        ]

    def test_half_a_line_at_the_end_is_a_crash(self, directory: Path) -> None:
        path = written(directory, Begin(1, "override", GPU, "vfio-pci"), Finished(Exit.DONE, "Done."))
        whole = path.read_bytes()
        last = whole.rstrip(b"\n").rindex(b"\n") + 1
        for length in range(last, len(whole)):
            path.write_bytes(whole[:length])
            (entry,) = list_journals(directory)
            assert entry.open
            assert len(entry.steps) == 1

    def test_half_a_header_means_that_nothing_was_written(self, directory: Path) -> None:
        path = written(directory)
        whole = path.read_bytes()
        for length in (0, 1, len(whole) - 1):
            path.write_bytes(whole[:length])
            assert list_journals(directory) == []
            with pytest.raises(IommutuiError, match="There is no journal"):
                load(directory, HEADER.id)

    @pytest.mark.parametrize(
        "line",
        [
            "",
            "{",
            "[]",
            "null",
            '{"line":"what"}',
            '{"line":["begin"]}',
            '{"line":"result","number":1,"result":"ok","seconds":0.1}',
            '{"line":"begin","number":"1","op":"x","device":"y","value":null}',
            '{"line":"begin","number":1,"op":"x","device":"y","value":null,"more":1}',
            '{"line":"begin","number":1,"op":"x"}',
            '{"line":"finished","exit":77,"summary":""}',
            '{"line":"finished","exit":0,"summary":"","left":[{}]}',
            "[" * 100_000,
            '{"line":' * 5_000,
            '{"line":"turn","why":NaN}',
        ],
    )
    def test_a_damaged_line_is_named(self, line: str, directory: Path) -> None:
        path = written(directory)
        with path.open("a") as file:
            file.write(line + "\n")
        (journal,) = list_journals(directory)
        assert journal.damage.startswith("line 2")
        assert (journal.header, journal.open) == (HEADER, '"line":"finished"' not in line)

    def test_bytes_that_are_not_text_are_damage(self, directory: Path) -> None:
        path = written(directory)
        with path.open("ab") as file:
            file.write(b'{"line":"turn","why":"\xff\xfe"}\n')
        assert list_journals(directory)[0].damage.startswith("line 2")

    @pytest.mark.parametrize(
        ("change", "match"),
        [
            ({"schema": 2}, "line 1 is not valid: schema: Input should be 1"),
            ({"id": "20261122T104501-ffff"}, "id of another"),
            ({"line": "turn"}, "not valid"),
        ],
    )
    def test_a_wrong_header_is_damage(self, change: dict[str, object], match: str, directory: Path) -> None:
        path = written(directory)
        content = json.loads(path.read_text())
        path.write_text(json.dumps(content | change) + "\n")
        (damaged,) = list_damaged(directory)
        assert match in damaged.why
        with pytest.raises(SourceError, match=match):
            load(directory, HEADER.id)

    def test_a_second_header_is_damage(self, directory: Path) -> None:
        path = written(directory)
        path.write_text(path.read_text() * 2)
        assert list_journals(directory)[0].damage == "line 2 is another header"

    def test_other_files_are_ignored(self, directory: Path) -> None:
        written(directory)
        for name in ("lock", "x.jsonl", "20261122T104501-1a2b.jsonl~", "20261122T104501-1A2B.jsonl"):
            (directory / name).write_text("rubbish")
        assert len(list_journals(directory)) == 1

    def test_a_journal_that_is_a_link_is_not_read(self, directory: Path, tmp_path: Path) -> None:
        path = written(directory)
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
        (damaged,) = list_damaged(directory)
        assert "cannot be read" in damaged.why


class TestLoading:
    def _three(self, directory: Path) -> None:
        for name in ("20261122T104501-1a2b", "20261122T104502-1a2b", "20261123T104501-ffff"):
            written(directory, Finished(Exit.DONE, "Done."), header=replace(HEADER, id=name))

    def test_a_journal_is_found_by_its_prefix(self, directory: Path) -> None:
        self._three(directory)
        assert load(directory, "20261123").id == "20261123T104501-ffff"
        assert load(directory, "20261122T104501-1a2b").id == "20261122T104501-1a2b"
        with pytest.raises(RefusedError, match=r"More than one.*20261122T104501-1a2b, 20261122T104502-1a2b"):
            load(directory, "20261122")
        for wanted in ("2027", "", "../lock", "x"):
            with pytest.raises(IommutuiError, match="There is no journal"):
                load(directory, wanted)

    def test_a_damaged_journal_does_not_stop_others_from_loading(self, directory: Path) -> None:
        self._three(directory)
        (directory / "20261123T104501-ffff.jsonl").write_text("rubbish\n")
        assert load(directory, "20261122T104501").id == "20261122T104501-1a2b"
        assert load(directory).id == "20261122T104502-1a2b"
        with pytest.raises(SourceError, match="damaged"):
            load(directory, "20261123")

    @pytest.mark.parametrize(
        ("code", "something"),
        [(Exit.DONE, True), (Exit.NOT_ROLLED_BACK, True), (Exit.ROLLED_BACK, False), (Exit.PERMISSION, False)],
    )
    def test_the_exit_says_whether_an_apply_may_have_left_changes(
        self, code: Exit, something: bool, directory: Path
    ) -> None:
        written(directory, Finished(code, ""))
        (entry,) = list_journals(directory)
        assert entry.changed_something is something

    def test_applies_are_reverted_from_the_newest_to_the_oldest(self, directory: Path) -> None:
        host = CASES[0].host
        names = []
        for name in ("gpu", "disk"):
            one = next(c for c in CASES if c.name == name)
            kernel = FakeKernel(host, one.model)
            plan = one.plan
            list(execute(plan, kernel, directory, clock=CLOCK))
            host = kernel.host
            names.append(list_journals(directory)[-1].id)
        for name in reversed(names):
            entry = load(directory)
            assert entry.id == name
            kernel = FakeKernel(host, CASES[0].model)
            plan = plan_revert(entry, host, CASES[0].model)
            assert finished(list(execute(plan, kernel, directory, clock=CLOCK, reverts=entry.id))).exit is Exit.DONE
            host = kernel.host
            assert load(directory, name).reverted_by == list_journals(directory)[-1].id
        assert not any(journal.changed_something for journal in list_journals(directory))
