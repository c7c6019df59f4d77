"""Claims by group, by device and by device file, and how each blocks the others."""

from typing import Any

import pytest

from iommutui.core.events import (
    ClaimDevice,
    ClaimGroup,
    Event,
    ReleaseDevice,
    ReleaseGroup,
    Unbind,
)
from iommutui.core.host import Claim, Host
from iommutui.core.models import MODELS, model_for
from tests.core.machines import (
    LAST_OLD,
    LONE,
    NOWHERE,
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


def both(kernel: str = "7.1.0", **facts: Any) -> Host:
    return pair("vfio-pci", "vfio-pci", kernel=kernel, **facts)


GROUP, AGAIN, OTHERS = ClaimGroup(1, "vm1"), ClaimGroup(1, "vm1"), ClaimGroup(1, "vm2")
DEVICE, SECOND, OTHER_DEVICE = ClaimDevice(A, "vm1"), ClaimDevice(B, "vm1"), ClaimDevice(B, "vm2")
CDEV, SECOND_CDEV, OTHER_CDEV = (ClaimDevice(d, o, cdev=True) for d, o in ((A, "vm1"), (B, "vm1"), (B, "vm2")))

INTERPLAY: dict[str, tuple[Event, Event, str]] = {
    "group-group": (GROUP, AGAIN, "EBUSY"),
    "group-group-other": (GROUP, OTHERS, "EBUSY"),
    "group-device": (GROUP, SECOND, "ok"),
    "group-device-other": (GROUP, OTHER_DEVICE, "EBUSY"),
    "group-cdev": (GROUP, SECOND_CDEV, "EBUSY"),
    "group-cdev-other": (GROUP, OTHER_CDEV, "EBUSY"),
    "device-device": (DEVICE, SECOND, "ok"),
    "device-device-again": (DEVICE, DEVICE, "ok"),
    "device-device-other": (DEVICE, OTHER_DEVICE, "EBUSY"),
    "device-group": (DEVICE, OTHERS, "EBUSY"),
    "device-cdev": (DEVICE, SECOND_CDEV, "EBUSY"),
    "device-cdev-other": (DEVICE, OTHER_CDEV, "EBUSY"),
    "cdev-cdev": (CDEV, SECOND_CDEV, "ok"),
    "cdev-cdev-again": (CDEV, CDEV, "EINVAL"),
    "cdev-cdev-again-other": (CDEV, ClaimDevice(A, "vm2", cdev=True), "EINVAL"),
    "cdev-cdev-other": (CDEV, OTHER_CDEV, "EPERM"),
    "cdev-group": (CDEV, AGAIN, "EBUSY"),
    "cdev-group-other": (CDEV, OTHERS, "EBUSY"),
    "cdev-device": (CDEV, SECOND, "EBUSY"),
    "cdev-device-other": (CDEV, OTHER_DEVICE, "EBUSY"),
}


@pytest.mark.parametrize("case", INTERPLAY)
def test_a_second_claim_after_a_first(case: str) -> None:
    first, second, result = INTERPLAY[case]
    outcome = on("dma-owner", both(), first, second)
    assert outcome.result == result
    claim = outcome.host.groups[1].claim
    assert claim is not None
    assert claim.owner == "vm1"


@pytest.mark.parametrize(
    ("kernel", "event", "result"),
    [("5.19.0", DEVICE, "EINVAL"), ("6.1.0", DEVICE, "EINVAL"), ("6.2.0", DEVICE, "ok"), ("6.5.0", CDEV, "ENOENT"),
     ("6.6.0", CDEV, "ok"), (OLD, DEVICE, "ok"), (OLD, CDEV, "ok")],
    ids=str,
)  # fmt: skip
def test_each_kind_of_claim_has_its_minimum_kernel(kernel: str, event: Event, result: str) -> None:
    """For a kernel older than ownership, this model applies its newest rules."""
    assert on("dma-owner", both(kernel), event).result == result


def test_before_6_2_devices_open_only_in_a_container() -> None:
    assert on("dma-owner", both("6.1.0"), ClaimGroup(1, "vm1", devices=False), DEVICE).ok
    assert on("dma-owner", both("6.1.0"), ClaimGroup(1, "vm1", devices=False), OTHER_DEVICE).result == "EBUSY"


@pytest.mark.parametrize("devices", [True, False])
@pytest.mark.parametrize(("model", "kernel"), [("dma-owner", "6.1.0"), ("vfio-group", OLD)])
def test_a_claim_opens_the_devices_on_vfio_drivers(model: str, kernel: str, devices: bool) -> None:
    outcome = on(model, pair("vfio-pci", "pci-stub", kernel=kernel), ClaimGroup(1, "vm1", devices))
    assert outcome.host.groups[1].claim == Claim("vm1", 1, "group", (A,) if devices else ())


def test_no_device_opens_on_an_old_kernel_while_the_group_is_not_viable() -> None:
    outcome = on("vfio-group", pair("vfio-pci", "nvme", kernel=OLD), GROUP)
    assert outcome.host.groups[1].claim == Claim("vm1", 1, "group", ())


def test_old_kernels_have_no_device_files() -> None:
    assert on("vfio-group", both(LAST_OLD), CDEV).result == "ENOENT"


@pytest.mark.parametrize("model", ["dma-owner", "vfio-group"])
def test_only_a_vfio_device_can_be_opened(model: str) -> None:
    host = pair("vfio-pci", "pci-stub", kernel=OLD if model == "vfio-group" else "6.12.0", owner="vm1")
    outcome = on(model, host, SECOND)
    assert (outcome.result, codes(outcome)) == ("ENODEV", ["not-on-vfio"])


@pytest.mark.parametrize("kernel", [OLD, "5.19.0", "6.1.0", "7.1.0"])
@pytest.mark.parametrize("second", [AGAIN, OTHERS, OTHER_DEVICE], ids=str)
def test_a_groups_file_is_opened_only_once(second: Event, kernel: str) -> None:
    outcome = on(model_for(kernel).name, both(kernel), GROUP, second)
    assert (outcome.result, codes(outcome)) == ("EBUSY", ["owned"])


@pytest.mark.parametrize("driver", [None, "nvme", "pci-stub"])
def test_a_device_that_is_not_on_vfio_has_no_file(driver: str | None) -> None:
    for host in (pair(driver, "vfio-pci"), pair(driver, None), on("dma-owner", pair(driver, "vfio-pci"), GROUP).host):
        assert on("dma-owner", host, CDEV).result == "ENOENT"
    assert on("dma-owner", both(), ClaimDevice(NOWHERE, "vm1", cdev=True)).result == "ENOENT"
    assert on("dma-owner", both(), ClaimDevice(NOWHERE, "vm1")).result == "ENODEV"


def test_a_device_not_on_vfio_is_refused_only_after_its_groups_file_is_open() -> None:
    assert on("dma-owner", pair(None, "nvme"), DEVICE).result == "ENOENT"
    assert on("dma-owner", pair(None, "vfio-pci"), DEVICE).result == "ENODEV"
    assert on("dma-owner", pair(None, "vfio-pci", owner="vm1"), DEVICE).result == "ENODEV"
    assert on("dma-owner", pair(None, "vfio-pci", owner="vm2"), DEVICE).result == "EBUSY"


def test_a_device_whose_unbind_waits_has_no_file() -> None:
    held = on("dma-owner", both(), CDEV, Unbind(A)).host
    assert on("dma-owner", held, CDEV).result == "ENOENT"
    assert on("dma-owner", held, DEVICE).result == "EBUSY"


def test_with_an_iommufd_a_blocked_group_is_refused_only_when_a_device_is_opened() -> None:
    """``vfio_group_ioctl_get_status``: with an iommufd set, VIABLE says nothing about the drivers."""
    blocked = pair("vfio-pci", "nvme")
    assert (on("dma-owner", blocked, DEVICE).result, verdict_of("dma-owner", blocked)) == ("EPERM", (False, "EPERM"))
    assert verdict_of("dma-owner", on("dma-owner", both(), DEVICE).host) == (True, "EBUSY")


def test_a_group_claimed_through_a_device_file_reads_as_not_viable() -> None:
    host = on("dma-owner", both(), CDEV).host
    assert verdict_of("dma-owner", host) == (False, "EBUSY")
    assert verdict_of("dma-owner", on("dma-owner", both(), DEVICE).host) == (True, "EBUSY")


def test_releasing_a_device_of_a_container_keeps_the_group() -> None:
    host = on("dma-owner", both(), GROUP, ReleaseDevice(A, "vm1")).host
    assert host.groups[1].claim == Claim("vm1", 1, "group", (B,))
    assert on("dma-owner", host, ReleaseDevice(A, "vm1")).result == "EINVAL"
    assert on("dma-owner", host, ReleaseGroup(1, "vm1")).host.groups[1].claim is None


def test_each_device_of_an_iommufd_counts() -> None:
    host = on("dma-owner", both(), CDEV, SECOND_CDEV).host
    assert host.groups[1].claim == Claim("vm1", 2, "cdev", (A, B))
    host = on("dma-owner", host, ReleaseDevice(B, "vm1")).host
    assert host.groups[1].claim == Claim("vm1", 1, "cdev", (A,))
    assert on("dma-owner", host, ReleaseDevice(A, "vm1")).host.groups[1].claim is None
    assert on("dma-owner", both(), CDEV, SECOND_CDEV, ReleaseGroup(1, "vm1")).host.groups[1].claim is None


def test_under_the_draft_a_group_stays_claimed_until_its_own_release() -> None:
    host = on("dma-hint", both(), GROUP, DEVICE, ReleaseDevice(A, "vm1"), ReleaseDevice(A, "vm1")).host
    claim = host.groups[1].claim
    assert claim is not None
    assert claim.uses == 1
    assert on("dma-hint", host, ReleaseGroup(1, "vm1")).host.groups[1].claim is None


@pytest.mark.parametrize(
    "event", [ReleaseGroup(1, "vm2"), ReleaseGroup(9, "vm1"), ReleaseDevice(A, "vm2"), ReleaseDevice(LONE, "vm1")]
)
@pytest.mark.parametrize("model", MODELS)
def test_an_owner_without_claims_releases_nothing(model: str, event: Event) -> None:
    host = machine(group_of(1, function(A, "vfio-pci"), owner="vm1", opened=[A]), lone=[function(LONE)])
    outcome = on(model, host, event)
    assert (outcome.result, outcome.host) == ("EINVAL", host)


@pytest.mark.parametrize("model", MODELS)
def test_a_device_without_a_group_can_never_be_claimed(model: str) -> None:
    outcome = on(model, machine(lone=[function(LONE, "vfio-pci")]), ClaimDevice(LONE, "vm1"))
    assert (outcome.result, codes(outcome)) == ("ENODEV", ["no-group"])


@pytest.mark.parametrize("model", MODELS)
def test_a_missing_group_cannot_be_claimed(model: str) -> None:
    assert on(model, both(), ClaimGroup(7, "vm1")).result == "ENOENT"


# -- unbinding what is open, in every model


@pytest.mark.parametrize("model", MODELS)
def test_an_unbind_waits_for_open_devices(model: str) -> None:
    kernel = OLD if model == "vfio-group" else "6.12.0"
    host = pair("vfio-pci", "vfio-pci", kernel=kernel, owner="vm1", opened=[A])
    waiting = on(model, host, Unbind(A))
    assert shown(waiting) == "blocks"
    assert shown(on(model, host, Unbind(B))) == "ok"
    claim = on(model, waiting.host, ReleaseDevice(A, "vm1")).host.groups[1].claim
    assert claim is not None
    assert claim.opened == ()


def test_a_claim_under_the_draft_opens_devices() -> None:
    claim = on("dma-hint", pair("vfio-pci", "ifcvf"), GROUP).host.groups[1].claim
    assert claim == Claim("vm1", 1, "group", (A,))


def test_opening_a_device_on_old_kernels_returns_what_the_verdict_predicts() -> None:
    """On these kernels the claim itself is not refused."""
    assert verdict_of("vfio-group", pair("vfio-pci", "nvme", kernel=OLD)) == (False, "EINVAL")
    assert verdict_of("vfio-group", pair("vfio-pci", "nvme", kernel=OLD, owner="vm1")) == (False, "EBUSY")
    assert verdict_of("vfio-group", pair("vfio-pci", None, kernel=OLD, owner="vm1")) == (True, "EBUSY")


# -- the names in the reasons


@pytest.mark.parametrize(
    ("event", "current"),
    [(ReleaseGroup(1, "vm2"), "vm1"), (ReleaseDevice(A, "vm2"), "vm1"), (ReleaseDevice(B, "vm1"), "")],
    ids=str,
)
def test_a_refused_release_names_the_owner(event: Event, current: str) -> None:
    (reason,) = on("dma-owner", pair("vfio-pci", "pci-stub", owner="vm1", opened=[A]), event).reasons
    assert (reason.code, reason.fact("owner")) == ("not-owner", current)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("event", [ReleaseGroup(1, "vm1"), ReleaseDevice(A, "vm1")], ids=str)
def test_an_unclaimed_group_is_not_released(model: str, event: Event) -> None:
    outcome = on(model, pair("vfio-pci", None), event)
    (reason,) = outcome.reasons
    assert (outcome.result, reason.code, reason.group, reason.fact("owner")) == ("EINVAL", "not-owner", 1, "")


def test_a_claim_of_a_group_without_a_vfio_device_says_that_it_has_no_file() -> None:
    outcome = on("dma-owner", pair("nvme", None), GROUP)
    assert (outcome.result, codes(outcome)) == ("ENOENT", ["no-vfio-node"])


def test_under_the_draft_a_release_needs_no_particular_device() -> None:
    """``exit_user_dma`` counts down, through whichever device it is called."""
    host = pair("vfio-pci", "vfio-pci", owner="vm1", via="device", uses=2, opened=[A])
    for model in ("dma-hint", "kernel-ownership"):
        claim = on(model, host, ReleaseDevice(B, "vm1")).host.groups[1].claim
        assert claim is not None
        assert (claim.uses, claim.opened) == (1, (A,))
    assert on("dma-owner", host, ReleaseDevice(B, "vm1")).result == "EINVAL"


def test_on_old_kernels_a_release_closes_a_device_that_is_still_bound() -> None:
    """The container keeps a device open only while its unbind waits."""
    closed = on("vfio-group", pair("vfio-pci", None, kernel=OLD, owner="vm1", opened=[A]), ReleaseDevice(A, "vm1"))
    assert closed.host.groups[1].claim == Claim("vm1", 1, "group", ())
