"""What is read from journals, damaged ones as well."""

import json
from pathlib import Path

import pytest

from iommutui.apply.executor import execute
from iommutui.apply.journal.format import Begin, End, Late, Result, Turn
from iommutui.apply.journal.reader import list_journals, load
from iommutui.apply.revert import plan_revert
from iommutui.core.errors import Exit, IommutuiError, RefusedError, SourceError
from tests.apply.journals import HEADER, written
from tests.apply.machines import CASES, CLOCK, GPU, finished
from tests.reacting import FakeKernel


class TestReading:
    def test_no_directory(self, directory: Path) -> None:
        assert list_journals(directory) == []
        with pytest.raises(IommutuiError, match="nothing to take back"):
            load(directory)

    def test_an_entry(self, directory: Path) -> None:
        written(
            directory,
            Begin(1, "override", GPU, "vfio-pci"),
            Result(1, "ok", 0.5),
            Begin(2, "unbind", GPU, "nvidia"),
            Result(2, "blocked", 30.0),
            Late(2, "ok", 99.0),
            Turn("it failed"),
            Begin(3, "override", GPU, None, True),
            End(Exit.NOT_ROLLED_BACK, "Alas."),
        )
        (entry,) = list_journals(directory)
        assert (entry.id, entry.started, entry.open) == (HEADER.id, HEADER.started, False)
        assert (entry.exit, entry.summary, entry.why) == (Exit.NOT_ROLLED_BACK, "Alas.", "it failed")
        assert entry.before == HEADER.before
        assert entry.goals == HEADER.goals
        assert [(s.number, s.result, s.seconds, s.late, s.restoring) for s in entry.steps] == [
            (1, "ok", 0.5, False, False),
            (2, "ok", 99.0, True, False),
            (3, None, 0.0, False, True),
        ]

    def test_half_a_line_at_the_end_is_a_crash(self, directory: Path) -> None:
        path = written(directory, Begin(1, "override", GPU, "vfio-pci"), End(Exit.DONE, "Done."))
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
            with pytest.raises(IommutuiError, match="holds nothing"):
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
            '{"line":"end","exit":77,"summary":""}',
            '{"line":"end","exit":0,"summary":"","left":[{}]}',
            "[" * 100_000,
            '{"line":' * 5_000,
            '{"line":"turn","why":NaN}',
        ],
    )
    def test_a_damaged_line_is_named(self, line: str, directory: Path) -> None:
        path = written(directory)
        with path.open("a") as file:
            file.write(line + "\n")
        with pytest.raises(SourceError) as caught:
            list_journals(directory)
        assert str(path) in caught.value.what
        assert "line 2" in caught.value.what
        assert "Move the file away" in caught.value.remedy
        with pytest.raises(SourceError):
            load(directory, HEADER.id)

    def test_bytes_that_are_no_text(self, directory: Path) -> None:
        path = written(directory)
        with path.open("ab") as file:
            file.write(b'{"line":"turn","why":"\xff\xfe"}\n')
        with pytest.raises(SourceError, match="line 2"):
            list_journals(directory)

    @pytest.mark.parametrize(
        ("change", "match"),
        [
            ({"schema": 2}, "its schema is 2"),
            ({"id": "20261122T104501-ffff"}, "id of another"),
            ({"line": "turn"}, "not valid"),
        ],
    )
    def test_a_header_that_does_not_fit(self, change: dict[str, object], match: str, directory: Path) -> None:
        path = written(directory)
        content = json.loads(path.read_text())
        path.write_text(json.dumps(content | change) + "\n")
        with pytest.raises(SourceError, match=match):
            list_journals(directory)

    def test_two_headers(self, directory: Path) -> None:
        path = written(directory)
        path.write_text(path.read_text() * 2)
        with pytest.raises(SourceError, match="header"):
            list_journals(directory)

    def test_a_file_that_is_too_long(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        written(directory)
        monkeypatch.setattr("iommutui.apply.journal.reader.SIZE_LIMIT", 10)
        with pytest.raises(SourceError, match="longer than any"):
            list_journals(directory)

    def test_other_files_do_not_count(self, directory: Path) -> None:
        written(directory)
        for name in ("lock", "x.jsonl", "20261122T104501-1a2b.jsonl~", "20261122T104501-1A2B.jsonl"):
            (directory / name).write_text("rubbish")
        assert len(list_journals(directory)) == 1

    def test_a_journal_that_is_a_link(self, directory: Path, tmp_path: Path) -> None:
        path = written(directory)
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(SourceError, match="cannot be read"):
            list_journals(directory)


class TestLoading:
    def _three(self, directory: Path) -> None:
        for name in ("20261122T104501-1a2b", "20261122T104502-1a2b", "20261123T104501-ffff"):
            written(directory, End(Exit.DONE, "Done."), header=HEADER._replace(id=name))

    def test_by_prefix(self, directory: Path) -> None:
        self._three(directory)
        assert load(directory, "20261123").id == "20261123T104501-ffff"
        assert load(directory, "20261122T104501-1a2b").id == "20261122T104501-1a2b"
        with pytest.raises(RefusedError, match=r"More than one.*20261122T104501-1a2b, 20261122T104502-1a2b"):
            load(directory, "20261122")
        for wanted in ("2027", "", "../lock", "x"):
            with pytest.raises(IommutuiError, match="There is no journal"):
                load(directory, wanted)

    def test_a_damaged_one_does_not_keep_others_from_being_loaded(self, directory: Path) -> None:
        self._three(directory)
        (directory / "20261123T104501-ffff.jsonl").write_text("rubbish\n")
        assert load(directory, "20261122T104501").id == "20261122T104501-1a2b"
        with pytest.raises(SourceError):
            load(directory)

    @pytest.mark.parametrize(
        ("code", "in_effect"),
        [(Exit.DONE, True), (Exit.NOT_ROLLED_BACK, True), (Exit.ROLLED_BACK, False), (Exit.PERMISSION, False)],
    )
    def test_what_is_in_effect(self, code: Exit, in_effect: bool, directory: Path) -> None:
        written(directory, End(code, ""))
        (entry,) = list_journals(directory)
        assert entry.in_effect is in_effect

    def test_reverts_from_the_newest_to_the_oldest(self, directory: Path) -> None:
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
        with pytest.raises(IommutuiError, match="nothing to take back"):
            load(directory)

    def test_a_revert_with_nothing_to_do_counts(self, directory: Path) -> None:
        """After a reboot everything is as it was, and the journal is done with."""
        one = CASES[0]
        list(execute(one.plan, FakeKernel(one.host, one.model), directory, clock=CLOCK))
        entry = load(directory)
        plan = plan_revert(entry, one.host, one.model)
        assert plan.steps == ()
        kernel = FakeKernel(one.host, one.model)
        assert finished(list(execute(plan, kernel, directory, clock=CLOCK, reverts=entry.id))).exit is Exit.DONE
        assert load(directory, entry.id).reverted_by is not None
