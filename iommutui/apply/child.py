"""A system call that may block for ever is made by a child: a blocked write to sysfs cannot be killed.

The child tells its answer over a socket and waits until the parent has taken it. A parent that has given up, or died,
closes the socket instead, and then the child tells its own ``late``. The process that forks has one thread.
"""

import os
import select
import signal
import socket
import time
from collections.abc import Callable, Generator
from typing import NamedTuple

from iommutui.apply.interrupts import SIGNALS

ANSWER_LIMIT = 8192
_TAKEN = b"k"


class Patience(NamedTuple):
    """How long to wait, in seconds."""

    first: float = 4.0
    """Until the first notice that the call has not returned."""
    each: float = 1.0
    """Between further notices."""
    give_up: float = 30.0


PATIENCE = Patience()


class Late(NamedTuple):
    """The call has not returned after this many seconds; the last of them is where the parent gives up."""

    seconds: float
    given_up: bool


def in_child(
    work: Callable[[], bytes], late: Callable[[bytes, float], None], patience: Patience = PATIENCE
) -> Generator[Late | bytes, None, None]:
    """Runs ``work`` in a child: notices while it takes long, then its answer, which is empty where the child died.

    Closing the iterator gives up at once.
    """
    mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # A signal between the fork and the child's own settings would run the parent's handlers in the child.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    started = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _child(mine, its, work, late, started)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    its.close()
    with mine:
        wait = patience.first
        while not select.select([mine], [], [], wait)[0]:
            seconds = time.monotonic() - started
            if seconds >= patience.give_up:
                yield Late(seconds, given_up=True)
                return
            yield Late(seconds, given_up=False)
            wait = min(patience.each, max(patience.give_up - seconds, 0.0))
        answer = mine.recv(ANSWER_LIMIT)
        if answer:
            mine.send(_TAKEN)
    os.waitpid(pid, 0)
    yield answer


def _child(
    mine: socket.socket,
    its: socket.socket,
    work: Callable[[], bytes],
    late: Callable[[bytes, float], None],
    started: float,
) -> None:
    """Never returns, whatever happens: what is above it on the stack belongs to the parent."""
    try:
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
    finally:
        os._exit(0)


def _taken(its: socket.socket, answer: bytes) -> bool:
    try:
        its.send(answer)
        return its.recv(1) == _TAKEN
    except OSError:
        return False
