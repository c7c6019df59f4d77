"""The tests of ``tests/kernel/inside`` on several kernels."""

import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import guest, kernels
from .errors import KernelMissingError

CHECKOUT = Path(__file__).resolve().parents[2]
INSIDE = "tests/kernel/inside"
#: A mirror may lack one kernel for a day; with fewer than this many the run proves too little.
ENOUGH_KERNELS = 3


@dataclass(frozen=True)
class Tally:
    """What pytest counted on one kernel."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    note: str = ""


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
    """Make sure that a run which went wrong has a failure: the report alone does not show a dead guest."""
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


def pytest_command(report: Path, arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the command for the guest; the whole directory is run unless ``arguments`` name some of it."""
    named = any((CHECKOUT / word.split("::")[0]).exists() for word in arguments if not word.startswith("-"))
    selection = [] if named else [INSIDE]
    options = ["-p", "no:cacheprovider", f"--junitxml={report}"]
    return (sys.executable, "-m", "pytest", *options, *selection, *arguments)


def run(names: Sequence[str], topology: str, jobs: Path, timeout: float | None, arguments: Sequence[str]) -> int:
    """Boot each kernel once, run the tests in it, print a summary, and return the exit status."""
    tallies: dict[str, Tally] = {}
    lines: list[str] = []
    for name in names:
        print(f"===== kernel {name}, topology {topology} =====", flush=True)
        try:
            kernel = kernels.fetch(name)
        except KernelMissingError as problem:
            print(f"guest: {problem}", file=sys.stderr)
            lines.append(f"{name:10} missing")
            continue
        tallies[name] = tally = _run_one(kernel, topology, jobs / name, timeout, arguments)
        counts = f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped"
        lines.append(f"{name:10} {kernel.release:26} {counts}{'; ' + tally.note if tally.note else ''}")
    passed = sum(tally.passed for tally in tallies.values())
    failed = sum(tally.failed for tally in tallies.values())
    print("\n".join(["===== kernels =====", *lines]))
    enough = len(tallies) >= min(ENOUGH_KERNELS, len(names))
    if not enough:
        print(f"only {len(tallies)} of {len(names)} kernels could be had")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 0 if enough and passed and not failed else 1


def _run_one(
    kernel: kernels.Kernel, topology: str, job: Path, timeout: float | None, arguments: Sequence[str]
) -> Tally:
    report = job / "junit.xml"
    report.unlink(missing_ok=True)
    result = guest.run(
        guest.Options(
            kernel=kernel,
            topology=topology,
            command=pytest_command(report, arguments),
            job=job,
            timeout=timeout,
            directory=CHECKOUT,
        )
    )
    if result.status is None:
        print(result.last_words, file=sys.stderr)
    return judge(_read(report), result)


def _read(report: Path) -> Tally | None:
    try:
        return parse_junit(report.read_text())
    except (OSError, ElementTree.ParseError):
        return None
