"""Every step and event of every recorded kernel is replayed, and the engine agrees with the kernels."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.core.aside import RULES
from tests.core.replay import Result, replay
from tests.core.replay_events import replay_events
from tests.shared import SHARED

FIRST = sorted([*SHARED.glob("traces/*/*/*/*.jsonl"), *SHARED.glob("lab/crashes/*/*.jsonl")])
SECOND = sorted(SHARED.glob("traces2/*/walk-*.jsonl"))
EVENTS = sorted(SHARED.glob("traces2/*/*.out"))
TRACES = [*FIRST, *SECOND, *EVENTS]

pytestmark = pytest.mark.skipif(not TRACES, reason="needs recorded traces; name their folder with IOMMUTUI_SHARED")


@pytest.fixture(scope="module")
def results() -> dict[Path, Result]:
    return {path: (replay_events if path.suffix == ".out" else replay)(path) for path in TRACES}


@pytest.mark.parametrize("path", TRACES, ids=[str(path.relative_to(SHARED)) for path in TRACES])
def test_engine_and_kernel_agree(path: Path, results: dict[Path, Result]) -> None:
    assert results[path].differences == []


def test_the_replay_compared_every_fact(results: dict[Path, Result], capsys: pytest.CaptureFixture[str]) -> None:
    """Counts what was compared and what was set aside, by rule: an empty replay proves nothing."""
    aside: Counter[str] = sum((result.aside for result in results.values()), Counter())
    with capsys.disabled():
        for name, paths in (("first set", FIRST), ("second set, walks", SECOND), ("second set, events", EVENTS)):
            print(f"\nreplay: {name}: {_counts(results[path] for path in paths)}", end="")
        print("\nset aside, in steps:")
        for rule, count in aside.most_common():
            print(f"{count:5} {rule}")
    assert set(aside) <= set(RULES)
    first = [results[path] for path in FIRST]
    assert len(first) >= 119
    assert sum(result.steps for result in first) >= 4600
    assert sum(result.facts for result in first) >= 400_000
    assert sum(result.agreed for result in first) >= 4400
    assert sum(result.steps - result.agreed for result in first) <= 225
    assert sum(result.crashes for result in first) >= 4


def _counts(results: Iterable[Result]) -> str:
    found = list(results)
    steps, agreed = sum(result.steps for result in found), sum(result.agreed for result in found)
    return (
        f"{len(found)} traces, {steps} steps, {sum(result.facts for result in found)} facts; {agreed} steps agree "
        f"wholly, in {steps - agreed} some fact is set aside; {sum(r.crashes for r in found)} crashes predicted"
    )


def test_walks_agree_on_nearly_every_fact(results: dict[Path, Result]) -> None:
    """Walks record everything, so hardly anything may be set aside."""
    walks = [result for path, result in results.items() if path.parent.name == "walks"]
    assert sum(result.steps for result in walks) >= 2600
    assert sum(result.steps - result.agreed for result in walks) <= 5


@pytest.mark.skipif(not SECOND, reason="needs the second set of recorded traces")
def test_the_second_set_agrees_except_for_ports_of_old_kernels(results: dict[Path, Result]) -> None:
    found = [results[path] for path in (*SECOND, *EVENTS)]
    assert sum(result.steps for result in found) >= 1250
    assert sum(result.facts for result in found) >= 59_000
    assert sum(result.steps - result.agreed for result in found) <= 2
