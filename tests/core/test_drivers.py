"""Drivers known by name, and roles that are guessed."""

import pytest

from iommutui.core.drivers import KNOWN, TABLE, KnownRole, Role
from iommutui.core.host import Fit, vfio_role
from iommutui.core.models.dma_owner import DMA_OWNER
from iommutui.core.models.drafts import DMA_HINT
from tests.core.machines import NO_DEVICES, A, function

MANAGED = {
    "pci-stub": "5.19", "pcieport": "5.19", "vfio-pci": "5.19", "mlx5_vfio_pci": "5.19", "hisi_acc_vfio_pci": "5.19",
    "vfio-platform": "5.19", "vfio-amba": "5.19", "vfio-fsl-mc": "5.19", "vfio-cdx": "6.4", "pds_vfio_pci": "6.6",
    "virtio_vfio_pci": "6.8", "nvgrace_gpu_vfio_pci": "6.9", "qat_vfio_pci": "6.10", "xe-vfio-pci": "6.19",
    "ism_vfio_pci": "7.0",
}  # fmt: skip
"""The drivers that set ``driver_managed_dma``, and the first kernel whose driver does."""

VFIO = MANAGED.keys() - {"pci-stub", "pcieport"}


def test_the_drivers_that_manage_their_dma() -> None:
    found = {row.name: f"{row.managed[0]}.{row.managed[1]}" for row in TABLE if row.managed is not None}
    assert found == MANAGED
    assert {row.name for row in TABLE if row.vfio} == VFIO
    assert {row.name for row in TABLE if row.managed is None and not row.any_device} == {"ifcvf"}


@pytest.mark.parametrize("driver", sorted(MANAGED))
def test_roles_since_ownership(driver: str) -> None:
    assert DMA_OWNER.role(NO_DEVICES, function(A, driver), driver) == KnownRole(
        Role.USER if driver in VFIO else Role.NONE
    )


@pytest.mark.parametrize("driver", ["ifcvf", "amdgpu", "shpchp", "uio_pci_generic", "mystery"])
def test_every_other_driver_counts_since_ownership(driver: str) -> None:
    assert DMA_OWNER.role(NO_DEVICES, function(A, driver), driver) == KnownRole(Role.KERNEL)


def test_hints_are_only_those_of_the_draft() -> None:
    marked = {row.name: row.hint for row in TABLE if row.hint != "kernel"}
    assert marked == {"pci-stub": "none", "vfio-pci": "user", "ifcvf": "user"}
    assert DMA_HINT.role(NO_DEVICES, function(A), "mystery").role == "kernel"


def test_a_role_from_a_name_with_vfio_is_a_guess() -> None:
    assert vfio_role(NO_DEVICES, function(A), "acme-vfio") == KnownRole(Role.USER, assumed=True)
    assert vfio_role(NO_DEVICES, function(A), "acme") is None
    assert vfio_role(NO_DEVICES, function(A), "pci-stub") is None
    assert "acme-vfio" not in KNOWN


def test_a_vfio_dev_directory_marks_the_bound_driver_as_vfio() -> None:
    device = function(A, "acme", vfio_dev=("vfio0",))
    assert vfio_role(NO_DEVICES, device, "acme") == KnownRole(Role.USER)
    assert vfio_role(NO_DEVICES, device, "other") is None
    assert vfio_role(NO_DEVICES, function(A, "acme"), "acme") is None


def test_a_vfio_alias_marks_the_driver_that_it_names_as_vfio() -> None:
    device = function(A, fits=(Fit("acme", None, True, vfio=True), Fit("plain", None, True)))
    assert vfio_role(NO_DEVICES, device, "acme") == KnownRole(Role.USER)
    assert vfio_role(NO_DEVICES, device, "plain") is None
