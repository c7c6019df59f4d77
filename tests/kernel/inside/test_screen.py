"""The screen on a real kernel, by its keys, with the answers of another program beside it."""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from . import pci
from .terminal import Terminal, program

Ask = Callable[[int], dict[str, Any]]
pytestmark = [
    pytest.mark.skipif(os.environ.get("IOMMUTUI_GUEST") != "gpu", reason="needs the topology gpu"),
    pytest.mark.skipif(
        os.environ.get("IOMMUTUI_GUEST_KERNEL") not in ("bookworm", "sid"),
        reason="the screen takes minutes on an emulated processor; it is tried on an old and on the newest kernel",
    ),
]

CARD = ["0000:01:00.0", "0000:01:00.1", "0000:01:00.2", "0000:01:00.3"]


@pytest.fixture
def screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restored: pci.State) -> Iterator[Terminal]:
    """The program on a terminal; journals go to a directory of the test's own."""
    state = tmp_path / "state"
    state.mkdir(mode=0o755)
    monkeypatch.setenv("IOMMUTUI_STATE_DIR", str(state))
    terminal = Terminal(program())
    yield terminal
    terminal.close()


def select(screen: Terminal, address: str) -> None:
    """Puts the cursor on a device, by filtering for it."""
    screen.press("Escape")
    screen.insist("Escape", " space pass")
    screen.press("/")
    screen.wait(lambda text: re.search(r"^ / .* \d+ of \d+ *$", text, re.MULTILINE) is not None)
    screen.press("-l", address)
    screen.wait(f"/ {address}")
    screen.press("Enter")
    screen.wait(lambda text: any("▌" in line and address in line for line in text.splitlines()))


def apply(screen: Terminal) -> None:
    """Reviews and applies what is staged."""
    screen.insist("a", "Review: apply")
    screen.press("y")


def test_a_card_leaves_function_by_function_and_comes_back(
    screen: Terminal, vfio_status: Ask, restored: pci.State
) -> None:
    number = pci.group(CARD[0])
    screen.wait(CARD[0])
    for count, address in enumerate(CARD, 1):
        select(screen, address)
        screen.insist("v", "1 intent")
        apply(screen)
        assert pci.wait_for(lambda address=address: pci.driver(address) == "vfio-pci", 60)  # type: ignore[misc]
        viable = count == len(CARD)
        assert pci.wait_for(Path(f"/dev/vfio/{number}").exists)
        assert vfio_status(number)["viable"] is viable
        screen.wait(lambda text, viable=viable: ("viable" if viable else "blocked") in text)  # type: ignore[misc]
    for address in reversed(CARD):
        screen.press("Escape")
        screen.wait(" space pass")
        screen.insist("R", "Review: revert")
        screen.press("y")
        before = restored.drivers[address]
        assert pci.wait_for(lambda a=address, d=before: pci.driver(a) == d, 60)  # type: ignore[misc]
    assert pci.wait_for(lambda: pci.State.now() == restored, 30)
    screen.press("q")


def test_what_happens_outside_shows_up(screen: Terminal) -> None:
    screen.wait("0000:00:05.0")
    select(screen, "0000:00:05.0")
    screen.wait("e1000e")
    pci.bind("0000:00:05.0", "pci-stub")
    screen.wait("pci-stub")
