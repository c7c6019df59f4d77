"""Random keys: nothing breaks. ``python -m tests.tui.random_keys 10000`` presses more of them."""

import pytest

from iommutui.demo import demo_host
from tests.tui.driver import USUAL, screen_of, snapshot_of
from tests.tui.machines import small, without_iommu
from tests.tui.random_keys import press_at_random


@pytest.mark.parametrize(("seed", "machine"), [(1, demo_host), (2, small), (3, without_iommu)])
async def test_random_keys_break_nothing(seed: int, machine: object) -> None:
    assert callable(machine)
    async with screen_of(snapshot_of(machine()), USUAL) as ui:
        await press_at_random(ui, 200, seed)
        assert ui.app.is_running
