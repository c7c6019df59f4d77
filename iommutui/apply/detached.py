"""An applying process that outlives the terminal, the connection and the program that it was started from."""

import os
import signal
import sys
from collections.abc import Callable, Iterable
from types import FrameType

_PASSED_ON = (signal.SIGINT, signal.SIGTERM)


def in_own_session(work: Callable[[], int]) -> int:
    """Runs ``work`` in a child with a session of its own, and returns its exit code.

    The child has no terminal that could hang up, and ignores SIGHUP, which sudo and others pass on. This process waits;
    what interrupts it is passed on, and what kills it does not reach the child. The process has one thread.
    """
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
    pid = os.fork()
    if pid == 0:
        _child(work, mask)
    before = {number: signal.signal(number, _to(pid)) for number in _PASSED_ON}
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        for number, old in before.items():
            signal.signal(number, old if old is not None else signal.SIG_DFL)


def _to(pid: int) -> Callable[[int, FrameType | None], None]:
    def pass_on(number: int, _frame: FrameType | None) -> None:
        os.kill(pid, number)

    return pass_on


def _child(work: Callable[[], int], mask: Iterable[int]) -> None:
    """Never returns: what is above it on the stack belongs to the parent."""
    code = 1
    try:
        os.setsid()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        code = work()
    except Exception:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)
