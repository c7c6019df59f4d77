"""Signals that ask an apply to stop are kept until it is safe to obey them: a write is never left half told."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """Whether the apply was asked to stop, and by what."""

    def __init__(self) -> None:
        self.why: str | None = None

    def ask(self, why: str) -> None:
        """The first reason counts."""
        self.why = self.why or why


@contextmanager
def held_signals() -> Iterator[Stop]:
    """While it lasts, a signal only asks. Off the main thread signals do not arrive, and nothing is changed."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handler(number: int, _frame: FrameType | None) -> None:
        stop.ask(f"it was interrupted by {signal.Signals(number).name}")

    # What is ignored stays ignored: nohup asks for that.
    wanted = [number for number in SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in wanted}
    try:
        yield stop
    finally:
        for number, old in before.items():
            signal.signal(number, old if old is not None else signal.SIG_DFL)
