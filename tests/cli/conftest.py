"""Runs commands in this process, on a snapshot of the built-in machine."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from iommutui.cli import main
from iommutui.demo import demo_host
from iommutui.sources.snapshot import write
from tests.apply.machines import desktop
from tests.cli.reacting_machine import put_in_place
from tests.reacting_tree import ReactingTree


class Answer(NamedTuple):
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The JSON document on standard output."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """The JSON lines on standard output."""
        return [json.loads(line) for line in self.out.splitlines()]


Run = Callable[..., Answer]


@pytest.fixture
def demo(tmp_path: Path) -> str:
    """A snapshot file of the built-in machine."""
    path = tmp_path / "demo.json"
    write(demo_host(), str(path))
    return str(path)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line."""

    def command(*words: str) -> Answer:
        try:
            code = main(list(words))
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        captured = capfd.readouterr()
        return Answer(code, captured.out, captured.err)

    return command


@pytest.fixture
def on_demo(run: Run, demo: str) -> Run:
    """Runs a command line on the built-in machine."""
    return lambda *words: run(*words, "--from", demo)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReactingTree:
    """A desktop, as a sysfs that reacts to writes."""
    return put_in_place(desktop(), tmp_path, monkeypatch)
