"""A machine that is not real goes on as a real one would after an apply."""

from iommutui.core.address import Address
from iommutui.core.host import Host
from iommutui.demo import demo_host
from tests.tui.driver import screen_of, snapshot_of

CARD = "0000:08:00.0"


def used(host: Host | None) -> list[str]:
    """What the machine does with the card."""
    assert host is not None
    assert host.uses is not None
    screens = [screen.device for screen in host.uses.screens]
    openers = [opener.device for opener in host.uses.openers]
    return [name for name, found in (("screen", screens), ("openers", openers)) if Address(CARD) in found]


async def test_a_display_that_was_given_away_has_no_monitor_and_has_it_again_when_it_is_back() -> None:
    host = demo_host()
    assert used(host) == ["screen", "openers"]
    others = len(host.uses.screens) - 1 if host.uses is not None else 0
    async with screen_of(snapshot_of(host)) as ui:
        await ui.select(CARD)
        await ui.press("v", "a")
        await ui.type("15")
        await ui.press("y", "y")
        assert "monitor" not in ui.line_with(CARD)
        assert used(ui.state.host) == []
        assert ui.state.host is not None
        assert ui.state.host.uses is not None
        assert len(ui.state.host.uses.screens) == others
        await ui.press("R", "y", "y")
        assert ui.state.host.uses == host.uses
