"""Binding as the kernel has it, whatever a model says: overrides, bind, unbind, drivers_probe, remove, rescan."""

from typing import Any

import pytest

from iommutui.core.address import Address
from iommutui.core.events import (
    Bind,
    ClaimDevice,
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
from iommutui.core.host import Device, Fit, Gap, Host, settled
from iommutui.core.mechanics.matching import candidates
from iommutui.core.models import MODELS, model_for
from iommutui.core.transition import transition
from tests.core.machines import (
    LAST_OLD,
    LONE,
    NEW,
    OLD,
    OTHER,
    A,
    B,
    C,
    bridge,
    codes,
    function,
    group_of,
    machine,
    on,
    pair,
    shown,
)

NOWHERE = Address("0000:99:00.0")


def one(driver: str | None = None, *, kernel: str | None = NEW, **facts: Any) -> Host:
    return machine(group_of(1, function(A, driver, **facts)), kernel=kernel)


def told(host: Host, *events: Event) -> tuple[str, str | None]:
    """The last result, and the driver that the first device is on, under the model of the Host's own kernel."""
    outcome = on(model_for(host.kernel).name, host, *events)
    return shown(outcome), outcome.host.devices[A].driver


# -- driver_override


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("vfio-pci", "vfio-pci"),
        ("nosuchdriver", "nosuchdriver"),
        (" vfio-pci", " vfio-pci"),
        ("vfio-pci ", "vfio-pci "),
        ("vfio-pci\r", "vfio-pci\r"),
        ("a b", "a b"),
        ("café", "café"),
        ("two\nlines", "two"),
        ("\n", None),
        ("\0", None),
        ("a\0b", "a"),
        (None, None),
        ("", "amdgpu"),
        ("x" * 200, "x" * 200),
        ("y" * 4093, "y" * 4093),
    ],
    ids=repr,
)
def test_what_an_override_keeps(text: str | None, kept: str | None) -> None:
    outcome = on("dma-owner", one("amdgpu", driver_override="amdgpu"), Override(A, text))
    assert outcome.ok
    assert outcome.host.devices[A].driver_override == kept
    assert outcome.host.devices[A].driver == "amdgpu"


@pytest.mark.parametrize("text", ["y" * 4094, "z" * 5000, "é" * 2047, "two\n" + "l" * 4090])
def test_an_override_of_a_page_is_refused(text: str) -> None:
    outcome = on("dma-owner", one(driver_override="amdgpu"), Override(A, text))
    assert outcome.result == "EINVAL"
    assert outcome.host.devices[A].driver_override == "amdgpu"


def test_an_override_that_is_no_utf8_is_kept() -> None:
    assert on("dma-owner", one(), Override(A, "\udcff")).ok


@pytest.mark.parametrize("override", ["vfio_pci", " vfio-pci", "vfio-pci\r", "VFIO-PCI", "vfio-pci ", "none"])
@pytest.mark.parametrize("registered", [True, False])
def test_only_a_driver_of_this_very_name_matches(override: str, registered: bool) -> None:
    host = one() if registered else one()._replace(drivers=None)
    assert told(host, Override(A, override), Probe(A)) == ("ok", None)


def test_an_override_keeps_every_other_driver_away() -> None:
    host = one(driver_override="vfio-pci")
    assert told(host, Probe(A)) == ("ok", "vfio-pci")
    assert told(host, Bind(A, "amdgpu")) == ("ENODEV", None)


# -- drivers_probe: success says nothing


def test_probe_binds_by_id() -> None:
    assert told(one(), Probe(A)) == ("ok", "amdgpu")


def test_probe_tries_drivers_in_order_and_not_what_is_not_loaded() -> None:
    fits = (
        Fit("radeon", "radeon", False),
        Fit("vfio-x", None, True, True),
        Fit("nvme", None, True),
        Fit("pciback", None, True),
    )
    host = one(fits=fits)
    assert candidates(host, host.devices[A]) == ["nvme", "pciback"]
    assert told(host, Probe(A)) == ("ok", "nvme")


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        (one("amdgpu", driver_override="vfio-pci"), "already-bound"),
        (one(fits=()), "no-driver"),
        (one(driver_override="nosuchdriver"), "no-driver"),
        (one(driver_override="uio_pci_generic"), "unfit-driver"),
        (machine(group_of(1, bridge(A, None, driver_override="vfio-pci"))), "bridge"),
        (machine(lone=[function(A, driver_override="vfio-pci")]), "no-group"),
        (one(driver_override="vfio-pci", virtfns=(B,)), "vfs-enabled"),
        (one(driver_override="vfio-pci", vendor_id="8086", device_id="37c8"), "denylisted"),
        (machine(group_of(1, bridge(A, None, pcie_type=7, driver_override="pcieport"))), "not-a-port"),
        (one(driver_override="pcieport"), "not-a-port"),
        (machine(group_of(1, bridge(A, None, driver_override="shpchp"))), "no-hotplug-controller"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_probe_succeeds_without_binding(host: Host, reason: str) -> None:
    outcome = on("dma-owner", host, Probe(A))
    assert outcome.ok
    assert outcome.host == host
    assert codes(outcome)[-1] == reason


def test_probe_of_nothing() -> None:
    assert on("dma-owner", one(), Probe(NOWHERE)).result == "ENODEV"


# -- bind, before and after 5.15


BIND = {
    "no-device": ((Bind(NOWHERE, "amdgpu"),), "ENODEV", "ENODEV"),
    "no-match": ((Bind(A, "uio_pci_generic"),), "ENODEV", "ENODEV"),
    "override-differs": ((Override(A, "vfio-pci"), Bind(A, "amdgpu")), "ENODEV", "ENODEV"),
    "vfio-without-override": ((Bind(A, "vfio-pci"),), "ENODEV", "ENODEV"),
    "stub-without-override": ((Bind(A, "pci-stub"),), "ENODEV", "ENODEV"),
    "no-such-driver": ((Bind(A, "nosuchdriver"),), "ENOENT", "ENOENT"),
    "bound": ((Bind(A, "amdgpu"), Bind(A, "amdgpu")), "ENODEV", "EBUSY"),
    "bound-elsewhere": ((Bind(A, "amdgpu"), Override(A, "vfio-pci"), Bind(A, "vfio-pci")), "ENODEV", "EBUSY"),
    "bound-no-match": ((Bind(A, "amdgpu"), Bind(A, "uio_pci_generic")), "ENODEV", "ENODEV"),
    "unfit": ((Override(A, "uio_pci_generic"), Bind(A, "uio_pci_generic")), "ENODEV", "ENODEV"),
    "ok": ((Bind(A, "amdgpu"),), "ok", "ok"),
    "ok-override": ((Override(A, "vfio-pci"), Bind(A, "vfio-pci")), "ok", "ok"),
}


@pytest.mark.parametrize("case", BIND)
def test_bind(case: str) -> None:
    events, before, after = BIND[case]
    for kernel, expected in ((OLD, before), ("5.14.0", before), ("5.15.0", after), (LAST_OLD, after), (NEW, after)):
        assert told(one(kernel=kernel), *events)[0] == expected, kernel
    assert told(one(kernel=None), *events)[0] == after


PROBE_FAILS = {
    "bridge": (machine(group_of(1, bridge(A, None))), "EINVAL"),
    "no-group": (machine(lone=[function(A)]), "EINVAL"),
    "functions": (one(virtfns=(B,)), "EBUSY"),
    "denylist": (one(vendor_id="8086", device_id="0435"), "EINVAL"),
    "bridge-first": (machine(lone=[bridge(A, None, virtfns=(B,))]), "EINVAL"),
    "functions-before-group": (machine(lone=[function(A, virtfns=(B,))]), "EBUSY"),
}


@pytest.mark.parametrize("case", PROBE_FAILS)
def test_bind_where_the_probe_of_vfio_pci_fails(case: str) -> None:
    host, errno = PROBE_FAILS[case]
    events = (Override(A, "vfio-pci"), Bind(A, "vfio-pci"))
    assert told(host, *events) == (errno, None)
    assert told(host._replace(kernel=OLD), *events) == ("ENODEV", None)


@pytest.mark.parametrize(
    ("product", "kernel", "driver", "result"),
    [("0b25", "6.9.0", "vfio-pci", "ok"), ("0b25", "6.10.0", "vfio-pci", "EINVAL"), 
     ("37c9", "5.10.0", "vfio-pci", "ENODEV"), ("37c9", NEW, "mlx5_vfio_pci", "ok"), ("1234", NEW, "vfio-pci", "ok")],
)  # fmt: skip
def test_the_denylist_by_kernel_and_driver(product: str, kernel: str, driver: str, result: str) -> None:
    host = one(kernel=kernel, vendor_id="8086", device_id=product)
    assert told(host, Override(A, driver), Bind(A, driver))[0] == result


@pytest.mark.parametrize("kernel", [OLD, NEW])
def test_a_driver_that_may_fit_is_not_refused_where_the_aliases_are_not_known(kernel: str) -> None:
    for host in (
        one(kernel=kernel, fits=None),
        one(kernel=kernel, fits=())._replace(gaps=(Gap("modules.alias", "ENOENT"),)),
    ):
        assert told(host, Bind(A, "uio_pci_generic")) == ("ok", "uio_pci_generic")
        assert told(host, Override(A, "uio_pci_generic"), Probe(A)) == ("ok", "uio_pci_generic")
        # Which is no reason to take VFIO drivers and stubs for drivers that have ids.
        assert told(host, Bind(A, "vfio-pci")) == ("ENODEV", None)
        assert told(host, Bind(A, "pci-stub")) == ("ENODEV", None)


@pytest.mark.parametrize(("driver", "bound"), [("vfio-pci", "vfio-pci"), ("amdgpu", "amdgpu"), ("nosuchdriver", None)])
def test_a_host_that_does_not_know_its_drivers_goes_by_the_names_that_it_has_seen(
    driver: str, bound: str | None
) -> None:
    host = one()._replace(drivers=None)
    assert told(host, Override(A, driver), Probe(A)) == ("ok", bound)


def test_what_a_device_leaves_does_not_make_known_what_else_fits_it() -> None:
    host = one("amdgpu", fits=None)
    assert told(host, Unbind(A), Bind(A, "nvme")) == ("ok", "nvme")
    assert told(host, Unbind(A), Probe(A)) == ("ok", "amdgpu")
    # With an override it was no proof that the driver knows the device.
    assert told(one("nvme", fits=None, driver_override="nvme"), Unbind(A), Override(A, None), Probe(A)) == ("ok", None)


# -- unbind


def test_unbind() -> None:
    assert told(one("amdgpu"), Unbind(A)) == ("ok", None)
    assert told(one(), Unbind(A)) == ("ENODEV", None)
    assert on("dma-owner", one(), Unbind(NOWHERE)).result == "ENODEV"


def test_unbind_of_a_device_whose_driver_is_not_known() -> None:
    outcome = on("dma-owner", one(gaps=(Gap("driver", "EACCES"),)), Unbind(A))
    assert (outcome.result, codes(outcome)) == ("ENODEV", ["unknown-driver"])


@pytest.mark.parametrize("driver", ["mystery", "my-driver"])
def test_a_device_finds_back_to_the_driver_that_it_was_on(driver: str) -> None:
    host = one(driver, fits=())._replace(drivers=None)
    assert told(host, Unbind(A), Probe(A)) == ("ok", driver)


def test_what_only_an_override_made_a_driver_take_it_does_not_take_without() -> None:
    host = one("uio_pci_generic", driver_override="uio_pci_generic", fits=())
    assert told(host, Override(A, None), Unbind(A), Probe(A)) == ("ok", "uio_pci_generic")
    assert told(host, Unbind(A), Override(A, None), Probe(A)) == ("ok", None)


def test_a_vfio_driver_that_only_its_directory_shows_is_still_one_after_an_unbind() -> None:
    host = one("acme", fits=(), vfio_dev=("vfio0",))._replace(drivers=None)
    outcome = on("dma-owner", host, Unbind(A))
    assert outcome.host.devices[A].vfio_dev is None
    again = on("dma-owner", outcome.host, Override(A, "acme"), Probe(A), ClaimGroup(1, "vm1"))
    assert again.ok
    assert told(outcome.host, Probe(A)) == ("ok", None)


# -- an unbind that waits


def in_use(kernel: str = NEW, second: str | None = None) -> Host:
    return pair("vfio-pci", second, kernel=kernel, owner="vm1", opened=[A])


@pytest.mark.parametrize("kernel", [OLD, NEW])
def test_while_an_unbind_waits_the_link_is_gone_and_the_device_held(kernel: str) -> None:
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
        (NEW, ClaimGroup(1, "vm2"), "EPERM"),
        (OLD, ClaimGroup(1, "vm2"), "EBUSY"),
        (NEW, ReleaseDevice(A, "vm1"), "ok"),
        (NEW, ReleaseGroup(1, "vm1"), "ok"),
    ],
    ids=str,
)
def test_what_a_device_in_that_state_answers(kernel: str, event: Event, result: str) -> None:
    outcome = on(model_for(kernel).name, in_use(kernel), Unbind(A), event)
    assert shown(outcome) == result
    assert outcome.host.devices[A].driver is None


def test_the_last_vfio_device_of_a_container_on_old_kernels_waits_for_the_container() -> None:
    host = pair("vfio-pci", "vfio-pci", kernel=OLD, owner="vm1", opened=[A])
    assert shown(on("vfio-group", host, Unbind(B))) == "ok"
    waiting = on("vfio-group", host, Unbind(B), Unbind(A), ReleaseDevice(A, "vm1"))
    claim = waiting.host.groups[1].claim
    assert claim is not None
    assert claim.opened == (A,)
    # A device whose unbind waits is still VFIO's: the next one is not the last.
    assert shown(on("vfio-group", host, Unbind(A), Unbind(B))) == "ok"


def test_the_last_vfio_device_takes_the_container_with_it() -> None:
    host = pair("vfio-pci", "vfio-pci", owner="vm1")
    assert on("dma-owner", host, Unbind(A)).host.groups[1].claim is not None
    left = on("dma-owner", host, Unbind(A), Unbind(B))
    assert left.host.groups[1].claim is None
    assert on("dma-owner", left.host, Probe(B)).host.devices[B].driver == "amdgpu"
    assert on("dma-owner", host, Unbind(A), Remove(B)).host.groups[1].claim is None
    held = pair("vfio-pci", None, owner="vm1", opened=[A])
    assert on("dma-owner", held, Unbind(A), ReleaseDevice(A, "vm1")).host.groups[1].claim is None
    # Of a draft nobody can say so: there the owner is told by its own calls.
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


def test_a_remove_goes_on_only_when_everything_is_let_go() -> None:
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


def test_the_driver_that_attached_a_domain_takes_it_along() -> None:
    host = machine(group_of(1, function(A, "ifcvf"), foreign=True))
    assert on("dma-owner", host, Unbind(A)).host.groups[1].foreign is False
    assert on("dma-owner", host, Override(A, None)).host.groups[1].foreign is True


# -- ports


@pytest.mark.parametrize("kind", [4, 5, 6, 10])
def test_pcieport_takes_ports(kind: int) -> None:
    host = machine(group_of(1, bridge(A, None, pcie_type=kind)))
    assert told(host, Probe(A)) == ("ok", "pcieport")
    assert told(host, Bind(A, "pcieport")) == ("ok", "pcieport")


@pytest.mark.parametrize("kind", [None, 0, 7, 8])
def test_pcieport_does_not_take_other_bridges(kind: int | None) -> None:
    host = machine(group_of(1, bridge(A, None, pcie_type=kind)))
    assert told(host, Probe(A)) == ("ok", None)
    assert told(host, Bind(A, "pcieport")) == ("ENODEV", None)


@pytest.mark.parametrize(("class_code", "bound"), [("060401", "pcieport"), ("060700", "pcieport"), ("060402", None)])
def test_pcieport_by_class(class_code: str, bound: str | None) -> None:
    host = machine(group_of(1, bridge(A, None, class_code=class_code, fits=())))
    assert told(host, Probe(A)) == ("ok", bound)
    assert told(host, Bind(A, "pcieport")) == ("ok" if bound else "ENODEV", bound)


def test_a_bridge_whose_type_only_root_can_read_is_taken_for_a_port() -> None:
    unread = bridge(A, None, pcie_type=None, gaps=(Gap("pcie_type", "EACCES"),))
    assert told(machine(group_of(1, unread)), Probe(A)) == ("ok", "pcieport")


def test_a_bridge_that_was_on_pcieport_goes_back_to_it() -> None:
    host = machine(group_of(1, bridge(A, "pcieport", pcie_type=None, fits=(Fit("shpchp", None, True),))))
    assert told(host, Unbind(A), Probe(A)) == ("ok", "pcieport")
    assert told(host, Unbind(A), Override(A, "vfio-pci"), Probe(A), Override(A, None), Probe(A)) == ("ok", "pcieport")


def test_a_bridge_that_was_on_shpchp_goes_back_to_it() -> None:
    host = machine(group_of(1, bridge(A, "shpchp", pcie_type=None)))
    assert told(host, Unbind(A), Probe(A)) == ("ok", "shpchp")


def test_a_conventional_bridge_in_a_claimed_group() -> None:
    """``pcieport`` is managed and its own probe fails; then ``shpchp`` is refused before its probe: seen on 6.1."""
    group = group_of(1, bridge(A, None, pcie_type=7), function(B, "vfio-pci"), owner="vm1")
    outcome = on("dma-owner", machine(group, kernel="6.1.0"), Probe(A))
    assert (outcome.result, codes(outcome)) == ("EINVAL", ["not-a-port", "owned"])
    assert told(machine(group, kernel=OLD), Probe(A)) == ("ok", None)


@pytest.mark.parametrize(
    ("header", "class_code", "exempt"),
    [(1, "030000", True), (2, "060700", True), (0, "060400", False), (None, "060400", True), (None, "060700", True),
     (None, "060900", True), (None, "060000", False), (None, None, False)],
)  # fmt: skip
def test_a_bridge_is_one_by_its_header(header: int | None, class_code: str | None, exempt: bool) -> None:
    device = function(A, "mystery", header_type=header, class_code=class_code)
    host = machine(group_of(1, device, function(B, "vfio-pci")), kernel=OLD)
    assert MODELS["vfio-group"].verdict(host, host.groups[1]).viable is exempt


# -- a group without a default domain


@pytest.mark.parametrize(
    ("kernel", "bind", "probe"),
    [("6.12.1", "EAGAIN", "EINVAL"), ("6.11.0", "ok", "ok"), ("5.10.0", "EAGAIN", "EINVAL")],
)
def test_a_group_without_a_default_domain_puts_kernel_drivers_off(kernel: str, bind: str, probe: str) -> None:
    host = machine(group_of(1, function(A), kind="unknown"), kernel=kernel)
    if kernel == OLD:
        bind = "ENODEV"  # The rule of a newer kernel, told as the older driver core would.
    assert on("dma-owner", host, Bind(A, "amdgpu")).result == bind
    assert on("dma-owner", host, Probe(A)).result == probe
    assert on("dma-owner", host, Override(A, "vfio-pci"), Probe(A)).host.devices[A].driver == "vfio-pci"


# -- drivers that turn a device down


def test_a_free_device_has_been_turned_down_by_the_drivers_that_match() -> None:
    """As a host bridge by agpgart-intel, on nearly every machine."""
    host = settled(one())
    assert told(host, Probe(A)) == ("ok", None)
    assert codes(on("dma-owner", host, Probe(A)))[0] == "refused-before"
    assert told(host, Bind(A, "amdgpu")) == ("ENODEV", None)
    # An override is somebody's wish; whoever unbound it by hand gets it back by that.
    assert told(host, Override(A, "amdgpu"), Probe(A)) == ("ok", "amdgpu")
    assert told(host, Override(A, "amdgpu"), Probe(A), Unbind(A), Override(A, None), Probe(A)) == ("ok", "amdgpu")
    # The driver core still asks whose the group is, before the driver's own probe.
    group = group_of(1, function(A), function(B, "vfio-pci"), owner="vm1")
    assert told(settled(machine(group)), Probe(A)) == ("EINVAL", None)


@pytest.mark.parametrize(
    ("host", "driver"),
    [
        (one("amdgpu"), "amdgpu"),
        (one(driver_override="none"), "amdgpu"),
        (one("vfio-pci"), "amdgpu"),
        (one(gaps=(Gap("driver", "EACCES"),)), "amdgpu"),
        (one(fits=(Fit("amdgpu", None, True, proven=True),)), "amdgpu"),
    ],
)
def test_what_says_nothing_of_its_drivers(host: Host, driver: str) -> None:
    assert settled(host) == host
    outcome = on("dma-owner", host, Override(A, None), Unbind(A), Probe(A))
    assert outcome.host.devices[A].driver == driver


def test_a_driver_that_is_not_loaded_has_not_been_tried() -> None:
    fits = (Fit("radeon", "radeon", False), Fit("acme", None, True, vfio=True), Fit("nvme", None, True))
    found = settled(one(fits=fits)).devices[A].fits or ()
    assert [fit.refused for fit in found] == [False, False, True]


# -- remove and rescan


def tree() -> Host:
    """A port (group 1) over a card of two functions (group 2); beside it a group of two single devices (3)."""
    port = group_of(1, bridge(OTHER))
    card = group_of(
        2, function(A, "amdgpu", parent=OTHER), function(B, "snd_hda_intel", parent=OTHER, driver_override="x")
    )
    slot = Address("0000:00:1f.0"), Address("0000:00:1f.3")
    return machine(port, card, group_of(5, function(slot[0], "nvme"), function(slot[1], "nvme")))


def test_remove_takes_what_is_below() -> None:
    outcome = on("dma-owner", tree(), Remove(OTHER))
    assert outcome.host.groups.keys() == {5}
    assert outcome.groups == (1, 2)
    assert A not in outcome.host.devices
    assert on("dma-owner", outcome.host, Probe(A)).result == "ENODEV"


def test_rescan_brings_back_free_of_overrides_and_on_native_drivers() -> None:
    outcome = on("dma-owner", tree(), Remove(OTHER), Rescan())
    assert list(outcome.host.devices) == list(tree().devices)
    assert outcome.host.devices[B].driver_override is None
    assert [outcome.host.devices[a].driver for a in (OTHER, A, B)] == ["pcieport", "amdgpu", "amdgpu"]
    assert outcome.host.devices[A].group == outcome.host.devices[B].group
    assert outcome.host.removed == {}


def test_rescan_without_anything_removed() -> None:
    outcome = on("dma-owner", tree(), Rescan())
    assert outcome.ok
    assert outcome.host == tree()


def test_what_is_below_a_bridge_that_is_gone_is_not_found() -> None:
    host = on("dma-owner", tree(), Remove(A), Remove(OTHER)).host
    later = on("dma-owner", host, Rescan()).host
    assert later.devices.keys() == tree().devices.keys()
    orphan = host._replace(removed={A: host.removed[A]})
    assert A not in on("dma-owner", orphan, Rescan()).host.devices


@pytest.mark.parametrize(
    ("removed", "group"),
    [("0000:00:1f.3", 0), ("0000:00:1f.0", 5), ("0000:02:00.0", 0), ("0000:01:00.1", 0)],
)
def test_groups_after_rescan(removed: str, group: int) -> None:
    """Function 0 finds the others of its slot, a further function does not; the lowest number that is free is taken."""
    outcome = on("dma-owner", tree(), Remove(Address(removed)), Rescan())
    assert outcome.host.devices[Address(removed)].group == group
    assert Address(removed) in outcome.host.groups[group].members


def test_a_device_below_a_bridge_of_its_own_group_joins_it_again() -> None:
    host = machine(group_of(3, bridge(OTHER), function(A, "amdgpu", parent=OTHER), function(C, "nvme", parent=OTHER)))
    assert on("dma-owner", host, Remove(A), Rescan()).host.devices[A].group == 3
    both = on("dma-owner", host, Remove(OTHER), Rescan()).host
    assert {device.group for device in both.devices.values()} == {0}


def test_a_device_comes_back_to_a_group_in_use() -> None:
    group = group_of(1, bridge(OTHER), function(A, parent=OTHER), function(B, "vfio-pci", parent=OTHER), owner="vm1")
    outcome = on("dma-owner", machine(group), Remove(A), Rescan())
    assert (outcome.result, outcome.host.devices[A].driver, codes(outcome)) == ("ok", None, ["owned"])


def test_virtual_functions_are_not_found_by_a_scan() -> None:
    host = machine(group_of(1, function(A, "nvme", virtfns=(B,))), group_of(2, function(B, "nvme", physfn=A)))
    assert on("dma-owner", host, Remove(B), Rescan()).host.devices.keys() == {A}


@pytest.mark.parametrize("model", MODELS)
def test_a_virtual_function_is_a_device_like_any_other(model: str) -> None:
    host = machine(group_of(2, function(B, physfn=A)), lone=[function(A, "nvme", virtfns=(B,))])
    assert on(model, host, Override(B, "vfio-pci"), Bind(B, "vfio-pci")).ok


# -- the rest


@pytest.mark.parametrize(
    "event",
    [Override(NOWHERE, "x"), Unbind(NOWHERE), Probe(NOWHERE), Bind(NOWHERE, "amdgpu"), ClaimDevice(NOWHERE, "vm1"),
     ReleaseDevice(NOWHERE, "vm1"), Remove(NOWHERE)],
    ids=str,
)  # fmt: skip
def test_a_device_that_is_not_there(event: Event) -> None:
    for model in MODELS.values():
        outcome = transition(one(), event, model)
        assert (outcome.result, outcome.groups) == ("ENODEV", ())


def test_concerned_groups() -> None:
    assert on("dma-owner", one(), Probe(A)).groups == (1,)
    assert on("dma-owner", one(), ClaimGroup(7, "vm1")).groups == ()
    assert on("dma-owner", machine(lone=[function(LONE)]), Probe(LONE)).groups == ()


def test_a_bind_that_a_driver_accepts_says_nothing_more() -> None:
    device: Device = on("dma-owner", one(), Bind(A, "amdgpu")).host.devices[A]
    assert (device.driver, device.driver_override) == ("amdgpu", None)
