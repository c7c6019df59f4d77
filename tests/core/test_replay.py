"""Every step of every recorded trace, replayed: the engine agrees with what the kernels did."""

from collections import Counter
from pathlib import Path

import pytest

from tests.core.aside import RULES
from tests.core.replay import Result, replay
from tests.shared import SHARED

TRACES = sorted([*SHARED.glob("traces/*/*/*/*.jsonl"), *SHARED.glob("lab/crashes/*/*.jsonl")])

pytestmark = pytest.mark.skipif(not TRACES, reason="needs recorded traces; name their folder with IOMMUTUI_SHARED")


@pytest.fixture(scope="module")
def results() -> dict[Path, Result]:
    return {path: replay(path) for path in TRACES}


@pytest.mark.parametrize("path", TRACES, ids=[str(path.relative_to(SHARED)) for path in TRACES])
def test_engine_and_kernel_agree(path: Path, results: dict[Path, Result]) -> None:
    assert results[path].differences == []


def test_everything_was_compared(results: dict[Path, Result], capsys: pytest.CaptureFixture[str]) -> None:
    """What was compared and what was set aside, by rule; an empty replay proves nothing."""
    steps = sum(result.steps for result in results.values())
    agreed = sum(result.agreed for result in results.values())
    facts = sum(result.facts for result in results.values())
    crashes = sum(result.crashes for result in results.values())
    aside: Counter[str] = sum((result.aside for result in results.values()), Counter())
    with capsys.disabled():
        print(f"\nreplay: {len(results)} traces, {steps} steps, {facts} facts; {agreed} steps agree wholly,")
        print(f"in {steps - agreed} some fact is set aside ({crashes} crashes predicted):")
        for rule, count in aside.most_common():
            print(f"{count:5} {rule}")
    assert set(aside) <= set(RULES)
    assert steps >= 4600
    assert facts >= 400_000
    assert agreed >= 4400
    assert steps - agreed <= 225
    assert crashes >= 4
    assert len(results) >= 119


def test_walks_agree_wholly(results: dict[Path, Result]) -> None:
    """Walks record everything, so that next to nothing of them may be set aside."""
    walks = [result for path, result in results.items() if path.parent.name == "walks"]
    assert sum(result.steps for result in walks) >= 2600
    assert sum(result.steps - result.agreed for result in walks) <= 5
