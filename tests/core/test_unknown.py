"""Facts that a listing lacks: every answer that depends on them says so, and names the command that shows them."""

import pytest

from iommutui.core.address import Address
from iommutui.core.advice import no_iommu_advice
from iommutui.core.device import NOT_LISTED
from iommutui.core.hazards import hazards_of
from iommutui.core.host import Device, Gap, Group, Host, by_address, by_number
from iommutui.core.labels import driver_words
from iommutui.core.models import MODELS, Model
from iommutui.core.plan.intents import Goal, Intent, goal_of
from iommutui.core.plan.planner import plan_intents
from iommutui.core.plan.presets import why_not_free
from iommutui.core.reasons import Code, groupless
from iommutui.core.wording import sentence

GPU = Address("0000:01:00.0")
KERNEL_MODELS = [MODELS["vfio-group"], MODELS["dma-owner"]]


def machine(*unknown: str, members: bool = False, group: int | None = 1) -> Host:
    """A card whose attributes named here are unknown; ``members``: its group may have others."""
    card = Device(GPU, vendor_id="10de", device_id="2204", class_code="0300", group=group)
    card = card._replace(gaps=tuple(Gap(name, NOT_LISTED) for name in unknown))
    gaps = (Gap("members", NOT_LISTED),) if members else ()
    groups = [] if group is None else [Group(group, (GPU,), gaps=gaps)]
    return Host(by_address([card]), by_number(groups), kernel="6.1.0")


@pytest.mark.parametrize("model", KERNEL_MODELS, ids=lambda model: model.name)
def test_a_verdict_without_the_driver_is_unknown(model: Model) -> None:
    verdict = model.verdict(machine("driver"), machine("driver").groups[1])
    assert verdict.viable is None
    assert "lspci -nnk" in sentence(verdict.reasons[0])
    assert model.verdict(machine(), machine().groups[1]).viable is True


@pytest.mark.parametrize("model", KERNEL_MODELS, ids=lambda model: model.name)
def test_a_verdict_without_all_members_is_unknown(model: Model) -> None:
    verdict = model.verdict(machine(members=True), machine(members=True).groups[1])
    assert verdict.viable is None
    assert [reason.code for reason in verdict.reasons] == [Code.UNKNOWN_MEMBERS]


def test_a_fix_beside_unknown_drivers_is_unknown_and_reported_once() -> None:
    def free(bridges: int) -> str:
        host = machine("driver")
        card = host.devices[GPU]
        beside = [card._replace(address=Address(f"0000:02:00.{n}"), class_code="060400") for n in range(bridges)]
        devices = [card._replace(gaps=()), *beside]
        group = host.groups[1]._replace(members=tuple(device.address for device in devices))
        host = host._replace(devices=by_address(devices), groups=by_number([group]))
        return why_not_free(host, [GPU], MODELS["dma-owner"]) or ""

    one = (
        f"Whether a rebind frees {GPU} for a virtual machine is unknown. Whether 0000:02:00.0 has a driver is unknown "
        "(the listing does not show it; lspci -nnk does). Until it is known, the verdict on its group is uncertain."
    )
    assert free(0) == ""
    assert free(1) == one
    assert free(4) == one


def test_a_plan_for_a_device_with_an_unknown_driver_is_refused_without_writes() -> None:
    plan = plan_intents(machine("driver"), [Intent(GPU, "vfio-pci")], MODELS["dma-owner"])
    assert [reason.code for reason in plan.refusals] == [Code.UNKNOWN_DRIVER]
    assert plan.steps == ()
    assert plan.no_ops == ()
    assert plan_intents(machine(), [Intent(GPU, "vfio-pci")], MODELS["dma-owner"]).steps


def test_hazards_of_a_device_with_an_unknown_driver_are_unknown() -> None:
    def of(host: Host) -> list[str]:
        goal = goal_of(host, Intent(GPU, "vfio-pci"))
        assert isinstance(goal, Goal)
        return [hazard.unknown for hazard in hazards_of(host, [goal])]

    assert any(of(machine("driver")))
    assert of(machine()) == []


def test_no_group_differs_from_an_unknown_group() -> None:
    listed, unlisted = machine(group=None), machine("iommu_group", group=None)
    assert groupless(listed.devices[GPU]).code is Code.NO_GROUP
    assert groupless(unlisted.devices[GPU]).code is Code.UNKNOWN_GROUP
    assert "has no IOMMU group" in (why_not_free(listed, [GPU], MODELS["dma-owner"]) or "")
    assert "lspci -v" in (why_not_free(unlisted, [GPU], MODELS["dma-owner"]) or "")


def test_a_listing_without_groups_does_not_mean_that_the_iommu_is_off() -> None:
    assert "iommu_groups" not in str(machine().gaps)
    unlisted = machine(group=None)._replace(gaps=(Gap("iommu_groups", NOT_LISTED),))
    assert "second --from" in no_iommu_advice(unlisted)[1]
    unread = unlisted._replace(gaps=(Gap("iommu_groups", "EACCES"),))
    assert "root only" in no_iommu_advice(unread)[0]
    assert "firmware" in " ".join(no_iommu_advice(machine(group=None)))


def test_an_unknown_driver_has_its_own_word() -> None:
    assert driver_words(machine("driver"), machine("driver").devices[GPU]) == "unknown"
    assert driver_words(machine(), machine().devices[GPU]) == "free"
