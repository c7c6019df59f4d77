"""Interrupts without remapping: which claims are refused, and which parameter permits which claim."""

import pytest

from iommutui.core.diagnosis import explain
from iommutui.core.events import ClaimDevice, ClaimGroup
from iommutui.core.host import Host, VfioParameters
from iommutui.core.models import model_for
from tests.core.machines import NEW, OLD, A, codes, function, group_of, machine, on, pair, shown, verdict_of

CONTAINER = VfioParameters(unsafe_interrupts_container=True)
IOMMUFD = VfioParameters(unsafe_interrupts_iommufd=True)
NEITHER = VfioParameters(False, False)
GROUP, DEVICE, CDEV = ClaimGroup(1, "vm1"), ClaimDevice(A, "vm1"), ClaimDevice(A, "vm1", cdev=True)


def without(kernel: str = NEW, parameters: VfioParameters = NEITHER, remapping: bool | None = False) -> Host:
    host = pair("vfio-pci", None, kernel=kernel)
    return host._replace(interrupt_remapping=remapping, vfio=parameters)


@pytest.mark.parametrize("kernel", [OLD, "6.1.0", NEW])
def test_a_container_is_refused_without_remapping(kernel: str) -> None:
    model = model_for(kernel).name
    outcome = on(model, without(kernel), GROUP)
    assert (outcome.result, codes(outcome)) == ("EPERM", ["no-interrupt-remapping"])
    assert verdict_of(model, without(kernel)) == (True, "EPERM")
    assert on(model, without(kernel, CONTAINER), GROUP).ok
    assert on(model, without(kernel, IOMMUFD), GROUP).result == "EPERM"


@pytest.mark.parametrize("event", [DEVICE, CDEV], ids=str)
def test_an_iommufd_has_its_own_parameter(event: ClaimDevice) -> None:
    outcome = on("dma-owner", without(), event)
    assert (outcome.result, codes(outcome)) == ("EPERM", ["no-interrupt-remapping"])
    assert outcome.reasons[0].fact("module") == "iommufd"
    assert on("dma-owner", without(parameters=IOMMUFD), event).ok
    assert on("dma-owner", without(parameters=CONTAINER), event).result == "EPERM"


@pytest.mark.parametrize("remapping", [True, None])
@pytest.mark.parametrize("event", [GROUP, DEVICE, CDEV], ids=str)
def test_with_remapping_present_or_unknown_no_parameter_is_checked(
    event: ClaimGroup | ClaimDevice, remapping: bool | None
) -> None:
    assert on("dma-owner", without(remapping=remapping), event).ok


def test_earlier_checks_come_first() -> None:
    blocked = pair("vfio-pci", "nvme")._replace(interrupt_remapping=False)
    assert codes(on("dma-owner", blocked, GROUP)) == ["kernel-driver"]
    direct = machine(group_of(1, function(A, "vfio-pci"), direct=True))._replace(interrupt_remapping=False)
    assert on("dma-owner", direct, GROUP).result == "EINVAL"
    assert on("dma-owner", direct, CDEV).result == "EPERM"


def test_a_claimed_device_file_is_refused_before_interrupts_are_checked() -> None:
    host = on("dma-owner", without(remapping=True), CDEV).host._replace(interrupt_remapping=False)
    assert shown(on("dma-owner", host, CDEV)) == "EINVAL"
    held = on("dma-owner", without(remapping=True), GROUP).host._replace(interrupt_remapping=False)
    assert shown(on("dma-owner", held, CDEV)) == "EBUSY"


BIND = f"vfio {A}: error bind device fd=29 to iommufd=28: "


def causes(text: str, host: Host) -> list[str]:
    return [str(cause.code) for cause in explain(host, text, model_for(host.kernel)).causes]


def test_qemus_errors_of_an_iommufd_are_explained() -> None:
    refused = BIND + "Operation not permitted"
    assert causes(refused, pair("vfio-pci", "nvme", kernel=NEW)._replace(interrupt_remapping=True)) == ["kernel-driver"]
    assert causes(refused, without(parameters=CONTAINER)) == ["no-interrupt-remapping"]
    assert causes(refused, without(parameters=IOMMUFD)) == []
    remedy = explain(without(), refused, model_for(NEW)).causes[0].remedy
    assert "iommufd.allow_unsafe_interrupts" in remedy
    assert causes(BIND + "Device or resource busy", pair("vfio-pci", None, kernel=NEW, owner="vm1")) == ["owned"]
