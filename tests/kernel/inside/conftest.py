"""Keep these tests off machines that are not guests of the harness."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from . import pci
from .disk import image, mounted, swap
from .program import Answer, Run, command

__all__ = ["image", "mounted", "swap"]
"""Fixtures from another module, for every test here."""

HERE = Path(__file__).parent
VFIO = HERE.parent / "vfio.py"


def in_guest() -> bool:
    """Return whether this is a guest: a variable may be set by accident, but the kernel's command line may not."""
    return "IOMMUTUI_GUEST" in os.environ and "iommutui.guest=1" in Path("/proc/cmdline").read_text().split()


def pytest_report_header() -> list[str]:
    """Report each device's driver as the tests begin: a missing driver explains many failures."""
    if not in_guest():
        return []
    bound = (f"{address} {pci.driver(address) or '-'}" for address in pci.devices())
    return [f"drivers: {', '.join(bound)}"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip every test of this directory outside a guest; no fixture is set up for a skipped test."""
    if not in_guest():
        for item in items:
            if item.path.is_relative_to(HERE):
                item.add_marker(pytest.mark.skip(reason="needs a guest: python -m tests.kernel test"))


@pytest.fixture
def iommutui(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the program; journals go to the test's own directory."""
    state = tmp_path / "state"
    state.mkdir(mode=0o755)
    monkeypatch.setenv("IOMMUTUI_STATE_DIR", str(state))

    def run(*words: str, prefix: Sequence[str] = (), text: str = "") -> Answer:
        line = [*prefix, *command(*words)]
        return Answer(subprocess.run(line, capture_output=True, text=True, input=text, check=False))

    return run


@pytest.fixture
def topology() -> str:
    """Return the name of the guest's topology."""
    return os.environ["IOMMUTUI_GUEST"]


@pytest.fixture
def infrastructure() -> frozenset[str]:
    """Return the addresses of the devices the guest itself depends on."""
    return frozenset(os.environ["IOMMUTUI_GUEST_INFRA"].split())


@pytest.fixture
def restored() -> Iterator[pci.State]:
    """Put all drivers and overrides back after the test."""
    before = pci.State.now()
    yield before
    before.restore()
    assert pci.State.now() == before


@pytest.fixture
def vfio_status() -> Callable[[int], dict[str, Any]]:
    """Return a function that queries the state of a group from another process."""

    def ask(group: int) -> dict[str, Any]:
        command = [sys.executable, str(VFIO), "status", str(group)]
        answer: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        return answer

    return ask


@pytest.fixture
def vfio_hold(restored: pci.State) -> Iterator[Callable[..., dict[str, Any]]]:
    """Return a function that makes another process claim a group until the test ends.

    It takes the group and more arguments for ``vfio.py hold``. It returns the outcome of each step, and the
    process as ``process``.
    """
    running: list[subprocess.Popen[str]] = []

    def claim(group: int, *words: str) -> dict[str, Any]:
        command = [sys.executable, str(VFIO), "hold", str(group), *words]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        steps: dict[str, Any] = json.loads(process.stdout.readline())
        return steps | {"process": process}

    yield claim
    for process in running:
        process.terminate()
    for process in running:
        process.communicate(timeout=30)
