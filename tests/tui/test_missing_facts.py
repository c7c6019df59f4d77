"""A machine with unknown facts says so, and how to find them."""

from iommutui.core.advice import not_recorded
from iommutui.core.host import Host
from tests.tui.driver import screen_of, snapshot_of
from tests.tui.machines import changed, small


def partial() -> Host:
    host = small()._replace(uses=None, drivers=None, kernel=None)
    for address in host.devices:
        host = changed(host, address, fits=None)
    return host


def test_a_fully_known_machine_needs_no_note() -> None:
    assert not_recorded(small()) == ""


def test_what_a_snapshot_lacks_is_listed() -> None:
    said = not_recorded(partial())
    assert said.startswith("Not recorded here: the kernel's version, which drivers there are, ")
    assert "which drivers fit a device, what the machine uses its devices for." in said
    assert "iommutui snapshot -o FILE" in said
    assert not_recorded(small()._replace(uses=None)).startswith("Not recorded here: what the machine uses")


async def test_the_note_is_in_the_details() -> None:
    async with screen_of(snapshot_of(partial())) as ui:
        assert "Not known of this machine" in ui.text()
        await ui.select(2)
        assert "Not known of this machine" in ui.text()
    async with screen_of(snapshot_of(small())) as ui:
        assert "Not known of this machine" not in ui.text()
