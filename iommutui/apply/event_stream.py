"""Writing events so that no reader can hold the applying process, whether it is slow, stopped or dead."""

import json
import os
import select
import stat
import time
from collections.abc import Callable, Generator
from contextlib import closing

from iommutui.apply.events import Counting, Event, Finished, to_json
from iommutui.apply.executor import ReaderGoneError
from iommutui.core.errors import Exit

PATIENCE = 3.0
"""Seconds that an event waits for room in the pipe. What is dropped then is in the journal."""


class EventStream:
    """Events as lines of JSON, or as text, on a descriptor that somebody may or may not read."""

    def __init__(self, descriptor: int, patience: float = PATIENCE) -> None:
        self._descriptor = _own(descriptor)
        self._patience = patience
        self._rest = b""
        """What is left of a line that was written in part; it has to come before any other."""
        self._slow = False
        """The reader has let an event wait in vain, and the next one does not wait before it reads again."""

    def send(self, event: Event) -> None:
        """Writes an event as JSON."""
        self.write((json.dumps(to_json(event)) + "\n").encode(), event)

    def write(self, data: bytes, event: Event) -> None:
        """Writes what is shown of an event, or drops it. OSError where nobody can ever read it."""
        if isinstance(event, Counting):
            patience = 0.0
        else:
            patience = self._patience if not self._slow or isinstance(event, Finished) else 0.0
        end = time.monotonic() + patience
        self._rest = self._put(self._rest, end)
        if self._rest:
            self._slow = True
            return
        left = self._put(data, end)
        self._slow = bool(left)
        if left != data:
            self._rest = left

    def _put(self, data: bytes, end: float) -> bytes:
        """Writes in parts that do not block, until a time; what is left."""
        while data and select.select([], [self._descriptor], [], max(end - time.monotonic(), 0.0))[1]:
            try:
                data = data[os.write(self._descriptor, data[: select.PIPE_BUF]) :]
            except BlockingIOError:
                return data  # a terminal with room for less
        return data


def _own(descriptor: int) -> int:
    """The same pipe or terminal, opened anew so that it does not block here and stays as it is for everybody else.

    Files do not block, and neither do sockets for so little as one part where they say that they have room.
    """
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        try:
            return os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            pass  # somebody else's terminal: it is asked for room before each part
    return descriptor


def tell(events: Generator[Event, None, None], send: Callable[[Event], None], *, alone: bool = False) -> int:
    """Passes every event on as it comes; the exit code.

    Where nobody can read them any more, everything is rolled back; ``alone``: it goes on without a reader.
    """
    code = Exit.ERROR
    listening = True
    with closing(events):
        for event in events:
            if isinstance(event, Finished):
                code = event.exit
            if not listening:
                continue
            try:
                send(event)
            except OSError:
                listening = False
                if not alone and not isinstance(event, Finished):
                    following = events.throw(ReaderGoneError())
                    code = following.exit if isinstance(following, Finished) else code
    return code
