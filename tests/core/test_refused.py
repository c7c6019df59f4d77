"""Losses that can never be accepted, and dangers that defeat each other's remedy."""

from typing import Any

import pytest

from iommutui.core.address import Address
from iommutui.core.device import Gap
from iommutui.core.hazards import Hazard, Severity, hazard_advice, hazard_loss, hazards_of, unaccepted
from iommutui.core.host import Device, Host
from iommutui.core.models import MODELS
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import plan_intents
from iommutui.core.plan.presets import fix_for, smallest_fix, withheld
from iommutui.core.uses import ById, Held, Input, Network, Opener, Screen, Storage, Uses
from iommutui.core.wording import sentence
from tests.core.hazards import found, goals_of, one, two
from tests.core.machines import OTHER, A, function, group_of, machine

OWNER = MODELS["dma-owner"]
DISK, DISK2 = (function(address, "nvme", class_code="010802") for address in (A, OTHER))
NVIDIA = function(A, "nvidia", boot_vga=False)


def stored(held: Held, *what: str, device: Address = A, **facts: Any) -> Storage:
    return Storage(device, held, what, ("dm-0 (vg-root)", "sda1"), **facts)


REFUSED = [
    (one(DISK, storage=(stored(Held.MOUNT, "/"),)), "mounted at /", "another disk"),
    (one(DISK, storage=(stored(Held.MOUNT, "/srv", "/home"),)), "/srv", "umount /srv /home"),
    (one(DISK, storage=(stored(Held.SWAP, "[SWAP]"),)), "swap", "swapoff"),
    (one(DISK, storage=(stored(Held.POOL, "tank"),)), "tank", "zpool export tank"),
    (one(DISK, storage=(stored(Held.PERHAPS_POOL, "tank"),)), "not known", "zpool export tank"),
    (one(DISK, storage=(stored(Held.STACK, "md0", array="md0"),)), "md0", "mdadm --stop"),
    (one(DISK, storage=(stored(Held.MOUNT, "/srv", array="dm-0", spare=None),)), "does not show it", "lvconvert -m 0"),
    (
        one(DISK, storage=(stored(Held.POOL, "tank", array="tank", spare=None),)),
        "does not show it",
        "zpool detach tank",
    ),
    (one(DISK, storage=(stored(Held.REMOTE, "/srv"),)), "/srv comes from a server", "umount /srv"),
    (one(DISK, storage=(stored(Held.REMOTE, "[SWAP]"),)), "[SWAP] comes from a server", "leave this network device"),
    (one(DISK, storage=(stored(Held.PERHAPS_REMOTE, "/"),)), "/ may come from a server", "The system runs from it"),
    (one(NVIDIA, openers=(Opener(A, "Xorg", 1, "/dev/nvidia0"),)), "Xorg", "nvidia_drm"),
    (one(NVIDIA, screens=(Screen(A, held_by=("nvidia_drm with modeset=Y",)),)), "modeset=Y", "unload nvidia_drm"),
]


@pytest.mark.parametrize(("host", "names", "way"), REFUSED)
@pytest.mark.parametrize("target", ["vfio-pci", "none", "pci-stub"])
def test_devices_of_the_running_system_are_refused_with_the_remedy(
    host: Host, names: str, way: str, target: str
) -> None:
    plan = plan_intents(host, [Intent(A, target)], OWNER)
    assert not plan.permitted
    (reason,) = plan.refusals
    assert (reason.code, reason.device) == ("host-needs-it", A)
    assert names in sentence(reason)
    assert way in sentence(reason)
    assert unaccepted(plan.hazards, [h.acceptance for h in plan.hazards]) != ()
    assert smallest_fix(host, [], [host.groups[1]], OWNER) is None
    assert fix_for(host, host.groups[1], A, OWNER) is None
    assert withheld(host, host.groups[1], OWNER) == plan.refusals


@pytest.mark.parametrize(
    "host",
    [
        one(DISK, storage=(stored(Held.MOUNT, "/", array="md0", spare=1),)),
        one(DISK, storage=(stored(Held.STACK, "md0", array="md0", spare=1),)),
        one(DISK, storage=(stored(Held.FSTAB, "/srv"), stored(Held.DISK, "sda"))),
        one(function(A, "vfio-pci", class_code="010802"), storage=(stored(Held.MOUNT, "/"),)),
        one(NVIDIA),
        one(function(A, "amdgpu"), openers=(Opener(A, "Xorg", 1, "/dev/dri/card0"),)),
        one(NVIDIA._replace(driver="nouveau"), screens=(Screen(A, held_by=("nvidia_drm",)),)),
    ],
)
def test_harmless_or_acceptable_losses_are_not_refused(host: Host) -> None:
    plan = plan_intents(host, [Intent(A, "none")], OWNER)
    assert plan.permitted
    assert unaccepted(plan.hazards, [h.acceptance for h in plan.hazards]) == ()


def test_both_halves_of_a_mirror_in_one_plan_are_refused() -> None:
    uses = [stored(Held.MOUNT, "/", device=device, array="md0", spare=1) for device in (A, OTHER)]
    host = two(DISK, DISK2, storage=tuple(uses))
    assert plan_intents(host, [Intent(A, "none")], OWNER).permitted
    assert not plan_intents(host, [Intent(A, "none"), Intent(OTHER, "none")], OWNER).permitted
    together = machine(group_of(1, DISK, DISK2))._replace(uses=Uses(storage=tuple(uses)))
    assert smallest_fix(together, [Intent(A, "none")], [together.groups[1]], OWNER) is None


def test_mediated_devices_vanish_with_their_parent() -> None:
    def host(owner: str | None, parent: Address = A) -> Host:
        vgpu = Device(Address("3465"), "mdev", driver="vfio_mdev", parent=parent)
        return machine(group_of(1, function(A, "i915")), group_of(11, vgpu, owner=owner))._replace(uses=Uses())

    def shown(host: Host) -> list[Hazard]:
        return [h for h in found(host, "A=vfio-pci") if h.code == "mediated-devices"]

    assert [(h.severity, h.refused, h.fact("groups")) for h in shown(host(None))] == [("warn", False, "11")]
    assert [(h.severity, h.refused, h.fact("owner")) for h in shown(host("vm"))] == [("danger", True, "vm")]
    assert shown(host(None, OTHER)) == []


# -- nothing remains

NIC = function(OTHER, "nvme", class_code="020000")
USB = function(A, "nvme", class_code="0c0330")
GPU = function(A, "amdgpu")
ROUTE = (Network(OTHER, ("eth0",), default_route=True, address=True),)
KEYS = (Input(A, "Cherry", keyboard=True),)
PICTURE = (Screen(A, ("DP-1",)),)


@pytest.mark.parametrize(
    ("first", "uses"),
    [(USB, {"inputs": KEYS}), (GPU, {"screens": PICTURE}), (GPU, {"screens": PICTURE, "inputs": KEYS})],
)
def test_losing_the_seat_and_the_network_is_one_danger(first: Device, uses: dict[str, Any]) -> None:
    host = two(first, NIC, network=ROUTE, **uses)
    both = found(host, "A=vfio-pci", "OTHER=vfio-pci")
    assert [h.code for h in both if h.severity is Severity.DANGER] == ["nothing-remains"]
    assert OTHER in hazard_loss(both[0])
    assert not any("SSH" in hazard_advice(h) or "own keyboard" in hazard_advice(h) for h in both)
    for intent in ("A=vfio-pci", "OTHER=vfio-pci"):
        assert "nothing-remains" not in [h.code for h in found(host, intent)]


def test_display_and_keyboard_may_leave_while_the_network_stays() -> None:
    host = two(GPU, NIC, network=ROUTE, screens=PICTURE, inputs=KEYS)
    shown = found(host, "A=vfio-pci")
    assert sorted(h.code for h in shown if h.severity is Severity.DANGER) == ["last-keyboard", "monitor"]
    assert all("SSH" in hazard_advice(h) for h in shown)


@pytest.mark.parametrize(("gaps", "expected"), [((), False), ((Gap("network", "not-recorded"),), True)])
def test_a_machine_without_a_network_is_not_advised_to_use_it(gaps: tuple[Gap, ...], expected: bool) -> None:
    host = one(GPU, screens=PICTURE, gaps=gaps)
    (danger,) = (h for h in found(host, "A=none") if h.severity is Severity.DANGER)
    assert ("SSH" in hazard_advice(danger)) is expected


def test_a_pointer_that_leaves_with_the_network_is_not_advised_to_use_it() -> None:
    host = two(USB, NIC, network=ROUTE, inputs=(Input(A, "mouse", pointer=True), Input(None, "keys", keyboard=True)))
    shown = {h.code: hazard_advice(h) for h in found(host, "A=none", "OTHER=none")}
    assert "SSH" not in shown["last-pointer"]
    assert "own keyboard" in shown["default-route"]


# -- the firmware's framebuffer

BOOTED = Screen(A, ("Unknown-1",), ("fb0",), console=True, firmware="simpledrm")


@pytest.mark.parametrize(
    ("kernel", "code", "taken", "expected"),
    [
        ("5.18.0", "030000", "A", {"boot-display", "firmware-framebuffer"}),
        ("6.1.0", "030000", "A", {"boot-display", "framebuffer-removed"}),
        ("6.12.0", "030000", "A", {"boot-display", "framebuffer-removed"}),
        ("6.12.0", "038000", "A", {"boot-display", "firmware-framebuffer"}),
        ("5.18.0", "030000", "OTHER", set()),
        ("6.1.0", "030000", "OTHER", {"framebuffer-removed"}),
        ("6.4.9", "030000", "OTHER", {"framebuffer-removed"}),
        ("6.5.0", "030000", "OTHER", set()),
        ("6.1.0", "038000", "OTHER", set()),
    ],
)
def test_the_firmwares_framebuffer_is_a_hazard(kernel: str, code: str, taken: str, expected: set[str]) -> None:
    booted = function(A, None, boot_vga=True, class_code=code)
    host = two(booted, function(OTHER, None, class_code=code, boot_vga=False), screens=(BOOTED,), network=ROUTE)
    shown = found(host._replace(kernel=kernel), f"{taken}=vfio-pci")
    assert {h.code for h in shown} == expected
    if taken == "OTHER":
        assert all(h.severity is Severity.DANGER and h.fact("owner") == A for h in shown)
    else:
        assert [h.code for h in shown if h.severity is Severity.DANGER] == ["boot-display"]


def test_another_monitor_that_stays_lowers_the_severity() -> None:
    host = two(function(A, None, boot_vga=True), function(OTHER, "amdgpu"), screens=(BOOTED, Screen(OTHER, ("DP-1",))))
    assert all(h.severity is Severity.WARN for h in found(host, "A=vfio-pci"))


@pytest.mark.parametrize(("boot_display", "expected"), [(True, ["boot-display"]), (None, []), (False, [])])
def test_the_boot_display_is_found_by_the_newer_attribute(boot_display: bool | None, expected: list[str]) -> None:
    device = function(A, "amdgpu", class_code="038000", boot_vga=None, boot_display=boot_display)
    assert [h.code for h in found(one(device), "A=none")] == expected


# -- default, if ids bind the device again


@pytest.mark.parametrize(
    ("cmdline", "by_id", "driver", "target", "predicted", "reported"),
    [
        ("vfio-pci.ids=1002:73b0", (), "vfio-pci", "default", "vfio-pci", True),
        ("", (ById("vfio-pci", ("1002:73b0",), "/etc/modprobe.d/v.conf"),), "vfio-pci", "default", "amdgpu", True),
        ("", (), "vfio-pci", "default", "amdgpu", False),
        ("vfio-pci.ids=1002:1111", (), "vfio-pci", "default", "amdgpu", False),
        ("vfio-pci.ids=1002:73b0", (), "vfio-pci", "amdgpu", "amdgpu", False),
        ("vfio-pci.ids=1002:73b0", (), "amdgpu", "default", "amdgpu", False),
    ],
)
def test_default_is_the_driver_that_the_kernel_will_choose(
    cmdline: str, by_id: tuple[ById, ...], driver: str, target: str, predicted: str, reported: bool
) -> None:
    host = one(function(A, driver), by_id=by_id)._replace(cmdline=cmdline)
    (goal,) = goals_of(host, f"A={target}")
    assert goal.driver == predicted
    assert ("ids-take-back" in [h.code for h in hazards_of(host, [goal])]) is reported
    plan = plan_intents(host, [Intent(A, target)], OWNER)
    assert plan.predicted.devices[A].driver == predicted


@pytest.mark.parametrize(("lacks", "code"), [(("vfio-pci",), "no-module"), ((), None)])
def test_a_kernel_without_vfio_pci_binds_nothing_to_it(lacks: tuple[str, ...], code: str | None) -> None:
    host = machine(group_of(1, function(A, "amdgpu", fits=())), drivers=("amdgpu",))._replace(lacks=lacks)
    plan = plan_intents(host, [Intent(A, "vfio-pci")], OWNER)
    assert [reason.code for reason in plan.refusals] == ([code] if code else [])
    assert plan.modules == (() if code else ("vfio-pci",))


@pytest.mark.parametrize(
    ("name", "grouped", "noiommu", "expected"),
    [
        ("vfio-noiommu", True, False, True),
        (None, True, True, False),
        (None, False, True, True),
        (None, False, None, False),
    ],
)
def test_nothing_isolates_a_device_in_no_iommu_mode(
    name: str | None, grouped: bool, noiommu: bool | None, expected: bool
) -> None:
    group, devices = group_of(1, function(A, "nvme", class_code="020000"))
    host = machine((group._replace(name=name), devices)) if grouped else machine(lone=[devices[0]._replace(group=None)])
    host = host._replace(vfio=host.vfio._replace(noiommu=noiommu), uses=Uses())
    assert ("no-isolation" in [h.code for h in found(host, "A=vfio-pci")]) is expected
