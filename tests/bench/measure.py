"""Timings: commands and first useful frames by the clock, in turns; functions by CPU time."""

import os
import pty
import select
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple


class Ratio(NamedTuple):
    """One line of the report; the budget is met while ``value`` stays at or below ``budget``."""

    what: str
    ours: str
    reference: str
    value: float
    budget: float

    @property
    def met(self) -> bool:
        """Whether the budget holds."""
        return self.value <= self.budget


def need(package: str, command: str) -> None:
    """Installs a Debian package whose command is missing, or says which one to install."""
    if shutil.which(command):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", package], check=True)
    if not shutil.which(command):
        sys.exit(f"{command} is missing; install the package {package}.")


_NOWHERE = [(os.POSIX_SPAWN_OPEN, stream, os.devnull, os.O_RDWR, 0) for stream in (0, 1, 2)]


def in_turns(timers: Sequence[Callable[[], float]], runs: int) -> list[float]:
    """The lower quartile of each timer's times, in seconds.

    The timers take turns, so that other load on the machine affects all of them alike. Load only ever adds to a time,
    so the lower times are the better measure. The first round, which fills the caches, is not counted.
    """
    rounds = [[timer() for timer in timers] for _ in range(runs + 1)][1:]
    return [sorted(column)[runs // 4] for column in zip(*rounds, strict=True)]


def commands(argvs: Sequence[list[str]], runs: int) -> list[float]:
    """The time of each command, from its start to its end."""
    return in_turns([partial(_one_run, argv) for argv in argvs], runs)


def _one_run(argv: list[str]) -> float:
    start = time.perf_counter()
    pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=_NOWHERE)
    _, status = os.waitpid(pid, 0)
    taken = time.perf_counter() - start
    if status != 0:
        sys.exit(f"{' '.join(argv)} ended in {os.waitstatus_to_exitcode(status)}")
    return taken


def cpu(function: Callable[[], object], runs: int) -> float:
    """The median CPU time of a call, in seconds."""
    times = []
    for _ in range(runs):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return statistics.median(times)


def first_frames(programs: Sequence[tuple[list[str], bytes]], runs: int) -> list[float]:
    """The time of each program, from its start on a terminal of 120 x 40 until it shows its sign."""
    return in_turns([partial(_one_frame, argv, sign) for argv, sign in programs], runs)


def _one_frame(argv: list[str], sign: bytes) -> float:
    start = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS="120", LINES="40", COLORTERM="truecolor")
        os.execvp(argv[0], argv)
    seen = b""
    try:
        while sign not in seen:
            ready, _, _ = select.select([terminal], [], [], 30)
            if not ready:
                sys.exit(f"{argv} has not shown {sign!r} in 30 seconds; it showed {seen[-500:]!r}")
            seen += os.read(terminal, 65536)
        return time.perf_counter() - start
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)
