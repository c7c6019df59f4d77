"""Every row of the decision table for kernels from 5.19."""

from typing import Any

from iommutui.core.events import (
    Bind,
    ClaimDevice,
    ClaimGroup,
    Override,
    Probe,
    ReleaseDevice,
    ReleaseGroup,
    Remove,
    Unbind,
)
from iommutui.core.host import Host
from tests.core.machines import (
    LONE,
    A,
    B,
    bridge,
    function,
    group_of,
    machine,
    pair,
)
from tests.core.tables import TO_SND, TO_STUB, TO_VFIO, Row, check, lone, owned, rows


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
    "12-same": Row(owned("vfio-pci", None), [ClaimGroup(1, "vm1")], "EBUSY", {}, "vm1", 1),
    "12-other": Row(owned("vfio-pci", None), [ClaimGroup(1, "vm2")], "EBUSY", {}, "vm1", 1),
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
    "15": Row(pair("vfio-pci", "vfio-pci"), [ClaimDevice(A, "vm1"), ClaimDevice(B, "vm2")], "EBUSY", {}, "vm1", 1),
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
