"""Hazards of cards, resets, power and isolation, each with a case with it and a case without it."""

import pytest

from iommutui.core.address import Address
from iommutui.core.hazards import hazard_loss, hazard_sentence
from iommutui.core.host import Details, Device, Region
from iommutui.core.uses import ById, Network, Uses
from tests.core.hazards import GPU, NIC, found, hazards, one, two
from tests.core.machines import LONE, OTHER, A, B, C, bridge, function, group_of, machine


@pytest.mark.parametrize(
    ("other", "intents", "expected"),
    [
        (function(B, "snd_hda_intel"), ("A=vfio-pci",), True),
        (function(B, "snd_hda_intel"), ("A=vfio-pci", "B=vfio-pci"), False),
        (function(B, "snd_hda_intel"), ("A=none",), False),
        (function(B, "vfio-pci"), ("A=vfio-pci",), False),
        (function(B, "pci-stub"), ("A=vfio-pci",), False),
        (function(B), ("A=vfio-pci",), False),
        (function(B, "nvme", physfn=A), ("A=vfio-pci",), False),
        (bridge(B), ("A=vfio-pci",), False),
        (function(OTHER, "nvme"), ("A=vfio-pci",), False),
    ],
)
def test_a_function_of_the_card_that_stays_on_the_host_is_a_hazard(
    other: Device, intents: tuple[str, ...], expected: bool
) -> None:
    shown = hazards(machine(group_of(1, function(A, "amdgpu"), other)), *intents)
    assert (("card-split", other.address) in shown) is expected


def test_a_virtual_function_does_not_split_its_card() -> None:
    virtual = function(B, "nvme", physfn=A)
    port = function(C, "nvme", class_code="020000")
    host = machine(group_of(1, NIC._replace(virtfns=(B,)), port), group_of(2, virtual))
    assert "card-split" not in [code for code, _ in hazards(host, "B=vfio-pci")]
    assert ("card-split", C) in hazards(host, "A=vfio-pci")


@pytest.mark.parametrize("group", [1, 2])
def test_a_function_that_stays_in_another_group_is_named_with_its_group(group: int) -> None:
    audio = function(B, "snd_hda_intel", class_code="040300")
    groups = [group_of(1, GPU, audio)] if group == 1 else [group_of(1, GPU), group_of(2, audio)]
    (hazard,) = (h for h in found(machine(*groups)._replace(uses=Uses()), "A=vfio-pci") if h.code == "card-split")
    assert hazard.fact("group") == ("" if group == 1 else "2")


@pytest.mark.parametrize(
    ("network", "opened", "target", "expected"),
    [((), (), "none", "warn"), ((Network(B, ("eth1",), False, True),), (), "none", "danger"),
     ((), (B,), "none", "danger"), ((), (), "default", None)],
)  # fmt: skip
def test_virtual_functions_that_may_vanish_are_a_hazard(
    network: tuple[Network, ...], opened: tuple[Address, ...], target: str, expected: str | None
) -> None:
    virtual = function(B, "vfio-pci" if opened else "nvme", physfn=A)
    host = machine(group_of(1, NIC._replace(virtfns=(B,))), group_of(2, virtual, owner="vm", opened=opened))
    shown = found(host._replace(uses=Uses(network=network)), f"A={target}")
    assert [str(h.severity) for h in shown if h.code == "virtual-functions"] == ([expected] if expected else [])
    assert [h.device for h in shown if h.code == "network-address"] == ([B] if network else [])


@pytest.mark.parametrize(("opened", "words"), [((), "(1)"), ((B,), f"(1; in use: {B})")])
def test_the_sentence_on_virtual_functions_is_true_for_every_driver(opened: tuple[Address, ...], words: str) -> None:
    virtual = function(B, "vfio-pci", physfn=A)
    host = machine(group_of(1, NIC._replace(virtfns=(B,))), group_of(2, virtual, owner="vm", opened=opened))
    (hazard,) = (h for h in found(host, "A=none") if h.code == "virtual-functions")
    assert hazard_loss(hazard) == (
        f"{A} has virtual functions {words}, which many drivers remove when they are unbound; a revert does not "
        f"bring them back."
    )


@pytest.mark.parametrize(
    ("cmdline", "by_id", "driver", "expected"),
    [
        ("vfio-pci.ids=1002:73b0", (), "amdgpu", True),
        ("quiet vfio_pci.ids=10de:1,1002:73b0", (), "amdgpu", True),
        ("", (ById("vfio-pci", ("1002:73b0",), "/etc/modprobe.d/vfio.conf"),), "amdgpu", True),
        ("vfio-pci.ids=1002:73b1", (), "amdgpu", False),
        ("kvm.ids=1002:73b0", (), "amdgpu", False),
        ("vfio-pci.ids=1002:73b0", (), "vfio-pci", False),
        ("", (), "amdgpu", False),
    ],
)
def test_a_twin_that_ids_also_match_is_a_hazard(
    cmdline: str, by_id: tuple[ById, ...], driver: str, expected: bool
) -> None:
    host = two(GPU, function(OTHER, driver), by_id=by_id)._replace(cmdline=cmdline)
    shown = [h for h in found(host, "A=vfio-pci") if h.code == "matched-by-id"]
    assert [h.fact("twins") for h in shown] == ([OTHER] if expected else [])


@pytest.mark.parametrize(
    ("methods", "target", "expected"),
    [((), "vfio-pci", True), (None, "vfio-pci", False), (("flr",), "vfio-pci", False), ((), "none", False)],
)
def test_a_device_that_cannot_be_reset_is_a_hazard(
    methods: tuple[str, ...] | None, target: str, expected: bool
) -> None:
    host = one(function(A, "amdgpu", details=Details(reset_methods=methods)))
    assert (("no-reset", A) in hazards(host, f"A={target}")) is expected


@pytest.mark.parametrize(
    ("methods", "parent", "other", "intents", "expected"),
    [
        (("bus",), LONE, function(B, "nvme"), ["A=vfio-pci"], True),
        ((), LONE, function(B, "nvme"), ["A=vfio-pci"], True),
        (("flr", "bus"), LONE, function(B, "nvme"), ["A=vfio-pci"], False),
        (None, LONE, function(B, "nvme"), ["A=vfio-pci"], False),
        (("bus",), None, function(B, "nvme"), ["A=vfio-pci"], True),
        (("bus",), None, bridge(B), ["A=vfio-pci"], False),
        (("bus",), LONE, function(B), ["A=vfio-pci"], False),
        (("bus",), LONE, function(B, "nvme"), ["A=vfio-pci", "B=vfio-pci"], False),
        (("bus",), LONE, function(OTHER, "nvme"), ["A=vfio-pci"], False),
    ],
)
def test_a_reset_that_reaches_other_groups_is_a_hazard(
    methods: tuple[str, ...] | None, parent: Address | None, other: Device, intents: list[str], expected: bool
) -> None:
    host = two(GPU._replace(parent=parent, details=Details(reset_methods=methods)), other)
    assert (("reset-reaches-others", A) in hazards(host, *intents)) is expected


def test_a_reset_within_the_group_is_no_hazard() -> None:
    card = GPU._replace(parent=LONE, details=Details(reset_methods=("bus",)))
    assert ("reset-reaches-others", A) not in hazards(machine(group_of(1, card, function(B, "nvme"))), "A=vfio-pci")


@pytest.mark.parametrize(
    ("state", "target", "expected"),
    [("D3cold", "vfio-pci", True), ("D0", "vfio-pci", False), (None, "vfio-pci", False), ("D3cold", "none", False)],
)
def test_a_sleeping_device_is_a_hazard(state: str | None, target: str, expected: bool) -> None:
    host = one(GPU._replace(details=Details(power_state=state)))
    assert (("sleeps-in-d3cold", A) in hazards(host, f"A={target}")) is expected


@pytest.mark.parametrize(("answers", "expected"), [(False, True), (True, False), (None, False)])
def test_a_device_that_has_fallen_off_the_bus_is_a_hazard(answers: bool | None, expected: bool) -> None:
    shown = hazards(one(function(A, details=Details(config_answers=answers, reset_methods=("flr",)))), "A=vfio-pci")
    assert (("not-responding", A) in shown) is expected


@pytest.mark.parametrize(
    ("kind", "target", "expected"),
    [("direct", "vfio-pci", True), ("direct", "none", False), ("direct-relaxable", "vfio-pci", False),
     ("msi", "vfio-pci", False)],
)  # fmt: skip
def test_memory_that_firmware_uses_through_the_device_is_a_hazard(kind: str, target: str, expected: bool) -> None:
    host = one(GPU)
    host = host.with_group(host.groups[1]._replace(regions=(Region(0x1000, 0x1FFF, kind),)))
    shown = [h for h in found(host, f"A={target}") if h.code == "direct-region"]
    assert [h.device for h in shown] == ([A] if expected else [])
    assert not any(
        "refuse" in hazard_sentence(h) for h in shown
    )  # That depends on kernel and model; the verdict says so.


@pytest.mark.parametrize(
    ("cmdline", "target", "expected"),
    [("ro pcie_acs_override=downstream", "vfio-pci", True), ("ro pcie_acs_override=downstream", "none", False),
     ("ro quiet", "vfio-pci", False), (None, "vfio-pci", False)],
)  # fmt: skip
def test_groups_split_by_an_acs_override_are_a_hazard(cmdline: str | None, target: str, expected: bool) -> None:
    assert (("acs-override", A) in hazards(one(GPU)._replace(cmdline=cmdline), f"A={target}")) is expected
