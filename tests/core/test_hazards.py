"""What the host loses by a plan: each hazard where there is one, and not where there is none."""

import pytest

from iommutui.core.hazards import CHECKS, hazards_of
from iommutui.core.host import Details, Device, Host
from iommutui.core.intents import Goal, Intent, goal_of
from iommutui.core.wording import _HAZARDS, hazard_sentence
from tests.core.machines import OTHER, A, B, bridge, function, group_of, machine


def hazards(host: Host, *intents: str) -> list[tuple[str, str]]:
    goals: list[Goal] = []
    for text in intents:
        device, _, target = text.partition("=")
        goal, _, reason = goal_of(host, Intent({"A": A, "B": B}[device], target))
        assert goal is not None, reason
        goals.append(goal)
    found = hazards_of(host, goals)
    assert all(hazard.device in hazard_sentence(hazard) for hazard in found)
    return [(hazard.code, hazard.device) for hazard in found]


def one(device: Device) -> Host:
    return machine(group_of(1, device))


def test_every_hazard_has_a_sentence() -> None:
    assert len(_HAZARDS) >= len(CHECKS)


@pytest.mark.parametrize(
    ("boot_vga", "driver", "target", "expected"),
    [(True, "amdgpu", "vfio-pci", True), (True, "amdgpu", "none", True), (True, "amdgpu", "pci-stub", True),
     (True, "amdgpu", "default", False), (True, None, "vfio-pci", False), (False, "amdgpu", "vfio-pci", False),
     (None, "amdgpu", "vfio-pci", False), (True, "amdgpu", "nvme", False)],
)  # fmt: skip
def test_the_display_that_the_machine_booted_on(
    boot_vga: bool | None, driver: str | None, target: str, expected: bool
) -> None:
    found = hazards(one(function(A, driver, boot_vga=boot_vga)), f"A={target}")
    assert (("boot-display", A) in found) is expected


@pytest.mark.parametrize(
    ("other", "intents", "expected"),
    [
        (function(B, "snd_hda_intel"), ("A=vfio-pci",), True),
        (function(B, "snd_hda_intel"), ("A=vfio-pci", "B=vfio-pci"), False),
        (function(B, "snd_hda_intel"), ("A=none",), False),
        (function(B, "vfio-pci"), ("A=vfio-pci",), False),
        (function(B, "pci-stub"), ("A=vfio-pci",), False),
        (function(B), ("A=vfio-pci",), False),
        (function(B, "nvme", physfn=OTHER), ("A=vfio-pci",), False),
        (bridge(B), ("A=vfio-pci",), False),
        (function(OTHER, "nvme"), ("A=vfio-pci",), False),
    ],
)
def test_a_part_of_a_card_that_stays_behind(other: Device, intents: tuple[str, ...], expected: bool) -> None:
    found = hazards(machine(group_of(1, function(A, "amdgpu"), other)), *intents)
    assert (("card-split", other.address) in found) is expected


@pytest.mark.parametrize(
    ("methods", "target", "expected"),
    [((), "vfio-pci", True), (None, "vfio-pci", True), (("flr",), "vfio-pci", False), ((), "none", False)],
)
def test_a_device_that_cannot_be_reset(methods: tuple[str, ...] | None, target: str, expected: bool) -> None:
    host = machine(
        group_of(1, function(A, "amdgpu", details=Details(reset_methods=methods))),
        group_of(2, function(OTHER, details=Details(reset_methods=("flr",)))),
    )
    assert (("no-reset", A) in hazards(host, f"A={target}")) is expected


def test_nothing_is_said_of_resets_where_nothing_is_known() -> None:
    assert hazards(one(function(A, "amdgpu", details=Details())), "A=vfio-pci") == []
    assert hazards(one(function(A, "amdgpu")), "A=vfio-pci") == []


@pytest.mark.parametrize(("answers", "expected"), [(False, True), (True, False), (None, False)])
def test_a_device_that_has_fallen_off_the_bus(answers: bool | None, expected: bool) -> None:
    found = hazards(one(function(A, details=Details(config_answers=answers, reset_methods=("flr",)))), "A=vfio-pci")
    assert (("not-responding", A) in found) is expected
