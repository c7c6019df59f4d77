"""Attributes that never answer. A FIFO without a writer stands in for one: opening it blocks forever."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from iommutui.core.host import Gap, Host
from iommutui.sources import Depth, deadline_reader
from iommutui.sources.deadline_child import WORKERS
from iommutui.sources.deadline_reader import TIMEOUT, DeadlineReader
from iommutui.sources.names import Names
from iommutui.sources.sysfs import scan
from iommutui.sources.tree import Tree, Unreadable
from tests.fake_tree import FakeTree

ADDRESSES = [f"0000:00:0{slot}.0" for slot in range(5)]


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeTree:
    """Five functions; the overrides of the second and the fourth never answer."""
    monkeypatch.setattr(deadline_reader, "_left_behind", {})
    tree = FakeTree(tmp_path / "machine")
    for address in ADDRESSES:
        stuck = address in (ADDRESSES[1], ADDRESSES[3])
        tree.device(address, group=1, files={"driver_override": None if stuck else f"for-{address[-3]}\n"})
        if stuck:
            os.mkfifo(tree.place(address) / "driver_override")
    return tree


def patiently(tree: FakeTree, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(DeadlineReader.__init__, "__defaults__", (0.2,))
    machine = Tree(os.fspath(tree))
    machine.live = True
    return scan(machine, Depth.LISTING, Names())


def test_a_silent_device_is_named_and_the_others_are_read(tree: FakeTree, monkeypatch: pytest.MonkeyPatch) -> None:
    devices = list(patiently(tree, monkeypatch).devices.values())
    assert [d.driver_override for d in devices] == ["for-0", None, "for-2", None, "for-4"]
    silent = Gap("driver_override", "timeout")
    assert [d.gap("driver_override") for d in devices] == [None, silent, None, silent, None]


def test_no_second_child_is_started_for_a_device_that_hangs(tree: FakeTree, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tree.place(ADDRESSES[1]) / "driver_override")
    monkeypatch.setitem(deadline_reader._left_behind, os.path.dirname(path), 1)
    monkeypatch.setattr(deadline_reader, "_gone", lambda *_: False)
    started = time.monotonic()
    pending = DeadlineReader([path], deadline=60)
    assert pending.get(path) == TIMEOUT
    assert time.monotonic() - started < 1


def test_if_too_many_devices_hang_the_rest_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadline_reader, "_left_behind", {})
    paths = [tmp_path / str(number) / "driver_override" for number in range(WORKERS + 1)]
    for path in paths:
        path.parent.mkdir()
        os.mkfifo(path) if path is not paths[-1] else path.write_text("vfio-pci\n")
    pending = DeadlineReader(map(str, paths), deadline=0.2)
    assert pending.get(str(paths[-1])) == TIMEOUT
    pending.close()


def test_a_device_is_read_again_once_its_child_has_returned(tree: FakeTree) -> None:
    path = str(tree.place(ADDRESSES[1]) / "driver_override")
    pending = DeadlineReader([path], deadline=0.1)
    assert pending.get(path) == TIMEOUT
    pending.close()
    os.unlink(path)
    Path(path).write_text("back\n")
    deadline = time.monotonic() + 10
    while deadline_reader._left_behind and time.monotonic() < deadline:
        deadline_reader._reap()
    pending = DeadlineReader([path])
    assert pending.get(path) == "back"
    pending.close()


def test_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"vfio-pci\n")
    (tmp_path / "b").write_bytes(b"x" * 5000)
    (tmp_path / "c").mkdir()
    (tmp_path / "d").write_bytes(b"a\0b\n")
    paths = [str(tmp_path / name) for name in ("a", "b", "c", "d", "missing")]
    pending = DeadlineReader(paths)
    assert [pending.get(path) for path in paths] == ["vfio-pci", "x" * 4096, Unreadable("EISDIR"), "ab", None]
    assert pending.get("never asked") is None
    pending.close()


def test_many_long_paths_are_read(tmp_path: Path) -> None:
    """More than a pipe holds, in both directions."""
    paths = []
    for number in range(3000):
        path = tmp_path / ("name-that-is-rather-long-" * 3 + str(number))
        path.write_text(f"{number} {'x' * 60}\n")
        paths.append(str(path))
    pending = DeadlineReader(paths)
    assert [str(pending.get(path)).split()[0] for path in paths] == [str(number) for number in range(3000)]
    pending.close()


def test_an_empty_list_of_paths_is_read() -> None:
    pending = DeadlineReader([])
    assert pending.get("x") is None
    pending.close()


@pytest.mark.parametrize("program", ["/nonexistent", "", "/bin/true"])
def test_a_child_that_cannot_run_makes_files_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    pending = DeadlineReader([str(tmp_path / "a"), str(tmp_path / "b")])
    assert isinstance(pending.get(str(tmp_path / "b")), Unreadable)
    assert isinstance(pending.get(str(tmp_path / "a")), Unreadable)
    pending.close()


def test_the_program_exits_although_its_child_does_not(tree: FakeTree) -> None:
    """A child blocked in the kernel cannot be killed; here the child is not killed, which is the same to its parent."""
    code = f"""
from iommutui.sources import Depth, deadline_reader
from iommutui.sources.names import Names
from iommutui.sources.sysfs import scan
from iommutui.sources.tree import Tree
deadline_reader._kill = lambda pid: None
deadline_reader.DeadlineReader.__init__.__defaults__ = (0.2,)
machine = Tree({os.fspath(tree)!r})
machine.live = True
scan(machine, Depth.LISTING, Names())
print(*deadline_reader._left_behind.values())
"""
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    left = {int(pid) for pid in done.stdout.split()}
    try:
        assert len(left) == 1
        assert done.stderr == ""
        assert time.monotonic() - started < 20
    finally:
        for pid in left:
            os.kill(pid, 9)
