"""An unbind that waits until the device is closed, and what a driver leaves behind."""

import pytest

from iommutui.core.address import Address
from iommutui.core.events import (
    Bind,
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
from iommutui.core.host import Fit, Gap, Host
from iommutui.core.models import MODELS, model_for
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import plan_intents
from tests.core.machines import (
    NEW,
    OLD,
    OTHER,
    A,
    B,
    bridge,
    codes,
    function,
    group_of,
    machine,
    on,
    one,
    pair,
    shown,
)

# -- an unbind that waits


def in_use(kernel: str = NEW, second: str | None = None) -> Host:
    return pair("vfio-pci", second, kernel=kernel, owner="vm1", opened=[A])


@pytest.mark.parametrize("kernel", [OLD, NEW])
def test_while_an_unbind_waits_the_link_is_gone_and_the_device_open(kernel: str) -> None:
    outcome = on(model_for(kernel).name, in_use(kernel), Unbind(A))
    assert outcome.blocks
    assert outcome.result == "ok"
    assert outcome.host.devices[A].driver is None
    assert "vm1" in outcome.reasons[0].fact("owner")
    claim = outcome.host.groups[1].claim
    assert claim is not None
    assert claim.opened == (A,)


@pytest.mark.parametrize(
    ("kernel", "event", "result"),
    [
        (OLD, Probe(A), "ok"),
        (NEW, Probe(A), "ok"),
        (OLD, Unbind(A), "blocks"),
        (NEW, Unbind(A), "blocks"),
        (OLD, Remove(A), "blocks"),
        (NEW, Remove(A), "blocks"),
        (OLD, Override(A, "amdgpu"), "blocks"),
        ("6.1.0", Override(A, "amdgpu"), "blocks"),
        (NEW, Override(A, "amdgpu"), "ok"),
        (OLD, Bind(A, "amdgpu"), "ENODEV"),
        (NEW, Bind(A, "amdgpu"), "blocks"),
        (NEW, ClaimGroup(1, "vm2"), "EBUSY"),
        (OLD, ClaimGroup(1, "vm2"), "EBUSY"),
        (NEW, ReleaseDevice(A, "vm1"), "ok"),
        (NEW, ReleaseGroup(1, "vm1"), "ok"),
    ],
    ids=str,
)
def test_results_of_writes_to_a_device_being_unbound(kernel: str, event: Event, result: str) -> None:
    outcome = on(model_for(kernel).name, in_use(kernel), Unbind(A), event)
    assert shown(outcome) == result
    assert outcome.host.devices[A].driver is None


def test_a_write_that_waits_behind_an_unbind_takes_effect_when_it_ends() -> None:
    """Seen on 6.1 and 6.12; 5.10 refuses the bind at once."""
    behind = on("dma-owner", in_use("6.1.0"), Unbind(A), Override(A, "nvme")).host
    assert behind.devices[A].driver_override is None
    assert on("dma-owner", behind, ReleaseGroup(1, "vm1")).host.devices[A].driver_override == "nvme"
    for kernel in ("6.1.0", NEW):
        bound = on("dma-owner", in_use(kernel), Unbind(A), Bind(A, "amdgpu"), ReleaseGroup(1, "vm1")).host
        assert bound.devices[A].driver == "amdgpu"
        assert bound.waiting == ()
    old = on("vfio-group", in_use(OLD), Unbind(A), Bind(A, "amdgpu"), ReleaseGroup(1, "vm1")).host
    assert old.devices[A].driver is None


def test_a_waiting_write_is_judged_when_it_takes_effect() -> None:
    """The latest override and the owner of the group at that time decide."""
    other = on("dma-owner", in_use(), Unbind(A), Bind(A, "amdgpu"), Override(A, "nvme"), ReleaseGroup(1, "vm1")).host
    assert other.devices[A].driver is None
    both = pair("vfio-pci", "vfio-pci", owner="vm1", opened=[A, B], via="cdev", uses=2)
    host = on("dma-owner", both, Unbind(A), Bind(A, "amdgpu"), ReleaseDevice(A, "vm1")).host
    assert (host.devices[A].driver, host.waiting) == (None, ())


def test_a_write_for_another_device_keeps_waiting() -> None:
    both = pair("vfio-pci", "vfio-pci", owner="vm1", opened=[A, B])
    host = on("dma-owner", both, Unbind(A), Unbind(B), Bind(A, "amdgpu"), ReleaseDevice(B, "vm1")).host
    assert host.waiting == (Bind(A, "amdgpu"),)


def test_a_write_for_a_removed_device_is_dropped() -> None:
    events = Unbind(A), Bind(A, "amdgpu"), Remove(A), ReleaseGroup(1, "vm1")
    host = on("dma-owner", in_use(), *events).host
    assert (A in host.devices, host.waiting) == (False, ())


@pytest.mark.parametrize(
    ("kernel", "event", "result"),
    [(NEW, Unbind(A), "blocks"), (NEW, Bind(A, "nvme"), "blocks"), (NEW, Probe(A), "ok"), (NEW, Override(A, "x"), "ok"),
     ("6.1.0", Override(A, "x"), "blocks"), (OLD, Bind(A, "nvme"), "ENODEV")],
)  # fmt: skip
def test_an_unbind_may_wait_without_a_user(kernel: str, event: Event, result: str) -> None:
    """As nvme does if its controller no longer answers; the scan saw no ``driver`` link, but a driver in ``uevent``."""
    outcome = on(model_for(kernel).name, one(kernel=kernel, gaps=(Gap("driver", "unbinding"),)), event)
    assert shown(outcome) == result
    if result != "ok" or isinstance(event, Probe):
        assert codes(outcome) == ["being-unbound"]


def test_the_last_vfio_device_of_a_container_on_old_kernels_waits_for_the_container() -> None:
    host = pair("vfio-pci", "vfio-pci", kernel=OLD, owner="vm1", opened=[A])
    assert shown(on("vfio-group", host, Unbind(B))) == "ok"
    waiting = on("vfio-group", host, Unbind(B), Unbind(A), ReleaseDevice(A, "vm1"))
    claim = waiting.host.groups[1].claim
    assert claim is not None
    assert claim.opened == (A,)
    # A device whose unbind waits still belongs to VFIO, so the next one is not the last.
    assert shown(on("vfio-group", host, Unbind(A), Unbind(B))) == "ok"


def test_unbinding_the_last_vfio_device_ends_the_claim() -> None:
    host = pair("vfio-pci", "vfio-pci", owner="vm1")
    assert on("dma-owner", host, Unbind(A)).host.groups[1].claim is not None
    left = on("dma-owner", host, Unbind(A), Unbind(B))
    assert left.host.groups[1].claim is None
    assert on("dma-owner", left.host, Probe(B)).host.devices[B].driver == "amdgpu"
    assert on("dma-owner", host, Unbind(A), Remove(B)).host.groups[1].claim is None
    held = pair("vfio-pci", None, owner="vm1", opened=[A])
    assert on("dma-owner", held, Unbind(A), ReleaseDevice(A, "vm1")).host.groups[1].claim is None
    # Not under the draft: there only the owner's own calls end the claim.
    assert on("dma-hint", host, Unbind(A), Unbind(B)).host.groups[1].claim is not None


def test_a_remove_that_waits_ends_with_the_release() -> None:
    for model, kernel in (("dma-owner", NEW), ("vfio-group", OLD)):
        waiting = on(model, in_use(kernel), Remove(A))
        assert waiting.blocks
        assert A in waiting.host.devices
        assert on(model, waiting.host, Rescan()).host.devices.keys() == {A, B}
        released = on(model, waiting.host, ReleaseGroup(1, "vm1"))
        assert released.host.devices.keys() == {B}
        assert released.host.groups[1].members == (B,)
        assert on(model, released.host, Rescan()).host.devices[A].driver == "amdgpu"


def test_a_remove_continues_only_when_every_device_is_released() -> None:
    first = group_of(1, function(A, "vfio-pci", parent=OTHER), owner="vm1", opened=[A])
    second = group_of(2, function(B, "vfio-pci", parent=OTHER), owner="vm2", opened=[B])
    host = machine(first, second, group_of(3, bridge(OTHER)))
    waiting = on("dma-owner", host, Remove(OTHER))
    assert waiting.blocks
    assert waiting.groups == (1, 2, 3)
    half = on("dma-owner", waiting.host, ReleaseGroup(1, "vm1"))
    assert half.host.devices.keys() == {A, B, OTHER}
    assert on("dma-owner", half.host, ReleaseGroup(2, "vm2")).host.devices == {}


# -- a foreign domain


def test_an_unbind_of_the_driver_that_attached_a_domain_detaches_it() -> None:
    host = machine(group_of(1, function(A, "ifcvf"), foreign=True))
    assert on("dma-owner", host, Unbind(A)).host.groups[1].foreign is False
    assert on("dma-owner", host, Override(A, None)).host.groups[1].foreign is True


def test_a_foreign_domain_stays_while_another_driver_is_bound() -> None:
    host = machine(group_of(1, function(A, "ifcvf"), function(B, "nvme"), foreign=True))
    assert on("dma-owner", host, Unbind(B)).host.groups[1].foreign is True
    assert on("dma-owner", host, Unbind(B), Unbind(A)).host.groups[1].foreign is False


# -- what a driver leaves behind


def test_a_device_that_a_container_waits_for_counts_as_open() -> None:
    """On old kernels, an unbind of the last VFIO device of a container waits, whether the device is open or not."""
    host = pair("vfio-pci", None, kernel=OLD, owner="vm1")
    waiting = on("vfio-group", host, Unbind(A))
    claim = waiting.host.groups[1].claim
    assert waiting.blocks
    assert claim is not None
    assert claim.opened == (A,)
    removing = on("vfio-group", host, Remove(A)).host.groups[1].claim
    assert removing is not None
    assert removing.opened == (A,)


def test_a_waiting_device_is_added_to_those_open() -> None:
    host = pair("vfio-pci", "pci-stub", kernel=OLD, owner="vm1")
    claim = on("vfio-group", host, Unbind(A)).host.groups[1].claim
    assert claim is not None
    assert (claim.owner, claim.opened) == ("vm1", (A,))


@pytest.mark.parametrize("model", ["dma-owner", "vfio-group"])
def test_a_container_outlives_a_device_that_is_not_the_last(model: str) -> None:
    kernel = OLD if model == "vfio-group" else NEW
    host = machine(group_of(1, function(A, "vfio-pci"), function(B, "pci-stub"), owner="vm1"), kernel=kernel)
    assert on(model, host, Unbind(B)).host.groups[1].claim is not None


def test_on_old_kernels_a_container_outlives_the_last_device_whose_unbind_waits() -> None:
    host = pair("vfio-pci", "pci-stub", kernel=OLD, owner="vm1")
    assert on("vfio-group", host, Unbind(A), Unbind(B)).host.groups[1].claim is not None
    nothing = machine(group_of(1, function(A, "pci-stub"), owner="vm1"), kernel=OLD)
    assert on("vfio-group", nothing, Unbind(A)).host.groups[1].claim is not None
    assert on("dma-owner", nothing, Unbind(A)).host.groups[1].claim is None


@pytest.mark.parametrize("driver", ["vfio-pci", "pci-stub"])
def test_a_vfio_driver_or_stub_is_not_remembered_as_fitting(driver: str) -> None:
    host = one(driver, fits=None)
    device = on("dma-owner", host, Unbind(A)).host.devices[A]
    assert (device.fits, device.gaps) == (None, ())
    known = on("dma-owner", one(driver, fits=()), Unbind(A)).host.devices[A]
    assert known.fits == ()


def test_a_device_keeps_its_known_facts_after_an_unbind() -> None:
    fits = (Fit("nvme", "nvme", True), Fit("amdgpu", "amdgpu", False, refused=True))
    device = on("dma-owner", one("amdgpu", fits=fits), Unbind(A)).host.devices[A]
    assert device.fits == (fits[0], Fit("amdgpu", "amdgpu", True, proven=True, refused=True))
    other = on("dma-owner", one("mystery", fits=fits)._replace(drivers=None), Unbind(A)).host.devices[A]
    assert other.fits == (*fits, Fit("mystery", None, True, proven=True))
    assert other.gaps == ()


def test_unknown_facts_stay_unknown_after_an_unbind() -> None:
    unread = Gap("pcie_type", "EACCES")
    device = on("dma-owner", one("amdgpu", fits=None, gaps=(unread, Gap("driver", "timeout"))), Unbind(A)).host.devices[
        A
    ]
    assert device.gaps == (unread, Gap("fits", "not-recorded"))
    assert device.fits == (Fit("amdgpu", None, True, proven=True),)


def test_a_vfio_driver_that_an_override_named_is_remembered_as_one() -> None:
    host = one("acme", fits=(), driver_override="acme", vfio_dev=("vfio0",))._replace(drivers=None)
    assert on("dma-owner", host, Unbind(A)).host.devices[A].fits == (Fit("acme", None, True, vfio=True, proven=True),)


@pytest.mark.parametrize("model", MODELS)
def test_a_device_without_a_group_is_unbound_and_removed(model: str) -> None:
    host = machine(lone=[function(A, "amdgpu")], kernel=OLD)
    gone = on(model, host, Unbind(A))
    assert (gone.ok, gone.host.devices[A].driver) == (True, None)
    assert on(model, host, Remove(A)).host.devices == {}
    assert on(model, gone.host, Override(A, "nvme")).ok


# -- a remove that waits below a bridge


UPPER, LOWER = Address("0000:00:01.0"), Address("0000:01:02.0")
NEAR, FAR = (Address(f"0000:0{bus}:00.0") for bus in (2, 3))


def branch(*in_use: Address) -> Host:
    """A port, two ports below it, and a device on ``vfio-pci`` below each of those; each is alone in its group."""
    ports = bridge(UPPER), bridge(Address("0000:01:01.0"), parent=UPPER), bridge(LOWER, parent=UPPER)
    ends = function(NEAR, "vfio-pci", parent=ports[1].address), function(FAR, "vfio-pci", parent=LOWER)
    return machine(
        *(group_of(number, port) for number, port in enumerate(ports)),
        *(
            group_of(number, d, owner=f"vm{number}" if d.address in in_use else None, opened=(d.address,))
            for number, d in enumerate(ends, 3)
        ),
    )


def drivers_of(host: Host) -> dict[Address, str | None]:
    return {address: device.driver for address, device in host.devices.items()}


def test_a_remove_unbinds_from_the_end_to_the_first_device_in_use() -> None:
    """The bridges above, and earlier devices on its bus, keep their drivers while it waits (seen on 6.1)."""
    waiting = on("dma-owner", branch(NEAR), Remove(UPPER))
    assert waiting.blocks
    assert [reason.device for reason in waiting.reasons] == [NEAR]
    assert drivers_of(waiting.host) == {
        UPPER: "pcieport",
        Address("0000:01:01.0"): "pcieport",
        LOWER: None,
        NEAR: None,
        FAR: None,
    }
    last = on("dma-owner", branch(FAR), Remove(UPPER))
    assert [d for d in drivers_of(last.host).values() if d is None] == [None]
    assert last.host.devices[NEAR].driver == "vfio-pci"


def test_a_remove_waits_for_one_device_in_use_after_another() -> None:
    waiting = on("dma-owner", branch(NEAR, FAR), Remove(UPPER))
    assert [reason.device for reason in waiting.reasons] == [FAR]
    assert waiting.host.devices[NEAR].driver == "vfio-pci"
    half = on("dma-owner", waiting.host, ReleaseGroup(4, "vm4")).host
    assert [half.devices[a].driver for a in (UPPER, LOWER, FAR, NEAR)] == ["pcieport", None, None, None]
    assert on("dma-owner", half, ReleaseGroup(3, "vm3")).host.devices == {}
    other = on("dma-owner", waiting.host, ReleaseGroup(3, "vm3")).host
    assert other.devices[NEAR].driver == "vfio-pci"
    assert on("dma-owner", other, ReleaseGroup(4, "vm4")).host.devices == {}


def test_devices_unbound_by_a_remove_come_back_with_a_rescan() -> None:
    gone = on("dma-owner", branch(NEAR), Remove(UPPER), ReleaseGroup(3, "vm3")).host
    assert gone.devices == {}
    back = on("dma-owner", gone, Rescan()).host
    assert set(drivers_of(back).values()) == {"pcieport", "amdgpu"}


def test_bridges_in_a_ring_are_removed_once() -> None:
    host = machine(group_of(1, bridge(UPPER, parent=LOWER), bridge(LOWER, parent=UPPER)))
    assert on("dma-owner", host, Remove(UPPER)).host.devices == {}


def test_a_remove_of_the_last_vfio_device_ends_its_claim() -> None:
    host = branch(NEAR, FAR)
    claim = host.groups[4].claim
    assert claim is not None
    host = host.with_group(host.groups[4]._replace(claim=claim._replace(opened=())))
    waiting = on("dma-owner", host, Remove(UPPER))
    assert [reason.device for reason in waiting.reasons] == [NEAR]
    assert waiting.host.groups[4].claim is None
    assert waiting.host.groups[3].claim is not None


def test_a_release_does_not_touch_devices_removed_before() -> None:
    gone = on("dma-owner", branch(NEAR), Remove(FAR))
    assert FAR in gone.host.removed
    after = on("dma-owner", gone.host, ReleaseGroup(3, "vm3")).host
    assert after.groups[3].claim is None
    assert after.devices.keys() == gone.host.devices.keys()


@pytest.mark.parametrize("kernel", [OLD, NEW])
@pytest.mark.parametrize("target", ["default", "none", "vfio-pci"])
def test_beside_an_unbind_with_an_unknown_holder_every_plan_is_refused(kernel: str, target: str) -> None:
    host = pair(None, "nvme", kernel=kernel)
    idle = host.with_device(host.devices[B]._replace(driver_override="nvme"))
    leaving = idle.with_device(idle.devices[A]._replace(gaps=(Gap("driver", "unbinding"),)))
    plan = plan_intents(leaving, [Intent(B, target)], model_for(kernel))
    assert [(str(reason.code), reason.device) for reason in plan.refusals] == [("being-unbound", A)]
    assert plan_intents(idle, [Intent(B, target)], model_for(kernel)).permitted
