"""Every row of the decision table of the draft with hints, and its clauses that no row shows."""

from typing import Any

import pytest

from iommutui.core.events import (
    Bind,
    ClaimDevice,
    ClaimGroup,
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
    LONE,
    NO_DEVICES,
    A,
    B,
    bridge,
    codes,
    function,
    group_of,
    machine,
    on,
    pair,
)
from tests.core.tables import TO_SND, TO_STUB, TO_VFIO, Row, check, lone, owned, rows

HINT_KERNEL = "5.15.0"


def hint(first: str | None, second: str | None, **facts: Any) -> Host:
    return pair(first, second, kernel=HINT_KERNEL, **facts)


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


# -- clauses of the draft that a row does not show


def test_s01_a_driver_without_a_hint_is_a_host_driver() -> None:
    assert MODELS["dma-hint"].role(NO_DEVICES, function(A), "never-heard-of").role == "kernel"


@pytest.mark.parametrize(
    ("driver", "role"),
    [("pci-stub", "none"), ("ifcvf", "user"), ("vfio-pci", "user"), ("pcieport", "kernel"), ("vfio-platform", "kernel"),
     ("vfio-amba", "kernel"), ("vfio-fsl-mc", "kernel"), ("mlx5_vfio_pci", "kernel"), ("mlx5_vdpa", "kernel")],
)  # fmt: skip
def test_s17_marked_drivers(driver: str, role: str) -> None:
    assert MODELS["dma-hint"].role(NO_DEVICES, function(A), driver).role == role


def test_s03_a_device_does_not_conflict_with_itself() -> None:
    host = machine(group_of(1, function(A, "amdgpu")))
    assert on("dma-hint", host, Override(A, "vfio-pci"), Unbind(A), Probe(A)).host.devices[A].driver == "vfio-pci"


def test_s08_is_named_in_a_refusal() -> None:
    assert codes(on("dma-hint", pair("vfio-pci", None), *TO_SND)) == ["kernel-beside-user", "draft-slip-s08"]
    assert codes(on("dma-hint", pair("vfio-pci", "nvme"), ClaimGroup(1, "vm1"))) == ["kernel-driver", "draft-slip-s08"]
    assert codes(on("dma-hint", pair("vfio-pci", None), ClaimGroup(1, "vm1"))) == []


def test_s11_h1_is_named_if_it_decides() -> None:
    outcome = on("dma-hint", owned(None, None), *TO_SND)
    assert codes(outcome) == ["draft-gap-h1"]
    assert "draft-gap-h1" in codes(on("dma-hint", outcome.host, ClaimGroup(1, "vm1")))
    assert codes(on("dma-hint", pair(None, None), *TO_SND)) == []


def test_s18_bridges_are_named_if_they_decide() -> None:
    host = machine(group_of(1, bridge(A), function(B, "vfio-pci")))
    assert codes(on("dma-hint", host, ClaimGroup(1, "vm1"))) == ["kernel-driver", "draft-gap-bridge", "draft-slip-s08"]
    probing = machine(group_of(1, bridge(A, None), function(B, "vfio-pci")))
    assert codes(on("dma-hint", probing, Probe(A))) == ["kernel-beside-user", "draft-gap-bridge", "draft-slip-s08"]


def test_s19_a_group_without_drivers_can_be_claimed() -> None:
    assert on("dma-hint", pair(None, None), ClaimGroup(1, "vm1")).ok


@pytest.mark.parametrize("back", [False, True])
def test_s20_every_driver_is_unbound_before_the_first_of_the_other_kind_binds(back: bool) -> None:
    old_driver, new_driver = ("vfio-pci", "amdgpu") if back else ("amdgpu", "vfio-pci")
    host = pair(old_driver, old_driver)
    overrides = (Override(A, new_driver), Override(B, new_driver))
    assert on("dma-hint", host, *overrides, Unbind(A), Probe(A)).result == "EINVAL"
    assert on("dma-hint", host, *overrides, Unbind(A), Unbind(B), Probe(A), Probe(B)).ok
