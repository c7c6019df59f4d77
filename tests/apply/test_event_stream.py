"""Events to a reader that is slow, stopped or gone."""

import fcntl
import json
import os
import pty
from collections.abc import Iterator
from typing import Any

import pytest

from iommutui.apply.events import Counting, EventStream, Finished, Kept, StepWaiting
from iommutui.core.errors import Exit
from iommutui.core.plan.planner import new_step
from tests.apply.machines import GPU

WAITING = StepWaiting(1, new_step("unbind", GPU, "nvidia"), 4.0, ("x" * 5000,))
"""Longer than a page."""


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe that holds one page."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    yield reading, writing
    os.close(writing)


def _lines(text: bytes) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_countdown_event_is_dropped_and_never_waits(pipe: tuple[int, int]) -> None:
    stream = EventStream(pipe[1], patience=1e6)
    for left in range(10_000, 0, -1):
        stream.send(Counting(float(left), 1e4))
    received = _lines(os.read(pipe[0], 1 << 16))
    assert 0 < len(received) < 200
    assert received[0]["seconds"] == 10_000
    os.close(pipe[0])


def test_after_one_timeout_no_other_event_waits(pipe: tuple[int, int]) -> None:
    stream = EventStream(pipe[1], patience=0.01)
    stream.send(WAITING)
    stream._patience = 1e6  # a wait here would last forever
    for _ in range(1000):
        stream.send(Kept("somebody"))
    os.close(pipe[0])


def test_a_partial_line_is_completed_before_the_next(pipe: tuple[int, int]) -> None:
    stream = EventStream(pipe[1], patience=0.0)
    stream.send(WAITING)
    text = os.read(pipe[0], 1 << 16)
    assert b"\n" not in text
    stream.send(Counting(1.0, 2.0))
    text += os.read(pipe[0], 1 << 16)
    stream.send(Finished(Exit.DONE, "Done."))
    text += os.read(pipe[0], 1 << 16)
    assert _lines(text)[0]["event"] == "step-waiting"
    assert text.endswith(b"\n")
    os.close(pipe[0])


def test_a_slow_reader_gets_whole_lines(pipe: tuple[int, int]) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            os.close(pipe[0])
            stream = EventStream(pipe[1], patience=60.0)
            for _ in range(20):
                stream.send(WAITING)
            stream.send(Finished(Exit.DONE, "Done."))
        finally:
            os._exit(0)
    os.close(pipe[1])
    text = b""
    while part := os.read(pipe[0], 777):
        text += part
    os.waitpid(pid, 0)
    assert len(_lines(text)) == 21
    os.dup2(pipe[0], pipe[1])  # for the fixture


def test_a_closed_pipe_means_that_the_reader_is_gone(pipe: tuple[int, int]) -> None:
    stream = EventStream(pipe[1])
    os.close(pipe[0])
    with pytest.raises(BrokenPipeError):
        stream.send(Kept("somebody"))


def test_the_pipe_is_unchanged_for_other_processes(pipe: tuple[int, int]) -> None:
    EventStream(pipe[1])
    assert os.get_blocking(pipe[1])
    os.close(pipe[0])


def test_an_unread_terminal_does_not_block() -> None:
    master, slave = pty.openpty()
    stream = EventStream(slave, patience=0.1)
    for _ in range(100):
        stream.send(WAITING)
    os.close(master)
    os.close(slave)


def test_events_are_written_to_a_file(tmp_path: Any) -> None:
    path = tmp_path / "out"
    path.write_text("before\n")
    with path.open("ab") as file:
        stream = EventStream(file.fileno())
        stream.send(Kept("somebody"))
    assert path.read_text().startswith('before\n{"event": "kept"')
