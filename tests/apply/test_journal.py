"""The journal's files: where they are, who may write them, and what is read from damaged ones."""

import errno
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from iommutui.apply.executor import execute
from iommutui.apply.journal import Journal, list_entries, load, lock, new_id, state_dir
from iommutui.apply.lines import SCHEMA, Begin, End, Header, Late, Planned, Result, Turn
from iommutui.apply.revert import plan_revert
from iommutui.core.drift import DeviceFacts
from iommutui.core.errors import Exit, IommutuiError, NotPermittedError, RefusedError, SourceError
from iommutui.core.intents import Goal
from tests.apply.machines import CASES, CLOCK, GPU, facts, finished
from tests.reacting import FakeKernel

HEADER = Header(
    SCHEMA,
    "20261122T104501-1a2b",
    "2026-11-22T10:45:01+00:00",
    "6.12.0",
    "dma-owner",
    (Goal(GPU, "vfio-pci", "vfio-pci", "vfio-pci"),),
    (),
    (Planned("override", GPU, "vfio-pci"),),
    (DeviceFacts(GPU, "10de:2204 class 030000", "nvidia", None, 14),),
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state/journal"


def _write(directory: Path, *lines: object, header: Header = HEADER) -> Path:
    with Journal.open_new(directory, header) as journal:
        for line in lines:
            journal.append(line)  # type: ignore[arg-type]
    return journal.path


class TestPlaces:
    def test_the_environment_first(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("IOMMUTUI_STATE_DIR", str(tmp_path))
        assert state_dir() == tmp_path

    def test_root(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("IOMMUTUI_STATE_DIR", raising=False)
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        assert state_dir() == Path("/var/lib/iommutui")

    @pytest.mark.parametrize("home", ["", "relative/is/ignored"])
    def test_a_user(self, home: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("IOMMUTUI_STATE_DIR", raising=False)
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        monkeypatch.setenv("HOME", "/home/someone")
        monkeypatch.setenv("XDG_STATE_HOME", home)
        assert state_dir() == Path("/home/someone/.local/state/iommutui")
        monkeypatch.setenv("XDG_STATE_HOME", "/elsewhere")
        assert state_dir() == Path("/elsewhere/iommutui")

    @pytest.mark.parametrize("umask", [0, 0o077])
    def test_modes(self, umask: int, directory: Path) -> None:
        old = os.umask(umask)
        try:
            _write(directory)
        finally:
            os.umask(old)
        expected = 0o755 if os.geteuid() == 0 else 0o700
        assert directory.stat().st_mode & 0o777 == expected
        assert directory.parent.stat().st_mode & 0o777 == expected
        (path,) = directory.glob("*.jsonl")
        assert path.stat().st_mode & 0o777 == (0o644 if os.geteuid() == 0 else 0o600)

    @pytest.mark.parametrize("which", ["journal", "state"])
    def test_a_link_is_refused(self, which: str, tmp_path: Path) -> None:
        elsewhere = tmp_path / "elsewhere"
        (elsewhere / "journal").mkdir(parents=True)
        if which == "state":
            (tmp_path / "state").symlink_to(elsewhere)
        else:
            (tmp_path / "state").mkdir(mode=0o700)
            (tmp_path / "state/journal").symlink_to(elsewhere / "journal")
        with pytest.raises(NotPermittedError, match="symbolic link"):
            _write(tmp_path / "state/journal")
        with pytest.raises(NotPermittedError, match="symbolic link"):
            list_entries(tmp_path / "state/journal")

    @pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
    @pytest.mark.parametrize("which", ["journal", "."])
    def test_a_directory_that_others_may_write_is_refused(self, mode: int, which: str, directory: Path) -> None:
        _write(directory)
        (directory.parent / which).chmod(mode)
        with pytest.raises(NotPermittedError, match="others may write to it") as caught:
            list_entries(directory)
        assert "chmod go-w" in caught.value.remedy
        with pytest.raises(NotPermittedError), lock(directory):
            pass

    def test_a_foreign_owner_is_refused(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        _write(directory)
        if os.geteuid() == 0:
            os.chown(directory, 1234, -1)
        else:
            monkeypatch.setattr(os, "geteuid", lambda: 4321)
        with pytest.raises(NotPermittedError, match="belongs to user"):
            list_entries(directory)

    def test_a_file_in_the_way(self, tmp_path: Path) -> None:
        (tmp_path / "state").mkdir(mode=0o700)
        (tmp_path / "state/journal").touch()
        with pytest.raises(NotPermittedError, match="not a directory"):
            _write(tmp_path / "state/journal")

    def test_a_directory_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(NotPermittedError, match="cannot be created") as caught:
            _write(tmp_path / "file/state/journal")
        assert "IOMMUTUI_STATE_DIR" in caught.value.remedy

    def test_the_lock(self, directory: Path) -> None:
        with lock(directory):
            with pytest.raises(RefusedError, match="Another apply"), lock(directory):
                pass
            with pytest.raises(RefusedError), lock(directory):
                pass
        with lock(directory):
            pass

    def test_a_lock_that_is_a_link(self, directory: Path, tmp_path: Path) -> None:
        _write(directory)
        (directory / "lock").symlink_to(tmp_path / "victim")
        with pytest.raises(IommutuiError, match="cannot be opened"), lock(directory):
            pass
        assert not (tmp_path / "victim").exists()


class TestIds:
    def test_they_sort_as_they_were_begun(self, directory: Path) -> None:
        _write(directory)
        earlier = datetime(2020, 1, 1, tzinfo=UTC)
        ids = [HEADER.id]
        for _ in range(3):
            ids.append(new_id(directory, earlier))
            _write(directory, header=HEADER._replace(id=ids[-1]))
        assert ids == sorted(ids)
        assert ids[1].startswith("20261122T104502-")
        assert [entry.id for entry in list_entries(directory)] == ids

    def test_from_the_clock(self, directory: Path) -> None:
        _write(directory)
        assert new_id(directory, datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)).startswith("20270102T030405-")

    def test_no_journal_is_written_over(self, directory: Path) -> None:
        _write(directory)
        with pytest.raises(IommutuiError, match="cannot be made"):
            _write(directory)


class TestReading:
    def test_no_directory(self, directory: Path) -> None:
        assert list_entries(directory) == []
        with pytest.raises(IommutuiError, match="nothing to take back"):
            load(directory)

    def test_an_entry(self, directory: Path) -> None:
        _write(
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
        (entry,) = list_entries(directory)
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
        path = _write(directory, Begin(1, "override", GPU, "vfio-pci"), End(Exit.DONE, "Done."))
        whole = path.read_bytes()
        last = whole.rstrip(b"\n").rindex(b"\n") + 1
        for length in range(last, len(whole)):
            path.write_bytes(whole[:length])
            (entry,) = list_entries(directory)
            assert entry.open
            assert len(entry.steps) == 1

    def test_half_a_header_means_that_nothing_was_written(self, directory: Path) -> None:
        path = _write(directory)
        whole = path.read_bytes()
        for length in (0, 1, len(whole) - 1):
            path.write_bytes(whole[:length])
            assert list_entries(directory) == []
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
        path = _write(directory)
        with path.open("a") as file:
            file.write(line + "\n")
        with pytest.raises(SourceError) as caught:
            list_entries(directory)
        assert str(path) in caught.value.what
        assert "line 2" in caught.value.what
        assert "Move the file away" in caught.value.remedy
        with pytest.raises(SourceError):
            load(directory, HEADER.id)

    def test_bytes_that_are_no_text(self, directory: Path) -> None:
        path = _write(directory)
        with path.open("ab") as file:
            file.write(b'{"line":"turn","why":"\xff\xfe"}\n')
        with pytest.raises(SourceError, match="line 2"):
            list_entries(directory)

    @pytest.mark.parametrize(
        ("change", "match"),
        [
            ({"schema": 2}, "its schema is 2"),
            ({"id": "20261122T104501-ffff"}, "id of another"),
            ({"line": "turn"}, "not valid"),
        ],
    )
    def test_a_header_that_does_not_fit(self, change: dict[str, object], match: str, directory: Path) -> None:
        path = _write(directory)
        content = json.loads(path.read_text())
        path.write_text(json.dumps(content | change) + "\n")
        with pytest.raises(SourceError, match=match):
            list_entries(directory)

    def test_two_headers(self, directory: Path) -> None:
        path = _write(directory)
        path.write_text(path.read_text() * 2)
        with pytest.raises(SourceError, match="header"):
            list_entries(directory)

    def test_a_file_that_is_too_long(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        _write(directory)
        monkeypatch.setattr("iommutui.apply.entries.SIZE_LIMIT", 10)
        with pytest.raises(SourceError, match="longer than any"):
            list_entries(directory)

    def test_other_files_do_not_count(self, directory: Path) -> None:
        _write(directory)
        for name in ("lock", "x.jsonl", "20261122T104501-1a2b.jsonl~", "20261122T104501-1A2B.jsonl"):
            (directory / name).write_text("rubbish")
        assert len(list_entries(directory)) == 1

    def test_a_journal_that_is_a_link(self, directory: Path, tmp_path: Path) -> None:
        path = _write(directory)
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
        with pytest.raises(SourceError, match="cannot be read"):
            list_entries(directory)


class TestLoading:
    def _three(self, directory: Path) -> None:
        for name in ("20261122T104501-1a2b", "20261122T104502-1a2b", "20261123T104501-ffff"):
            _write(directory, End(Exit.DONE, "Done."), header=HEADER._replace(id=name))

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
        _write(directory, End(code, ""))
        (entry,) = list_entries(directory)
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
            names.append(list_entries(directory)[-1].id)
        for name in reversed(names):
            entry = load(directory)
            assert entry.id == name
            kernel = FakeKernel(host, CASES[0].model)
            plan = plan_revert(entry, host, CASES[0].model)
            assert finished(list(execute(plan, kernel, directory, clock=CLOCK, reverts=entry.id))).exit is Exit.DONE
            host = kernel.host
            assert load(directory, name).reverted_by == list_entries(directory)[-1].id
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


class TestWriting:
    def test_a_line_that_cannot_be_written(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        journal = Journal.open_new(directory, HEADER)
        write = os.write

        def full(descriptor: int, data: bytes) -> int:
            return write(descriptor, data[:5])

        with monkeypatch.context() as patched:
            patched.setattr(os, "write", full)
            with pytest.raises(IommutuiError, match=os.strerror(errno.ENOSPC)):
                journal.append(Turn("x"))
        journal.append(End(Exit.DONE, "Done."))
        journal.close()
        assert journal.broken
        (entry,) = list_entries(directory)
        assert (entry.exit, entry.why) == (Exit.DONE, None)

    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
    @pytest.mark.parametrize("call", ["write", "fsync"])
    def test_a_disk_that_fails_at_any_line(
        self, code: int, call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Before the first write nothing is written to the system; later everything is taken back."""
        one = next(case for case in CASES if case.name == "gpu")
        real = getattr(os, call)
        for line in range(1, 100):
            calls = [0]

            def failing(descriptor: int, *data: bytes) -> object:
                if os.readlink(f"/proc/self/fd/{descriptor}").endswith(".jsonl"):
                    calls[0] += 1  # noqa: B023
                    if calls[0] >= line:  # noqa: B023
                        raise OSError(code, os.strerror(code))
                return real(descriptor, *data)

            kernel, directory = FakeKernel(one.host, one.model), tmp_path / f"{line}/journal"
            with monkeypatch.context() as patched:
                patched.setattr(os, call, failing)
                if line == 1:
                    with pytest.raises(IommutuiError, match="cannot be written"):
                        list(execute(one.plan, kernel, directory, clock=CLOCK))
                    assert kernel.steps == []
                    continue
                end = finished(list(execute(one.plan, kernel, directory, clock=CLOCK)))
            if calls[0] < line:
                assert end.exit is Exit.DONE
                break
            if end.exit is Exit.DONE:
                # Only the last line is missing: it tells so, and the journal has no end.
                assert line == 2 + 2 * len(one.plan.steps)
                assert list_entries(directory)[-1].open
                assert "The journal is not complete" in end.summary
                continue
            assert end.exit is Exit.ROLLED_BACK
            assert "The journal is not complete" in end.summary
            assert facts(kernel.host) == facts(one.host)
        assert line > 2 * len(one.plan.steps)

    def test_every_line_is_synchronised(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        synced: list[str] = []
        fsync = os.fsync

        def note(descriptor: int) -> None:
            synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", note)
        path = _write(directory, Turn("x"), End(Exit.DONE, ""))
        assert synced.count(str(path)) == 3
        # The names as well: of the state directory, of the journal directory, and of the file.
        assert str(directory.parent.parent) in synced
        assert str(directory.parent) in synced
        assert synced.index(str(directory)) < len(synced) - 2
