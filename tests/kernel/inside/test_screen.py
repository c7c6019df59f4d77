"""The screen on a real kernel, driven by keys, compared with the answers of another program."""

import os
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

DRIFT = "has changed since this was planned"
BUSY = ("Applying ─", "Reverting ─")
LONE = "0000:00:05.0"
CARD = ["0000:01:00.0", "0000:01:00.1", "0000:01:00.2", "0000:01:00.3"]


@pytest.fixture
def screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restored: pci.State) -> Iterator[Terminal]:
    """The program on a terminal; journals go to the test's own directory."""
    state = tmp_path / "state"
    state.mkdir(mode=0o755)
    monkeypatch.setenv("IOMMUTUI_STATE_DIR", str(state))
    terminal = Terminal(program())
    yield terminal
    terminal.close()


def select(screen: Terminal, address: str) -> None:
    """Move the cursor to a device by filtering for it; the text replaces any earlier filter."""
    screen.press("/")
    screen.press("-l", address)
    screen.press("Enter")
    screen.wait(chosen(address))


def chosen(address: str) -> Callable[[str], bool]:
    """Whether the cursor is on this device; rows omit the domain."""
    short = address.removeprefix("0000:")
    return lambda text: any("▌" in line and short in line for line in text.splitlines())


def carry_out(screen: Terminal, key: str, review: str) -> None:
    """Open a review, accept it, and wait until its result is on the screen and its dialogs are closed."""
    screen.press(key)
    screen.wait(review)
    screen.read()
    screen.press("y")
    text = screen.wait(lambda text: review not in text and (DRIFT in text or not any(d in text for d in BUSY)))
    assert DRIFT not in text, text


def leave(screen: Terminal, what: str) -> None:
    """Press Esc and wait for its effect: followed at once by another key, it would be read as a different key."""
    screen.press("Escape")
    screen.wait(lambda text: what not in text)


def row(address: str, word: str) -> Callable[[str], bool]:
    """Whether the screen has a row for this device with this word."""
    short = address.removeprefix("0000:")
    return lambda text: any(short in line and word in line and "│" in line for line in text.splitlines())


def test_a_card_is_handed_over_one_function_at_a_time_and_reverted(
    screen: Terminal, vfio_status: Ask, restored: pci.State
) -> None:
    number = pci.group(CARD[0])
    screen.wait(CARD[0].removeprefix("0000:"))
    for count, address in enumerate(CARD, 1):
        select(screen, address)
        screen.press("v")
        screen.wait("1 change")
        carry_out(screen, "a", "Review: apply")
        screen.wait(row(address, "vfio-pci"))
        assert pci.driver(address) == "vfio-pci"
        viable = count == len(CARD)
        assert pci.wait_for(Path(f"/dev/vfio/{number}").exists)
        assert vfio_status(number)["viable"] is viable
        screen.wait(f"Group {number} is {'viable' if viable else 'not viable'}")
    leave(screen, f"/ {CARD[-1]}")
    for address in reversed(CARD):
        carry_out(screen, "R", "Review: revert")
        assert pci.wait_for(lambda a=address: pci.driver(a) == restored.drivers[a], 60)  # type: ignore[misc]
        screen.wait(row(address, restored.drivers[address] or "free"))
    assert pci.wait_for(lambda: pci.State.now() == restored, 30)
    screen.press("q")


def test_a_change_from_outside_is_shown_and_the_staged_plan_stays(screen: Terminal, restored: pci.State) -> None:
    other = CARD[3]
    screen.wait(LONE.removeprefix("0000:"))
    screen.press("/")
    screen.press("-l", "class:ethernet")
    screen.press("Enter")
    screen.press("g", "j")
    screen.wait(chosen(LONE))
    screen.press("v")
    screen.wait("1 change")
    pci.bind(other, "pci-stub")
    text = screen.wait(row(other, "pci-stub"))
    assert "1 change" in text
    assert chosen(LONE)(text)
    carry_out(screen, "a", "Review: apply")
    screen.wait(row(LONE, "vfio-pci"))
    pci.bind(other, restored.drivers[other])
    screen.wait(row(other, "e1000e"))
    carry_out(screen, "R", "Review: revert")
    screen.wait(row(LONE, "e1000e"))
    pci.set_override(other, None)
    assert pci.wait_for(lambda: pci.State.now() == restored, 30)
