"""No-IOMMU mode: VFIO makes a group for a device that no IOMMU translates."""

import pytest

from iommutui.core.events import Bind, ClaimDevice, ClaimGroup, Override, Probe, ReleaseGroup, Unbind
from iommutui.core.host import Host, VfioParameters
from iommutui.core.models import has_node, model_for
from tests.core.machines import (
    LONE,
    NEW,
    OLD,
    A,
    bridge,
    codes,
    function,
    group_of,
    machine,
    on,
    shown,
    verdict_of,
)  # fmt: skip

TO_VFIO = Override(LONE, "vfio-pci"), Probe(LONE)


def bare(kernel: str = NEW, noiommu: bool | None = True) -> Host:
    """A machine without an IOMMU."""
    host = machine(lone=[function(LONE)], kernel=kernel)
    return host._replace(iommus=(), vfio=VfioParameters(noiommu=noiommu))


@pytest.mark.parametrize("kernel", [OLD, "6.1.0", NEW])
def test_a_vfio_driver_creates_a_group_and_removes_it(kernel: str) -> None:
    model = model_for(kernel).name
    host = on(model, bare(kernel), *TO_VFIO).host
    group = host.groups[0]
    assert (host.devices[LONE].driver, host.devices[LONE].group) == ("vfio-pci", 0)
    assert (group.members, group.name, group.type, group.regions) == ((LONE,), "vfio-noiommu", "unknown", ())
    assert has_node(host, group)
    left = on(model, host, Unbind(LONE)).host
    assert (left.groups, left.devices[LONE].group) == ({}, None)
    assert on(model, left, Override(LONE, None), Probe(LONE)).host.devices[LONE].driver == "amdgpu"


@pytest.mark.parametrize("noiommu", [False, None])
def test_without_the_mode_the_device_stays_free(noiommu: bool | None) -> None:
    outcome = on("dma-owner", bare(noiommu=noiommu), *TO_VFIO)
    assert (outcome.host.devices[LONE].driver, codes(outcome)) == (None, ["no-group"])
    assert on("dma-owner", bare(noiommu=noiommu), TO_VFIO[0], Bind(LONE, "vfio-pci")).result == "EINVAL"


def test_before_5_19_the_mode_needs_a_machine_without_iommu() -> None:
    with_iommu = machine(group_of(0, function(A)), lone=[function(LONE)], kernel=OLD)
    host = with_iommu._replace(vfio=VfioParameters(noiommu=True))
    assert on("vfio-group", host, *TO_VFIO).host.devices[LONE].driver is None
    newer = on("dma-owner", host._replace(kernel="5.19.0"), *TO_VFIO).host
    assert (newer.devices[LONE].driver, newer.devices[LONE].group) == ("vfio-pci", 1)


def test_no_other_driver_and_no_bridge_gets_a_group() -> None:
    assert on("dma-owner", bare(), Probe(LONE)).host.groups == {}
    assert on("dma-owner", bare(), Override(LONE, "pci-stub"), Probe(LONE)).host.groups == {}
    port = bare()._replace(devices={LONE: bridge(LONE, None)})
    assert on("dma-owner", port, *TO_VFIO).host.groups == {}


@pytest.mark.parametrize("kernel", [OLD, NEW])
def test_the_group_reads_as_viable_but_no_virtual_machine_can_use_it(kernel: str) -> None:
    model = model_for(kernel).name
    host = on(model, bare(kernel), *TO_VFIO).host
    assert verdict_of(model, host, 0) == (True, "ENODEV")
    outcome = on(model, host, ClaimGroup(0, "vm1"))
    assert (outcome.result, codes(outcome)) == ("ENODEV", ["no-iommu-mode"])


def test_an_iommufd_can_use_the_group_and_the_device_has_no_file() -> None:
    host = on("dma-owner", bare(), *TO_VFIO).host
    assert on("dma-owner", host, ClaimDevice(LONE, "vm1", cdev=True)).result == "ENOENT"
    claimed = on("dma-owner", host, ClaimDevice(LONE, "vm1"))
    assert claimed.ok
    waiting = on("dma-owner", claimed.host, Unbind(LONE))
    assert shown(waiting) == "blocks"
    assert waiting.host.groups[0].members == (LONE,)
    assert on("dma-owner", waiting.host, ReleaseGroup(0, "vm1")).host.groups == {}
