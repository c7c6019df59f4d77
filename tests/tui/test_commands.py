"""Every command in every state acts or says why it cannot, and nothing breaks."""

from collections.abc import Callable

import pytest

from iommutui.core.errors import SourceError
from iommutui.core.host import Claim, Host
from iommutui.demo import demo_host
from iommutui.tui.commands import COMMANDS, reason_against
from iommutui.tui.machines.base import Machine
from iommutui.tui.machines.simulated import SimulatedMachine
from iommutui.tui.state import Pane, Phase, Source, SourceKind, staged
from tests.tui.driver import SMALLEST, USUAL, LiveLike, Ui, screen_of, snapshot_of
from tests.tui.fakes import Refusing
from tests.tui.machines import GPU, NIC, PORT, small, without_iommu

KEYS = [key for command in COMMANDS for key in command.keys]


def _nothing() -> Host:
    return Host({}, {})


def _broken() -> Host:
    raise SourceError("It is broken.", "Repair it.")


def _owned() -> Host:
    host = small()
    return host.with_group(host.groups[2]._replace(claim=Claim("qemu", opened=(NIC,))))


MACHINES: dict[str, Callable[[], Machine]] = {
    "small": lambda: snapshot_of(small()),
    "old": lambda: snapshot_of(small("5.10")),
    "no-iommu": lambda: snapshot_of(without_iommu()),
    "empty": lambda: snapshot_of(_nothing()),
    "broken": lambda: SimulatedMachine(Source(SourceKind.SNAPSHOT, "x"), _broken),
    "owned": lambda: snapshot_of(_owned()),
    "demo": lambda: SimulatedMachine(Source(SourceKind.DEMO), demo_host),
    "read-only": lambda: LiveLike(small(), Refusing("no"), writer=None),
}


async def _press_everything(ui: Ui) -> None:
    for key in KEYS:
        if key == "q" and not ui.state.intents:
            continue
        ui.app.simulate_key(key)
        await ui.pilot.pause()
        while ui.app.screen is not ui.app.desk or ui.state.pane is Pane.FILTER:
            await ui.pilot.press("escape")
    await ui.settle()
    assert ui.app.is_running


@pytest.mark.parametrize("name", MACHINES)
async def test_every_key_acts_or_says_why_not_on_every_machine(name: str) -> None:
    async with screen_of(MACHINES[name](), USUAL) as ui:
        await _press_everything(ui)


@pytest.mark.parametrize("place", [1, 2, PORT, GPU])
async def test_every_key_acts_or_says_why_not_on_every_kind_of_row(place: str | int) -> None:
    async with screen_of(snapshot_of(small()), SMALLEST) as ui:
        await ui.select(place)
        await _press_everything(ui)


async def test_every_key_is_harmless_before_the_first_scan_and_during_an_apply() -> None:
    async with screen_of(snapshot_of(small()), settle=False) as ui:
        for key in KEYS:
            if key != "q":
                ui.app.simulate_key(key)
        await ui.settle()
        while ui.app.screen is not ui.app.desk:
            await ui.pilot.press("escape")
        ui.app.desk.update(staged(ui.state._replace(phase=Phase.APPLYING), {NIC: "none"}))
        await _press_everything(ui)


async def test_a_disabled_key_says_why() -> None:
    async with screen_of(snapshot_of(_nothing())) as ui:
        said = 0
        for command in COMMANDS:
            why = reason_against(command.id, ui.state)
            if why is None or not command.keys:
                continue
            await ui.press(command.keys[0])
            assert ui.toasts()[-1] == why
            assert why.endswith(".")
            said += 1
        assert said > 15
