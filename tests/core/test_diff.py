"""Differences between two machines: devices that moved, groups that split, and facts known on one side only."""

from typing import Any

from iommutui.core.address import Address
from iommutui.core.device import NOT_LISTED
from iommutui.core.diff import ChangeKind, Difference, change_sentence, compare, is_equal
from iommutui.core.host import Claim, Device, Gap, Group, Host, by_address, by_number
from iommutui.core.models import MODELS, model_for


def device(address: str, ids: str = "10de:2204", group: int | None = 1, **fields: Any) -> Device:
    """A function."""
    vendor, _, product = ids.partition(":")
    known = Device(Address(address), vendor_id=vendor, device_id=product, class_code="030000", group=group)
    return known._replace(**fields)


def machine(*devices: Device, **fields: Any) -> Host:
    """The machine with these functions and their groups."""
    members: dict[int, list[Address]] = {}
    for each in devices:
        if each.group is not None:
            members.setdefault(each.group, []).append(each.address)
    host = Host(by_address(devices), by_number(Group(n, tuple(m)) for n, m in members.items()), kernel="6.1.0")
    return host._replace(**fields)


def changes(before: Host, after: Host) -> list[Difference]:
    """The differences, under the model of each side's kernel."""
    return compare(before, after, model_for(before.kernel), model_for(after.kernel))


def kinds(before: Host, after: Host) -> list[ChangeKind]:
    """The kinds of difference."""
    return [change.kind for change in changes(before, after)]


GPU, SOUND = device("0000:01:00.0"), device("0000:01:00.1", "10de:1aef")


def test_a_machine_is_equal_to_itself() -> None:
    assert changes(machine(GPU, SOUND), machine(GPU, SOUND)) == []


def test_added_and_removed_devices() -> None:
    other = device("0000:02:00.0", "8086:1533", 2)
    assert kinds(machine(GPU), machine(GPU, other)) == [ChangeKind.ADDED]
    assert kinds(machine(GPU, other), machine(GPU)) == [ChangeKind.REMOVED]


def test_another_card_in_the_slot_is_one_removed_and_one_added() -> None:
    assert kinds(machine(GPU), machine(device("0000:01:00.0", "1002:73bf"))) == [ChangeKind.REMOVED, ChangeKind.ADDED]


def test_a_card_at_another_address_has_moved_with_its_group() -> None:
    moved = [device("0000:03:00.0", group=5), device("0000:03:00.1", "10de:1aef", 5)]
    found = changes(machine(GPU, SOUND), machine(*moved))
    assert [(c.kind, c.before, c.after) for c in found] == [
        (ChangeKind.MOVED, "0000:01:00.0", "0000:03:00.0"),
        (ChangeKind.MOVED, "0000:01:00.1", "0000:03:00.1"),
        (ChangeKind.RENUMBERED, "1", "5"),
    ]


def test_of_two_equal_cards_the_one_in_the_same_slot_has_not_moved() -> None:
    one, two = device("0000:01:00.0"), device("0000:02:00.0", group=2)
    found = changes(machine(one, two), machine(two, device("0000:07:00.0", group=1)))
    assert [(c.kind, c.before, c.after) for c in found] == [(ChangeKind.MOVED, "0000:01:00.0", "0000:07:00.0")]


def test_groups_that_split_merge_and_exchange_devices() -> None:
    apart = SOUND._replace(group=2)
    assert kinds(machine(GPU, SOUND), machine(GPU, apart)) == [ChangeKind.SPLIT]
    assert kinds(machine(GPU, apart), machine(GPU, SOUND)) == [ChangeKind.MERGED]
    three = [device(f"0000:0{n}:00.0", f"8086:000{n}", g) for n, g in ((1, 1), (2, 1), (3, 2))]
    other = [device(f"0000:0{n}:00.0", f"8086:000{n}", g) for n, g in ((1, 1), (2, 2), (3, 2))]
    (moved,) = changes(machine(*three), machine(*other))
    assert change_sentence(moved) == "IOMMU group of 0000:02:00.0: 1 → 2."


def test_a_device_that_lost_its_group() -> None:
    assert ChangeKind.UNGROUPED in kinds(machine(GPU, SOUND), machine(GPU, SOUND._replace(group=None)))


def test_drivers_overrides_interfaces_and_the_verdict() -> None:
    bound = GPU._replace(driver="nvidia", interfaces=("eth0",))
    now = GPU._replace(driver="vfio-pci", driver_override="vfio-pci", interfaces=("enp1s0",))
    assert set(kinds(machine(bound), machine(now))) == {
        ChangeKind.VERDICT,
        ChangeKind.DRIVER,
        ChangeKind.OVERRIDE,
        ChangeKind.INTERFACES,
    }


def test_a_fact_unknown_on_one_side_is_not_a_difference() -> None:
    gaps = tuple(Gap(name, NOT_LISTED) for name in ("driver", "driver_override"))
    unknown = machine(GPU._replace(gaps=gaps), gaps=(Gap("kernel", NOT_LISTED),), kernel=None)
    found = changes(machine(GPU._replace(driver="nvidia")), unknown)
    assert [change_sentence(change) for change in found] == [
        "Not compared: the kernel, which only one side shows.",
        "Not compared: the drivers of 1 device, which only one side shows.",
    ]
    assert is_equal(found)
    assert not [c for c in changes(unknown, unknown) if "drivers" in c.subject]
    without = machine(GPU._replace(group=None), gaps=(Gap("iommu_groups", NOT_LISTED),))
    assert is_equal(changes(machine(GPU), without))


def test_a_claim_that_one_side_could_not_see_is_not_a_difference() -> None:
    used = machine(GPU._replace(driver="vfio-pci"))
    used = used.with_group(used.groups[1]._replace(claim=Claim("vm1")))
    blind = machine(GPU._replace(driver="vfio-pci"), gaps=(Gap("claims", NOT_LISTED),))
    assert is_equal(changes(blind, used))
    assert not is_equal(changes(machine(GPU._replace(driver="vfio-pci")), used))


def test_two_kernels_on_one_machine() -> None:
    port = device("0000:00:01.0", "8086:1901", class_code="060400", driver="pcieport", header_type=1)
    old, new = (machine(port, GPU, kernel=kernel) for kernel in ("5.15.0", "6.8.0"))
    assert [change.kind for change in changes(old, new)] == [ChangeKind.KERNEL, ChangeKind.MODEL]
    found = compare(old, old, MODELS["dma-hint"], MODELS["vfio-group"])
    assert ChangeKind.VERDICT in [change.kind for change in found]


def test_every_change_has_a_sentence() -> None:
    assert all(change_sentence(Difference(kind, "a", "b", "c")).endswith(".") for kind in ChangeKind)


def test_two_cards_with_one_chip_that_change_places_have_moved() -> None:
    boards = [{"subsystem_vendor_id": "8086", "subsystem_device_id": board} for board in ("0001", "0002")]
    before = machine(*(device(f"0000:0{n}:00.0", group=n, **boards[n]) for n in (0, 1)))
    after = machine(*(device(f"0000:0{n}:00.0", group=n, **boards[1 - n]) for n in (0, 1)))
    assert kinds(before, after)[:2] == [ChangeKind.MOVED, ChangeKind.MOVED]


def board(vendor: str, number: str) -> Device:
    """The card with the subsystem of a board."""
    return GPU._replace(subsystem_vendor_id=vendor, subsystem_device_id=number)


def test_another_board_in_the_same_slot_is_a_difference_unless_one_side_shows_none() -> None:
    (found,) = changes(machine(board("1043", "0001")), machine(board("1043", "0002")))
    assert (found.kind, found.before, found.after) == (ChangeKind.SUBSYSTEM, "1043:0001", "1043:0002")
    assert kinds(machine(board("1043", "0001")), machine(GPU)) == []
    assert kinds(machine(board("1043", "0001")), machine(board("0000", "0000"))) == []


def test_a_card_has_moved_although_one_side_shows_no_board() -> None:
    moved = machine(GPU._replace(address=Address("0000:05:00.0")))
    assert kinds(machine(board("1043", "0001")), moved) == [ChangeKind.MOVED]


def test_what_an_excerpt_does_not_show_is_not_gone() -> None:
    excerpt = machine(GPU, gaps=(Gap("devices", NOT_LISTED),))
    assert kinds(machine(GPU, SOUND), excerpt) == [ChangeKind.UNKNOWN]
    assert kinds(excerpt, machine(GPU, SOUND)) == [ChangeKind.UNKNOWN]
    assert kinds(machine(GPU, SOUND), machine(GPU)) == [ChangeKind.REMOVED]


def test_the_model_of_an_unknown_kernel_is_not_compared() -> None:
    found = changes(machine(GPU, kernel="5.10.0"), machine(GPU, kernel=None))
    assert [change.kind for change in found] == [ChangeKind.UNKNOWN]
