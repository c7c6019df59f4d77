"""Which drivers match a device, and which of them refuse it."""

import pytest

from iommutui.core.engine.matching import candidates
from iommutui.core.events import (
    Bind,
    Override,
    Probe,
    Unbind,
)
from iommutui.core.host import Device, Driver, Fit, Gap, Host, settled
from iommutui.core.models import MODELS
from tests.core.machines import (
    OLD,
    A,
    B,
    answer,
    bridge,
    codes,
    function,
    group_of,
    machine,
    on,
    one,
)

# -- ports


@pytest.mark.parametrize("kind", [4, 5, 6, 10])
def test_pcieport_takes_ports(kind: int) -> None:
    host = machine(group_of(1, bridge(A, None, pcie_type=kind)))
    assert answer(host, Probe(A)) == ("ok", "pcieport")
    assert answer(host, Bind(A, "pcieport")) == ("ok", "pcieport")


@pytest.mark.parametrize("kind", [None, 0, 7, 8])
def test_pcieport_does_not_take_other_bridges(kind: int | None) -> None:
    host = machine(group_of(1, bridge(A, None, pcie_type=kind)))
    assert answer(host, Probe(A)) == ("ok", None)
    assert answer(host, Bind(A, "pcieport")) == ("ENODEV", None)


@pytest.mark.parametrize(("class_code", "bound"), [("060401", "pcieport"), ("060700", "pcieport"), ("060402", None)])
def test_pcieport_matches_by_class(class_code: str, bound: str | None) -> None:
    host = machine(group_of(1, bridge(A, None, class_code=class_code, fits=())))
    assert answer(host, Probe(A)) == ("ok", bound)
    assert answer(host, Bind(A, "pcieport")) == ("ok" if bound else "ENODEV", bound)


def test_a_bridge_whose_type_only_root_can_read_is_taken_for_a_port() -> None:
    unread = bridge(A, None, pcie_type=None, gaps=(Gap("pcie_type", "EACCES"),))
    assert answer(machine(group_of(1, unread)), Probe(A)) == ("ok", "pcieport")


def test_a_bridge_that_was_on_pcieport_goes_back_to_it() -> None:
    host = machine(group_of(1, bridge(A, "pcieport", pcie_type=None, fits=(Fit("shpchp", None, True),))))
    assert answer(host, Unbind(A), Probe(A)) == ("ok", "pcieport")
    assert answer(host, Unbind(A), Override(A, "vfio-pci"), Probe(A), Override(A, None), Probe(A)) == ("ok", "pcieport")


def test_a_bridge_that_was_on_shpchp_goes_back_to_it() -> None:
    host = machine(group_of(1, bridge(A, "shpchp", pcie_type=None)))
    assert answer(host, Unbind(A), Probe(A)) == ("ok", "shpchp")


def test_a_conventional_bridge_is_refused_in_a_claimed_group() -> None:
    """``pcieport`` is managed and its own probe fails; then ``shpchp`` is refused before its probe (seen on 6.1)."""
    group = group_of(1, bridge(A, None, pcie_type=7), function(B, "vfio-pci"), owner="vm1")
    outcome = on("dma-owner", machine(group, kernel="6.1.0"), Probe(A))
    assert (outcome.result, codes(outcome)) == ("EINVAL", ["not-a-port", "owned"])
    assert answer(machine(group, kernel=OLD), Probe(A)) == ("ok", None)


@pytest.mark.parametrize(
    ("header", "class_code", "exempt"),
    [(1, "030000", True), (2, "060700", True), (0, "060400", False), (None, "060400", True), (None, "060700", True),
     (None, "060900", True), (None, "060000", False), (None, None, False)],
)  # fmt: skip
def test_the_header_type_decides_whether_a_device_is_a_bridge(
    header: int | None, class_code: str | None, exempt: bool
) -> None:
    device = function(A, "mystery", header_type=header, class_code=class_code)
    host = machine(group_of(1, device, function(B, "vfio-pci")), kernel=OLD)
    assert MODELS["vfio-group"].verdict(host, host.groups[1]).viable is exempt


# -- a group without a default domain


@pytest.mark.parametrize(
    ("kernel", "bind", "probe"),
    [("6.12.1", "EAGAIN", "EINVAL"), ("6.11.0", "ok", "ok"), ("5.10.0", "EAGAIN", "EINVAL")],
)
def test_a_group_without_a_default_domain_defers_host_drivers(kernel: str, bind: str, probe: str) -> None:
    host = machine(group_of(1, function(A), kind="unknown"), kernel=kernel)
    if kernel == OLD:
        bind = "ENODEV"  # The rule of a newer kernel, with the errno of the older driver core.
    assert on("dma-owner", host, Bind(A, "amdgpu")).result == bind
    assert on("dma-owner", host, Probe(A)).result == probe
    assert on("dma-owner", host, Override(A, "vfio-pci"), Probe(A)).host.devices[A].driver == "vfio-pci"


# -- drivers that refuse a device


def test_matching_drivers_have_refused_an_unbound_device() -> None:
    """agpgart-intel refuses a host bridge on nearly every machine."""
    host = settled(one())
    assert answer(host, Probe(A)) == ("ok", None)
    assert codes(on("dma-owner", host, Probe(A)))[0] == "refused-before"
    assert answer(host, Bind(A, "amdgpu")) == ("ENODEV", None)
    # An override is deliberate: with it, a device that was unbound by hand is bound again.
    assert answer(host, Override(A, "amdgpu"), Probe(A)) == ("ok", "amdgpu")
    assert answer(host, Override(A, "amdgpu"), Probe(A), Unbind(A), Override(A, None), Probe(A)) == ("ok", "amdgpu")
    # The driver core still checks the owner of the group before the driver's own probe.
    group = group_of(1, function(A), function(B, "vfio-pci"), owner="vm1")
    assert answer(settled(machine(group)), Probe(A)) == ("EINVAL", None)


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
def test_a_driver_is_not_taken_as_refused_without_proof(host: Host, driver: str) -> None:
    assert settled(host) == host
    outcome = on("dma-owner", host, Override(A, None), Unbind(A), Probe(A))
    assert outcome.host.devices[A].driver == driver


def test_a_driver_that_is_not_loaded_has_not_been_tried() -> None:
    fits = (Fit("radeon", "radeon", False), Fit("acme", None, True, vfio=True), Fit("nvme", None, True))
    found = settled(one(fits=fits)).devices[A].fits or ()
    assert [fit.refused for fit in found] == [False, False, True]


# -- which drivers are tried


def test_a_driver_that_is_loaded_but_not_registered_is_not_tried() -> None:
    fits = (Fit("gone", "gone", True), Fit("radeon", "radeon", False), Fit("nvme", None, True))
    host = one(fits=fits)
    assert candidates(host, host.devices[A]) == ["nvme"]
    unknown = host._replace(drivers=None)
    assert candidates(unknown, unknown.devices[A]) == ["gone", "nvme"]
    registered = one(fits=(Fit("nvme", None, False),))
    assert candidates(registered, registered.devices[A]) == []


@pytest.mark.parametrize(
    "device",
    [
        bridge(A, None, bus="platform", fits=()),
        bridge(A, None, header_type=0, fits=()),
        bridge(A, None, class_code="060900", fits=()),
    ],
    ids=["bus", "header", "class"],
)
def test_bridge_drivers_do_not_match_other_devices(device: Device) -> None:
    host = machine(group_of(1, device))
    assert candidates(host, host.devices[A]) == []
    assert answer(host, Bind(A, "pcieport")) == ("ENODEV", None)


def test_a_bridge_of_unknown_class_is_taken_as_pci_to_pci() -> None:
    host = machine(group_of(1, bridge(A, None, class_code=None, fits=())))
    assert candidates(host, host.devices[A]) == ["pcieport", "shpchp"]
    semi_transparent = machine(group_of(1, bridge(A, None, class_code="060401", fits=())))
    assert candidates(semi_transparent, semi_transparent.devices[A]) == ["pcieport"]


def test_bridge_drivers_are_tried_if_they_are_registered() -> None:
    device = bridge(A, None, fits=())
    assert candidates(machine(group_of(1, device), drivers=["shpchp"]), device) == ["shpchp"]
    assert candidates(machine(group_of(1, device), drivers=None), device) == []


@pytest.mark.parametrize(
    "user", [function(B, "acme"), function(B, fits=(Fit("acme", None, True),))], ids=["on", "fits"]
)
def test_a_driver_that_any_device_shows_exists(user: Device) -> None:
    host = machine(group_of(1, function(A, fits=()), user), drivers=None)
    assert candidates(host, host.devices[A]._replace(driver_override="acme")) == ["acme"]
    none = machine(group_of(1, function(A, fits=None), function(B, fits=None)), drivers=None)
    assert candidates(none, none.devices[A]._replace(driver_override="acme")) == []


# -- the driver's own probe


@pytest.mark.parametrize(
    ("driver", "device"),
    [
        ("shpchp", bridge(A, None)),
        ("pcieport", bridge(A, None, pcie_type=7)),
        ("pcieport", function(A, class_code="060400", pcie_type=4, driver_override="pcieport")),
        ("pcieport", bridge(A, None, pcie_type=7, gaps=(Gap("pcie_type", "EACCES"),))),
        ("i40e", function(A, driver_override="i40e")),
        ("amdgpu", function(A, fits=(Fit("amdgpu", None, True, refused=True),))),
    ],
)
def test_a_failing_probe_returns_enodev(driver: str, device: Device) -> None:
    host = machine(group_of(1, device))
    assert answer(host, Bind(A, driver)) == ("ENODEV", None)


def test_vfio_does_not_refuse_a_device_on_another_bus_as_a_bridge() -> None:
    device = function(A, bus="platform", header_type=1, driver_override="vfio-pci")
    assert answer(machine(group_of(1, device)), Bind(A, "vfio-pci")) == ("ok", "vfio-pci")


@pytest.mark.parametrize(
    ("product", "kernel", "result"),
    [("0435", "5.9.0", "ENODEV"), ("0435", "5.8.18", "ok"), ("0cfe", "6.9.0", "ok"), ("0cfe", "6.10.0", "EINVAL")],
)
def test_the_denylist_depends_on_the_kernel(product: str, kernel: str, result: str) -> None:
    device = function(A, vendor_id="8086", device_id=product, driver_override="vfio-pci")
    assert answer(machine(group_of(1, device), kernel=kernel), Bind(A, "vfio-pci"))[0] == result


# -- ids given by a parameter


def with_cmdline(cmdline: str | None, **facts: str) -> Host:
    """A card 1002:73b0 of class 030000, with this command line."""
    return one(**facts)._replace(cmdline=cmdline)


@pytest.mark.parametrize(
    "cmdline",
    [
        "quiet vfio-pci.ids=1002:73b0 splash",
        "vfio_pci.ids=10de:2204,1002:73B0",
        "vfio-pci.ids=0x1002:0x73b0",
        "vfio-pci.ids=ffffffff:73b0",
        "vfio-pci.ids=1002:ffffffff:ffffffff:ffffffff:030000:ff0000",
        "vfio-pci.ids=10de:2204 vfio-pci.ids=1002:73b0",
        "vfio-pci.ids=nonsense,1002:73b0,,1002",
    ],
)
def test_vfio_pci_binds_the_devices_that_its_ids_name(cmdline: str) -> None:
    """It comes before the host driver, which is the purpose of the parameter."""
    host = with_cmdline(cmdline)
    assert answer(host, Probe(A)) == ("ok", "vfio-pci")
    assert answer(host, Bind(A, "vfio-pci")) == ("ok", "vfio-pci")
    assert answer(host, Override(A, "amdgpu"), Probe(A), Unbind(A), Override(A, None), Probe(A)) == ("ok", "vfio-pci")
    assert answer(host._replace(drivers=(Driver("amdgpu"),)), Probe(A)) == ("ok", "amdgpu")


@pytest.mark.parametrize(
    "cmdline",
    [
        None,
        "",
        "vfio-pci.ids=",
        "vfio-pci.ids=1002:73b1",
        "vfio-pci.ids=10de:73b0",
        "vfio-pci.ids=1002",
        "vfio-pci.ids=1002:73b0:1:2:3:4:5",
        "vfio-pci.ids=1002:73b0:1043",
        "vfio-pci.ids=1002:73b0:ffffffff:0001",
        "vfio-pci.ids=1002:73b0:ffffffff:ffffffff:040000:ff0000",
        "vfio-pci.ids=1002:73b0 vfio_pci.ids=10de:2204",
        "xvfio-pci.ids=1002:73b0",
        "vfio-pci.disable_idle_d3=1",
    ],
)
def test_vfio_pci_binds_no_other_device_by_itself(cmdline: str | None) -> None:
    host = with_cmdline(cmdline)
    assert answer(host, Probe(A)) == ("ok", "amdgpu")
    assert answer(host, Bind(A, "vfio-pci")) == ("ENODEV", None)


def test_ids_may_name_the_subsystem() -> None:
    facts = {"subsystem_vendor_id": "1043", "subsystem_device_id": "04e8"}
    assert answer(with_cmdline("vfio-pci.ids=1002:73b0:1043:04e8", **facts), Probe(A)) == ("ok", "vfio-pci")
    assert answer(with_cmdline("vfio-pci.ids=1002:73b0:1043:04e9", **facts), Probe(A)) == ("ok", "amdgpu")
    assert answer(with_cmdline("vfio-pci.ids=1002:73b0:1044", **facts), Probe(A)) == ("ok", "amdgpu")


def test_pci_stub_has_ids_too() -> None:
    host = with_cmdline("pci-stub.ids=1002:73b0")
    assert answer(host, Probe(A)) == ("ok", "pci-stub")
    assert answer(host, Bind(A, "pci-stub")) == ("ok", "pci-stub")
    assert answer(host, Bind(A, "vfio-pci")) == ("ENODEV", None)


def test_ids_match_only_pci_devices() -> None:
    device = function(A, bus="platform")
    host = machine(group_of(1, device))._replace(cmdline="vfio-pci.ids=1002:73b0")
    assert answer(host, Bind(A, "vfio-pci")) == ("ENODEV", None)


def test_a_device_with_unknown_ids_matches_only_wildcards() -> None:
    host = one(vendor_id=None, device_id=None, class_code=None)._replace(cmdline="vfio-pci.ids=0:0")
    assert answer(host, Probe(A)) == ("ok", "amdgpu")
    odd = one(vendor_id="zz", class_code="?")._replace(cmdline="vfio-pci.ids=1002:73b0:ffffffff:ffffffff:1:1")
    assert answer(odd, Probe(A)) == ("ok", "amdgpu")
    wild = one(vendor_id=None, device_id=None, class_code=None)._replace(cmdline="vfio-pci.ids=ffffffff:ffffffff")
    assert answer(wild, Probe(A)) == ("ok", "vfio-pci")
