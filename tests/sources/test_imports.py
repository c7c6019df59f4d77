"""The cost of a start: reading a directory imports no library that it does not need."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from iommutui.sources import Depth
from tests.fake_tree import FakeTree

HEAVY = ("pydantic", "pyudev", "textual", "rich", "dataclasses", "json", "subprocess", "pathlib", "ctypes", "fnmatch")


def loaded(code: str) -> set[str]:
    """The heavy modules that a new interpreter has loaded after running the code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


@pytest.fixture(scope="module")
def baseline() -> set[str]:
    """What the interpreter loads by itself, for example through a file in site-packages."""
    return loaded("")


@pytest.mark.parametrize(("depth", "needed"), [(Depth.LISTING, set()), (Depth.FULL, {"fnmatch"})])
def test_reading_a_directory_imports_no_library(
    tmp_path: Path, baseline: set[str], depth: Depth, needed: set[str]
) -> None:
    tree = FakeTree(tmp_path).device("0000:01:00.0", driver="vfio-pci", group=1)
    code = f"from iommutui.sources import load, Depth\nload({os.fspath(tree)!r}, depth=Depth({depth.value!r}))"
    assert loaded(code) - baseline <= needed


def test_a_live_listing_needs_no_library(baseline: set[str]) -> None:
    code = "from iommutui.sources import deadline_reader, names, sysfs, processes"
    assert loaded(code) - baseline == set()


def test_the_check_sees_a_loaded_module(baseline: set[str]) -> None:
    assert "json" in loaded("import json")
    assert loaded("from iommutui.sources import snapshot") - baseline >= {"pydantic", "json"}
