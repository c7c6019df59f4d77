"""Every row of the decision tables of the three rules that a kernel had or that a draft wrote down."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from iommutui.core.address import Address
from iommutui.core.events import (
    Bind,
    ClaimDevice,
    ClaimGroup,
    Event,
    Override,
    Probe,
    ReleaseDevice,
    ReleaseGroup,
    Remove,
    Rescan,
    Unbind,
)
from iommutui.core.host import Host
from iommutui.core.models import MODELS
from tests.core.machines import (
    LAST_OLD,
    LONE,
    NEW,
    A,
    B,
    C,
    bridge,
    codes,
    function,
    group_of,
    machine,
    on,
    pair,
    shown,
)


class Row(NamedTuple):
    """A row: events on a machine, the last one's result, and what is bound and owned afterwards."""

    host: Host
    events: Sequence[Event]
    result: str
    drivers: dict[str, str | None] = {}  # noqa: RUF012 - never changed
    owner: str | None = None
    uses: int = 0


def check(model: str, row: Row) -> None:
    outcome = on(model, row.host, *row.events)
    assert shown(outcome) == row.result
    for address, driver in row.drivers.items():
        assert outcome.host.devices[Address(address)].driver == driver
    claims = [group.claim for group in outcome.host.groups.values() if group.claim is not None]
    assert [(claim.owner, claim.uses) for claim in claims] == ([(row.owner, row.uses)] if row.owner else [])


def rows(model: str, table: dict[str, Row]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", table.values(), ids=[f"{model}-{number}" for number in table])


def lone(driver: str | None = None, kernel: str = NEW) -> Host:
    return machine(lone=[function(LONE, driver)], kernel=kernel)


def owned(first: str | None, second: str | None, *, kernel: str = NEW, uses: int = 1, **facts: Any) -> Host:
    return pair(first, second, kernel=kernel, owner="vm1", uses=uses, **facts)


HINT_KERNEL = "5.15.0"


def hint(first: str | None, second: str | None, **facts: Any) -> Host:
    return pair(first, second, kernel=HINT_KERNEL, **facts)


TO_SND = (Override(B, "snd_hda_intel"), Bind(B, "snd_hda_intel"))
TO_VFIO = (Override(B, "vfio-pci"), Bind(B, "vfio-pci"))
TO_STUB = (Override(B, "pci-stub"), Bind(B, "pci-stub"))

DMA_HINT = {
    "1-kernel": Row(lone(), [Bind(LONE, "amdgpu")], "ok", {LONE: "amdgpu"}),
    "1-user": Row(lone(), [Bind(LONE, "ifcvf")], "ok", {LONE: "ifcvf"}),
    "1-none": Row(lone(), [Override(LONE, "pci-stub"), Bind(LONE, "pci-stub")], "ok", {LONE: "pci-stub"}),
    "2-kernel": Row(hint("amdgpu", None), TO_STUB, "ok", {A: "amdgpu", B: "pci-stub"}),
    "2-user": Row(hint("vfio-pci", None), TO_STUB, "ok", {B: "pci-stub"}),
    "2-owned": Row(hint("vfio-pci", None, owner="vm1"), TO_STUB, "ok", {B: "pci-stub"}, "vm1", 1),
    "3-free": Row(hint(None, None), TO_SND, "ok", {B: "snd_hda_intel"}),
    "3-none": Row(hint("pci-stub", None), TO_SND, "ok", {B: "snd_hda_intel"}),
    "3-kernel": Row(hint("amdgpu", None), TO_SND, "ok", {B: "snd_hda_intel"}),
    "4-h1": Row(hint(None, None, owner="vm1"), TO_SND, "ok", {B: "snd_hda_intel"}, "vm1", 1),
    "4-h1-none": Row(hint("pci-stub", None, owner="vm1"), TO_SND, "ok", {B: "snd_hda_intel"}, "vm1", 1),
    "5": Row(hint("vfio-pci", None), TO_SND, "EINVAL", {B: None}),
    "5-vdpa": Row(hint("ifcvf", None), TO_SND, "EINVAL", {B: None}),
    "5-owned": Row(hint("vfio-pci", None, owner="vm1"), TO_SND, "EINVAL", {B: None}, "vm1", 1),
    "5-probe": Row(hint("vfio-pci", None), [Override(B, "snd_hda_intel"), Probe(B)], "EINVAL", {B: None}),
    "6-free": Row(hint(None, None), TO_VFIO, "ok", {B: "vfio-pci"}),
    "6-user": Row(hint("ifcvf", None), TO_VFIO, "ok", {B: "vfio-pci"}),
    "6-none": Row(hint("pci-stub", None), TO_VFIO, "ok", {B: "vfio-pci"}),
    "7": Row(hint("amdgpu", None), TO_VFIO, "EINVAL", {B: None}),
    "8": Row(
        machine(group_of(1, bridge(A, None), function(B)), kernel=HINT_KERNEL),
        [Override(A, "vfio-pci"), Bind(A, "vfio-pci")],
        "EINVAL",
        {A: None},
    ),
    "9": Row(hint("vfio-pci", "pci-stub"), [Unbind(A)], "ok", {A: None}),
    "10": Row(hint("vfio-pci", None, owner="vm1"), [Unbind(A)], "ok", {A: None}, "vm1", 1),
    "10-opens-h1": Row(
        hint("vfio-pci", None, owner="vm1"), [Unbind(A), *TO_SND], "ok", {A: None, B: "snd_hda_intel"}, "vm1", 1
    ),
    "11": Row(hint("vfio-pci", "snd_hda_intel"), [ClaimGroup(1, "vm1")], "EINVAL"),
    "12": Row(hint("vfio-pci", "ifcvf"), [ClaimGroup(1, "vm1")], "ok", {}, "vm1", 1),
    "12-device": Row(hint("vfio-pci", None), [ClaimDevice(B, "vm1")], "ok", {}, "vm1", 1),
    "13": Row(hint("vfio-pci", None, owner="vm1"), [ClaimGroup(1, "vm1")], "ok", {}, "vm1", 2),
    "13-device": Row(hint("vfio-pci", None, owner="vm1"), [ClaimDevice(A, "vm1")], "ok", {}, "vm1", 2),
    "13-after-h1": Row(hint(None, None, owner="vm1"), [*TO_SND, ClaimGroup(1, "vm1")], "EINVAL", {}, "vm1", 1),
    "14": Row(hint("vfio-pci", None, owner="vm1"), [ClaimGroup(1, "vm2")], "EBUSY", {}, "vm1", 1),
    "14-device": Row(hint("vfio-pci", None, owner="vm1"), [ClaimDevice(A, "vm2")], "EBUSY", {}, "vm1", 1),
    "14-after-11": Row(hint(None, None, owner="vm1"), [*TO_SND, ClaimGroup(1, "vm2")], "EINVAL", {}, "vm1", 1),
    "15": Row(lone("amdgpu"), [ClaimDevice(LONE, "vm1")], "ENODEV"),
    "16-more": Row(hint("vfio-pci", None, owner="vm1", uses=2), [ReleaseGroup(1, "vm1")], "ok", {}, "vm1", 1),
    "16-last": Row(hint("vfio-pci", None, owner="vm1"), [ReleaseGroup(1, "vm1")], "ok"),
    "16-device": Row(
        hint("vfio-pci", "vfio-pci"),
        [ClaimDevice(A, "vm1"), ClaimDevice(B, "vm1"), ReleaseDevice(A, "vm1")],
        "ok",
        {},
        "vm1",
        1,
    ),
    "16-last-device": Row(hint("vfio-pci", None), [ClaimDevice(A, "vm1"), ReleaseDevice(A, "vm1")], "ok"),
    "17": Row(
        machine(group_of(1, bridge(A), function(B, "snd_hda_intel", parent=A)), kernel=HINT_KERNEL),
        [Remove(B), Rescan()],
        "ok",
        {B: "amdgpu"},
    ),
    "18": Row(hint("vfio-pci", "snd_hda_intel"), [Remove(B), ClaimGroup(1, "vm1")], "ok", {}, "vm1", 1),
    "19": Row(
        hint("amdgpu", None),
        [Override(A, "vfio-pci"), Unbind(A), Probe(A), Override(A, None), Unbind(A), Probe(A)],
        "ok",
        {A: "amdgpu"},
    ),
}


@rows("dma-hint", DMA_HINT)
def test_dma_hint(row: Row) -> None:
    check("dma-hint", row)


def old(first: str | None, second: str | None, **facts: Any) -> Host:
    return pair(first, second, kernel=LAST_OLD, **facts)


def held(second: str | None, *opened: str, **facts: Any) -> Host:
    return old("vfio-pci", second, owner="vm1", opened=opened, **facts)


VFIO_GROUP = {
    "1": Row(old("amdgpu", None), TO_VFIO, "ok", {B: "vfio-pci"}),
    "1-variant": Row(
        old(None, None), [Override(B, "mlx5_vfio_pci"), Bind(B, "mlx5_vfio_pci")], "ok", {B: "mlx5_vfio_pci"}
    ),
    "2": Row(
        machine(group_of(1, bridge(A, None)), kernel=LAST_OLD),
        [Override(A, "vfio-pci"), Bind(A, "vfio-pci")],
        "EINVAL",
        {A: None},
    ),
    "3": Row(lone(kernel=LAST_OLD), [Override(LONE, "vfio-pci"), Bind(LONE, "vfio-pci")], "EINVAL", {LONE: None}),
    "4": Row(held(None), TO_STUB, "ok", {B: "pci-stub"}, "vm1", 1),
    "5": Row(
        machine(group_of(1, function(A, "vfio-pci"), bridge(B, None), owner="vm1"), kernel=LAST_OLD),
        [Bind(B, "pcieport")],
        "ok",
        {B: "pcieport"},
        "vm1",
        1,
    ),
    "6": Row(old("vfio-pci", None), TO_SND, "ok", {B: "snd_hda_intel"}),
    "7": Row(held(None), TO_SND, "crash", {B: "snd_hda_intel"}, "vm1", 1),
    "7-probe": Row(
        held(None), [Override(B, "snd_hda_intel"), Probe(B)], "crash", {B: "snd_hda_intel"}, "vm1", 1
    ),
    "8": Row(held("snd_hda_intel"), [Unbind(B)], "ok", {B: None}, "vm1", 1),
    "8-stub": Row(held("pci-stub"), [Unbind(B)], "ok", {B: None}, "vm1", 1),
    "9": Row(held("vfio-pci", A), [Unbind(B)], "ok", {B: None}, "vm1", 1),
    "9-idle": Row(old("vfio-pci", None), [Unbind(A)], "ok", {A: None}),
    "10": Row(held(None, A), [Unbind(A)], "blocks", {A: None}, "vm1", 1),
    "10-last": Row(held("pci-stub"), [Unbind(A)], "blocks", {A: None}, "vm1", 1),
    "10-then": Row(held(None, A), [Unbind(A), ReleaseGroup(1, "vm1")], "ok", {A: None}),
    "11": Row(old("pci-stub", None), [ClaimGroup(1, "vm1")], "ENOENT"),
    "11-kernel": Row(old("amdgpu", "snd_hda_intel"), [ClaimGroup(1, "vm1")], "ENOENT"),
    "12": Row(held(None), [ClaimGroup(1, "vm2")], "EBUSY", {}, "vm1", 1),
    "12-device": Row(held(None), [ClaimDevice(A, "vm2")], "EBUSY", {}, "vm1", 1),
    "14": Row(held(None), [ClaimGroup(1, "vm1")], "EINVAL", {}, "vm1", 1),
    "15": Row(old("vfio-pci", None), [ClaimGroup(1, "vm1")], "ok", {}, "vm1", 1),
    "15-not-viable": Row(old("vfio-pci", "snd_hda_intel"), [ClaimGroup(1, "vm1")], "ok", {}, "vm1", 1),
    "16": Row(held(None), [ClaimDevice(A, "vm1")], "ok", {}, "vm1", 1),
    "16-no-container": Row(old("vfio-pci", None), [ClaimDevice(A, "vm1")], "EINVAL"),
    "17": Row(held("snd_hda_intel"), [ClaimDevice(A, "vm1")], "EINVAL", {}, "vm1", 1),
    "17-other": Row(held("snd_hda_intel"), [ClaimDevice(B, "vm1")], "EINVAL", {}, "vm1", 1),
    "18-stub": Row(held("pci-stub"), [ClaimDevice(B, "vm1")], "ENODEV", {}, "vm1", 1),
    "18-free": Row(held(None), [ClaimDevice(B, "vm1")], "ENODEV", {}, "vm1", 1),
    "19": Row(
        machine(
            group_of(1, bridge(A), function(B, parent=A), function(C, "vfio-pci"), owner="vm1"), kernel=LAST_OLD
        ),
        [Remove(B), Rescan()],
        "crash",
        {B: "amdgpu"},
        "vm1",
        1,
    ),
}  # fmt: skip


@rows("vfio-group", VFIO_GROUP)
def test_vfio_group(row: Row) -> None:
    check("vfio-group", row)


# Row 13 of vfio-group: VIABLE is what every member's driver says, whoever asks.
@pytest.mark.parametrize("owner", [None, "vm1"])
@pytest.mark.parametrize(
    ("second", "viable"), [(None, True), ("vfio-pci", True), ("pci-stub", True), ("nvme", False), ("ifcvf", False)]
)
def test_vfio_group_13(second: str | None, viable: bool, owner: str | None) -> None:
    outcome = on("vfio-group", old("vfio-pci", second, owner=owner), Override(A, None))
    assert MODELS["vfio-group"].verdict(outcome.host, outcome.host.groups[1]).viable is viable


def uncounted(bus: str, **facts: Any) -> Host:
    """A group with a member on another bus."""
    return machine(group_of(1, function(A, "vfio-pci"), function(B, bus=bus), **facts))


DMA_OWNER = {
    "1-idle": Row(pair(None, None), TO_VFIO, "ok", {B: "vfio-pci"}),
    "1-kernel": Row(pair("amdgpu", None), TO_VFIO, "ok", {B: "vfio-pci"}),
    "1-user": Row(owned("vfio-pci", None), TO_VFIO, "ok", {B: "vfio-pci"}, "vm1", 1),
    "1-foreign": Row(pair("amdgpu", None, foreign=True), TO_STUB, "ok", {B: "pci-stub"}),
    "1-own-errno": Row(
        machine(group_of(1, bridge(A, None), function(B, "vfio-pci"), owner="vm1")),
        [Override(A, "vfio-pci"), Bind(A, "vfio-pci")],
        "EINVAL",
        {A: None},
        "vm1",
        1,
    ),
    "1-pcieport": Row(
        machine(group_of(1, bridge(A, None), function(B, "vfio-pci"), owner="vm1")),
        [Probe(A)],
        "ok",
        {A: "pcieport"},
        "vm1",
        1,
    ),
    "2": Row(pair("vfio-pci", None), TO_SND, "ok", {B: "snd_hda_intel"}),
    "3": Row(pair("amdgpu", None), TO_SND, "ok", {B: "snd_hda_intel"}),
    "4": Row(owned("vfio-pci", None), TO_SND, "EBUSY", {B: None}, "vm1", 1),
    "4-probe": Row(owned("vfio-pci", None), [Override(B, "nvme"), Probe(B)], "EINVAL", {B: None}, "vm1", 1),
    "4-by-id": Row(owned("vfio-pci", None), [Probe(B)], "EINVAL", {B: None}, "vm1", 1),
    "5": Row(pair("amdgpu", None, foreign=True), TO_SND, "EBUSY", {B: None}),
    "5-probe": Row(pair("amdgpu", None, foreign=True), [Probe(B)], "EINVAL", {B: None}),
    "5-uncounted": Row(pair(None, None, foreign=True), TO_SND, "ok", {B: "snd_hda_intel"}),
    "6-no-group": Row(lone(), [Bind(LONE, "amdgpu")], "ok", {LONE: "amdgpu"}),
    "6-usb": Row(uncounted("usb", owner="vm1"), [Bind(B, "amdgpu")], "ok", {B: "amdgpu"}, "vm1", 1),
    "6-virtio": Row(uncounted("virtio", owner="vm1"), [Bind(B, "amdgpu")], "ok", {B: "amdgpu"}, "vm1", 1),
    "6-auxiliary": Row(uncounted("auxiliary", owner="vm1"), [Bind(B, "amdgpu")], "ok", {B: "amdgpu"}, "vm1", 1),
    "6-platform": Row(uncounted("platform", owner="vm1"), [Bind(B, "amdgpu")], "EBUSY", {B: None}, "vm1", 1),
    "6-amba": Row(uncounted("amba", owner="vm1"), [Bind(B, "amdgpu")], "EBUSY", {B: None}, "vm1", 1),
    "6-fsl-mc": Row(uncounted("fsl-mc", owner="vm1"), [Bind(B, "amdgpu")], "EBUSY", {B: None}, "vm1", 1),
    "6-cdx": Row(uncounted("cdx", owner="vm1"), [Bind(B, "amdgpu")], "EBUSY", {B: None}, "vm1", 1),
    "7": Row(pair("vfio-pci", "snd_hda_intel"), [Unbind(B), ClaimGroup(1, "vm1")], "ok", {B: None}, "vm1", 1),
    "7-two": Row(pair("amdgpu", "snd_hda_intel"), [Unbind(B)], "ok", {A: "amdgpu", B: None}),
    "8": Row(owned("vfio-pci", "vfio-pci"), [Unbind(B)], "ok", {B: None}, "vm1", 1),
    "8-last": Row(owned("vfio-pci", None), [Unbind(A)], "ok", {A: None}),
    "8-idle": Row(pair("vfio-pci", None), [Unbind(A)], "ok", {A: None}),
    "9": Row(owned("vfio-pci", None, opened=[A]), [Unbind(A)], "blocks", {A: None}, "vm1", 1),
    "9-then": Row(owned("vfio-pci", None, opened=[A]), [Unbind(A), ReleaseGroup(1, "vm1")], "ok", {A: None}),
    "9-remove": Row(owned("vfio-pci", None, opened=[A]), [Remove(A)], "blocks", {A: None}, "vm1", 1),
    "10": Row(pair("vfio-pci", None), [ClaimGroup(1, "vm1")], "ok", {}, "vm1", 1),
    "11": Row(pair("vfio-pci", "nvme"), [ClaimGroup(1, "vm1")], "EPERM"),
    "12-same": Row(owned("vfio-pci", None), [ClaimGroup(1, "vm1")], "EPERM", {}, "vm1", 1),
    "12-other": Row(owned("vfio-pci", None), [ClaimGroup(1, "vm2")], "EPERM", {}, "vm1", 1),
    "13": Row(pair("vfio-pci", None), [ClaimDevice(A, "vm1")], "ok", {}, "vm1", 1),
    "13-cdev": Row(pair("vfio-pci", None), [ClaimDevice(A, "vm1", cdev=True)], "ok", {}, "vm1", 1),
    "14": Row(pair("vfio-pci", "vfio-pci"), [ClaimDevice(A, "vm1"), ClaimDevice(B, "vm1")], "ok", {}, "vm1", 2),
    "14-cdev": Row(
        pair("vfio-pci", "vfio-pci"),
        [ClaimDevice(A, "vm1", cdev=True), ClaimDevice(B, "vm1", cdev=True)],
        "ok",
        {},
        "vm1",
        2,
    ),
    "14-same-device": Row(
        pair("vfio-pci", "vfio-pci"), [ClaimDevice(A, "vm1"), ClaimDevice(A, "vm1")], "ok", {}, "vm1", 1
    ),
    "15": Row(pair("vfio-pci", "vfio-pci"), [ClaimDevice(A, "vm1"), ClaimDevice(B, "vm2")], "EPERM", {}, "vm1", 1),
    "15-cdev": Row(
        pair("vfio-pci", "vfio-pci"),
        [ClaimDevice(A, "vm1", cdev=True), ClaimDevice(B, "vm2", cdev=True)],
        "EPERM",
        {},
        "vm1",
        1,
    ),
    "16": Row(pair("vfio-pci", "nvme"), [ClaimDevice(A, "vm1")], "EPERM"),
    "16-cdev": Row(pair("vfio-pci", "nvme"), [ClaimDevice(A, "vm1", cdev=True)], "EPERM"),
    "17": Row(pair("vfio-pci", None, foreign=True), [ClaimGroup(1, "vm1")], "EBUSY"),
    "17-device": Row(pair("vfio-pci", None, foreign=True), [ClaimDevice(A, "vm1")], "EBUSY"),
    "17-counted": Row(pair("vfio-pci", "nvme", foreign=True), [ClaimGroup(1, "vm1")], "EPERM"),
    "18": Row(pair("vfio-pci", None, direct=True), [ClaimGroup(1, "vm1")], "EINVAL"),
    "18-device": Row(pair("vfio-pci", None, direct=True), [ClaimDevice(A, "vm1", cdev=True)], "EINVAL"),
    "19": Row(owned("vfio-pci", None), [ReleaseGroup(1, "vm1")], "ok"),
    "19-more": Row(
        pair("vfio-pci", "vfio-pci"),
        [ClaimDevice(A, "vm1"), ClaimDevice(B, "vm1"), ReleaseDevice(B, "vm1")],
        "ok",
        {},
        "vm1",
        1,
    ),
    "19-last": Row(pair("vfio-pci", None), [ClaimDevice(A, "vm1"), ReleaseDevice(A, "vm1")], "ok"),
    "19-not-mine": Row(owned("vfio-pci", None), [ReleaseGroup(1, "vm2")], "EINVAL", {}, "vm1", 1),
}


@rows("dma-owner", DMA_OWNER)
def test_dma_owner(row: Row) -> None:
    check("dma-owner", row)


OWNERSHIP = {
    "probe": Row(pair("vfio-pci", None), TO_SND, "ok", {B: "snd_hda_intel"}),
    "probe-vfio": Row(pair("amdgpu", None), TO_VFIO, "ok", {B: "vfio-pci"}),
    "probe-owned": Row(owned(None, None), TO_SND, "EBUSY", {B: None}, "vm1", 1),
    "probe-owned-vfio": Row(owned(None, None), TO_VFIO, "EBUSY", {B: None}, "vm1", 1),
    "probe-owned-stub": Row(owned(None, None), TO_STUB, "EBUSY", {B: None}, "vm1", 1),
    "probe-no-group": Row(lone(), [Bind(LONE, "amdgpu")], "ok", {LONE: "amdgpu"}),
    "claim": Row(pair(None, None), [ClaimGroup(1, "vm1")], "ok", {}, "vm1", 1),
    "claim-vfio": Row(pair("vfio-pci", None), [ClaimGroup(1, "vm1")], "EBUSY"),
    "claim-again": Row(owned(None, None), [ClaimGroup(1, "vm1")], "EBUSY", {}, "vm1", 1),
    "claim-other": Row(owned(None, None), [ClaimGroup(1, "vm2")], "EBUSY", {}, "vm1", 1),
    "claim-device": Row(pair(None, None), [ClaimDevice(A, "vm1"), ClaimDevice(B, "vm1")], "ok", {}, "vm1", 2),
    "claim-device-other": Row(
        pair(None, None), [ClaimDevice(A, "vm1"), ClaimDevice(B, "vm2")], "EBUSY", {}, "vm1", 1
    ),
    "claim-device-bound": Row(pair(None, "vfio-pci"), [ClaimDevice(A, "vm1")], "EBUSY"),
    "release": Row(pair(None, None), [ClaimGroup(1, "vm1"), ReleaseGroup(1, "vm1")], "ok"),
}  # fmt: skip


@rows("kernel-ownership", OWNERSHIP)
def test_kernel_ownership(row: Row) -> None:
    check("kernel-ownership", row)


# -- clauses of the draft that a row does not show


def test_s01_a_driver_that_says_nothing_is_kernel() -> None:
    assert MODELS["dma-hint"].role(function(A), "never-heard-of").role == "kernel"


@pytest.mark.parametrize(
    ("driver", "role"),
    [("pci-stub", "none"), ("ifcvf", "user"), ("vfio-pci", "user"), ("pcieport", "kernel"), ("vfio-platform", "kernel"),
     ("vfio-amba", "kernel"), ("vfio-fsl-mc", "kernel"), ("mlx5_vfio_pci", "kernel"), ("mlx5_vdpa", "kernel")],
)  # fmt: skip
def test_s17_marked_drivers(driver: str, role: str) -> None:
    assert MODELS["dma-hint"].role(function(A), driver).role == role


def test_s03_a_device_does_not_conflict_with_itself() -> None:
    host = machine(group_of(1, function(A, "amdgpu")))
    assert on("dma-hint", host, Override(A, "vfio-pci"), Unbind(A), Probe(A)).host.devices[A].driver == "vfio-pci"


def test_s08_is_named_where_something_is_refused() -> None:
    assert codes(on("dma-hint", pair("vfio-pci", None), *TO_SND)) == ["kernel-beside-user", "draft-slip-s08"]
    assert codes(on("dma-hint", pair("vfio-pci", "nvme"), ClaimGroup(1, "vm1"))) == ["kernel-driver", "draft-slip-s08"]
    assert codes(on("dma-hint", pair("vfio-pci", None), ClaimGroup(1, "vm1"))) == []


def test_s11_h1_is_named_where_it_decides() -> None:
    outcome = on("dma-hint", owned(None, None), *TO_SND)
    assert codes(outcome) == ["draft-gap-h1"]
    assert "draft-gap-h1" in codes(on("dma-hint", outcome.host, ClaimGroup(1, "vm1")))
    assert codes(on("dma-hint", pair(None, None), *TO_SND)) == []


def test_s18_bridges_are_named_where_they_decide() -> None:
    host = machine(group_of(1, bridge(A), function(B, "vfio-pci")))
    assert codes(on("dma-hint", host, ClaimGroup(1, "vm1"))) == ["kernel-driver", "draft-gap-bridge", "draft-slip-s08"]
    probing = machine(group_of(1, bridge(A, None), function(B, "vfio-pci")))
    assert codes(on("dma-hint", probing, Probe(A))) == ["kernel-beside-user", "draft-gap-bridge", "draft-slip-s08"]


def test_s19_a_group_that_is_all_free_can_be_claimed() -> None:
    assert on("dma-hint", pair(None, None), ClaimGroup(1, "vm1")).ok


@pytest.mark.parametrize("back", [False, True])
def test_s20_everyone_leaves_before_the_first_of_the_other_kind_comes(back: bool) -> None:
    old_driver, new_driver = ("vfio-pci", "amdgpu") if back else ("amdgpu", "vfio-pci")
    host = pair(old_driver, old_driver)
    overrides = (Override(A, new_driver), Override(B, new_driver))
    assert on("dma-hint", host, *overrides, Unbind(A), Probe(A)).result == "EINVAL"
    assert on("dma-hint", host, *overrides, Unbind(A), Unbind(B), Probe(A), Probe(B)).ok


@pytest.mark.parametrize("model", ["dma-hint", "vfio-group", "dma-owner"])
def test_a_group_on_a_foreign_domain_is_busy(model: str) -> None:
    """Row 17 of dma-owner; ``iommu_attach_group`` before it; RFC 06/20 for the half that the draft leaves open."""
    outcome = on(model, pair("vfio-pci", None, foreign=True), ClaimGroup(1, "vm1"))
    assert (outcome.result, codes(outcome)) == ("EBUSY", ["foreign-domain"])
    verdict = MODELS[model].verdict(outcome.host, outcome.host.groups[1])
    assert (verdict.viable, verdict.state, verdict.claim) == (True, "foreign", "EBUSY")


def test_a_foreign_domain_is_the_kernels_in_the_sketch() -> None:
    outcome = on("kernel-ownership", pair(None, None, foreign=True), ClaimGroup(1, "vm1"))
    assert (outcome.result, codes(outcome)) == ("EBUSY", ["foreign-domain"])


def test_what_the_sketch_says_of_a_group() -> None:
    model = MODELS["kernel-ownership"]
    assert model.role(function(A), "vfio-pci") == ("kernel", False)
    for host, viable, state in (
        (pair(None, None), True, "idle"),
        (pair("vfio-pci", None), False, "kernel"),
        (owned(None, None), True, "user"),
        (pair(None, None, foreign=True), False, "foreign"),
    ):
        verdict = model.verdict(host, host.groups[1])
        assert (verdict.viable, verdict.state) == (viable, state)
    assert codes(on("kernel-ownership", pair(None, None), ClaimGroup(1, "vm1"), ClaimDevice(A, "vm1"))) == ["owned"]
