"""Machines as trees of files."""

from pathlib import Path

import pytest

from tests.fake_tree import FakeTree
from tests.sources.used import Machine


@pytest.fixture
def tree(tmp_path: Path) -> FakeTree:
    return FakeTree(tmp_path / "machine")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)
