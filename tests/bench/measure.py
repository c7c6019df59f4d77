"""Timings: whole commands by hyperfine, functions by CPU time, terminals by their first useful frame."""

import json
import os
import pty
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
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


def commands(pairs: list[list[str]], runs: int) -> list[float]:
    """The median time of each command in seconds, measured side by side."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        quoted = [" ".join(f"'{word}'" for word in words) for words in pairs]
        subprocess.run(
            ["hyperfine", "-N", "-w", "2", "-r", str(runs), "--export-json", str(report), *quoted],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return [result["median"] for result in json.loads(report.read_text())["results"]]


def cpu(function: Callable[[], object], runs: int) -> float:
    """The median CPU time of a call, in seconds."""
    times = []
    for _ in range(runs):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return statistics.median(times)


def first_frames(programs: list[tuple[list[str], bytes]], runs: int) -> list[float]:
    """The median time of each program from being spawned on a terminal of 120 x 40 until it has shown its sign.

    They take turns, so that whatever else the machine does meets all of them alike.
    """
    times = [[_one_frame(argv, sign) for argv, sign in programs] for _ in range(runs)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


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
