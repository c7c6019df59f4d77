"""Binding as in the kernel, under any model: overrides, bind, unbind, drivers_probe."""

import pytest

from iommutui.core.engine import transition
from iommutui.core.engine.matching import candidates
from iommutui.core.events import (
    Bind,
    ClaimDevice,
    ClaimGroup,
    Event,
    Override,
    Probe,
    ReleaseDevice,
    Remove,
    Unbind,
)
from iommutui.core.host import Device, Fit, Gap, Host
from iommutui.core.models import MODELS, model_for
from iommutui.core.models.vfio_group import BUG
from tests.core.machines import (
    LAST_OLD,
    LONE,
    NEW,
    NOWHERE,
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
    pair,
    verdict_of,
)

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
def test_an_override_is_kept_up_to_a_newline_or_nul(text: str | None, kept: str | None) -> None:
    outcome = on("dma-owner", one("amdgpu", driver_override="amdgpu"), Override(A, text))
    assert outcome.ok
    assert outcome.host.devices[A].driver_override == kept
    assert outcome.host.devices[A].driver == "amdgpu"


@pytest.mark.parametrize("text", ["y" * 4094, "z" * 5000, "é" * 2047, "two\n" + "l" * 4090])
def test_an_override_of_a_page_is_refused(text: str) -> None:
    outcome = on("dma-owner", one(driver_override="amdgpu"), Override(A, text))
    assert outcome.result == "EINVAL"
    assert outcome.host.devices[A].driver_override == "amdgpu"


def test_an_override_that_is_not_utf8_is_kept() -> None:
    assert on("dma-owner", one(), Override(A, "\udcff")).ok


@pytest.mark.parametrize("override", ["vfio_pci", " vfio-pci", "vfio-pci\r", "VFIO-PCI", "vfio-pci ", "none"])
@pytest.mark.parametrize("registered", [True, False])
def test_only_a_driver_of_exactly_this_name_matches(override: str, registered: bool) -> None:
    host = one() if registered else one()._replace(drivers=None)
    assert answer(host, Override(A, override), Probe(A)) == ("ok", None)


def test_an_override_excludes_every_other_driver() -> None:
    host = one(driver_override="vfio-pci")
    assert answer(host, Probe(A)) == ("ok", "vfio-pci")
    assert answer(host, Bind(A, "amdgpu")) == ("ENODEV", None)


# -- drivers_probe: success proves nothing


def test_probe_binds_by_id() -> None:
    assert answer(one(), Probe(A)) == ("ok", "amdgpu")


def test_probe_tries_loaded_drivers_in_order() -> None:
    fits = (
        Fit("radeon", "radeon", False),
        Fit("vfio-x", None, True, True),
        Fit("nvme", None, True),
        Fit("pciback", None, True),
    )
    host = one(fits=fits)
    assert candidates(host, host.devices[A]) == ["nvme", "pciback"]
    assert answer(host, Probe(A)) == ("ok", "nvme")


@pytest.mark.parametrize(
    ("host", "reason"),
    [
        (one("amdgpu", driver_override="vfio-pci"), "already-bound"),
        (one(fits=()), "no-driver"),
        (one(driver_override="nosuchdriver"), "no-driver"),
        (one(driver_override="i40e"), "unfit-driver"),
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


def test_probe_of_a_missing_device_is_enodev() -> None:
    assert on("dma-owner", one(), Probe(NOWHERE)).result == "ENODEV"


# -- bind, before and after 5.15


BIND = {
    "no-device": ((Bind(NOWHERE, "amdgpu"),), "ENODEV", "ENODEV"),
    "no-match": ((Bind(A, "i40e"),), "ENODEV", "ENODEV"),
    "override-differs": ((Override(A, "vfio-pci"), Bind(A, "amdgpu")), "ENODEV", "ENODEV"),
    "vfio-without-override": ((Bind(A, "vfio-pci"),), "ENODEV", "ENODEV"),
    "stub-without-override": ((Bind(A, "pci-stub"),), "ENODEV", "ENODEV"),
    "no-such-driver": ((Bind(A, "nosuchdriver"),), "ENOENT", "ENOENT"),
    "bound": ((Bind(A, "amdgpu"), Bind(A, "amdgpu")), "ENODEV", "EBUSY"),
    "bound-elsewhere": ((Bind(A, "amdgpu"), Override(A, "vfio-pci"), Bind(A, "vfio-pci")), "ENODEV", "EBUSY"),
    "bound-no-match": ((Bind(A, "amdgpu"), Bind(A, "i40e")), "ENODEV", "ENODEV"),
    "unfit": ((Override(A, "i40e"), Bind(A, "i40e")), "ENODEV", "ENODEV"),
    "ok": ((Bind(A, "amdgpu"),), "ok", "ok"),
    "ok-override": ((Override(A, "vfio-pci"), Bind(A, "vfio-pci")), "ok", "ok"),
}


@pytest.mark.parametrize("case", BIND)
def test_bind_before_and_after_5_15(case: str) -> None:
    events, before, after = BIND[case]
    for kernel, expected in ((OLD, before), ("5.14.0", before), ("5.15.0", after), (LAST_OLD, after), (NEW, after)):
        assert answer(one(kernel=kernel), *events)[0] == expected, kernel
    assert answer(one(kernel=None), *events)[0] == after


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
    assert answer(host, *events) == (errno, None)
    assert answer(host._replace(kernel=OLD), *events) == ("ENODEV", None)


@pytest.mark.parametrize(
    ("product", "kernel", "driver", "result"),
    [("0b25", "6.9.0", "vfio-pci", "ok"), ("0b25", "6.10.0", "vfio-pci", "EINVAL"), 
     ("37c9", "5.10.0", "vfio-pci", "ENODEV"), ("37c9", NEW, "mlx5_vfio_pci", "ok"), ("1234", NEW, "vfio-pci", "ok")],
)  # fmt: skip
def test_the_denylist_by_kernel_and_driver(product: str, kernel: str, driver: str, result: str) -> None:
    host = one(kernel=kernel, vendor_id="8086", device_id=product)
    assert answer(host, Override(A, driver), Bind(A, driver))[0] == result


@pytest.mark.parametrize("kernel", [OLD, NEW])
def test_without_aliases_a_driver_that_may_fit_is_not_refused(kernel: str) -> None:
    for host in (
        one(kernel=kernel, fits=None),
        one(kernel=kernel, fits=())._replace(gaps=(Gap("modules.alias", "ENOENT"),)),
    ):
        assert answer(host, Bind(A, "i40e")) == ("ok", "i40e")
        assert answer(host, Override(A, "i40e"), Probe(A)) == ("ok", "i40e")
        # VFIO drivers and stubs still have no ids.
        assert answer(host, Bind(A, "vfio-pci")) == ("ENODEV", None)
        assert answer(host, Bind(A, "pci-stub")) == ("ENODEV", None)


@pytest.mark.parametrize(("driver", "bound"), [("vfio-pci", "vfio-pci"), ("amdgpu", "amdgpu"), ("nosuchdriver", None)])
def test_a_host_without_a_driver_list_knows_the_drivers_that_it_has_seen(driver: str, bound: str | None) -> None:
    host = one()._replace(drivers=None)
    assert answer(host, Override(A, driver), Probe(A)) == ("ok", bound)


def test_an_unbind_does_not_reveal_other_fitting_drivers() -> None:
    host = one("amdgpu", fits=None)
    assert answer(host, Unbind(A), Bind(A, "nvme")) == ("ok", "nvme")
    assert answer(host, Unbind(A), Probe(A)) == ("ok", "amdgpu")
    # Bound by an override, the driver need not know the device.
    assert answer(one("nvme", fits=None, driver_override="nvme"), Unbind(A), Override(A, None), Probe(A)) == (
        "ok",
        None,
    )


# -- unbind


def test_unbind_needs_a_bound_device() -> None:
    assert answer(one("amdgpu"), Unbind(A)) == ("ok", None)
    assert answer(one(), Unbind(A)) == ("ENODEV", None)
    assert on("dma-owner", one(), Unbind(NOWHERE)).result == "ENODEV"


def test_unbind_of_an_unknown_driver_is_enodev() -> None:
    outcome = on("dma-owner", one(gaps=(Gap("driver", "EACCES"),)), Unbind(A))
    assert (outcome.result, codes(outcome)) == ("ENODEV", ["unknown-driver"])


@pytest.mark.parametrize("driver", ["mystery", "my-driver"])
def test_a_device_returns_to_its_former_driver(driver: str) -> None:
    host = one(driver, fits=())._replace(drivers=None)
    assert answer(host, Unbind(A), Probe(A)) == ("ok", driver)


@pytest.mark.parametrize("kernel", [OLD, NEW])
@pytest.mark.parametrize("driver", ["uio_pci_generic", "pci-pf-stub"])
def test_some_drivers_accept_any_overridden_device_and_count_as_host_drivers(driver: str, kernel: str) -> None:
    host = pair(None, "vfio-pci", kernel=kernel)
    assert answer(host, Override(A, driver), Probe(A)) == ("ok", driver)
    assert answer(host, Override(A, driver), Bind(A, driver)) == ("ok", driver)
    assert answer(host, Bind(A, driver)) == ("ENODEV", None)
    bound = on(model_for(kernel).name, host, Override(A, driver), Probe(A)).host
    assert verdict_of(model_for(kernel).name, bound)[0] is False
    if kernel == NEW:
        assert answer(host, ClaimGroup(1, "vm1"), Override(A, driver), Probe(A)) == ("EINVAL", None)


def test_a_device_bound_only_by_override_is_not_bound_without_it() -> None:
    host = one("i40e", driver_override="i40e", fits=())
    assert answer(host, Override(A, None), Unbind(A), Probe(A)) == ("ok", "i40e")
    assert answer(host, Unbind(A), Override(A, None), Probe(A)) == ("ok", None)


def test_a_vfio_driver_known_by_its_directory_is_remembered_after_an_unbind() -> None:
    host = one("acme", fits=(), vfio_dev=("vfio0",))._replace(drivers=None)
    outcome = on("dma-owner", host, Unbind(A))
    assert outcome.host.devices[A].vfio_dev is None
    again = on("dma-owner", outcome.host, Override(A, "acme"), Probe(A), ClaimGroup(1, "vm1"))
    assert again.ok
    assert answer(outcome.host, Probe(A)) == ("ok", None)


# -- the rest


@pytest.mark.parametrize(
    ("event", "errno"),
    [(Unbind(NOWHERE), "ENODEV"), (Probe(NOWHERE), "ENODEV"), (Bind(NOWHERE, "amdgpu"), "ENODEV"),
     (ClaimDevice(NOWHERE, "vm1"), "ENODEV"), (ReleaseDevice(NOWHERE, "vm1"), "ENODEV"),
     (Override(NOWHERE, "x"), "ENOENT"), (Remove(NOWHERE), "ENOENT")],
    ids=str,
)  # fmt: skip
def test_every_write_to_a_missing_device_fails(event: Event, errno: str) -> None:
    """The device's own files are missing; the files of the bus and of drivers exist, and do not know the name."""
    for model in MODELS.values():
        outcome = transition(one(), event, model)
        assert (outcome.result, codes(outcome), outcome.groups) == (errno, ["no-device"], ())


def test_an_outcome_names_the_groups_that_it_concerns() -> None:
    assert on("dma-owner", one(), Probe(A)).groups == (1,)
    assert on("dma-owner", one(), ClaimGroup(7, "vm1")).groups == ()
    assert on("dma-owner", machine(lone=[function(LONE)]), Probe(LONE)).groups == ()


def test_a_bind_does_not_set_the_override() -> None:
    device: Device = on("dma-owner", one(), Bind(A, "amdgpu")).host.devices[A]
    assert (device.driver, device.driver_override) == ("amdgpu", None)


# -- each result has its reasons


CLAIMED = pair("vfio-pci", None, owner="vm1", opened=[A])
REASONS: dict[str, tuple[Host, tuple[Event, ...], list[str]]] = {
    "no such device": (one(), (Probe(NOWHERE),), ["no-device"]),
    "free": (one(), (Unbind(A),), ["not-bound"]),
    "bound": (one("amdgpu"), (Bind(A, "amdgpu"),), ["already-bound"]),
    "too long": (one(), (Override(A, "x" * 5000),), ["override-too-long"]),
    "other override": (one(driver_override="vfio-pci"), (Bind(A, "amdgpu"),), ["override-differs"]),
    "no id": (one(), (Bind(A, "i40e"),), ["no-match"]),
    "no driver": (one(), (Bind(A, "nosuchdriver"),), ["no-driver"]),
    "open": (CLAIMED, (Unbind(A),), ["in-use"]),
    "waiting": (CLAIMED, (Unbind(A), Bind(A, "amdgpu")), ["in-use"]),
    "claimed": (CLAIMED, (Bind(B, "amdgpu"),), ["owned"]),
    "claimed, probe": (CLAIMED, (Probe(B),), ["owned"]),
    "gap of the draft": (pair(None, None, owner="vm1"), (Bind(B, "amdgpu"),), ["draft-gap-h1"]),
    "gap of the draft, probe": (pair(None, None, owner="vm1"), (Probe(B),), ["draft-gap-h1"]),
    "next driver": (
        machine(group_of(1, bridge(A, None, pcie_type=7))),
        (Probe(A),),
        ["not-a-port", "no-hotplug-controller"],
    ),
}


@pytest.mark.parametrize("case", REASONS)
def test_each_result_has_its_reasons(case: str) -> None:
    host, events, expected = REASONS[case]
    assert codes(on("dma-hint" if "draft" in case else "dma-owner", host, *events)) == expected


def test_a_crash_has_the_kernels_message_and_the_owner() -> None:
    host = pair("vfio-pci", None, kernel=OLD, owner="vm1")
    for event in (Bind(B, "amdgpu"), Probe(B)):
        outcome = on("vfio-group", host, event)
        assert (outcome.result, outcome.crash) == ("ok", BUG)
        assert codes(outcome) == ["owned", "kernel-driver"]
        assert outcome.host.devices[B].driver == "amdgpu"


def test_a_driver_that_refused_is_named_before_the_next_result() -> None:
    fits = (Fit("nvme", None, True, refused=True), Fit("amdgpu", None, True))
    assert codes(on("dma-owner", one(fits=fits), Probe(A))) == ["refused-before"]
    assert answer(one(fits=fits), Probe(A)) == ("ok", "amdgpu")
    live = group_of(1, function(A, fits=fits), function(B, "vfio-pci"), owner="vm1")
    crash = on("vfio-group", machine(live, kernel=OLD), Probe(A))
    assert codes(crash) == ["refused-before", "owned", "kernel-driver"]
    gap = on("dma-hint", machine(group_of(1, function(A, fits=fits), owner="vm1")), Probe(A))
    assert codes(gap) == ["draft-gap-h1", "refused-before", "draft-gap-h1"]


def test_a_probe_without_a_driver_names_the_requested_one() -> None:
    (named,) = on("dma-owner", one(driver_override="nosuchdriver"), Probe(A)).reasons
    assert named.driver == "nosuchdriver"
    (nobody,) = on("dma-owner", one(fits=()), Probe(A)).reasons
    assert (nobody.driver, nobody.fact("override")) == (None, "")


def test_an_override_of_an_unbound_device_does_not_wait() -> None:
    """Only a waiting unbind holds the lock, so a device that is merely unbound answers at once."""
    for kernel in (OLD, NEW):
        assert answer(one(kernel=kernel), Override(A, "vfio-pci")) == ("ok", None)
        assert answer(pair(None, "vfio-pci", kernel=kernel, owner="vm1", opened=[B]), Override(A, "x")) == ("ok", None)


@pytest.mark.parametrize(("text", "kept"), [("a\nb\nc", "a"), ("a\0b\0c", "a"), ("a\0b\nc", "a"), ("\0a\nb", None)])
def test_only_the_first_piece_of_an_override_is_kept(text: str, kept: str | None) -> None:
    assert on("dma-owner", one(), Override(A, text)).host.devices[A].driver_override == kept
