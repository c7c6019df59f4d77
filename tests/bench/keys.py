"""Keys on a real terminal: the CPU time of the whole program from a key until it is quiet again, and its memory.

The program runs in a process of its own on a pseudo-terminal, so that parsing the key, painting, and everything that
follows a key a little later (a title's count, a completion) is in the figure. The kernel's scheduler counts the
nanoseconds (``/proc/PID/task/*/schedstat``), so that what else the machine does is not.
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
"""Seconds without output and without work, after which a key is done with."""

ASLEEP = 0.01
"""The share of a CPU that counts as no work: the program's event loop looks at its timers now and then."""

TAKEN = 0.0005
"""Seconds of CPU after which the program has certainly begun with a key."""


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
"""Every command that neither ends the program nor writes: moves, pages, folds, staging and taking back, a filter letter
by letter, tabs, topology and a search in it, orders, rules, zoom, marks, panes, the log, a review, and every dialog."""

TABLE_SCRIPT = (*("\x1b[B",) * 12, Opens("\x10"), "\x1b")
"""The same on the reference: its cursor moves, and Textual's palette opens."""

IDLE = "\x1bOS"
"""F4, which is bound to nothing: what a key costs that does nothing."""


class Press(NamedTuple):
    """A key, and the CPU seconds that it took."""

    key: str
    cpu: float


class Terminal:
    """A program on a terminal of 120 x 40."""

    def __init__(self, pid: int, master: int) -> None:
        self._pid = pid
        self._master = master
        self._last = ""

    def cpu(self) -> float:
        """Seconds on a CPU of all of its threads that there are."""
        total = 0
        for task in Path(f"/proc/{self._pid}/task").iterdir():
            with suppress(OSError):  # a thread that has just ended
                total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def wait_for(self, sign: bytes, seconds: float = 120) -> None:
        """Reads until the sign has been shown."""
        seen, end = b"", time.monotonic() + seconds
        while sign not in seen:
            ready, _, _ = select.select([self._master], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                sys.exit(f"{sign!r} was not shown in {seconds} seconds; the end of what was: {seen[-500:]!r}")
            seen = seen[-4096:] + os.read(self._master, 65536)

    def _waits(self) -> bool:
        """Whether one of its threads is runnable."""
        states = (
            task.read_text().rpartition(")")[2].split()[0] for task in Path(f"/proc/{self._pid}/task").glob("*/stat")
        )
        return "R" in states

    def settle(self, quiet: float = QUIET) -> None:
        """Reads until there is neither output nor work for a while, nor work that waits for a CPU."""
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
        """Presses a key and waits until everything is done that follows from it."""
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
        """Resident megabytes now, and at the highest."""
        lines = Path(f"/proc/{self._pid}/status").read_text().splitlines()
        found = {
            line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith(("VmRSS", "VmHWM"))
        }
        return found["VmRSS"], found["VmHWM"]


@contextmanager
def terminal(argv: Sequence[str], home: Path) -> Iterator[Terminal]:
    """The program, on a terminal; ``home`` is where it remembers things."""
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
    """The cost of a session of keys."""

    presses: tuple[Press, ...]
    idle: float
    """The median of a key that does nothing."""
    resident: float
    peak: float

    @property
    def median(self) -> float:
        """Seconds of CPU."""
        return statistics.median(press.cpu for press in self.presses)

    @property
    def cursor(self) -> float:
        """The median of the keys that the script begins with, each of which moves the cursor by a row."""
        return statistics.median(press.cpu for press in self.presses[:12])

    @property
    def slowest_dialog(self) -> Press:
        """The key whose dialog takes longest to open."""
        return max((press for press in self.presses if isinstance(press.key, Opens)), key=lambda press: press.cpu)


class Program(NamedTuple):
    """What is started, what it shows once it is there, and the keys that are pressed on it."""

    argv: Sequence[str]
    sign: bytes
    script: Sequence[str] = SCRIPT


def keys(programs: Sequence[Program], home: Path, runs: int = 3) -> list[Measured]:
    """Presses the script of each program on it, in several sessions and in turns; the smallest time of each key counts.

    What a key does is the same in every session. What differs is what others on the same processor take from it: its
    caches, and on a virtual machine whole time slices, which are counted as if they had been the program's.
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
            running.press("\x1b")  # the orientation of a first start
            running.press("g")  # the first row, as on the reference; the cursor starts at a likely device
        idle = statistics.median(running.press(IDLE).cpu for _ in range(9))
        presses = tuple(running.press(key) for key in program.script)
        return Measured(presses, idle, *running.memory())


def main() -> None:
    """``python -m tests.bench.keys FILE [RUNS]``: every key with its time, the slowest first."""
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
