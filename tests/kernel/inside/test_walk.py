"""The engine and this guest's kernel take the same random walk and agree at each step.

``IOMMUTUI_WALK_STEPS`` sets how many steps and ``IOMMUTUI_WALK_SEED`` which ones. A guest's command can set both:
``python -m tests.kernel run -k trixie -t shared --timeout 0 -- env IOMMUTUI_WALK_STEPS=5000 .venv/bin/python -m pytest
tests/kernel/inside/test_walk.py``.
"""

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from iommutui.core.events import Event

from .chooser import random_walk, shrink
from .walk import RULES, Difference, Walk

STEPS = int(os.environ.get("IOMMUTUI_WALK_STEPS", "200"))
SEED = int(os.environ.get("IOMMUTUI_WALK_SEED") or time.time_ns() % 1_000_000)
SHRINKING = 240.0
"""Seconds."""


@pytest.fixture
def walk(infrastructure: frozenset[str], capsys: pytest.CaptureFixture[str]) -> Iterator[Walk]:
    """Kernel and engine; every device is on its host driver before and after.

    The events go to ``walk`` in the guest's job directory, one per line, to survive a crash of the kernel.
    """
    with (Path(os.environ["IOMMUTUI_GUEST_JOB"]) / "walk").open("w", buffering=1) as log:
        with capsys.disabled():
            print(f"\nwalk: seed {SEED}", flush=True)
        log.write(f"seed {SEED}\n")
        walk = Walk(infrastructure, lambda line: log.write(line + "\n"))
        yield walk
        walk.reset()


def test_engine_and_kernel_agree_at_each_step(walk: Walk, capsys: pytest.CaptureFixture[str]) -> None:
    begin = time.monotonic()
    report = random_walk(walk, SEED, STEPS)
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(walk.kinds.items()))
    with capsys.disabled():
        print(f"walk: seed {SEED}, kernel {walk.host.kernel}, model {walk.model.name}: {len(report.done)} steps in")
        print(f"walk: {time.monotonic() - begin:.0f} s ({kinds});")
        print(f"walk: {walk.facts} facts compared, {len(report.differences)} differ, set aside {dict(walk.aside)}")
    if report.differences:
        raise AssertionError(_shrunk(walk, report.done))
    assert len(report.done) == STEPS
    assert set(walk.aside) <= set(RULES)


def _shrunk(walk: Walk, done: list[Event]) -> str:
    first = walk.differences

    def fails(events: Sequence[Event]) -> list[Difference]:
        walk.reset()
        for event in events:
            walk.step(event)
            if walk.differences:
                break
        return walk.differences

    shortest, differences = shrink(done, fails, SHRINKING)
    lines = [f"seed {SEED}: engine and kernel differ"]
    lines += [f"  {d.what}: kernel {d.kernel!r}, engine {d.engine!r}" for d in differences or first]
    lines.append("after" if differences else "after all of these (it does not show again from the start)")
    return "\n".join([*lines, *(f"  {event}" for event in shortest)])
