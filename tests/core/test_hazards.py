"""Hazards in general: the registry, their order, unknown facts, and any machine."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iommutui.core.device import Gap
from iommutui.core.hazards import (
    KINDS,
    Severity,
    access,
    cuts_a_lifeline,
    device,
    filled,
    hazard_advice,
    hazard_loss,
    hazard_sentence,
    hazards_of,
    storage,
)
from iommutui.core.host import Details, Host
from iommutui.core.plan.intents import Intent, goals_of
from iommutui.core.printable import printable
from iommutui.core.uses import Plugged
from tests.core.hazards import found, hazards, one
from tests.core.machines import A, function, group_of, machine
from tests.strategies import hosts


def test_every_code_has_a_sentence_advice_and_a_policy() -> None:
    kinds = list(KINDS.values())
    assert len(kinds) == sum(len(module.KINDS) for module in (access, storage, device)) + 1
    for kind in kinds:
        assert kind.says.endswith((".", ".]"))
        assert not kind.asks.endswith(".")
        assert re.fullmatch(r"[a-z0-9-]+", kind.code)
        assert kind.advice.endswith(".")
        assert list(kind.severities) == sorted(kind.severities, key=["danger", "warn", "info"].index)
        assert {Severity.INFO, Severity.WARN} & {*kind.severities} or not kind.asks or kind.never


def test_a_part_of_a_sentence_without_its_fact_is_left_out() -> None:
    template = "{device} goes[ ({chain})][; {who} and {what} stay]."
    assert filled(template, {"device": "x"}) == "x goes."
    assert filled(template, {"device": "x", "chain": "a", "who": "b"}) == "x goes (a)."
    assert filled(template, {"device": "x", "who": "b", "what": "c"}) == "x goes; b and c stay."


def test_a_fact_is_not_a_template() -> None:
    assert filled("{device}[ on {chain}].", {"device": "[{who}]", "chain": "{0}[x]"}) == "[{who}] on {0}[x]."


def test_being_bound_to_a_host_driver_is_no_hazard() -> None:
    for code in ("020000", "0c0330", "030000", "010802", "040300"):
        assert hazards(one(function(A, "nvme", class_code=code)), "A=vfio-pci") == []


def test_dangers_come_first_and_cut_lifelines() -> None:
    host = one(
        function(A, "amdgpu", boot_vga=True, details=Details(reset_methods=(), power_state="D3cold")),
        plugged=(Plugged(A, ("Dock",)),),
    )
    shown = found(host, "A=vfio-pci")
    assert [h.severity for h in shown] == ["danger", "warn", "info", "info"]
    assert cuts_a_lifeline(shown)
    assert not cuts_a_lifeline(shown[1:])


@pytest.mark.parametrize(
    ("code", "driver", "field", "expected"),
    [
        ("010802", "nvme", "storage", {"disk-mounted"}),
        ("010802", "nvme", "fstab", {"fstab-entry"}),
        ("0c0330", "nvme", "storage", {"disk-mounted"}),
        ("0c0330", "nvme", "inputs", {"input-leaves"}),
        ("020000", "nvme", "network", {"default-route"}),
        ("030000", "amdgpu", "screens", {"monitor"}),
        ("030000", "amdgpu", "openers", {"gpu-in-use"}),
        ("030000", "nvidia", "openers", {"gpu-in-use", "unbind-hangs"}),
        ("040300", "snd_hda_intel", "sounds", {"audio-playing"}),
        ("088000", "nvme", "storage", set()),
    ],
)
def test_unknown_hazards_are_reported_as_unknown(code: str, driver: str, field: str, expected: set[str]) -> None:
    host = one(function(A, driver, class_code=code), gaps=(Gap(field, "EACCES"),))
    shown = found(host, "A=none")
    assert {h.code for h in shown} == expected
    assert all(h.unknown == "EACCES" and h.severity is not Severity.DANGER for h in shown)
    assert all("root" in hazard_loss(h) and "sudo" in hazard_advice(h) for h in shown)
    assert hazards(one(function(A, driver, class_code=code)), "A=none") == []
    assert hazards(host, "A=default") == []


@pytest.mark.parametrize("code", ["010802", "0c0330", "020000", "030000", "040300"])
def test_a_host_without_uses_is_never_assumed_safe(code: str) -> None:
    host = machine(group_of(1, function(A, "nvme", class_code=code)))
    shown = found(host, "A=none")
    assert shown
    assert all(hazard.unknown == "not-recorded" for hazard in shown)


@given(hosts(), st.randoms(use_true_random=False), st.sampled_from(["vfio-pci", "none", "default", "pci-stub"]))
def test_the_order_of_the_goals_makes_no_difference_and_every_hazard_has_a_sentence(
    host: Host, random: Any, target: str
) -> None:
    goals = goals_of(host, [Intent(address, target) for address in host.devices])
    shuffled = [*goals]
    random.shuffle(shuffled)
    shown = hazards_of(host, goals)
    assert shown == hazards_of(host, shuffled)
    assert len(set(shown)) == len(shown)
    for hazard in shown:
        assert hazard.severity in KINDS[hazard.code].severities
        assert printable(hazard_sentence(hazard)).isprintable()
        assert not re.search(r"\{\w+\}|\( *\)|  | [.,;]", hazard_sentence(hazard))
