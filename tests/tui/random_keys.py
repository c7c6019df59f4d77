"""``python -m tests.tui.random_keys [PRESSES] [SEED]``: random keys on the built-in machine."""

import asyncio
import random
import sys

from iommutui.demo import demo_host
from iommutui.tui.commands import COMMANDS
from tests.tui.driver import USUAL, Ui, screen_of, snapshot_of

KEYS = sorted({key for command in COMMANDS for key in command.keys} - {"q", "ctrl+q", "ctrl+z"})
KEYS += [*"0123456789abxyz:.!-", "backspace", "delete", "enter", "enter", "escape", "escape", "f1"]
SIZES = ((80, 24), (120, 40), (60, 18), (40, 10), (200, 60))


async def press_at_random(ui: Ui, presses: int, seed: int) -> None:
    """Presses keys, and sometimes resizes; afterwards the program must still run and answer."""
    chance = random.Random(seed)
    for number in range(presses):
        key = chance.choice(KEYS)
        if number % 97 == 96:
            await ui.pilot.resize_terminal(*chance.choice(SIZES))
        await ui.pilot.press(key)
        assert ui.app.is_running, (number, key)
    await ui.pilot.resize_terminal(*USUAL)
    for _ in range(50):
        if ui.app.screen is ui.app.desk:
            break
        await ui.pilot.press("escape")
    assert ui.app.screen is ui.app.desk


async def _main(presses: int, seed: int) -> None:
    async with screen_of(snapshot_of(demo_host()), USUAL) as ui:
        await press_at_random(ui, presses, seed)
    print(f"{presses} keys pressed, seed {seed}")


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, int(sys.argv[2]) if len(sys.argv) > 2 else 0))
