"""Keys on a real terminal: the program's CPU time from a key until it is idle again, and its memory.

The program runs in its own process on a pseudo-terminal, so the figure includes parsing the key, painting, and what
follows a little later (a title's count, a completion). The kernel's scheduler counts the nanoseconds
(``/proc/PID/task/*/schedstat``), so the figure excludes other programs.
"""

import fcntl
import os
import pty
import select
import signal
import statistics
import struct
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

QUIET = 0.06
"""Seconds without output or work after which a key counts as done."""

ASLEEP = 0.01
"""The share of a CPU that still counts as no work: the program's event loop checks its timers now and then."""

TAKEN = 0.0005
"""Seconds of CPU after which the program has certainly started on a key."""


class Opens(str):
    """A key that opens a dialog."""


SCRIPT = (
    *("j",) * 8, *("k",) * 4, *("\x1b[6~",) * 4, "\x1b[5~", "G", "g", "\x04", "\x15", "]", "]", "[",
    "h", "l", "H", "H", "J", "j", "v", "z", "Z", "z", "v", "j", " ", "j", "f", "x", "K", "v", "X", "z",
    "/", *"nouveau", "\r", "j", "j", "\x1b",
    "i", "j", "j", "e", "j", "j", "M", "j", "j", "w", "T", "j", "j", "\x1b[6~", "G", "g", "v", "z", "\x1b",
    "s", "j", "s", "s", Opens("m"), "j", "\x1b", "+", "+", "b", "B", "b",
    "\r", "1", "\t", "\t", "\x1b[Z", "2", "j", "3", "1", "L", "L", "y", "r", "R",
    "c", "z", "C", "z", "p", "d", "F", Opens("a"), "\x1b", "X",
    "T", "/", *"igb", "\r", "n", "n", "N", "\x1b", "\x1b",
    Opens("o"), "1", "\x1b", Opens("t"), "j", "\x1b", Opens("Y"), "j", "\x1b", Opens("?"), "j", "\x1b[6~", "\x1b",
    Opens(":"), "\x1b",
)  # fmt: skip
"""Every command that neither ends the program nor writes: moves, pages, folds, staging and unstaging, a filter letter
by letter, tabs, topology and a search in it, orders, rules, zoom, marks, panes, the log, a review, and every dialog."""

TABLE_SCRIPT = (*("\x1b[B",) * 12, Opens("\x10"), "\x1b")
"""The keys for the reference: its cursor moves, and Textual's palette opens."""

IDLE = "\x1bOS"
"""F4, which is not bound: the cost of a key that does nothing."""


class Press(NamedTuple):
    """A key and the CPU seconds that it took."""

    key: str
    cpu: float


class Terminal:
    """A program on a terminal of 120 x 40."""

    def __init__(self, pid: int, master: int) -> None:
        self._pid = pid
        self._master = master
        self._last = ""

    def cpu(self) -> float:
        """CPU seconds of all its present threads."""
        total = 0
        for task in Path(f"/proc/{self._pid}/task").iterdir():
            with suppress(OSError):  # a thread that has just ended
                total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def wait_for(self, sign: bytes, seconds: float = 120) -> None:
        """Reads until the sign is shown."""
        seen, end = b"", time.monotonic() + seconds
        while sign not in seen:
            ready, _, _ = select.select([self._master], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                sys.exit(f"{sign!r} was not shown in {seconds} seconds; the end of what was: {seen[-500:]!r}")
            seen = seen[-4096:] + os.read(self._master, 65536)

    def _waits(self) -> bool:
        """Whether any of its threads is runnable."""
        states = (
            task.read_text().rpartition(")")[2].split()[0] for task in Path(f"/proc/{self._pid}/task").glob("*/stat")
        )
        return "R" in states

    def settle(self, quiet: float = QUIET) -> None:
        """Reads until there has been no output, no work, and no thread waiting for a CPU for a while."""
        before, end = self.cpu(), time.monotonic() + 30
        while True:
            if time.monotonic() > end:
                sys.exit(f"The program has not come to rest in 30 seconds after {self._last!r}.")
            ready, _, _ = select.select([self._master], [], [], quiet)
            if ready:
                os.read(self._master, 65536)
            now = self.cpu()
            if not ready and not self._waits() and now - before < ASLEEP * quiet:
                return
            before = now

    def press(self, key: str) -> Press:
        """Presses a key and waits until all its effects are done."""
        self._last = key
        before = self.cpu()
        os.write(self._master, key.encode())
        end = time.monotonic() + 30
        while self.cpu() - before < TAKEN:
            if time.monotonic() > end:
                sys.exit(f"The program has not taken {key!r} in 30 seconds.")
            time.sleep(0.001)
        self.settle()
        return Press(key, self.cpu() - before)

    def memory(self) -> tuple[float, float]:
        """Resident megabytes, now and at the peak."""
        lines = Path(f"/proc/{self._pid}/status").read_text().splitlines()
        found = {
            line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith(("VmRSS", "VmHWM"))
        }
        return found["VmRSS"], found["VmHWM"]


@contextmanager
def terminal(argv: Sequence[str], home: Path) -> Iterator[Terminal]:
    """The program on a terminal; ``home`` holds its settings and state."""
    pid, master = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", XDG_STATE_HOME=str(home),
                          XDG_CONFIG_HOME=str(home), XDG_DATA_HOME=str(home))  # fmt: skip
        os.execvp(argv[0], list(argv))
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    try:
        yield Terminal(pid, master)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(master)


class Measured(NamedTuple):
    """The cost of the keys of a session."""

    presses: tuple[Press, ...]
    idle: float
    """The median for a key that does nothing."""
    resident: float
    peak: float

    @property
    def median(self) -> float:
        """The median of all keys, in CPU seconds."""
        return statistics.median(press.cpu for press in self.presses)

    @property
    def cursor(self) -> float:
        """The median of the script's first keys, each of which moves the cursor by a row."""
        return statistics.median(press.cpu for press in self.presses[:12])

    @property
    def slowest_dialog(self) -> Press:
        """The key whose dialog takes the longest to open."""
        return max((press for press in self.presses if isinstance(press.key, Opens)), key=lambda press: press.cpu)


class Program(NamedTuple):
    """The command to start, the text it shows once it has started, and the keys to press."""

    argv: Sequence[str]
    sign: bytes
    script: Sequence[str] = SCRIPT


def keys(programs: Sequence[Program], home: Path, runs: int = 3) -> list[Measured]:
    """Presses each program's script in several sessions, in turns; the smallest time of each key counts.

    A key does the same work in every session. The times differ because other programs take the processor's caches and,
    on a virtual machine, whole time slices, which are counted as if the program had used them.
    """
    rounds = [[_session(program, home) for program in programs] for _ in range(runs)]
    return [_least(sessions) for sessions in zip(*rounds, strict=True)]


def _least(sessions: Sequence[Measured]) -> Measured:
    every = zip(*(m.presses for m in sessions), strict=True)
    presses = tuple(Press(same[0].key, min(press.cpu for press in same)) for same in every)
    return Measured(
        presses,
        min(m.idle for m in sessions),
        max(m.resident for m in sessions),
        max(m.peak for m in sessions),
    )


def _session(program: Program, home: Path) -> Measured:
    with terminal(program.argv, home) as running:
        running.wait_for(program.sign)
        running.settle(0.3)
        if program.script is SCRIPT:
            running.press("\x1b")  # closes the introduction of a first start
            running.press("g")  # the first row, as on the reference; the cursor starts at a likely device
        idle = statistics.median(running.press(IDLE).cpu for _ in range(9))
        presses = tuple(running.press(key) for key in program.script)
        return Measured(presses, idle, *running.memory())


def main() -> None:
    """``python -m tests.bench.keys FILE [RUNS]``: prints every key with its time, the slowest first."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        program = Program([str(Path(sys.executable).with_name("iommutui")), "--from", sys.argv[1]], b"00:00.")
        (found,) = keys([program], Path(folder), runs=int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    for press in sorted(found.presses, key=lambda press: -press.cpu):
        print(f"{press.cpu * 1000:7.2f} ms  {press.key!r}")
    print(f"median {found.median * 1000:.2f} ms, a key that does nothing {found.idle * 1000:.2f} ms, "
          f"{found.resident:.0f} MB, at most {found.peak:.0f} MB")  # fmt: skip


if __name__ == "__main__":
    main()
