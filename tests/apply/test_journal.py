"""The journal's files: their paths, permissions and content."""

import errno
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from iommutui.apply.events import Compensating, Finished
from iommutui.apply.executor import execute
from iommutui.apply.journal import journal_dir, lock, new_id
from iommutui.apply.journal.format import JournalWriter
from iommutui.core.errors import Exit, IommutuiError, NotPermittedError, RefusedError
from tests.apply.journals import HEADER, list_journals, written
from tests.apply.machines import CASES, CLOCK, facts, finished
from tests.reacting import BOOT, FakeKernel


class TestPlaces:
    def test_the_environment_sets_the_directory(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("IOMMUTUI_STATE_DIR", str(tmp_path))
        assert journal_dir() == tmp_path / "journal"

    @pytest.mark.parametrize("user", [0, 1000])
    def test_all_users_share_one_directory(self, user: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("IOMMUTUI_STATE_DIR", raising=False)
        monkeypatch.setenv("XDG_STATE_HOME", "/elsewhere")
        monkeypatch.setattr(os, "geteuid", lambda: user)
        assert journal_dir() == Path("/var/lib/iommutui/journal")

    @pytest.mark.parametrize("umask", [0, 0o077])
    def test_directories_and_files_have_their_modes(self, umask: int, directory: Path) -> None:
        old = os.umask(umask)
        try:
            written(directory)
        finally:
            os.umask(old)
        expected = 0o755 if os.geteuid() == 0 else 0o700
        assert directory.stat().st_mode & 0o777 == expected
        assert directory.parent.stat().st_mode & 0o777 == expected
        (path,) = directory.glob("*.jsonl")
        assert path.stat().st_mode & 0o777 == (0o644 if os.geteuid() == 0 else 0o600)

    @pytest.mark.parametrize("which", ["journal", "state"])
    def test_a_directory_that_is_a_link_is_refused(self, which: str, tmp_path: Path) -> None:
        elsewhere = tmp_path / "elsewhere"
        (elsewhere / "journal").mkdir(parents=True)
        if which == "state":
            (tmp_path / "state").symlink_to(elsewhere)
        else:
            (tmp_path / "state").mkdir(mode=0o700)
            (tmp_path / "state/journal").symlink_to(elsewhere / "journal")
        with pytest.raises(NotPermittedError, match="directory, not a link"):
            written(tmp_path / "state/journal")
        with pytest.raises(NotPermittedError, match="directory, not a link"):
            list_journals(tmp_path / "state/journal")

    @pytest.mark.parametrize("mode", [0o770, 0o707, 0o777])
    @pytest.mark.parametrize("which", ["journal", "."])
    def test_a_directory_that_others_may_write_is_refused(self, mode: int, which: str, directory: Path) -> None:
        written(directory)
        (directory.parent / which).chmod(mode)
        with pytest.raises(NotPermittedError, match="no one else may write") as caught:
            list_journals(directory)
        assert "chmod go-w" in caught.value.remedy
        with pytest.raises(NotPermittedError), lock(directory):
            pass

    def test_a_foreign_owner_is_refused(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        written(directory)
        if os.geteuid() == 0:
            os.chown(directory, 1234, -1)
        else:
            monkeypatch.setattr(os, "geteuid", lambda: 4321)
        with pytest.raises(NotPermittedError, match="belongs to root or to you"):
            list_journals(directory)

    def test_a_file_in_place_of_the_directory_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "state").mkdir(mode=0o700)
        (tmp_path / "state/journal").touch()
        with pytest.raises(NotPermittedError, match="has to be a directory"):
            written(tmp_path / "state/journal")

    def test_a_directory_that_cannot_be_created_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(NotPermittedError, match="cannot be created") as caught:
            written(tmp_path / "file/state/journal")
        assert "sudo" in caught.value.remedy

    def test_the_lock_is_exclusive(self, directory: Path) -> None:
        with lock(directory):
            with pytest.raises(RefusedError, match="Another apply"), lock(directory):
                pass
            with pytest.raises(RefusedError), lock(directory):
                pass
        with lock(directory):
            pass

    def test_a_lock_that_is_a_link_is_not_opened(self, directory: Path, tmp_path: Path) -> None:
        written(directory)
        (directory / "lock").symlink_to(tmp_path / "victim")
        with pytest.raises(IommutuiError, match="cannot be opened"), lock(directory):
            pass
        assert not (tmp_path / "victim").exists()


class TestIds:
    def test_ids_sort_in_order_of_creation(self, directory: Path) -> None:
        written(directory)
        earlier = datetime(2020, 1, 1, tzinfo=UTC)
        ids = [HEADER.id]
        for _ in range(3):
            ids.append(new_id(directory, earlier, BOOT))
            written(directory, header=replace(HEADER, id=ids[-1]))
        assert ids == sorted(ids)
        assert ids[1].startswith("20261122T104502-")
        assert [entry.id for entry in list_journals(directory)] == ids

    def test_an_id_begins_with_the_time(self, directory: Path) -> None:
        written(directory)
        assert new_id(directory, datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC), BOOT).startswith("20270102T030405-")

    def test_no_journal_is_overwritten(self, directory: Path) -> None:
        written(directory)
        with pytest.raises(IommutuiError, match="cannot be made"):
            written(directory)


class TestWriting:
    def test_a_line_that_cannot_be_written_is_an_error_and_a_later_one_is_readable(
        self, directory: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = os.write

        def full(descriptor: int, data: bytes) -> int:
            return write(descriptor, data[:5])

        with JournalWriter.open_new(directory, HEADER) as journal:
            with monkeypatch.context() as patched:
                patched.setattr(os, "write", full)
                with pytest.raises(IommutuiError, match=os.strerror(errno.ENOSPC)):
                    journal.append(Compensating("x"))
            journal.append(Finished(Exit.DONE, "Done."))
        assert journal.broken
        (entry,) = list_journals(directory)
        assert (entry.exit, entry.why) == (Exit.DONE, None)

    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
    @pytest.mark.parametrize("call", ["write", "fsync"])
    def test_a_disk_error_at_any_line_leaves_the_system_unchanged_or_rolled_back(
        self, code: int, call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """If the header fails, nothing is written to the system; if a later line fails, everything is rolled back."""
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
                # Only the last line is missing: the summary says so, and the journal has no end.
                assert line == 2 + 2 * len(one.plan.steps)
                assert list_journals(directory)[-1].open
                assert "The journal is incomplete" in end.summary
                continue
            assert end.exit is Exit.ROLLED_BACK
            assert "The journal is incomplete" in end.summary
            assert facts(kernel.host) == facts(one.host)
        assert line > 2 * len(one.plan.steps)

    def test_every_line_is_synchronised(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        synced: list[str] = []
        fsync = os.fsync

        def note(descriptor: int) -> None:
            synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
            fsync(descriptor)

        monkeypatch.setattr(os, "fsync", note)
        path = written(directory, Compensating("x"), Finished(Exit.DONE, ""))
        assert synced.count(str(path)) == 3
        # The directory entries as well: of the state directory, of the journal directory, and of the file.
        assert str(directory.parent.parent) in synced
        assert str(directory.parent) in synced
        assert synced.index(str(directory)) < len(synced) - 2
