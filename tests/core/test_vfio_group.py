"""Every row of the decision table for kernels up to 5.18."""

from typing import Any

import pytest

from iommutui.core.events import (
    Bind,
    ClaimDevice,
    ClaimGroup,
    Override,
    Probe,
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
    A,
    B,
    C,
    bridge,
    function,
    group_of,
    machine,
    on,
    pair,
)
from tests.core.tables import TO_SND, TO_STUB, TO_VFIO, Row, check, lone, rows


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
    "14": Row(held(None), [ClaimGroup(1, "vm1")], "EBUSY", {}, "vm1", 1),
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


# Row 13 of vfio-group: VIABLE depends on the members' drivers, whoever asks.
@pytest.mark.parametrize("owner", [None, "vm1"])
@pytest.mark.parametrize(
    ("second", "viable"), [(None, True), ("vfio-pci", True), ("pci-stub", True), ("nvme", False), ("ifcvf", False)]
)
def test_vfio_group_13(second: str | None, viable: bool, owner: str | None) -> None:
    outcome = on("vfio-group", old("vfio-pci", second, owner=owner), Override(A, None))
    assert MODELS["vfio-group"].verdict(outcome.host, outcome.host.groups[1]).viable is viable
