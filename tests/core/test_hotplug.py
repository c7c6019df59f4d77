"""The devices that a remove takes away, and the groups to which a rescan returns them."""

import pytest

from iommutui.core.address import Address
from iommutui.core.events import (
    Bind,
    Event,
    Override,
    Probe,
    Remove,
    Rescan,
)
from iommutui.core.host import Fit, Host
from iommutui.core.models import MODELS
from tests.core.machines import (
    LONE,
    OLD,
    OTHER,
    A,
    B,
    C,
    bridge,
    codes,
    function,
    group_of,
    machine,
    on,
)

# -- remove and rescan


def tree() -> Host:
    """A port (group 1) above a card of two functions (group 2), and a group of two separate devices (5)."""
    port = group_of(1, bridge(OTHER))
    card = group_of(
        2, function(A, "amdgpu", parent=OTHER), function(B, "snd_hda_intel", parent=OTHER, driver_override="x")
    )
    slot = Address("0000:00:1f.0"), Address("0000:00:1f.3")
    return machine(port, card, group_of(5, function(slot[0], "nvme"), function(slot[1], "nvme")))


def test_remove_takes_everything_below() -> None:
    outcome = on("dma-owner", tree(), Remove(OTHER))
    assert outcome.host.groups.keys() == {5}
    assert outcome.groups == (1, 2)
    assert A not in outcome.host.devices
    assert on("dma-owner", outcome.host, Probe(A)).result == "ENODEV"


def test_a_missing_device_cannot_be_removed() -> None:
    outcome = on("dma-owner", tree(), Remove(Address("0000:7f:00.0")))
    assert outcome.result == "ENOENT"
    assert outcome.host == tree()


def test_rescan_brings_devices_back_without_overrides_on_host_drivers() -> None:
    outcome = on("dma-owner", tree(), Remove(OTHER), Rescan())
    assert list(outcome.host.devices) == list(tree().devices)
    assert outcome.host.devices[B].driver_override is None
    assert [outcome.host.devices[a].driver for a in (OTHER, A, B)] == ["pcieport", "amdgpu", "amdgpu"]
    assert outcome.host.removed == {}


def test_rescan_without_removed_devices_changes_nothing() -> None:
    outcome = on("dma-owner", tree(), Rescan())
    assert outcome.ok
    assert outcome.host == tree()


def test_a_device_below_a_removed_bridge_is_not_found() -> None:
    host = on("dma-owner", tree(), Remove(A), Remove(OTHER)).host
    later = on("dma-owner", host, Rescan()).host
    assert later.devices.keys() == tree().devices.keys()
    orphan = host._replace(removed={A: host.removed[A]})
    assert A not in on("dma-owner", orphan, Rescan()).host.devices


@pytest.mark.parametrize(
    ("removed", "group"),
    [("0000:00:1f.3", 0), ("0000:00:1f.0", 5), ("0000:02:00.0", 0), ("0000:01:00.1", 0)],
)
def test_a_rescan_finds_the_group_or_takes_the_lowest_free_number(removed: str, group: int) -> None:
    """Function 0 finds the others in its slot, another function does not; the lowest free number is taken."""
    outcome = on("dma-owner", tree(), Remove(Address(removed)), Rescan())
    assert outcome.host.devices[Address(removed)].group == group
    assert Address(removed) in outcome.host.groups[group].members


def test_a_device_below_a_bridge_of_its_own_group_joins_it_again() -> None:
    host = machine(group_of(3, bridge(OTHER), function(A, "amdgpu", parent=OTHER), function(C, "nvme", parent=OTHER)))
    assert on("dma-owner", host, Remove(A), Rescan()).host.devices[A].group == 3
    both = on("dma-owner", host, Remove(OTHER), Rescan()).host
    assert {device.group for device in both.devices.values()} == {0}


def test_a_device_comes_back_to_a_group_in_use() -> None:
    group = group_of(1, bridge(OTHER), function(A, parent=OTHER), function(B, "vfio-pci", parent=OTHER), owner="vm1")
    outcome = on("dma-owner", machine(group), Remove(A), Rescan())
    assert (outcome.result, outcome.host.devices[A].driver, codes(outcome)) == ("ok", None, ["owned"])


def with_functions() -> Host:
    """A port (group 1) above a physical function (2) with one virtual function (3)."""
    physical = function(A, "nvme", parent=OTHER, virtfns=(B,))
    virtual = function(B, "nvme", parent=OTHER, physfn=A)
    return machine(group_of(1, bridge(OTHER)), group_of(2, physical), group_of(3, virtual))


def test_virtual_functions_go_with_the_port_and_are_not_found_by_a_scan() -> None:
    """The physical function comes back without virtual functions, so ``vfio-pci`` can bind it."""
    outcome = on("dma-owner", with_functions(), Remove(OTHER), Rescan())
    assert outcome.host.devices.keys() == {OTHER, A}
    assert outcome.host.devices[A].virtfns == ()
    assert outcome.host.removed == {}


def test_a_virtual_function_cannot_be_removed_by_itself() -> None:
    outcome = on("dma-owner", with_functions(), Remove(B))
    assert (outcome.result, codes(outcome)) == ("ENOENT", ["virtual-function"])
    assert outcome.host == with_functions()
    assert on("dma-owner", with_functions(), Remove(A)).host.devices.keys() == {OTHER, B}


@pytest.mark.parametrize("model", MODELS)
def test_a_virtual_function_can_be_bound(model: str) -> None:
    host = machine(group_of(2, function(B, physfn=A)), lone=[function(A, "nvme", virtfns=(B,))])
    assert on(model, host, Override(B, "vfio-pci"), Bind(B, "vfio-pci")).ok


# -- groups and reasons of a rescan


def test_a_rescan_names_the_groups_of_returned_devices() -> None:
    assert on("dma-owner", tree(), Remove(OTHER), Rescan()).groups == (0, 1, 2)
    lone = machine(lone=[function(LONE, "nvme")])
    outcome = on("dma-owner", lone, Remove(LONE), Rescan())
    assert (outcome.groups, outcome.host.devices[LONE].driver, outcome.host.groups) == ((), "amdgpu", {})


def test_a_rescan_gives_reasons_only_for_refused_devices() -> None:
    """A device without a matching driver, or one that a driver refused, gets no reason."""
    unknown = machine(group_of(1, function(A, fits=())), group_of(2, function(OTHER, "nvme")))
    assert on("dma-owner", unknown, Remove(A), Rescan()).reasons == ()
    refused = machine(group_of(1, function(A, fits=(Fit("nvme", None, True, refused=True), Fit("amdgpu", None, True)))))
    outcome = on("dma-owner", refused, Remove(A), Rescan())
    assert (outcome.reasons, outcome.host.devices[A].driver) == ((), "amdgpu")


def test_a_rescan_that_crashes_also_names_the_groups() -> None:
    live = group_of(1, bridge(OTHER), function(A, parent=OTHER), function(B, "vfio-pci", parent=OTHER), owner="vm1")
    outcome = on("vfio-group", machine(live, kernel=OLD), Remove(A), Rescan())
    assert outcome.crash is not None
    assert outcome.groups == (1,)


def test_the_group_is_found_through_several_bridges() -> None:
    """The card's port was removed with it; the bridge above it has kept the group."""
    upper, lower = Address("0000:00:01.0"), Address("0000:01:00.0")
    host = machine(group_of(4, bridge(upper), bridge(lower, parent=upper), function(OTHER, "nvme", parent=lower)))
    back = on("dma-owner", host, Remove(lower), Rescan()).host
    assert [back.devices[a].group for a in (upper, lower, OTHER)] == [4, 4, 4]


def test_bridges_in_a_cycle_do_not_loop() -> None:
    """No kernel shows this, but a recording may contain anything."""
    host = machine(group_of(1, bridge(OTHER, parent=A), bridge(A, parent=OTHER)), group_of(2, function(B, parent=A)))
    assert B not in on("dma-owner", host, Remove(B), Rescan()).host.devices


def test_a_bus_without_a_recorded_bridge_exists_while_a_device_is_on_it() -> None:
    host = machine(group_of(1, function(A, "nvme", parent=OTHER)), group_of(2, function(B, "nvme", parent=OTHER)))
    back = on("dma-owner", host, Remove(B), Rescan()).host
    assert back.devices.keys() == {A, B}
    assert on("dma-owner", host, Remove(A), Remove(B), Rescan()).host.devices == {}


def test_a_returned_function_0_finds_the_rest_of_its_group() -> None:
    slot = Address("0000:00:1f.0"), Address("0000:00:1f.3")
    assert on("dma-owner", tree(), Remove(slot[0]), Rescan()).host.groups[5].members == slot
    alone = on("dma-owner", tree(), Remove(slot[1]), Rescan()).host
    assert (alone.groups[5].members, alone.groups[0].members) == ((slot[0],), (slot[1],))


def test_a_rescan_gives_a_reason_for_every_refused_device() -> None:
    members = (function(a, parent=OTHER) for a in (A, B))
    taken = function(LONE, "vfio-pci", parent=OTHER)
    host = machine(group_of(1, bridge(OTHER), *members, taken, owner="vm1"))
    outcome = on("dma-owner", host, Remove(A), Remove(B), Rescan())
    assert codes(outcome) == ["owned", "owned"]


def test_an_unrecorded_group_does_not_stop_a_remove() -> None:
    """The device names a group that the Host does not have."""
    host = machine(group_of(1, bridge(OTHER)), lone=[function(A, "nvme", group=7, parent=OTHER)])
    outcome = on("dma-owner", host, Remove(OTHER))
    assert (outcome.host.devices, outcome.host.groups, outcome.groups) == ({}, {}, (1,))
    assert on("dma-owner", outcome.host, Rescan()).host.devices.keys() == {OTHER, A}


def test_the_lowest_free_number_may_be_the_last() -> None:
    host = machine(*(group_of(n, function(Address(f"0000:0{n}:00.0"), "nvme")) for n in range(4)))
    outcome = on("dma-owner", host, Remove(Address("0000:03:00.0")), Rescan())
    assert outcome.host.groups.keys() == {0, 1, 2, 3}
    assert outcome.host.devices[Address("0000:03:00.0")].group == 3


# -- functions of one slot


FIRST, MIDDLE, LAST = (Address(f"0000:00:04.{number}") for number in range(3))


def card(*bits: bool | None) -> Host:
    """Group 4: a slot of three functions, with these multi-function bits. Groups 0 to 3 have other devices."""
    others = (group_of(n, function(Address(f"0000:0{n + 1}:00.0"), "nvme")) for n in range(4))
    slot = (function(a, "nvme", multifunction=bit) for a, bit in zip((FIRST, MIDDLE, LAST), bits, strict=True))
    return machine(*others, group_of(4, *slot))


def groups_after(host: Host, *events: Event) -> list[int | None]:
    devices = on("dma-owner", host, *events).host.devices
    return [devices[address].group for address in (FIRST, MIDDLE, LAST)]


QEMU, REAL, UNREAD = (True, False, False), (True, True, True), (None, None, None)


@pytest.mark.parametrize(
    ("bits", "events", "groups"),
    [
        (QEMU, [Remove(FIRST), Rescan()], [4, 4, 4]),
        (QEMU, [Remove(LAST), Rescan()], [4, 4, 5]),
        (REAL, [Remove(LAST), Rescan()], [4, 4, 4]),
        (UNREAD, [Remove(FIRST), Rescan()], [4, 4, 4]),
        (UNREAD, [Remove(LAST), Rescan()], [4, 4, 5]),
        ((False, False, False), [Remove(FIRST), Rescan()], [5, 4, 4]),
        # All are removed: function 0 comes back first, and finds no other.
        (QEMU, [Remove(FIRST), Remove(MIDDLE), Remove(LAST), Rescan()], [4, 5, 6]),
        (REAL, [Remove(FIRST), Remove(MIDDLE), Remove(LAST), Rescan()], [4, 4, 4]),
        # One has a new group by now; the next joins it there, whatever its old number.
        (QEMU, [Remove(LAST), Rescan(), Remove(FIRST), Remove(MIDDLE), Rescan()], [5, 4, 5]),
        # A function that was never removed comes before one that was.
        (QEMU, [Remove(MIDDLE), Rescan(), Remove(FIRST), Rescan()], [4, 5, 4]),
    ],
)
def test_a_returned_function_joins_the_others_in_its_slot(
    bits: tuple[bool | None, ...], events: list[Event], groups: list[int | None]
) -> None:
    """Observed in guests with 6.1, 6.12 and 7.2."""
    assert groups_after(card(*bits), *events) == groups


def test_functions_that_acs_isolates_stay_apart() -> None:
    first, last = (function(a, "nvme", multifunction=True) for a in (FIRST, LAST))
    host = machine(group_of(0, first), group_of(1, last))
    devices = on("dma-owner", host, Remove(FIRST), Rescan()).host.devices
    assert [devices[a].group for a in (FIRST, LAST)] == [0, 1]


def test_a_removed_device_remembers_the_functions_in_its_group() -> None:
    host = on("dma-owner", card(*QEMU), Remove(MIDDLE), Rescan(), Remove(MIDDLE), Rescan()).host
    assert host.devices[MIDDLE].not_isolated_from == (FIRST, LAST)
    assert host.devices[FIRST].not_isolated_from is None
    assert (
        on("dma-owner", machine(lone=[function(LONE)]), Remove(LONE), Rescan()).host.devices[LONE].not_isolated_from
        == ()
    )


# -- the order in which a scan finds removed devices, which is the order of new group numbers


PORTS = [Address(f"0000:00:0{slot}.0") for slot in (2, 3, 4)]
ENDS = [Address(f"0000:0{bus}:00.0") for bus in (1, 2, 3)]


def ports(*gone: Address) -> Host:
    """Three ports with a device below each, and a second root bus with one device; ``gone`` is removed."""
    second = function(Address("0000:80:01.0"), "nvme")
    above = [bridge(port) for port in PORTS]
    lower = [function(end, "nvme", parent=port) for port, end in zip(PORTS, ENDS, strict=True)]
    host = machine(*(group_of(n, device) for n, device in enumerate((*above, *lower, second), 10)))
    return on("dma-owner", host, *(Remove(address) for address in gone)).host


@pytest.mark.parametrize(
    ("gone", "order"),
    [
        # The devices on the first bus come first, then those below its bridges.
        ((PORTS[0], ENDS[2]), [PORTS[0], ENDS[2], ENDS[0]]),
        ((PORTS[2], ENDS[0]), [PORTS[2], ENDS[0], ENDS[2]]),
        ((PORTS[0], PORTS[1]), [PORTS[0], PORTS[1], ENDS[0], ENDS[1]]),
        ((ENDS[2], ENDS[0]), [ENDS[0], ENDS[2]]),
        ((Address("0000:80:01.0"), PORTS[1]), [PORTS[1], ENDS[1], Address("0000:80:01.0")]),
    ],
)
def test_a_scan_visits_a_bus_before_the_buses_below_it(gone: tuple[Address, ...], order: list[Address]) -> None:
    host = on("dma-owner", ports(*gone), Rescan()).host
    numbers = [host.devices[address].group for address in order]
    assert numbers == list(range(len(order)))


def test_a_port_that_came_back_is_last_on_its_bus() -> None:
    back = on("dma-owner", ports(PORTS[0]), Rescan(), Remove(ENDS[0]), Remove(ENDS[1]), Rescan()).host
    assert [back.devices[end].group for end in (ENDS[1], ENDS[0])] == [1, 2]
