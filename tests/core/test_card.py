"""The functions of one card, and chipset functions."""

from typing import Any

import pytest

from iommutui.core.address import Address
from iommutui.core.host import Device, Host, by_address
from iommutui.core.labels import also_takes, group_word
from iommutui.core.models import MODELS
from iommutui.core.plan.intents import Intent, refusal_of
from iommutui.core.plan.presets import beyond
from iommutui.core.query import matching, parse_query
from iommutui.core.topology import chipset_part, is_of_use, passable
from tests.core.machines import OTHER, A, B, C, bridge, free_card, function, group_of, machine

OWNER = MODELS["dma-owner"]


def part(address: str, vendor: str, code: str, group: int | None = None, **facts: Any) -> Device:
    return function(Address(address), "x", vendor_id=vendor, class_code=code, group=group, fits=())._replace(**facts)


def others(*devices: Device, of: str) -> list[str]:
    host = machine()._replace(devices=by_address(devices))
    return [device.address[-7:] for device in host.card(Address(of))[1:]]


APU = (
    part("0000:05:00.0", "1002", "030000", 20), part("0000:05:00.1", "1002", "040300", 21),
    part("0000:05:00.2", "1022", "108000", 22), part("0000:05:00.3", "1022", "0c0330", 23),
    part("0000:05:00.6", "1022", "040300", 26),
)  # fmt: skip


def test_a_display_takes_functions_of_its_maker_in_other_groups() -> None:
    assert others(*APU, of="0000:05:00.0") == ["05:00.1"]


@pytest.mark.parametrize("function_number", ["1", "3", "6"])
def test_only_a_display_takes_functions_in_other_groups(function_number: str) -> None:
    assert others(*APU, of=f"0000:05:00.{function_number}") == []


CHIPSET = (
    part("0000:00:14.0", "8086", "0c0330", 3), part("0000:00:14.2", "8086", "050000", 3),
    part("0000:00:14.3", "8086", "028000", 4), part("0000:00:14.5", "8086", "0c0330", 3),
)  # fmt: skip


def test_chipset_functions_in_one_slot_are_not_a_card() -> None:
    assert others(*CHIPSET, of="0000:00:14.3") == []
    assert others(*CHIPSET[:3], of="0000:00:14.0") == []


def test_ports_of_one_kind_in_one_slot_and_group_go_together() -> None:
    ports = [part(f"0000:04:00.{n}", "8086", "020000", 7 if n < 2 else 8) for n in range(3)]
    assert others(*ports, of="0000:04:00.0") == ["04:00.1"]


def test_the_sound_function_of_a_display_takes_the_display_in_its_group() -> None:
    card = [part("0000:01:00.0", "10de", "030000", 1), part("0000:01:00.1", "10de", "040300", 1),
            part("0000:01:00.2", "10de", "0c0330", 1)]  # fmt: skip
    assert others(*card, of="0000:01:00.1") == ["01:00.0", "01:00.2"]
    apart = [card[0]._replace(group=2), *card[1:]]
    assert others(*apart, of="0000:01:00.1") == []


def test_usb_2_and_usb_1_controllers_in_one_slot_go_together() -> None:
    usb = [part("0000:00:1d.0", "8086", "0c0300", 5), part("0000:00:1d.1", "8086", "0c0300", 6),
           part("0000:00:1d.7", "8086", "0c0320", 7)]  # fmt: skip
    assert others(*usb, of="0000:00:1d.7") == ["00:1d.0", "00:1d.1"]
    assert others(*usb, of="0000:00:1d.0") == ["00:1d.1", "00:1d.7"]
    assert others(*usb[:2], of="0000:00:1d.0") == []


def arc(beside: Device | None = None, maker: str = "8086", root: bool = True) -> list[Device]:
    def port(address: str, above: str | None) -> Device:
        return bridge(Address(address), vendor_id=maker, parent=above and Address(above), group=9)

    rows = [
        port("0000:02:00.0", "0000:00:01.0" if root else None),
        port("0000:03:01.0", "0000:02:00.0"),
        port("0000:03:04.0", "0000:02:00.0"),
        part("0000:04:00.0", "8086", "030000", 10, parent=Address("0000:03:01.0")),
        part("0000:05:00.0", "8086", "040300", 11, parent=Address("0000:03:04.0")),
    ]
    return [*rows, beside] if beside is not None else rows


def test_a_card_with_its_own_switch_includes_the_devices_behind_it() -> None:
    assert others(*arc(), of="0000:04:00.0") == ["05:00.0"]
    assert others(*arc(), of="0000:05:00.0") == []


def test_a_switch_of_the_mainboard_or_another_maker_is_not_part_of_the_card() -> None:
    nic = part("0000:06:00.0", "8086", "020000", 12, parent=Address("0000:03:04.0"))
    assert others(*arc(nic), of="0000:04:00.0") == []
    assert others(*arc(maker="10b5"), of="0000:04:00.0") == []
    assert others(*arc(root=False), of="0000:04:00.0") == []


def test_devices_that_a_preset_adds_are_named() -> None:
    host = machine(group_of(1, function(A, "amdgpu", fits=()), function(OTHER, "iwlwifi", class_code="028000")))
    preset = free_card(host, A, OWNER)
    assert also_takes(beyond(host, [A], preset or ())) == "also takes 02:00.0 Network"
    assert also_takes(beyond(host, [A, OTHER], preset or ())) == ""


# -- chipset functions


@pytest.mark.parametrize(
    ("vendor", "code", "driver", "parent", "expected"),
    [
        ("8086", "060000", None, None, True), ("1022", "060100", None, None, True),
        ("1022", "080600", None, None, True), ("1022", "0c0500", None, None, True),
        ("8086", "0c8000", "intel-spi", None, True), ("8086", "0c8000", None, None, True),
        ("8086", "0c8000", None, C, False), ("10de", "0c8000", None, C, False),
        ("1002", "0c8000", None, C, False), ("1022", "0c8000", None, C, True),
        ("8086", "050000", None, None, True), ("8086", "058000", None, None, True),
        ("10ee", "058000", None, None, False), ("8086", "078000", "mei_me", None, True),
        ("8086", "078000", None, None, True), ("8086", "070002", None, C, False),
        ("1022", "108000", "ccp", C, True), ("1022", "108000", None, C, True),
        ("8086", "0b4000", None, None, False), ("1022", "118000", None, C, False),
        ("8086", "118000", None, None, True), ("8086", "0c0330", None, None, False),
        ("144d", "010802", "nvme", C, False), ("8086", "028000", "iwlwifi", None, False),
    ],
)  # fmt: skip
def test_chipset_functions_cannot_be_handed_over(
    vendor: str, code: str, driver: str | None, parent: Address | None, expected: bool
) -> None:
    device = function(A, driver, vendor_id=vendor, class_code=code, parent=parent)
    host = machine(group_of(1, device))
    assert bool(chipset_part(device)) is expected
    assert is_of_use(host, host.devices[A]) is not expected
    assert passable(host, host.groups[1]) is not expected
    for target, refused in (("vfio-pci", expected), ("pci-stub", expected), ("none", False), ("default", False)):
        reason = refusal_of(host, Intent(A, target))
        assert (reason.code if reason else None) == ("of-the-board" if refused else None)


def test_a_group_with_nothing_to_pass_through_is_neither_viable_nor_blocked() -> None:
    board = function(A, "i801_smbus", class_code="0c0500")
    host = machine(group_of(1, board, bridge(B)), group_of(2, bridge(C)), group_of(3, function(OTHER, "nvme")))
    words = {n: group_word(host, g, OWNER.verdict(host, g)) for n, g in host.groups.items()}
    assert words == {1: "nothing to pass", 2: "nothing to pass", 3: "blocked"}
    assert not any(matches(host, A, text) for text in ("viable:yes", "viable:no", "viable:blocked"))
    assert matches(host, OTHER, "viable:no")


def matches(host: Host, address: Address, text: str) -> bool:
    found = matching(host, parse_query(text), lambda group: OWNER.verdict(host, group))
    return host.devices[address] in found


def test_the_filter_viable_means_usable_now() -> None:
    host = machine(group_of(1, function(A), direct=True), group_of(2, function(OTHER)))
    assert OWNER.verdict(host, host.groups[1]).viable is True
    assert not matches(host, A, "viable:yes")
    assert matches(host, A, "viable:no")
    assert matches(host, OTHER, "viable:yes")
    used = machine(group_of(1, function(A, "vfio-pci"), owner="vm"))
    assert not any(matches(used, A, f"viable:{word}") for word in ("yes", "no"))


def test_a_group_in_no_iommu_mode_is_not_isolated() -> None:
    group, devices = group_of(0, function(A, "vfio-pci", fits=()))
    host = machine((group._replace(name="vfio-noiommu"), devices))
    assert not passable(host, host.groups[0])
    assert group_word(host, host.groups[0], OWNER.verdict(host, host.groups[0])) == "no isolation"
    assert free_card(host, A, OWNER) is None
