"""A machine with unknown facts says so, and how to find them."""

from iommutui.core.advice import missing_facts
from iommutui.core.host import Host
from iommutui.tui.state import Source, SourceKind
from tests.tui.driver import screen_of, snapshot_of
from tests.tui.machines import GPU, changed, small

SNAPSHOT, LIVE = Source(SourceKind.SNAPSHOT, "friend.json"), Source(SourceKind.LIVE)


def nameless() -> Host:
    host = small()
    for address in host.devices:
        host = changed(host, address, vendor_name=None, device_name=None)
    return host


def partial() -> Host:
    host = small()._replace(uses=None, drivers=None, kernel=None)
    for address in host.devices:
        host = changed(host, address, fits=None)
    return host


def test_a_fully_known_machine_needs_no_note() -> None:
    assert missing_facts(small(), recorded=True) == ()
    assert missing_facts(small(), recorded=False) == ()
    assert missing_facts(changed(nameless(), GPU, vendor_name="NVIDIA"), recorded=False) == ()


def test_the_package_with_the_names_is_named() -> None:
    (said,) = missing_facts(nameless(), recorded=False)
    assert "pci.ids (Debian, Ubuntu) or hwdata (Fedora" in said
    assert missing_facts(nameless(), recorded=True) == (said,)


def test_what_a_snapshot_lacks_is_listed() -> None:
    (said,) = missing_facts(partial(), recorded=True)
    assert said.startswith("Not recorded here: the kernel's version, which drivers there are, ")
    assert "which drivers fit a device, what the machine uses its devices for." in said
    assert "iommutui snapshot -o FILE" in said
    assert missing_facts(small()._replace(uses=None), recorded=True)[0].startswith(
        "Not recorded here: what the machine uses"
    )
    assert missing_facts(partial(), recorded=False) == ()


async def test_the_note_is_in_the_details() -> None:
    async with screen_of(snapshot_of(partial())) as ui:
        assert "Not known of this machine" in ui.text()
        await ui.select(2)
        assert "Not known of this machine" in ui.text()
    async with screen_of(snapshot_of(small())) as ui:
        assert "Not known of this machine" not in ui.text()
