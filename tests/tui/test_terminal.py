"""The program on a real terminal: bursts of keys, as from a slow line, and frames as a terminal draws them."""

from pathlib import Path

import pytest

from tests.tui.terminal import Terminal, terminal
from tests.tui.test_looks import FONT

BURSTS = (
    ("/nvidia", ("/ nvidia", "of 36")),
    ("/nvme\rj", ("/ nvme", "of 36")),
    (":topol", ("topol", "Look: topology")),
    ("o17\r", ("Group 17 is not viable",)),
    ("T/igb\r", ("1 Topology", "/ igb")),
    ("tj\r", ("pci-stub",)),
    ("vq", ("Leave?", "staged and not applied")),
    ("?/park", ("park it on a driver",)),
    ("cay", ("Review: apply",)),
)
"""Keys in one burst, and the words visible once all of them have taken effect."""


def _bare(screen: Terminal, seconds: float) -> bool:
    """Closes and unstages everything. A busy machine may read Esc and the next key as one, so pauses differ."""
    for _ in range(3):
        screen.send("\x1b")
        screen.never("nothing that is never seen", seconds)
    screen.send("X")
    try:
        screen.until(lambda text: "Nothing is staged" in text and "1 Groups" in text, 20)
    except AssertionError:
        return False
    return True


def test_a_burst_of_keys_has_the_effect_of_single_keys(tmp_path: Path) -> None:
    (tmp_path / "iommutui").mkdir()
    (tmp_path / "iommutui" / "screen.json").write_text('{"oriented": true}')
    with terminal(tmp_path, "--demo") as screen:
        screen.see("3 Plan", "q quit")
        for keys, seen in BURSTS:
            screen.send(keys)
            screen.see(*seen)
            if keys == "cay":
                screen.never("done", 1.5)
                screen.send("y")
                screen.see("R reverts it", "09:00.0 vfio-pci")
                return
            assert any(_bare(screen, seconds) for seconds in (0.15, 1.0, 3.0)), screen.grid.text


def test_keys_before_the_first_frame_do_no_harm(tmp_path: Path) -> None:
    with terminal(tmp_path, "--demo") as screen:
        screen.send("j<j")
        screen.see("3 Plan", "q quit")
        screen.send("?")
        screen.see("Esc close")


@pytest.mark.parametrize("term", ["xterm-256color", "linux"])
@pytest.mark.parametrize("size", [(60, 18), (80, 24), (120, 40)])
def test_no_line_of_a_frame_is_wider_than_the_terminal(tmp_path: Path, size: tuple[int, int], term: str) -> None:
    with terminal(tmp_path, "--demo", size=size, term=term) as screen:
        screen.see("q quit")
        for keys, seen in (
            ("c", "changes, "),
            ("a", "Y copy"),  # in the last line, so the whole review is visible
            ("\x1b", "q quit"),
            ("T", "Topology"),
            ("?", "Esc close"),
        ):
            screen.send(keys)
            screen.see(seen)


def test_the_console_receives_only_characters_in_its_fonts(tmp_path: Path) -> None:
    with terminal(tmp_path, "--demo", size=(80, 24), term="linux") as screen:
        assert set(screen.see("x blocked group 17", "q quit")) <= FONT
