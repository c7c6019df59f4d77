"""The tests of ``tests/kernel/inside`` on several kernels."""

import shutil
import sys
import threading
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from . import build, guest, kernels
from .errors import KernelMissingError

WALKS = {"intel": "150", "amd": "200"}
"""Steps of a walk."""

CHECKOUT = Path(__file__).resolve().parents[2]
INSIDE = "tests/kernel/inside"


class Guest(NamedTuple):
    """A kernel, and the IOMMU that it is booted with."""

    kernel: str
    iommu: str = "intel"

    @property
    def name(self) -> str:
        """``sid``, or ``sid-amd``."""
        return self.kernel if self.iommu == "intel" else f"{self.kernel}-{self.iommu}"


def _files(*names: str) -> tuple[str, ...]:
    return tuple(f"{INSIDE}/test_{name}.py" for name in names)


WALK = _files("walk")
"""Always the last test in its guest: a device that it removes may come back without memory that its driver can use,
and then stays unbound."""
VERSIONED = (*_files("commands", "ids", "ownership", "uses"), *WALK)
"""Tests that depend on the kernel's version; run on every kernel."""
WHOLE = (*_files("applying", "export", "harness", "root", "screen"), *VERSIONED)
"""Tests that run on the kernels of `WHOLE_KERNELS`. The other tests run only if named: they need a second boot, a
specially built kernel, or a virtual machine in the guest, and take longer than all of these."""
WHOLE_KERNELS = ("bookworm", "sid")
IOMMU = (*_files("commands"), *WALK)
"""Tests that depend on the kind of IOMMU."""
BRIEF: Mapping[Guest, Sequence[str]] = {
    Guest("bookworm"): (*_files("applying"), *WALK),
    Guest("sid"): (*_files("commands"), *WALK),
    Guest("sid", "amd"): IOMMU,
    **{Guest(name): WALK for name in ("bullseye", "trixie")},
}
"""Tests that take half an hour on two processors, the longest first: the rules on every kernel, rules and commands on
both kinds of IOMMU, and applying on one kernel."""
#: A mirror may lack one kernel for a day; a run with fewer kernels than this proves too little.
ENOUGH_KERNELS = 3
REBOOT = f"{INSIDE}/test_reboot.py"
REBOOTED = ("bookworm", "sid")
#: The kernels that are booted a second time, to check what the first boot left.


@dataclass(frozen=True)
class Tally:
    """What pytest counted on one kernel."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    note: str = ""


def guests(names: Sequence[str] | None, iommu: str | None) -> list[Guest]:
    """The guests for these kernels and this IOMMU, by default all; a kernel that has to be built only if cached."""
    found = [Guest(name, iommu or "intel") for name in dict.fromkeys(names or kernels.NAMES)]
    if names is not None:
        return found
    for name in build.BUILT:
        if kernels.cached(name) is not None:
            found.append(Guest(name, iommu or "intel"))
        else:
            print(f"guest: kernel {name} is left out: it is not built (python -m tests.kernel build)", file=sys.stderr)
    return found


def default_tests(each: Guest) -> Sequence[str]:
    """The tests that run in a guest if none are named."""
    if each.iommu == "amd":
        return IOMMU
    if each.kernel in build.BUILT:
        return (INSIDE,)
    return WHOLE if each.kernel in WHOLE_KERNELS else VERSIONED


def parse_junit(text: str) -> Tally:
    """Count the outcomes in a JUnit report; an error in a fixture counts as a failure."""
    passed = failed = skipped = 0
    for suite in ElementTree.fromstring(text).iter("testsuite"):
        total, errors, failures, skips = (
            int(suite.get(name, "0")) for name in ("tests", "errors", "failures", "skipped")
        )
        failed += errors + failures
        skipped += skips
        passed += total - errors - failures - skips
    return Tally(passed, failed, skipped)


def judge(tally: Tally | None, result: guest.Result) -> Tally:
    """Make sure that a run that went wrong counts as a failure: the report alone does not show a dead guest."""
    if result.status is None:
        note = "timed out" if result.timed_out else "guest died"
    elif tally is None:
        note = f"no report, pytest's exit status is {result.status}"
    elif result.status and not tally.failed:
        note = f"pytest's exit status is {result.status}"
    else:
        return tally
    seen = tally or Tally()
    return Tally(seen.passed, seen.failed + 1, seen.skipped, note)


def pytest_command(report: Path, arguments: Sequence[str], default: Sequence[str] = (INSIDE,)) -> tuple[str, ...]:
    """Return the command for the guest; it runs ``default`` unless ``arguments`` name tests."""
    named = any((CHECKOUT / word.split("::")[0]).exists() for word in arguments if not word.startswith("-"))
    selection = [] if named else default
    # A line per test, while it runs: in a guest, some take minutes.
    options = ["-vv", "-p", "no:cacheprovider", f"--junitxml={report}"]
    return (sys.executable, "-m", "pytest", *options, *selection, *arguments)


class Labelled:
    """Whole lines of one guest, each with its name in front, so that several guests can print at once."""

    def __init__(self, name: str, sink: guest.Sink, lock: threading.Lock) -> None:
        self._label = f"{name}: ".encode()
        self._sink = sink
        self._lock = lock
        self._rest = b""

    def write(self, data: bytes) -> None:
        """Pass on the lines that are complete."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        with self._lock:
            for line in lines:
                self._sink.write(self._label + line + b"\n")

    def flush(self) -> None:
        """Show what has been passed on."""
        with self._lock:
            self._sink.flush()

    def close(self) -> None:
        """Pass on a last line without a newline."""
        if self._rest:
            self.write(b"\n")
            self.flush()


def run(
    tests: Mapping[Guest, Sequence[str]],
    topology: str,
    jobs: Path,
    timeout: float | None,
    arguments: Sequence[str],
    at_once: int = 1,
) -> int:
    """Boot each guest once, run its tests in it, print a summary, and return the exit status.

    ``arguments`` are pytest's; tests among them replace the guest's default tests. Each guest keeps one
    processor busy; ``at_once`` of them run side by side.
    """
    tallies: dict[Guest, Tally] = {}
    lines: dict[Guest, str] = {}
    found: dict[Guest, kernels.Kernel] = {}
    for each in tests:
        try:
            found[each] = build.build(each.kernel) if each.kernel in build.BUILT else kernels.fetch(each.kernel)
        except KernelMissingError as problem:
            print(f"guest: {problem}", file=sys.stderr)
            lines[each] = f"{each.name:10} missing"
    stop, lock = threading.Event(), threading.Lock()

    def one(each: Guest) -> Tally:
        out, err = (Labelled(each.name, stream.buffer, lock) for stream in (sys.stdout, sys.stderr))
        try:
            return _run_one(
                each.iommu, found[each], topology, jobs / each.name, timeout, tests[each], arguments, out, err, stop
            )
        finally:
            out.close()
            err.close()

    print(
        f"===== kernels {', '.join(each.name for each in found)}; topology {topology}; {at_once} at once =====",
        flush=True,
    )
    with ThreadPoolExecutor(at_once) as pool:
        try:
            tallies = dict(zip(found, pool.map(one, found), strict=True))
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    for each, tally in tallies.items():
        counts = f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped"
        lines[each] = f"{each.name:10} {found[each].release:26} {counts}{'; ' + tally.note if tally.note else ''}"
    passed = sum(tally.passed for tally in tallies.values())
    failed = sum(tally.failed for tally in tallies.values())
    print("\n".join(["===== kernels =====", *(lines[each] for each in tests)]))
    enough = len(tallies) >= min(ENOUGH_KERNELS, len(tests))
    if not enough:
        print(f"only {len(tallies)} of {len(tests)} kernels could be had")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 0 if enough and passed and not failed else 1


def _run_one(
    iommu: str,
    kernel: kernels.Kernel,
    topology: str,
    job: Path,
    timeout: float | None,
    tests: Sequence[str],
    arguments: Sequence[str],
    out: guest.Sink,
    err: guest.Sink,
    stop: threading.Event,
) -> Tally:
    def boot(words: Sequence[str]) -> Tally:
        return _boot(iommu, kernel, topology, job, timeout, tests, words, out, err, stop)

    shutil.rmtree(job / "reboot", ignore_errors=True)
    first = boot(arguments)
    if kernel.name not in REBOOTED or not (job / "reboot/left").exists() or stop.is_set():
        return first
    second = boot([REBOOT])
    return Tally(
        first.passed + second.passed,
        first.failed + second.failed,
        first.skipped + second.skipped,
        "; ".join(note for note in (first.note, second.note) if note),
    )


def _boot(
    iommu: str,
    kernel: kernels.Kernel,
    topology: str,
    job: Path,
    timeout: float | None,
    tests: Sequence[str],
    arguments: Sequence[str],
    out: guest.Sink,
    err: guest.Sink,
    stop: threading.Event,
) -> Tally:
    report = job / "junit.xml"
    report.unlink(missing_ok=True)
    options = guest.Options(
        kernel=kernel,
        topology=topology,
        command=pytest_command(report, arguments, tests),
        job=job,
        timeout=timeout,
        directory=CHECKOUT,
        iommu=iommu,
        preload=(*guest.DEFAULT_PRELOAD, "iommufd") if kernel.name in build.BUILT else guest.DEFAULT_PRELOAD,
        environment={"IOMMUTUI_WALK_STEPS": WALKS[iommu]},
    )
    result = guest.run(options, out, err, stop)
    if not result.started and not result.timed_out:
        # On a busy machine the emulated timer may be late for the kernel's own check, which then panics.
        err.write(f"{result.last_words}\nthe guest died before the tests began; once more\n".encode())
        result = guest.run(options, out, err, stop)
    if result.status is None:
        err.write(f"{result.last_words}\n".encode())
    return judge(_read(report), result)


def _read(report: Path) -> Tally | None:
    try:
        return parse_junit(report.read_text())
    except (OSError, ElementTree.ParseError):
        return None
