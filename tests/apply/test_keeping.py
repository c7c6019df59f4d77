"""An apply must be confirmed in time: the countdown, the channels, and what it writes to disk."""

import os
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from iommutui.apply.confirmation import (
    TICK,
    Decision,
    Timeout,
    leave_note,
    note_of,
)
from iommutui.apply.events import Compensating, Counting, Event, Finished, Kept, ReaderGoneError
from iommutui.apply.executor import execute
from iommutui.apply.journal.reader import Journal
from iommutui.apply.kernel import Clock
from iommutui.apply.server import AskingProgram
from iommutui.core.errors import Exit
from tests.apply.journals import list_journals
from tests.apply.machines import CASES, facts, finished
from tests.reacting import FakeKernel, Faults, Killed

CASE = CASES[0]


class MovingClock(Clock):
    """Time passes only during waits."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 10, 45, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.time


class Script:
    """A channel that answers at given turns; time passes only here."""

    def __init__(self, clock: MovingClock, words: dict[int, Decision] | None = None) -> None:
        self.clock = clock
        self.words = words or {}
        self.turns = 0
        self.began: list[str] = []
        self.ended = 0

    def begin(self, journal_id: str) -> None:
        self.began.append(journal_id)

    def wait(self, seconds: float) -> Decision | None:
        assert 0 <= seconds <= TICK
        self.turns += 1
        self.clock.time += seconds
        return self.words.get(self.turns)

    def end(self) -> None:
        self.ended += 1


def _run(
    tmp_path: Path, words: dict[int, Decision] | None = None, within: float = 5.0, faults: Faults | None = None
) -> tuple[FakeKernel, list[Event], Journal, Script]:
    clock = MovingClock()
    script = Script(clock, words)
    kernel = FakeKernel(CASE.host, CASE.model, faults)
    directory = tmp_path / "s/journal"
    events = list(execute(CASE.plan, kernel, directory, clock=clock, timeout=Timeout(within, script)))
    return kernel, events, list_journals(directory)[-1], script


def _left(events: Sequence[Event]) -> list[float]:
    return [event.seconds for event in events if isinstance(event, Counting)]


def test_an_unconfirmed_apply_is_reverted(tmp_path: Path) -> None:
    kernel, events, entry, script = _run(tmp_path)
    assert _left(events) == [5.0, 4.0, 3.0, 2.0, 1.0, 0.0]
    end = finished(events)
    assert end.exit is Exit.ROLLED_BACK
    assert end.summary == "It was not confirmed within 5 seconds. Drivers and overrides are restored."
    assert facts(kernel.host) == facts(CASE.host)
    assert (entry.within, entry.kept_by, entry.exit) == (5.0, None, Exit.ROLLED_BACK)
    assert script.began == [entry.id]
    assert script.ended == 1


@pytest.mark.parametrize("turn", [1, 3, 6])
def test_a_confirmed_apply_stays(turn: int, tmp_path: Path) -> None:
    kernel, events, entry, script = _run(tmp_path, {turn: Decision(True, "a friend")})
    assert events[-2:-1] == [Kept("a friend")]
    assert finished(events).exit is Exit.DONE
    predicted = facts(CASE.plan.predicted)
    assert facts(kernel.host) == predicted
    assert (entry.kept_by, entry.exit, entry.changed_something) == ("a friend", Exit.DONE, True)
    assert script.ended == 1


def test_an_apply_can_be_reverted_during_the_countdown(tmp_path: Path) -> None:
    kernel, events, entry, _ = _run(tmp_path, {2: Decision(False, "a friend")})
    assert _left(events) == [5.0, 4.0]
    assert finished(events).summary.startswith("Reverted on request.")
    assert facts(kernel.host) == facts(CASE.host)
    assert entry.kept_by is None


def test_a_failed_apply_has_no_countdown(tmp_path: Path) -> None:
    _, events, entry, script = _run(tmp_path, faults=Faults(fail={4: "EIO"}))
    assert _left(events) == []
    assert entry.within is None
    assert script.began == []


def test_a_fault_during_the_revert_is_named(tmp_path: Path) -> None:
    _, events, _, _ = _run(tmp_path, faults=Faults(fail_from=(len(CASE.plan.steps) + 1, "EIO")))
    end = finished(events)
    assert end.exit is Exit.NOT_ROLLED_BACK
    assert end.left


def test_an_interrupt_reverts_the_apply(tmp_path: Path) -> None:
    clock = MovingClock()
    kernel = FakeKernel(CASE.host, CASE.model)
    keeping = Timeout(60.0, Script(clock))
    events = execute(CASE.plan, kernel, tmp_path / "s/journal", clock=clock, timeout=keeping)
    seen: list[Event] = []
    for event in events:
        seen.append(event)
        if isinstance(event, Counting) and not any(isinstance(e, Compensating) for e in seen):
            seen.append(events.throw(KeyboardInterrupt))
            break
    seen += events
    assert isinstance(seen[-1], Finished)
    assert seen[-1].exit is Exit.ROLLED_BACK
    assert facts(kernel.host) == facts(CASE.host)


def test_a_reader_that_exits_before_the_countdown_reverts_everything(tmp_path: Path) -> None:
    kernel = FakeKernel(CASE.host, CASE.model)
    events = execute(CASE.plan, kernel, tmp_path / "s/journal", clock=MovingClock())
    next(events)
    rest = [events.throw(ReaderGoneError()), *events]
    assert isinstance(rest[-1], Finished)
    assert "has gone" in rest[-1].summary
    assert facts(kernel.host) == facts(CASE.host)


def test_an_apply_killed_during_the_countdown_leaves_an_open_unconfirmed_journal(tmp_path: Path) -> None:
    clock = MovingClock()

    class Dying(Script):
        def wait(self, seconds: float) -> Decision | None:
            raise Killed

    kernel = FakeKernel(CASE.host, CASE.model)
    directory = tmp_path / "s/journal"
    with pytest.raises(Killed):
        list(execute(CASE.plan, kernel, directory, clock=clock, timeout=Timeout(9.0, Dying(clock))))
    (entry,) = list_journals(directory)
    assert (entry.open, entry.within, entry.kept_by) == (True, 9.0, None)


# -- the channels themselves, on real pipes and files


@pytest.fixture
def pipe() -> tuple[int, int]:
    return os.pipe()


def _listener(tmp_path: Path, pipe: tuple[int, int]) -> AskingProgram:
    directory = tmp_path / "s/journal"
    directory.mkdir(parents=True, mode=0o700)
    return AskingProgram(pipe[0], directory)


@pytest.mark.parametrize(("line", "keep"), [(b"keep\n", True), (b"undo\n", False), (b"what\nkeep\n", True)])
def test_the_asking_program_can_confirm(line: bytes, keep: bool, tmp_path: Path, pipe: tuple[int, int]) -> None:
    listener = _listener(tmp_path, pipe)
    listener.begin("j")
    os.write(pipe[1], line)
    word = listener.wait(60)
    assert word is not None
    assert word.keep is keep


@pytest.mark.parametrize("text", [b"", b"\n", b"kee", b"keep", b"KEEP\n", b"keep it\n", b"\xff\n", b"{}\n"])
def test_unknown_answers_are_ignored(text: bytes, tmp_path: Path, pipe: tuple[int, int]) -> None:
    listener = _listener(tmp_path, pipe)
    listener.begin("j")
    os.write(pipe[1], text)
    assert listener.wait(0.0) is None
    assert listener.wait(0.01) is None


def test_answers_before_the_countdown_are_ignored(tmp_path: Path, pipe: tuple[int, int]) -> None:
    listener = _listener(tmp_path, pipe)
    os.write(pipe[1], b"keep\n")
    listener.begin("j")
    assert listener.wait(0.0) is None


def test_a_closed_input_is_not_polled_in_a_loop(tmp_path: Path, pipe: tuple[int, int]) -> None:
    listener = _listener(tmp_path, pipe)
    os.close(pipe[1])
    listener.begin("j")
    before = time.process_time()
    assert listener.wait(0.5) is None
    assert time.process_time() - before < 0.25


def test_a_note_is_read_and_removed(tmp_path: Path, pipe: tuple[int, int]) -> None:
    listener = _listener(tmp_path, pipe)
    directory = tmp_path / "s/journal"
    listener.begin("j")
    threading.Thread(target=leave_note, args=(directory, "j")).start()
    word = listener.wait(60)
    assert word == Decision(True, "'iommutui keep'")
    listener.end()
    assert not note_of(directory, "j").exists()


@pytest.mark.parametrize("kind", ["link", "directory", "another"])
def test_invalid_notes_are_ignored(kind: str, tmp_path: Path, pipe: tuple[int, int]) -> None:
    listener = _listener(tmp_path, pipe)
    place = note_of(tmp_path / "s/journal", "j")
    if kind == "link":
        place.symlink_to("/etc/passwd")
    elif kind == "directory":
        place.mkdir()
    else:
        note_of(tmp_path / "s/journal", "k").touch()
    listener.begin("j")
    assert listener.wait(0.0) is None


def test_a_note_is_not_written_through_a_link(tmp_path: Path, pipe: tuple[int, int]) -> None:
    _listener(tmp_path, pipe)
    directory = tmp_path / "s/journal"
    note_of(directory, "j").symlink_to(tmp_path / "victim")
    with pytest.raises(FileExistsError):
        leave_note(directory, "j")
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize(
    ("sent", "request_text"),
    [
        (b'{"a": 1}\nkeep\n', '{"a": 1}'),
        (b'{"a": 1}', '{"a": 1}'),
        (b"", ""),
        (b"nonsense\nmore", "nonsense"),
    ],
)
def test_the_request_is_one_line_or_the_whole_input(
    sent: bytes, request_text: str, tmp_path: Path, pipe: tuple[int, int]
) -> None:
    os.write(pipe[1], sent)
    os.close(pipe[1])
    assert AskingProgram(pipe[0], tmp_path).request() == request_text


def test_an_endless_request_is_cut_off(tmp_path: Path, pipe: tuple[int, int]) -> None:
    def flood() -> None:
        try:
            while True:
                os.write(pipe[1], b"x" * 65536)
        except BrokenPipeError:
            pass

    thread = threading.Thread(target=flood)
    thread.start()
    assert len(AskingProgram(pipe[0], tmp_path).request()) < 2 << 20
    os.close(pipe[0])
    thread.join()
