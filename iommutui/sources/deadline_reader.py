"""Reads of attributes that may never return, by a child process.

While an unbind of a device waits for its user, reading the device's ``driver_override`` waits with it inside the
kernel, where no signal reaches (seen on 5.10 and 6.1). A thread that is stuck like that would keep this process from
ever exiting; a child can be left behind.
"""

import contextlib
import errno
import os
import select
import signal
import sys
import time
from collections import deque
from collections.abc import Iterable

from iommutui import debug
from iommutui.sources.tree import Unreadable, failure, to_text

DEADLINE = 1.0
"""Seconds that one attribute may take."""

STARTING = 10.0
"""Seconds that the child may take to start on a busy machine."""

TIMEOUT = Unreadable("timeout")

Answer = str | Unreadable | None
"""A file's text, why it is not known, or None where there is none."""

_READER = os.path.join(os.path.dirname(__file__), "deadline_child.py")

_left_behind: dict[str, int] = {}
"""Children that are stuck, by the directory of what they read. No other is sent after them, so that a program which
refreshes every few seconds neither waits again nor leaves more of them behind."""


class DeadlineReader:
    """The answers for some files, by path. The child reads while the caller does other things."""

    def __init__(self, paths: Iterable[str], deadline: float = DEADLINE) -> None:
        _reap()
        self._deadline = deadline
        self._answers: dict[str, Answer] = {}
        asked = list(paths)
        self._answers.update((path, TIMEOUT) for path in asked if os.path.dirname(path) in _left_behind)
        self._waiting = [path for path in reversed(asked) if path not in self._answers]
        """What is not answered yet, the next one last."""
        self._reader: _Reader | None = None
        self._send()

    def get(self, path: str) -> Answer:
        """The file's text without its last newline; `TIMEOUT` where the kernel does not answer in time."""
        while path not in self._answers and self._waiting:
            self._receive()
        return self._answers.get(path)

    def close(self) -> None:
        """Ends the child; whatever is not answered by now never is."""
        if self._reader is not None:
            if self._reader.end(stuck=bool(self._waiting)):
                _left_behind[os.path.dirname(self._waiting[-1])] = self._reader.pid
            self._reader = None
        self._waiting.clear()

    def _send(self) -> None:
        """A child for everything that waits."""
        if not self._waiting:
            return
        try:
            self._reader = _Reader(reversed(self._waiting))
        except OSError as error:
            self._give_up(failure(error) or Unreadable("ENOENT"))

    def _give_up(self, why: Unreadable) -> None:
        self._answers.update((path, why) for path in self._waiting)
        self._waiting.clear()

    def _receive(self) -> None:
        """Takes the next answer. Where there is none, the child is left behind and another goes on after its file."""
        reader = self._reader
        if reader is None:
            return self._give_up(TIMEOUT)
        record = reader.receive(self._deadline)
        if record is not None:
            self._answers[self._waiting.pop()] = _parse(record)
            return None
        if not reader.started:
            reader.end(stuck=True)
            self._reader = None
            return self._give_up(TIMEOUT)
        # Whatever else is asked of this device waits for the same lock.
        stuck = os.path.dirname(self._waiting[-1])
        self._answers.update((path, TIMEOUT) for path in self._waiting if os.path.dirname(path) == stuck)
        self._waiting = [path for path in self._waiting if path not in self._answers]
        debug.log("scan: %s does not answer", stuck)
        if reader.end(stuck=True):
            _left_behind[stuck] = reader.pid
        self._reader = None
        return self._send()


class _Reader:
    """A running child. Raises OSError where it cannot be started."""

    def __init__(self, paths: Iterable[str]) -> None:
        if not sys.executable:
            raise FileNotFoundError(errno.ENOENT, "the interpreter is not known")
        self.started = False
        self._records: deque[bytes] = deque()
        self._pending = b""
        # A file in memory rather than a pipe: a child that is stuck would let a pipe fill up and block the writer.
        requests = os.memfd_create("iommutui-paths")
        receiving, sending = os.pipe()
        try:
            data = b"".join(os.fsencode(path) + b"\0" for path in paths)
            while data:
                data = data[os.write(requests, data) :]
            os.lseek(requests, 0, os.SEEK_SET)
            self.pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", _READER],
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, requests, 0),
                    (os.POSIX_SPAWN_DUP2, sending, 1),
                    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                ],
                setpgroup=0,  # a Ctrl-C is for the program that the user sees
            )
        except OSError:
            os.close(receiving)
            raise
        finally:
            os.close(requests)
            os.close(sending)
        self._pipe = receiving
        self._poll = select.poll()
        self._poll.register(receiving, select.POLLIN)

    def receive(self, deadline: float) -> bytes | None:
        """The next record, or None where it does not come in time or the child has died."""
        if not self.started:
            if self._record(STARTING) is None:
                return None
            self.started = True
        return self._record(deadline)

    def _record(self, deadline: float) -> bytes | None:
        until = time.monotonic() + deadline
        while not self._records:
            rest = until - time.monotonic()
            if rest <= 0 or not self._poll.poll(rest * 1000):
                return None
            data = os.read(self._pipe, 1 << 16)
            if not data:
                return None
            *records, self._pending = (self._pending + data).split(b"\0")
            self._records.extend(records)
        return self._records.popleft()

    def end(self, stuck: bool) -> bool:
        """Ends the child and says whether it is still there: one that is stuck in the kernel dies when it gets out."""
        os.close(self._pipe)
        if stuck:
            _kill(self.pid)
        return not _gone(self.pid, os.WNOHANG if stuck else 0)


def _parse(record: bytes) -> Answer:
    if record.startswith(b"="):
        return to_text(record[1:])
    return Unreadable(record[1:].decode()) if record.startswith(b"!") else None


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _gone(pid: int, options: int) -> bool:
    try:
        return os.waitpid(pid, options)[0] == pid
    except ChildProcessError:
        return True


def _reap() -> None:
    """Forgets the children that have got out of the kernel meanwhile."""
    for path, pid in list(_left_behind.items()):
        if _gone(pid, os.WNOHANG):
            del _left_behind[path]
