"""A PCI function that is itself an IOMMU."""

import pytest

from iommutui.core.events import Bind, Override, Probe
from iommutui.core.host import Host, Iommu
from iommutui.core.models import model_for
from tests.core.machines import LONE, NOWHERE, OLD, bridge, codes, function, machine, on, shown


def amd(kernel: str) -> Host:
    """A machine whose IOMMU is a function without a group."""
    device = function(LONE, class_code="080600", fits=())
    return machine(lone=[device], kernel=kernel)._replace(iommus=(Iommu("ivhd0", "amd-iommu", LONE),))


@pytest.mark.parametrize(
    ("kernel", "probe", "bind"),
    [(OLD, "ok", "ENODEV"), ("6.1.0", "ok", "ENODEV"), ("6.15.0", "ok", "ENODEV"), ("6.16.0", "EINVAL", "EBUSY"),
     ("7.2.0", "EINVAL", "EBUSY")],
)  # fmt: skip
@pytest.mark.parametrize("driver", ["vfio-pci", "pci-stub", "uio_pci_generic"])
def test_no_driver_binds_to_an_iommu(driver: str, kernel: str, probe: str, bind: str) -> None:
    model = model_for(kernel).name
    for event, result in ((Probe(LONE), probe), (Bind(LONE, driver), bind)):
        outcome = on(model, amd(kernel), Override(LONE, driver), event)
        assert shown(outcome) == result
        assert outcome.host.devices[LONE].driver is None


def test_a_refusal_names_the_iommu() -> None:
    for kernel in ("6.1.0", "7.2.0"):
        outcome = on("dma-owner", amd(kernel), Override(LONE, "pci-stub"), Bind(LONE, "pci-stub"))
        assert codes(outcome) == ["iommu-function"]


def test_without_a_matching_driver_nothing_is_refused() -> None:
    assert shown(on("dma-owner", amd("7.2.0"), Probe(LONE))) == "ok"
    assert shown(on("dma-owner", amd("7.2.0"), Bind(LONE, "amdgpu"))) == "ENODEV"


def test_any_other_function_can_be_bound() -> None:
    host = amd("7.2.0")._replace(iommus=(Iommu("ivhd0", "amd-iommu", NOWHERE), Iommu("dmar0", "intel-iommu")))
    assert on("dma-owner", host, Override(LONE, "pci-stub"), Probe(LONE)).host.devices[LONE].driver == "pci-stub"
    port = host._replace(devices={LONE: bridge(LONE, None)})
    assert on("dma-owner", port, Probe(LONE)).host.devices[LONE].driver == "pcieport"
