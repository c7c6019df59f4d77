"""Reads of attributes that may never return, by a child process.

While an unbind of a device waits for its user, reading the device's ``driver_override`` waits with it inside the
kernel, where no signal reaches (seen on 5.10 and 6.1). A thread stuck like that would keep this process from ever
exiting; a child can be left behind.
"""

import contextlib
import os
import select
import signal
import sys
from collections.abc import Iterable

from iommutui import debug
from iommutui.sources.tree import Unreadable, failure, to_text

DEADLINE = 1.0
"""Seconds without any answer after which those that are missing are given up."""

STARTING = 10.0
"""Seconds that the child may take to start on a busy machine."""

TIMEOUT = Unreadable("timeout")

Answer = str | Unreadable | None
"""A file's text, why it is not known, or None if there is none."""

_CHILD = os.path.join(os.path.dirname(__file__), "deadline_child.py")

_left_behind: dict[str, int] = {}
"""Children that are stuck, by the directories of what they read. No other is sent after them, so that a program which
refreshes every few seconds neither waits again nor leaves more children behind."""


class DeadlineReader:
    """The answers for some files, by path. The child reads while the caller does other things."""

    def __init__(self, paths: Iterable[str], deadline: float = DEADLINE) -> None:
        _reap()
        asked = list(paths)
        self._answers: dict[str, Answer] = {path: TIMEOUT for path in asked if os.path.dirname(path) in _left_behind}
        self._asked = [path for path in asked if path not in self._answers]
        self._deadline = deadline
        self._started = False
        self._pending = b""
        self._pid: int | None = None
        if self._asked:
            try:
                self._pid, self._pipe = _spawn(self._asked)
            except OSError as error:
                self._answers.update(dict.fromkeys(self._asked, failure(error) or Unreadable("ENOENT")))

    def get(self, path: str) -> Answer:
        """The file's text without its last newline; `TIMEOUT` where the kernel does not answer in time."""
        while self._pid is not None and path not in self._answers:
            self._receive(self._pid)
        return self._answers.get(path)

    def close(self) -> None:
        """Waits for the last answers, and ends the child."""
        while self._pid is not None:
            self._receive(self._pid)

    def _receive(self, pid: int) -> None:
        """Takes the answers that have come. If none comes in time, or none is left, the child is ended."""
        poll = select.poll()
        poll.register(self._pipe, select.POLLIN)
        in_time = poll.poll((self._deadline if self._started else STARTING) * 1000)
        data = os.read(self._pipe, 1 << 16) if in_time else b""
        if not data:
            self._end(pid)
            return
        self._started = True
        *records, self._pending = (self._pending + data).split(b"\0")
        for record in filter(None, records):
            number, _, answer = record.partition(b" ")
            self._answers[self._asked[int(number)]] = _parse(answer)

    def _end(self, pid: int) -> None:
        """A child stuck in the kernel dies when it returns; until then its directories are not read."""
        os.close(self._pipe)
        self._pid = None
        missing = [path for path in self._asked if path not in self._answers]
        if not missing:
            _gone(pid, 0)
            return
        self._answers.update(dict.fromkeys(missing, TIMEOUT))
        silent = dict.fromkeys(map(os.path.dirname, missing), pid)
        debug.log("scan: %s does not answer", ", ".join(silent))
        _kill(pid)
        if not _gone(pid, os.WNOHANG):
            _left_behind.update(silent)


def _spawn(paths: Iterable[str]) -> tuple[int, int]:
    """Starts a child for these files; returns its process id and the pipe for its answers. Raises OSError."""
    # A file in memory, because a pipe would block this process until the child reads.
    requests = os.memfd_create("iommutui-paths")
    receiving, sending = os.pipe()
    try:
        os.write(requests, b"".join(os.fsencode(path) + b"\0" for path in paths))
        os.lseek(requests, 0, os.SEEK_SET)
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable or "python", "-I", "-S", _CHILD],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, requests, 0),
                (os.POSIX_SPAWN_DUP2, sending, 1),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
            ],
            setpgroup=0,  # Ctrl-C is meant for the program that the user sees
        )
    except OSError:
        os.close(receiving)
        raise
    finally:
        os.close(requests)
        os.close(sending)
    return pid, receiving


def _parse(answer: bytes) -> Answer:
    if answer.startswith(b"="):
        return to_text(answer[1:])
    return Unreadable(answer[1:].decode()) if answer.startswith(b"!") else None


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _gone(pid: int, options: int) -> bool:
    try:
        return os.waitpid(pid, options)[0] == pid
    except ChildProcessError:
        return True


def _reap() -> None:
    """Forgets the children that have returned from the kernel meanwhile."""
    gone = {pid for pid in {*_left_behind.values()} if _gone(pid, os.WNOHANG)}
    for path in [path for path, pid in _left_behind.items() if pid in gone]:
        del _left_behind[path]
