"""A simulated machine after an apply behaves like a real one."""

from concurrent.futures import Future

from iommutui.core.address import Address
from iommutui.core.host import Host
from iommutui.demo import demo_host
from iommutui.sources import open_text
from tests.tui.driver import Ui, screen_of, snapshot_of

CARD = "0000:08:00.0"


def used(host: Host | None) -> list[str]:
    """A machine that uses the card."""
    assert host is not None
    assert host.uses is not None
    screens = [screen.device for screen in host.uses.screens]
    openers = [opener.device for opener in host.uses.openers]
    return [name for name, found in (("screen", screens), ("openers", openers)) if Address(CARD) in found]


async def apply_and_keep(ui: Ui) -> None:
    """Puts the card on VFIO and confirms it in time."""
    await ui.select(CARD)
    await ui.press("v", "a")
    await ui.type("15")
    await ui.pilot.press("y")
    while not ui.counts_down():
        await ui.pilot.pause(0.01)
    await ui.press("y")


async def test_a_display_handed_over_loses_its_monitor_until_it_returns() -> None:
    host = demo_host()
    assert used(host) == ["screen", "openers"]
    others = len(host.uses.screens) - 1 if host.uses is not None else 0
    async with screen_of(snapshot_of(host)) as ui:
        assert "[moni" in ui.line_with("08:00.0 amdgpu")
        await apply_and_keep(ui)
        assert "[moni" not in ui.line_with("08:00.0 vfio-pci")
        assert used(ui.state.host) == []
        assert ui.state.host is not None
        assert ui.state.host.uses is not None
        assert len(ui.state.host.uses.screens) == others
        await ui.press("R")
        await ui.press("y")
        assert ui.state.host.uses == host.uses


LISTING = """\
IOMMU Group 1:
\t01:00.0 VGA compatible controller [0300]: NVIDIA Corporation GP106 [10de:1c02]
\t\tKernel driver in use: nouveau
\t01:00.1 Audio device [0403]: NVIDIA Corporation GP106 Audio [10de:10f1]
\t\tKernel driver in use: snd_hda_intel
"""


async def test_a_plan_is_simulated_on_a_listing_without_overrides() -> None:
    async with screen_of(snapshot_of(open_text(LISTING).host)) as ui:
        await ui.select("0000:01:00.0")
        await ui.press("c", "a", "y")
        assert [d.driver for d in ui.state.host.devices.values()] == ["vfio-pci"] * 2
        assert not any(d.gap("driver_override") for d in ui.state.host.devices.values())
        await ui.press("escape", "R", "y")
        assert [d.driver for d in ui.state.host.devices.values()] == ["nouveau", "snd_hda_intel"]


async def test_the_changes_of_an_apply_are_shown_although_a_scan_began_earlier() -> None:
    first: Future[Host] = Future()
    first.set_result(demo_host())
    async with screen_of(snapshot_of(first.result()), first=first) as ui:
        await apply_and_keep(ui)
        assert "→" not in ui.line_with("08:00.0 vfio-pci")
