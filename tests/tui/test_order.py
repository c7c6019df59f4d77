"""The orders of the groups, and the cost of ordering."""

import sys
from types import FrameType

import pytest

from iommutui.core.address import Address
from iommutui.core.host import Claim, Device, Group, Host, by_address, by_number
from iommutui.tui.rows import listing
from iommutui.tui.state import Sort, Source, SourceKind, start, with_host


def bridge(address: str) -> Device:
    return Device(Address(address), class_code="060400", header_type=1)


def card(address: str, driver: str | None = None, class_code: str = "020000") -> Device:
    return Device(Address(address), class_code=class_code, header_type=0, driver=driver)


def machine(groups: dict[int, Device], claims: dict[int, Claim] | None = None) -> Host:
    return Host(
        by_address(device._replace(group=number) for number, device in groups.items()),
        by_number(Group(n, (d.address,), "DMA", claim=(claims or {}).get(n)) for n, d in groups.items()),
        kernel="6.12.1",
        iommus=(),
    )


def order(host: Host, sort: Sort) -> list[int | None]:
    state = with_host(start(Source(SourceKind.DEMO)), host)[0]._replace(sort=sort)
    return list(dict.fromkeys(key.group for key in listing(state).keys))


MIXED = machine(
    {
        1: card("0000:01:00.0", "igb"),
        2: bridge("0000:02:00.0"),
        3: card("0000:03:00.0", class_code="030000"),
        4: card("0000:04:00.0", "vfio-pci"),
        5: card("0000:05:00.0"),
    },
    {4: Claim("vm1", 1, "group", (Address("0000:04:00.0"),))},
)


@pytest.mark.parametrize(
    ("sort", "expected"),
    [(Sort.NUMBER, [1, 2, 3, 4, 5]), (Sort.KIND, [3, 1, 4, 5, 2]), (Sort.VERDICT, [3, 5, 4, 1, 2])],
)
def test_each_order_sorts_the_groups(sort: Sort, expected: list[int]) -> None:
    """By verdict, groups that can be handed over come before viable ones that contain only bridges."""
    assert order(MIXED, sort) == expected


def test_devices_without_a_group_come_last_in_every_order() -> None:
    host = MIXED._replace(devices=by_address([*MIXED.devices.values(), card("0000:00:00.0", "igb", "030000")]))
    assert {order(host, sort)[-1] for sort in Sort} == {None}


def calls(groups: int, sort: Sort) -> int:
    """How many Python calls it takes to list this many groups, half of which contain only a bridge."""
    made = {n: (bridge if n % 2 else card)(f"0000:{n:02x}:00.0") for n in range(groups)}
    host, found = machine(made), 0

    def count(frame: FrameType, event: str, arg: object) -> None:
        nonlocal found
        found += event == "call"

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        order(host, sort)
    finally:
        sys.setprofile(before)
    return found


@pytest.mark.parametrize("sort", Sort)
def test_ordering_twice_the_groups_is_about_twice_the_work(sort: Sort) -> None:
    assert calls(128, sort) < 2.5 * calls(64, sort)
