"""The basis of a verdict: reasons, guesses, and unknown facts."""

import pytest

from iommutui.core.events import (
    Bind,
    ClaimDevice,
    ClaimGroup,
    Override,
    Probe,
    ReleaseDevice,
    Unbind,
)
from iommutui.core.host import Gap, Host
from iommutui.core.models import MODELS
from tests.core.machines import (
    LONE,
    NO_DEVICES,
    OLD,
    A,
    B,
    codes,
    function,
    group_of,
    machine,
    on,
    pair,
    shown,
    verdict_of,
)

# -- unknown facts


UNKNOWN = Gap("driver", "EACCES")


@pytest.mark.parametrize("model", MODELS)
def test_a_member_with_an_unknown_driver_makes_the_verdict_unknown(model: str) -> None:
    host = machine(group_of(1, function(A), function(B, gaps=(UNKNOWN,))))
    verdict = MODELS[model].verdict(host, host.groups[1])
    assert (verdict.viable, verdict.state) == (None, "unknown")
    assert [(r.code, r.device) for r in verdict.reasons] == [("unknown-driver", B)]


@pytest.mark.parametrize("model", MODELS)
def test_a_member_that_was_not_recorded_makes_the_verdict_unknown(model: str) -> None:
    host = machine(group_of(1, function(A)))
    group = host.groups[1]._replace(members=(A, B, LONE))
    verdict = MODELS[model].verdict(host.with_group(group), group)
    assert (verdict.viable, [r.device for r in verdict.reasons]) == (None, [B, LONE])


def test_unknown_facts_are_named_in_order() -> None:
    host = machine(group_of(1, function(A)))
    group = host.groups[1]._replace(members=(LONE, B, A))
    assert [r.device for r in MODELS["dma-owner"].verdict(host, group).reasons] == [B, LONE]


@pytest.mark.parametrize("model", MODELS)
def test_the_owner_is_named(model: str) -> None:
    host = machine(
        group_of(1, function(A), function(B), owner="vm1"), kernel=OLD if model == "vfio-group" else "6.12.0"
    )
    outcome = on(model, host, ClaimGroup(1, "vm2"))
    assert [(r.code, r.group, r.fact("owner")) for r in outcome.reasons] == [("owned", 1, "vm1")]
    assert outcome.reasons == MODELS[model].verdict(host, host.groups[1]).reasons


@pytest.mark.parametrize("model", MODELS)
def test_a_known_blocker_decides_despite_unknown_facts(model: str) -> None:
    host = machine(group_of(1, function(A, "nvme"), function(B, gaps=(UNKNOWN,))))
    verdict = MODELS[model].verdict(host, host.groups[1])
    assert verdict.viable is False
    assert {r.code for r in verdict.reasons} >= {"kernel-driver", "unknown-driver"}


def test_irrelevant_facts_may_be_unknown() -> None:
    """VFIO's own rule ignores the driver of a bridge, and ownership ignores a device on another bus."""
    bridge = machine(group_of(1, function(A, "vfio-pci"), function(B, header_type=1, gaps=(UNKNOWN,))))
    assert [verdict_of(model, bridge)[0] for model in ("vfio-group", "dma-owner")] == [True, None]
    usb = machine(group_of(1, function(A, "vfio-pci"), function(B, bus="usb", gaps=(UNKNOWN,))))
    assert [verdict_of(model, usb)[0] for model in ("vfio-group", "dma-owner")] == [None, True]


def test_a_probe_beside_unknown_facts_says_so() -> None:
    host = machine(group_of(1, function(A), function(B, gaps=(UNKNOWN,))))
    outcome = on("dma-hint", host, Bind(A, "amdgpu"))
    assert (shown(outcome), codes(outcome)) == ("ok", ["unknown-driver"])
    assert codes(on("dma-hint", host, Override(B, "vfio-pci"), Probe(B))) == []


# -- the basis of a verdict


@pytest.mark.parametrize("model", ["vfio-group", "dma-owner"])
def test_a_guessed_role_is_marked_as_a_guess(model: str) -> None:
    host = pair("my-vfio", None, kernel=OLD if model == "vfio-group" else "6.12.0")
    (guess,) = MODELS[model].verdict(host, host.groups[1]).reasons
    assert (guess.code, guess.device, guess.driver, guess.fact("role")) == ("assumed-role", A, "my-vfio", "user")
    sure = pair("vfio-pci", "pci-stub")
    assert MODELS[model].verdict(sure, sure.groups[1]).reasons == ()


@pytest.mark.parametrize("model", ["vfio-group", "dma-owner"])
def test_a_direct_region_is_named(model: str) -> None:
    host = pair("vfio-pci", None, direct=True)
    (region,) = MODELS[model].verdict(host, host.groups[1]).reasons
    assert (region.code, region.group, region.fact("region")) == ("direct-region", 1, "0x0-0xfff")
    unread = host.with_group(host.groups[1]._replace(regions=None))
    assert MODELS[model].verdict(unread, unread.groups[1]).claim == "ok"


@pytest.mark.parametrize("model", MODELS)
def test_a_known_driver_is_not_a_gap(model: str) -> None:
    host = pair("pci-stub", "pci-stub")
    host = host.with_device(host.devices[A]._replace(gaps=(UNKNOWN,)))
    assert "unknown-driver" not in [r.code for r in MODELS[model].verdict(host, host.groups[1]).reasons]
    unrecorded = host.groups[1]._replace(members=(A, B, LONE))
    (missing,) = (r for r in MODELS[model].verdict(host, unrecorded).reasons if r.device == LONE)
    assert (missing.code, missing.fact("why")) == ("unknown-driver", "not-recorded")


@pytest.mark.parametrize("model", ["dma-hint", "kernel-ownership", "dma-owner"])
def test_a_waiting_unbind_ends_when_the_device_is_released(model: str) -> None:
    """Only the container of an old kernel keeps its last device open."""
    host = pair("vfio-pci", None, owner="vm1", opened=[A], via="device", uses=2)
    claim = on(model, host, Unbind(A), ReleaseDevice(A, "vm1")).host.groups[1].claim
    assert claim is None if model == "dma-owner" else claim is not None and claim.opened == ()


def test_the_gap_of_the_draft_is_named_only_for_host_drivers() -> None:
    host = pair(None, None, owner="vm1")
    assert codes(on("dma-hint", host, Bind(A, "amdgpu"))) == ["draft-gap-h1"]
    assert codes(on("dma-hint", host, Override(A, "vfio-pci"), Bind(A, "vfio-pci"))) == []
    assert codes(on("dma-hint", host, Override(A, "pci-stub"), Bind(A, "pci-stub"))) == []
    assert codes(on("dma-hint", pair(None, None), Bind(A, "amdgpu"))) == []


# -- the reasons of the draft


def test_the_draft_names_both_conflicting_devices() -> None:
    user = on("dma-hint", pair("nvme", None), Override(B, "vfio-pci"), Probe(B))
    assert codes(user) == ["user-beside-kernel", "draft-slip-s08"]
    kernel = on("dma-hint", pair("vfio-pci", None), Bind(B, "amdgpu"))
    assert codes(kernel) == ["kernel-beside-user", "draft-slip-s08"]


def test_under_the_draft_a_host_driver_in_a_claimed_group_is_named() -> None:
    host = machine(group_of(1, function(A, "pcieport"), function(B, "nvme"), owner="vm1"))
    verdict = MODELS["dma-hint"].verdict(host, host.groups[1])
    assert (verdict.viable, verdict.state, verdict.claim) == (False, "user", "EINVAL")
    assert [(r.code, r.device) for r in verdict.reasons] == [
        ("owned", None),
        ("kernel-driver", A),
        ("kernel-driver", B),
        ("draft-gap-h1", A),
        ("draft-gap-bridge", A),
        ("draft-slip-s08", None),
    ]


def test_unknown_facts_are_named_beside_the_gaps_of_the_draft() -> None:
    foreign = machine(group_of(1, function(A), function(B, gaps=(UNKNOWN,)), foreign=True))
    verdict = MODELS["dma-hint"].verdict(foreign, foreign.groups[1])
    assert [r.code for r in verdict.reasons] == ["foreign-domain", "unknown-driver"]
    claimed = machine(group_of(1, function(A), function(B, gaps=(UNKNOWN,)), owner="vm1"))
    assert codes(on("dma-hint", claimed, Bind(A, "amdgpu"))) == ["draft-gap-h1", "unknown-driver"]


# -- the reasons of ownership


def verdict_codes(model: str, host: Host) -> list[str]:
    return [reason.code.value for reason in MODELS[model].verdict(host, host.groups[1]).reasons]


def test_a_driver_on_an_uncounted_bus_blocks_nothing() -> None:
    usb = machine(group_of(1, function(A, "vfio-pci"), function(B, "usb-storage", bus="usb")))
    assert verdict_of("dma-owner", usb) == (True, "ok")
    pci = machine(group_of(1, function(A, "vfio-pci"), function(B, "usb-storage")))
    assert verdict_of("dma-owner", pci) == (False, "EPERM")


def test_other_blockers_are_named_beside_a_foreign_domain() -> None:
    assert verdict_codes("dma-owner", pair("ifcvf", None, foreign=True)) == ["foreign-domain", "kernel-driver"]
    unread = machine(group_of(1, function(A), function(B, gaps=(UNKNOWN,)), foreign=True))
    assert verdict_codes("kernel-ownership", unread) == ["foreign-domain", "unknown-driver"]


def test_guesses_are_named_beside_blockers_and_unknown_facts() -> None:
    blocked = pair("my-vfio", "nvme")
    assert verdict_codes("dma-owner", blocked) == ["kernel-driver", "assumed-role"]
    assert verdict_codes("vfio-group", blocked) == ["kernel-driver", "assumed-role"]
    unread = machine(group_of(1, function(A, "my-vfio"), function(B, gaps=(UNKNOWN,))))
    assert verdict_codes("dma-owner", unread) == ["unknown-driver", "assumed-role"]
    assert verdict_codes("vfio-group", unread) == ["unknown-driver", "assumed-role"]


def test_an_unknown_kernel_has_the_newest_rules() -> None:
    assert verdict_of("dma-owner", pair("vfio-pci", None, direct=True, kernel=None)) == (True, "EINVAL")


def test_each_refusal_of_ownership_says_why() -> None:
    unsettled = machine(group_of(1, function(A), kind="unknown"))
    assert codes(on("dma-owner", unsettled, Bind(A, "amdgpu"))) == ["no-default-domain"]
    assert codes(on("dma-owner", pair("ifcvf", None, foreign=True), Bind(B, "amdgpu"))) == ["foreign-domain"]
    old = pair("vfio-pci", None, kernel="6.1.0")
    assert codes(on("dma-owner", old, ClaimDevice(A, "vm1"))) == ["no-interface"]
    taken = on("dma-owner", pair("vfio-pci", None), ClaimGroup(1, "vm1"), ClaimDevice(A, "vm1", cdev=True))
    assert codes(taken) == ["group-file-open"]
    assert taken.reasons[0].fact("owner") == "vm1"


def test_each_refusal_of_old_kernels_says_why() -> None:
    host = pair("vfio-pci", None, kernel=OLD)
    assert codes(on("vfio-group", host, ClaimDevice(A, "vm1", cdev=True))) == ["no-interface"]
    (alone,) = on("vfio-group", host, ClaimDevice(A, "vm1")).reasons
    assert (alone.code, alone.fact("asked")) == ("not-owner", "vm1")
    claimed = pair("vfio-pci", "nvme", kernel=OLD, owner="vm1")
    assert codes(on("vfio-group", claimed, ClaimDevice(A, "vm2"))) == ["owned"]
    assert codes(on("vfio-group", claimed, ClaimDevice(A, "vm1"))) == ["owned", "kernel-driver"]
    assert codes(on("vfio-group", pair("vfio-pci", None, kernel=OLD, foreign=True), ClaimGroup(1, "vm1"))) == [
        "foreign-domain"
    ]
    stub = pair("vfio-pci", "pci-stub", kernel=OLD, owner="vm1")
    assert codes(on("vfio-group", stub, ClaimDevice(B, "vm1"))) == ["not-on-vfio"]


def test_the_states_of_groups_on_old_kernels() -> None:
    def state(host: Host) -> str:
        return MODELS["vfio-group"].verdict(host, host.groups[1]).state

    assert state(pair("vfio-pci", None, foreign=True)) == "foreign"
    assert state(pair("vfio-pci", None)) == "idle"
    assert state(pair("nvme", None)) == "kernel"
    assert state(pair("nvme", None, owner="vm1")) == "user"


def test_roles_on_old_kernels() -> None:
    model = MODELS["vfio-group"]
    drivers = ("vfio-pci", "pci-stub", "nvme", "pcieport")
    assert [model.role(NO_DEVICES, function(A), driver).role for driver in drivers] == [
        "user",
        "none",
        "kernel",
        "kernel",
    ]
    assert model.role(NO_DEVICES, function(A, header_type=1), "shpchp").role == "none"
    assert model.role(NO_DEVICES, function(A, header_type=1, bus="platform"), "shpchp").role == "kernel"


def test_a_device_without_a_group_does_not_crash_the_kernel() -> None:
    host = machine(lone=[function(A)], kernel=OLD)
    assert on("vfio-group", host, Bind(A, "amdgpu")).ok


def test_models_are_found_by_their_names() -> None:
    assert [model.name for model in MODELS.values()] == list(MODELS)
    with pytest.raises(KeyError):
        MODELS["dma"]


@pytest.mark.parametrize("model", ["dma-hint", "vfio-group", "dma-owner"])
def test_a_group_on_a_foreign_domain_is_busy(model: str) -> None:
    """Row 17 of dma-owner; before it, ``iommu_attach_group``; for the draft, RFC 06/20, which it leaves partly open."""
    outcome = on(model, pair("vfio-pci", None, foreign=True), ClaimGroup(1, "vm1"))
    assert (outcome.result, codes(outcome)) == ("EBUSY", ["foreign-domain"])
    verdict = MODELS[model].verdict(outcome.host, outcome.host.groups[1])
    assert (verdict.viable, verdict.state, verdict.claim) == (True, "foreign", "EBUSY")


def test_other_modules_are_not_models() -> None:
    assert list(MODELS) == [model.name for model in MODELS.values()]
    assert "base" not in MODELS
    assert "dma_owner" not in MODELS
