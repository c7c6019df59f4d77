"""Processes that the applying process forks. A child never returns to its caller.

The process that forks has one thread. A system call that may block forever is made by a child, because a process that
is blocked in sysfs cannot be killed; and a countdown runs in a child with its own session.
"""

import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

from iommutui import debug
from iommutui.apply.kernel import Waiting

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
"""The environment of programs run as root: nothing from the caller reaches them."""

ANSWER_LIMIT = 1 << 20
"""No answer of a child is longer, in bytes."""
_TAKEN = b"k"
_SYSTEMD = "org.freedesktop.systemd1"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds."""

    first: float = 4.0
    """Until a wait is first reported: many writes take a second or two, and an interrupt can wait that long."""
    each: float = 1.0
    """Between two reports."""
    give_up: float = 30.0


PATIENCE = Patience()


@dataclass
class Stop:
    """Whether the apply was asked to stop, and by which signal."""

    why: str | None = None

    def ask(self, why: str) -> None:
        """Requests a stop; the first reason counts."""
        self.why = self.why or why


@contextmanager
def held_signals() -> Iterator[Stop]:
    """Inside the block, a signal only requests a stop, so that no write is left half reported.

    Signals do not reach other threads than the main one, so there nothing is changed.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handler(number: int, _frame: FrameType | None) -> None:
        stop.ask(f"it was interrupted by {signal.Signals(number).name}")

    # An ignored signal stays ignored, as nohup requires.
    with handled([number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN], handler):
        yield stop


@contextmanager
def handled(numbers: Sequence[signal.Signals], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handles these signals differently inside the block."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old if old is not None else signal.SIG_DFL)


def fork(work: Callable[[], int]) -> int:
    """The process id of a child that does the work and ends with its exit code, or with 1 if it raises.

    Until the work unblocks them, no signal reaches the child: it would run handlers of the parent.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    pid = os.fork()
    if pid:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        return pid
    code = 1
    try:
        code = work()
    except BaseException:
        with suppress(BaseException):
            import traceback

            traceback.print_exc()
    finally:
        os._exit(code)


def in_child(
    work: Callable[[], bytes], late: Callable[[bytes, float], None], patience: Patience = PATIENCE
) -> Generator[Waiting | bytes, None, None]:
    """Runs ``work`` in a child: yields `Waiting` while it takes long, then its answer.

    The answer is empty if the child died, or if it is longer than `ANSWER_LIMIT`. The child waits until the parent
    has taken it. A parent that has given up, or died, closes the socket instead, and the child then calls its own
    ``late``. Closing the iterator gives up at once.
    """
    mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    started = time.monotonic()

    def child() -> int:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        os.setsid()
        # A reader of the parent's output must see its end even while this child is stuck.
        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(nothing, standard)
        mine.close()
        answer = work()
        if not _taken(its, answer):
            late(answer, time.monotonic() - started)
        return 0

    pid = fork(child)
    debug.log("child %s: %s", pid, work.__qualname__)
    its.close()
    with mine:
        pause, ends = patience.first, started + patience.give_up
        while not select.select([mine], [], [], max(min(pause, ends - time.monotonic()), 0.0))[0]:
            seconds = time.monotonic() - started
            yield Waiting(seconds, given_up=seconds >= patience.give_up)
            if seconds >= patience.give_up:
                return
            pause = patience.each
        answer = _received(mine)
        if answer:
            with suppress(OSError):
                mine.send(_TAKEN)
    os.waitpid(pid, 0)
    yield answer


def _received(connection: socket.socket) -> bytes:
    try:
        with connection.makefile("rb") as file:
            answer = file.read(ANSWER_LIMIT + 1)
    except ConnectionResetError:
        return b""
    return answer if len(answer) <= ANSWER_LIMIT else b""


def _taken(connection: socket.socket, answer: bytes) -> bool:
    try:
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(1) == _TAKEN
    except OSError:
        return False


def in_own_session(work: Callable[[], int]) -> int:
    """Runs ``work`` in a child that outlives the terminal, the connection and the session; returns its exit code.

    The child has no terminal to hang up, and ignores SIGHUP, which sudo and others pass on. This process waits;
    signals that interrupt it are passed on, and one that kills it does not reach the child.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())

    def child() -> int:
        os.setsid()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        _leave_login_session()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        try:
            return work()
        finally:
            with suppress(OSError, ValueError):
                sys.stderr.flush()

    pid = fork(child)
    with handled((signal.SIGINT, signal.SIGTERM), lambda number, _frame: os.kill(pid, number)):
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _leave_login_session() -> None:
    """Moves this process into its own scope if systemd runs.

    logind may end all processes of a closed session (``KillUserProcesses=``), and run0 those of its unit.
    """
    if not os.path.isdir("/run/systemd/system") or os.geteuid() != 0:
        return
    import subprocess

    call = ("busctl", *scope_call(os.getpid()))
    try:
        done = subprocess.run(call, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, timeout=5)
        debug.log("scope: %s", done)
    except (OSError, subprocess.TimeoutExpired) as error:
        debug.log("scope: %s", error)


def scope_call(pid: int) -> tuple[str, ...]:
    """The arguments of ``busctl``: ``StartTransientUnit`` of org.freedesktop.systemd1(5), a scope of one process."""
    method = ("call", _SYSTEMD, "/org/freedesktop/systemd1", f"{_SYSTEMD}.Manager", "StartTransientUnit")
    return (*method, "ssa(sv)a(sa(sv))", f"iommutui-{pid}.scope", "fail", "1", "PIDs", "au", "1", str(pid), "0")
