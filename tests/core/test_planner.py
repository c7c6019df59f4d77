"""Plans: their writes, their order, their refusals, and how they restore a state."""

import pytest

from iommutui.core.host import Fit, Host
from iommutui.core.models import MODELS
from iommutui.core.plan.drift import Change, basis_of, drift
from iommutui.core.plan.intents import Intent, TargetKind, find_target, restoring, targets_of
from iommutui.core.plan.planner import Plan, plan_goals, plan_intents
from iommutui.core.plan.presets import fix_for, smallest_fix
from tests.core.machines import LAST_OLD, LONE, A, B, C, bridge, function, group_of, machine, pair

OWNER, HINT, OLD_RULE, SKETCH = (MODELS[n] for n in ("dma-owner", "dma-hint", "vfio-group", "kernel-ownership"))


def plan(host: Host, *intents: str, model: str = "dma-owner") -> Plan:
    """Intents as ``A=vfio-pci``."""
    places = {"A": A, "B": B, "C": C, "LONE": LONE}
    wanted = [Intent(places[device], target) for device, _, target in (text.partition("=") for text in intents)]
    return plan_intents(host, wanted, MODELS[model])


def ops(found: Plan) -> list[tuple[str, str, str | None]]:
    return [(step.op, step.device, step.value) for step in found.steps]


def why(found: Plan) -> list[str]:
    return [reason.code.value for reason in found.refusals]


def test_the_writes_for_a_card() -> None:
    found = plan(pair("amdgpu", "snd_hda_intel"), "B=vfio-pci", "A=vfio-pci")
    assert found.permitted
    assert {step.outcome for step in found.steps} == {"ok"}
    assert ops(found) == [
        ("override", A, "vfio-pci"),
        ("override", B, "vfio-pci"),
        ("unbind", A, "amdgpu"),
        ("unbind", B, "snd_hda_intel"),
        ("probe", A, None),
        ("probe", B, None),
    ]
    assert [(step.path, step.data) for step in found.steps[::2]] == [
        (f"/sys/bus/pci/devices/{A}/driver_override", "vfio-pci\n"),
        ("/sys/bus/pci/drivers/amdgpu/unbind", A),
        ("/sys/bus/pci/drivers_probe", A),
    ]
    (change,) = found.groups
    assert (change.group, change.before.viable, change.after.viable) == (1, False, True)


def test_default_returns_a_device_to_the_kernels_choice() -> None:
    host = pair("vfio-pci", None)
    host = host.with_device(host.devices[A]._replace(driver_override="vfio-pci"))
    found = plan(host, "A=default")
    assert ops(found) == [("override", A, None), ("unbind", A, "vfio-pci"), ("probe", A, None)]
    assert found.steps[0].data == "\n"
    assert found.predicted.devices[A].driver == "amdgpu"


@pytest.mark.parametrize(
    ("driver", "override", "intent", "expected"),
    [
        ("vfio-pci", "vfio-pci", "A=vfio-pci", []),
        ("vfio-pci", None, "A=vfio-pci", ["override"]),
        (None, None, "A=vfio-pci", ["override", "probe"]),
        ("amdgpu", None, "A=none", ["override", "unbind"]),
        (None, "none", "A=none", []),
        ("amdgpu", None, "A=default", []),
        ("amdgpu", "amdgpu", "A=default", ["override"]),
        ("amdgpu", None, "A=amdgpu", ["override"]),
        ("amdgpu", None, "A=nvme", ["override", "unbind", "probe"]),
        (None, None, "A=default", ["probe"]),
        ("pci-stub", "pci-stub", "A=default", ["override", "unbind", "probe"]),
        ("amdgpu", None, "A=pci-stub", ["override", "unbind", "probe"]),
        ("amdgpu", None, "A=mlx5_vfio_pci", ["override", "unbind", "probe"]),
        ("amdgpu", None, "A=mlx5-vfio-pci", ["override", "unbind", "probe"]),
    ],
)
def test_a_plan_has_only_the_writes_it_needs(
    driver: str | None, override: str | None, intent: str, expected: list[str]
) -> None:
    host = machine(group_of(1, function(A, driver, driver_override=override)))
    found = plan(host, intent)
    assert found.permitted
    assert [step.op for step in found.steps] == expected
    assert len(found.no_ops) == (not expected)


def test_of_two_intents_for_a_device_the_last_one_counts() -> None:
    found = plan(pair("amdgpu", None), "A=vfio-pci", "A=none")
    assert [goal.driver for goal in found.goals] == [None]
    assert [step.op for step in found.steps] == ["override", "unbind"]


@pytest.mark.parametrize(
    ("host", "intent", "reason"),
    [
        (pair("amdgpu", None), "LONE=vfio-pci", "no-device"),
        (machine(group_of(1, bridge(A))), "A=vfio-pci", "bridge"),
        (machine(group_of(1, bridge(A, None))), "A=mlx5_vfio_pci", "bridge"),
        (pair("amdgpu", None), "A=i40e", "unfit-driver"),
        (pair("amdgpu", None), "A=nosuchdriver", "no-driver"),
        (machine(group_of(1, function(A, bus="usb"))), "A=vfio-pci", "not-pci"),
        (machine(lone=[function(LONE)]), "LONE=vfio-pci", "no-group"),
        (machine(group_of(1, function(A, virtfns=(B,)))), "A=vfio-pci", "vfs-enabled"),
        (machine(group_of(1, function(A, vendor_id="8086", device_id="37c8"))), "A=vfio-pci", "denylisted"),
        (pair("vfio-pci", None, owner="vm1", opened=[A]), "A=default", "in-use"),
        (pair("vfio-pci", None, owner="vm1"), "B=nvme", "owned"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_refused_plan_has_its_reason(host: Host, intent: str, reason: str) -> None:
    found = plan(host, intent)
    assert not found.permitted
    assert why(found)[-1] == reason


def test_a_write_that_would_crash_the_kernel_is_refused_with_all_later_ones() -> None:
    host = pair("vfio-pci", None, owner="vm1", kernel=LAST_OLD)
    found = plan(host, "B=snd_hda_intel", "A=pci-stub", model="vfio-group")
    assert not found.permitted
    assert [step.outcome for step in found.steps] == ["ok", "ok", "blocks", "not-reached", "not-reached"]
    crash = plan(host, "B=snd_hda_intel", model="vfio-group")
    assert [step.outcome for step in crash.steps] == ["ok", "crash"]
    assert why(crash) == ["owned", "kernel-driver"]


def test_the_draft_refuses_part_of_a_card() -> None:
    assert why(plan(pair("amdgpu", "snd_hda_intel"), "A=vfio-pci", model="dma-hint")) == [
        "user-beside-kernel",
        "draft-slip-s08",
    ]
    assert plan(pair("amdgpu", "snd_hda_intel"), "A=vfio-pci", "B=vfio-pci", model="dma-hint").permitted
    assert plan(pair("amdgpu", "snd_hda_intel"), "A=vfio-pci", "B=none", model="dma-hint").permitted


def test_modules_that_are_not_loaded_are_named() -> None:
    host = machine(group_of(1, function(A, "amdgpu")), drivers=["amdgpu"])
    found = plan(host, "A=vfio-pci")
    assert found.permitted
    assert found.modules == ("vfio-pci",)
    assert found.predicted.devices[A].driver == "vfio-pci"
    fits = (Fit("radeon", "radeon", loaded=False),)
    assert plan(machine(group_of(1, function(A, fits=fits))), "A=radeon").modules == ("radeon",)


def test_the_driver_link_decides_success_not_the_write() -> None:
    """If a driver's probe is expected to fail, every write succeeds and the plan is refused."""
    host = machine(group_of(1, bridge(A, None, pcie_type=7)))
    found = plan(host, "A=pcieport")
    assert {step.outcome for step in found.steps} == {"ok"}
    assert why(found) == ["not-a-port"]


# -- restoring


@pytest.mark.parametrize("driver", ["amdgpu", "pci-stub", "mlx5_vfio_pci", "i40e", "shpchp", None])
@pytest.mark.parametrize("override", [None, "i40e", "none", "vfio-pci"])
def test_restoring_reaches_the_exact_original_state(driver: str | None, override: str | None) -> None:
    before = machine(group_of(1, function(A, driver, driver_override=override)))
    there = plan(before, "A=vfio-pci")
    assert there.permitted
    back = plan_goals(there.predicted, [restoring(A, driver, override)], OWNER)
    assert back.permitted
    device = back.predicted.devices[A]
    assert (device.driver, device.driver_override) == (driver, override)


def test_a_driver_not_known_to_fit_is_restored() -> None:
    host = machine(group_of(1, function(A, "vfio-pci", driver_override="vfio-pci", fits=())))
    back = plan_goals(host, [restoring(A, "igb_uio", None)], OWNER)
    assert back.permitted
    assert (back.predicted.devices[A].driver, back.predicted.devices[A].driver_override) == ("igb_uio", None)
    assert [(step.op, step.value) for step in back.steps] == [
        ("override", "igb_uio"),
        ("unbind", "vfio-pci"),
        ("probe", None),
        ("override", None),
    ]


def test_a_bridge_is_restored_to_shpchp() -> None:
    host = machine(group_of(1, bridge(A, None, pcie_type=None, driver_override="none")))
    assert plan_goals(host, [restoring(A, "shpchp", None)], OWNER).permitted


def test_a_missing_device_cannot_be_restored() -> None:
    assert why(plan_goals(pair("amdgpu", None), [restoring(LONE, "amdgpu", None)], OWNER)) == ["no-device"]


# -- targets


def test_targets_depend_on_the_device() -> None:
    host = pair("amdgpu", None)
    names = [(target.name, target.kind) for target in targets_of(host, host.devices[A])]
    assert names[:5] == [
        ("mlx5_vfio_pci", TargetKind.VFIO),
        ("vfio-pci", TargetKind.VFIO),
        ("pci-stub", TargetKind.STUB),
        ("none", TargetKind.NONE),
        ("default", TargetKind.DEFAULT),
    ]
    assert ("snd_hda_intel", TargetKind.KERNEL) in names
    port = machine(group_of(1, bridge(A)))
    assert [t.name for t in targets_of(port, port.devices[A])] == ["pci-stub", "none", "default", "pcieport", "shpchp"]
    usb = machine(group_of(1, function(A, bus="usb")))
    assert targets_of(usb, usb.devices[A]) == []


def test_a_modules_name_finds_the_driver() -> None:
    host = pair("amdgpu", None)
    target = find_target(host, host.devices[A], "vfio_pci")
    assert target is not None
    assert target.name == "vfio-pci"
    assert find_target(host, host.devices[A], "e1000e") is None


# -- the smallest fix


def fix(host: Host, *intents: Intent, model: str = "dma-owner") -> list[str] | None:
    found = smallest_fix(host, intents, host.groups.values(), MODELS[model])
    return None if found is None else [str(intent) for intent in found]


def test_a_viable_group_needs_no_fix() -> None:
    assert fix(pair("vfio-pci", "pci-stub")) == []


def test_the_fix_hands_over_other_functions_of_the_card() -> None:
    beside = function(B, "snd_hda_intel", fits=())
    assert fix(machine(group_of(1, function(A, "vfio-pci"), beside))) == [f"{B}=vfio-pci"]
    assert fix(machine(group_of(1, function(A, "amdgpu"), beside)), Intent(A, "vfio-pci")) == [f"{B}=vfio-pci"]


def test_the_fix_gives_other_functions_their_best_vfio_driver() -> None:
    assert fix(pair("vfio-pci", "snd_hda_intel")) == [f"{B}=mlx5_vfio_pci"]


def test_a_device_of_another_card_is_only_unbound() -> None:
    host = machine(group_of(1, function(A, "vfio-pci"), function(LONE, "nvme")))
    assert fix(host) == [f"{LONE}=none"]


def test_a_device_that_vfio_refuses_is_only_unbound() -> None:
    assert fix(machine(group_of(1, function(A, "vfio-pci"), function(B, "nvme", virtfns=(C,))))) == [f"{B}=none"]
    assert fix(machine(group_of(1, bridge(A, "shpchp"), function(B, "vfio-pci")))) == [f"{A}=none"]


def test_each_model_has_its_own_fix() -> None:
    host = machine(group_of(1, bridge(A, "pcieport"), function(B, "vfio-pci"), function(C, "ifcvf", fits=())))
    assert fix(host, model="dma-owner") == [f"{C}=vfio-pci"]
    assert fix(host, model="vfio-group") == [f"{C}=vfio-pci"]
    assert fix(host, model="dma-hint") == [f"{A}=none"]
    assert fix(host, model="kernel-ownership") == [f"{A}=none", f"{B}=none", f"{C}=none"]


def test_some_groups_have_no_fix() -> None:
    assert fix(pair("amdgpu", None), Intent(A, "nvme")) is None
    assert fix(machine(group_of(1, function(A, "vfio-pci"), function(B, "ehci", bus="platform")))) is None
    assert fix(pair("vfio-pci", None), Intent(A, "vfio-pci"), model="kernel-ownership") is None
    unknown = machine(group_of(1, function(A, "vfio-pci")))
    group = unknown.groups[1]._replace(members=(A, B))
    assert fix(unknown.with_group(group)) is None


def test_a_fix_is_for_one_card_or_for_the_whole_group() -> None:
    drivers = {A: "amdgpu", B: "snd_hda_intel", LONE: "nvme"}
    host = machine(group_of(1, *(function(address, driver, fits=()) for address, driver in drivers.items())))
    whole = fix_for(host, host.groups[1], None, OWNER)
    assert [str(i) for i in whole or ()] == [f"{A}=vfio-pci", f"{B}=vfio-pci", f"{LONE}=vfio-pci"]
    card = fix_for(host, host.groups[1], A, OWNER)
    assert [str(i) for i in card or ()] == [f"{A}=vfio-pci", f"{B}=vfio-pci", f"{LONE}=none"]


# -- drift


def test_drift_names_each_fact() -> None:
    host = pair("amdgpu", "snd_hda_intel")
    basis = basis_of(host, [A])
    assert drift(basis, host, [A]) == []
    other = host.with_device(host.devices[B]._replace(driver="vfio-pci", driver_override="vfio-pci"))
    assert drift(basis, other, [A]) == [
        Change(B, "driver", "snd_hda_intel", "vfio-pci"),
        Change(B, "override", "none", "vfio-pci"),
    ]
    swapped = host.with_device(host.devices[A]._replace(device_id="1234"))
    assert [(c.subject, c.fact) for c in drift(basis, swapped, [A])] == [(A, "ids")]
    owned = host.with_group(group_of(1, *host.devices.values(), owner="vm1")[0])
    assert drift(basis, owned, [A]) == [Change("group 1", "owner", "none", "vm1")]
    assert drift(basis_of(owned, [A]), host, [A]) == [Change("group 1", "owner", "vm1", "none")]
    assert drift(basis, host._replace(kernel="5.10.0"), [A]) == [Change("host", "kernel", "6.12.1", "5.10.0")]
    smaller = machine(group_of(1, function(A, "amdgpu")))
    assert drift(basis, smaller, [A]) == [Change(B, "device", "present", "absent")]
    assert [c.fact for c in drift(basis_of(smaller, [A]), host, [A])] == ["device"]
    moved = machine(group_of(2, *host.devices.values()))
    assert {(c.fact, c.before, c.now) for c in drift(basis, moved, [A])} == {("group", "1", "2")}


def test_a_change_to_an_unrelated_device_is_not_drift() -> None:
    host = machine(group_of(1, function(A, "amdgpu")), group_of(2, function(LONE, "nvme")))
    other = host.with_device(host.devices[LONE]._replace(driver=None))
    assert drift(basis_of(host, [A]), other, [A]) == []
    assert drift(basis_of(host, [LONE]), other, [LONE]) != []
