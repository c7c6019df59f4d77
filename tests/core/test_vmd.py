"""A VMD controller goes with everything behind it, and nothing behind it goes alone."""

from iommutui.core.address import Address
from iommutui.core.events import Bind, Probe, Rescan, Unbind
from iommutui.core.host import Fit, Host
from iommutui.core.models import MODELS
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import plan_intents
from iommutui.core.plan.presets import fix_for, smallest_fix, why_not_free
from tests.core.machines import REGISTERED, bridge, free_card, free_group, function, group_of, machine, on

VMD, PORT, DISK = Address("0000:00:0e.0"), Address("10000:e0:06.0"), Address("10000:e1:00.0")
OWNER = MODELS["dma-owner"]


def laptop(opened: tuple[Address, ...] = ()) -> Host:
    controller = function(VMD, "vmd", class_code="010400", fits=(Fit("vmd", "vmd", True),))
    port = bridge(PORT, parent=VMD)
    disk = function(DISK, "vfio-pci" if opened else "nvme", class_code="010802", parent=PORT,
                    fits=(Fit("nvme", "nvme", True),))  # fmt: skip
    group = group_of(8, controller, port, disk, owner="vm" if opened else None, opened=opened)
    return machine(group, drivers=(*REGISTERED, "vmd"))


def test_an_unbind_of_a_vmd_removes_the_devices_behind_it_and_a_bind_finds_them_again() -> None:
    gone = on("dma-owner", laptop(), Unbind(VMD))
    assert gone.ok
    assert set(gone.host.devices) == {VMD}
    assert gone.host.groups[8].members == (VMD,)
    assert set(on("dma-owner", gone.host, Rescan()).host.devices) == {VMD}
    for event in (Probe(VMD), Bind(VMD, "vmd")):
        back = on("dma-owner", gone.host, event)
        assert {a: d.driver for a, d in back.host.devices.items()} == {VMD: "vmd", PORT: "pcieport", DISK: "nvme"}
        assert back.host.removed == {}


def test_an_unbind_waits_for_a_disk_in_use_behind_the_vmd() -> None:
    waiting = on("dma-owner", laptop(opened=(DISK,)), Unbind(VMD))
    assert waiting.blocks


def test_an_unbind_of_any_other_driver_removes_nothing() -> None:
    assert set(on("dma-owner", laptop(), Unbind(DISK)).host.devices) == {VMD, PORT, DISK}


def test_the_plan_for_the_controller_needs_no_step_for_the_devices_behind_it() -> None:
    host = laptop()
    preset = free_card(host, VMD, OWNER)
    assert [str(intent) for intent in preset or ()] == [f"{VMD}=vfio-pci"]
    plan = plan_intents(host, preset or (), OWNER)
    assert plan.permitted
    assert [change.after.viable for change in plan.groups] == [True]
    assert [str(i) for i in smallest_fix(host, [], [host.groups[8]], OWNER) or ()] == [f"{VMD}=none"]
    assert [str(i) for i in free_group(host, host.groups[8], OWNER) or ()] == [f"{VMD}=vfio-pci"]


def test_a_device_behind_a_vmd_cannot_be_handed_over_alone() -> None:
    host = laptop()
    plan = plan_intents(host, [Intent(DISK, "vfio-pci")], OWNER)
    assert [reason.code for reason in plan.refusals] == ["behind-vmd"]
    assert free_card(host, DISK, OWNER) is None
    assert VMD in (why_not_free(host, [DISK], OWNER) or "")
    assert [str(i) for i in fix_for(host, host.groups[8], DISK, OWNER) or ()] == [f"{VMD}=none"]
    assert plan_intents(host, [Intent(DISK, "none")], OWNER).permitted
