"""The tree, without a screen."""

from iommutui.core.address import Address
from iommutui.core.host import Device, Host
from iommutui.core.plan.intents import Intent
from iommutui.demo import demo_host
from iommutui.tui.rows import listing, settled
from iommutui.tui.rows.base import matches
from iommutui.tui.rows.topology import next_match, topology_row, tree
from iommutui.tui.state import AppState, Key, Source, SourceKind, View, staged, start, with_host
from tests.tui.machines import DISK, GPU, NIC, PORT, SOUND, changed, small


def state_of(host: Host, **fields: object) -> AppState:
    state = with_host(start(Source(SourceKind.DEMO)), host)[0]
    return state._replace(view=View.TOPOLOGY, **fields)  # type: ignore[arg-type]


def text(state: AppState, key: Key) -> str:
    return "".join(span.text for span in topology_row(state, key, 100, False)).rstrip()


def test_devices_are_below_their_bridge_and_groups_have_borders() -> None:
    state = state_of(small(), cursor=Key(2, NIC))
    assert [text(state, key)[:21] for key in listing(state).keys[:3]] == [
        "  1 ✖┌ 00:01.0   Brid",
        "     │ ├─01:00.0 VGA ",
        "     └ └─01:00.1 Audi",
    ]


def test_the_border_highlights_the_group_of_the_cursor() -> None:
    state = state_of(small(), cursor=Key(1, GPU))
    assert text(state, Key(1, PORT)).startswith("  1 ✖┏")
    assert text(state, Key(2, NIC)).startswith("  2 ✖╶")


def test_an_intent_is_shown_beside_the_driver() -> None:
    assert "nvidia → vfio-pci" in text(staged(state_of(small()), {GPU: "vfio-pci"}), Key(1, GPU))


def test_every_device_is_in_the_tree_once() -> None:
    host = demo_host()
    assert sorted(str(key.device) for key in tree(host).keys) == sorted(host.devices)


def test_bridges_in_a_cycle_are_still_shown() -> None:
    host = changed(changed(small(), PORT, parent=GPU), GPU, parent=PORT)
    assert {key.device for key in tree(host).keys} == host.devices.keys()


def test_a_device_on_another_bus_is_in_the_tree() -> None:
    odd = Address("arm-smmu-dev.0")
    host = small().with_device(Device(odd, bus="platform", group=3))
    assert Key(3, odd) in tree(host).keys


def test_a_search_wraps_around() -> None:
    state = state_of(small(), filter="audio", cursor=Key(2, NIC))
    assert matches(state) == frozenset({SOUND})
    assert matches(state._replace(filter="driver:igb")) == frozenset({NIC})
    assert matches(state._replace(filter="!driver:igb class:nvme")) == frozenset({DISK})
    assert next_match(state, 1) == Key(1, SOUND)
    assert next_match(state, -1) == Key(1, SOUND)
    assert text(state, Key(1, SOUND)).startswith("»")
    assert next_match(state._replace(filter="nothing of the kind"), 1) is None


def test_from_a_groups_row_the_cursor_moves_to_its_first_device() -> None:
    assert settled(state_of(small(), cursor=Key(2))).cursor == Key(2, NIC)


def test_virtual_functions_are_below_their_physical_function() -> None:
    host = changed(changed(small(), SOUND, physfn=Address(GPU)), GPU, virtfns=(Address(SOUND),))
    branches = tree(host).branches
    assert len(branches[Key(1, SOUND)]) == len(branches[Key(1, GPU)]) + 2
    assert len(tree(small()).branches[Key(1, SOUND)]) == len(branches[Key(1, GPU)])


def test_the_planned_verdict_is_on_the_first_row_of_a_group() -> None:
    host = small()
    state = state_of(host, intents=(Intent(GPU, "vfio-pci"), Intent(SOUND, "vfio-pci")))
    keys = [key for key in tree(host).keys if key.group == 1]
    assert [key for key in keys if "✔ viable planned" in text(state, key)] == keys[:1]
    assert "planned" not in text(state_of(host, intents=(Intent(GPU, "vfio-pci"),)), keys[0])
