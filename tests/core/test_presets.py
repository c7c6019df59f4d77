"""Presets for whole cards and groups, as intents."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iommutui.core.address import Address
from iommutui.core.chipset import chipset_part
from iommutui.core.host import Host
from iommutui.core.models import MODELS, Model
from iommutui.core.plan.intents import Goal, Intent, goal_of
from iommutui.core.plan.planner import plan_intents
from iommutui.core.plan.presets import (
    fix_for,
    fix_hazards,
    free_devices,
    give_back,
    not_of_use,
    smallest_fix,
    why_no_fix,
    why_not_free,
    withheld,
)
from iommutui.core.uses import Held, Storage, Uses
from tests.core.machines import LONE, OTHER, A, B, C, D, bridge, free_card, free_group, function, group_of, machine
from tests.core.strategies import machines, models

OWNER = MODELS["dma-owner"]


def words(intents: tuple[Intent, ...] | None) -> list[str] | None:
    return None if intents is None else [str(intent) for intent in intents]


GPU, AUDIO = function(A, "amdgpu", fits=()), function(B, "snd_hda_intel", fits=(), class_code="040300")


def test_a_card_is_freed_with_all_its_functions() -> None:
    host = machine(group_of(1, GPU, AUDIO))
    assert words(free_card(host, B, OWNER)) == [f"{A}=vfio-pci", f"{B}=vfio-pci"]


def test_a_card_is_freed_in_both_its_groups_and_other_devices_are_only_unbound() -> None:
    host = machine(group_of(1, GPU), group_of(2, AUDIO, function(LONE, "nvme")), group_of(3, function(OTHER, "nvme")))
    assert words(free_card(host, A, OWNER)) == [f"{A}=vfio-pci", f"{B}=vfio-pci", f"{LONE}=none"]


def test_a_function_without_a_driver_is_handed_over_and_one_on_vfio_stays() -> None:
    ready = function(A, "vfio-pci", driver_override="vfio-pci", fits=())
    assert words(free_card(machine(group_of(1, ready, function(B, fits=()))), A, OWNER)) == [f"{B}=vfio-pci"]
    assert words(free_card(machine(group_of(1, ready)), A, OWNER)) == []


def test_a_variant_driver_is_preferred_and_a_bound_one_is_kept() -> None:
    assert words(free_card(machine(group_of(1, function(A, "nvme"))), A, OWNER)) == [f"{A}=mlx5_vfio_pci"]
    kept = machine(group_of(1, function(A, "vfio-pci"), function(B, "nvme", fits=())))
    assert f"{A}=vfio-pci" in (words(free_card(kept, A, OWNER)) or ())


def test_a_fix_chooses_the_same_drivers_as_a_preset() -> None:
    host = machine(group_of(1, function(A, "nvme"), AUDIO, function(LONE, "nvme")))
    expected = [f"{A}=mlx5_vfio_pci", f"{B}=vfio-pci"]
    for preset, found in (
        (free_card(host, A, OWNER), fix_for(host, host.groups[1], A, OWNER)),
        (free_group(host, host.groups[1], OWNER), fix_for(host, host.groups[1], None, OWNER)),
    ):
        assert words(preset) == words(found)
        assert (words(found) or [])[:2] == expected


def test_a_device_on_a_vfio_driver_is_not_in_a_fix() -> None:
    host = machine(group_of(1, function(A, "vfio-pci"), AUDIO))
    assert words(free_card(host, A, OWNER)) == [f"{A}=vfio-pci", f"{B}=vfio-pci"]
    assert words(fix_for(host, host.groups[1], A, OWNER)) == [f"{B}=vfio-pci"]


def test_a_group_of_chipset_functions_has_no_fix_and_says_why() -> None:
    host = machine(group_of(1, function(A, "i801_smbus", fits=(), class_code="0c0500")))
    assert fix_for(host, host.groups[1], A, OWNER) is None
    assert smallest_fix(host, [], [host.groups[1]], OWNER) is None
    assert [reason.code for reason in withheld(host, host.groups[1], OWNER)] == ["of-the-board"]
    assert smallest_fix(host, [Intent(A, "none")], [host.groups[1]], OWNER) == ()


@given(machines(claimed=False), models)
def test_a_fix_is_never_larger_than_a_preset(host: Host, model: Model) -> None:
    for address, device in host.devices.items():
        group = host.group_of(address)
        if group is None or device.bus != "pci" or device.is_bridge or model.verdict(host, group).viable:
            continue
        for preset, found in (
            (free_card(host, address, model), fix_for(host, group, address, model)),
            (free_group(host, group, model), fix_for(host, group, None, model)),
        ):
            assert preset is None or (found is not None and set(found) <= set(preset))


@given(machines(claimed=False), models)
def test_a_group_that_would_be_viable_without_drivers_has_a_fix(host: Host, model: Model) -> None:
    for group in host.groups.values():
        empty = host
        for device in host.members(group):
            if device.bus == "pci":
                empty = empty.with_device(device._replace(driver=None))
        verdict = model.verdict(empty, group)
        refused = any(not_of_use(host, device) is not None for device in host.members(group))
        if verdict.viable is True and not verdict.refused and not refused:
            assert fix_for(host, group, None, model) is not None


def test_under_the_sketch_even_vfio_pci_is_unbound() -> None:
    host = machine(group_of(1, function(A, "vfio-pci"), function(B, "nvme")))
    found = fix_for(host, host.groups[1], A, MODELS["kernel-ownership"])
    assert words(found) == [f"{A}=none", f"{B}=none"]


def test_no_preset_moves_bridges() -> None:
    host = machine(group_of(1, bridge(A), function(LONE, "nvme", fits=())))
    assert words(free_group(host, host.groups[1], OWNER)) == [f"{LONE}=vfio-pci"]
    assert free_card(host, A, OWNER) is None


BOARD = ("060000", "060100", "0c0500", "080600")


@pytest.mark.parametrize("class_code", BOARD)
@pytest.mark.parametrize("driver", [None, "i801_smbus"])
def test_a_chipset_function_is_only_unbound_by_name(class_code: str, driver: str | None) -> None:
    """As in slot 1f of many chipsets: a sound function beside the ISA bridge and the SMBus."""
    board = function(B, driver, fits=(), class_code=class_code)
    host = machine(group_of(1, function(A, "snd_hda_intel", fits=()), board))
    expected = None if driver else [f"{A}=vfio-pci"]
    assert words(free_card(host, A, OWNER)) == expected
    assert words(free_group(host, host.groups[1], OWNER)) == expected
    assert words(fix_for(host, host.groups[1], None, OWNER)) == expected
    named = [Intent(B, "none")]
    assert words(free_card(host, A, OWNER, said=named)) == [f"{A}=vfio-pci"]
    assert words(smallest_fix(host, [Intent(A, "vfio-pci")], [host.groups[1]], OWNER)) == (None if driver else [])
    why = why_not_free(host, [A], OWNER)
    assert f"{B}=none" in why if driver and why is not None else why is None
    alone = machine(group_of(1, board))
    assert free_card(alone, B, OWNER) is None
    assert free_group(alone, alone.groups[1], OWNER) is None


@given(machines(claimed=False), models, st.sampled_from(BOARD), st.data())
def test_no_preset_or_fix_hands_over_a_chipset_function_or_a_bridge(
    host: Host, model: Model, class_code: str, data: st.DataObject
) -> None:
    for group in host.groups.values():
        for device in host.members(group):
            if data.draw(st.booleans()):
                host = host.with_device(device._replace(class_code=class_code))
    for group in host.groups.values():
        presets = [free_group(host, group, model), fix_for(host, group, None, model)]
        presets += [free_card(host, address, model) for address in group.members]
        for intent in (intent for preset in presets for intent in preset or ()):
            device = host.devices[intent.device]
            assert not chipset_part(device)
            if device.is_bridge:
                assert intent.target == "none"
                assert device.driver is not None


@given(machines(claimed=False), models)
def test_a_fix_contains_a_bridge_only_if_the_model_counts_it(host: Host, model: Model) -> None:
    for group in host.groups.values():
        counted = {reason.device for reason in model.verdict(host, group).reasons}
        for intent in smallest_fix(host, [], [group], model) or ():
            assert intent.device in counted
            assert not host.devices[intent.device].is_bridge or intent.target == "none"


def test_impossible_presets_give_nothing() -> None:
    assert free_card(machine(lone=[GPU]), A, OWNER) is None
    stuck = machine(group_of(1, GPU, function(C, "ehci", bus="platform")))
    assert free_card(stuck, A, OWNER) is None
    assert free_group(stuck, stuck.groups[1], OWNER) is None
    host = machine(group_of(1, GPU), group_of(2))
    assert free_group(host, host.groups[2], OWNER) is None


@pytest.mark.parametrize(
    ("driver", "override", "expected"),
    [("vfio-pci", "vfio-pci", True), ("vfio-pci", None, True), ("pci-stub", None, True), (None, "none", True),
     ("amdgpu", "amdgpu", True), ("amdgpu", None, False), (None, None, False)],
)  # fmt: skip
def test_freed_devices_are_returned(driver: str | None, override: str | None, expected: bool) -> None:
    host = machine(group_of(1, function(A, driver, driver_override=override)), group_of(2, function(OTHER, "vfio-pci")))
    assert words(give_back(host, [A])) == ([f"{A}=default"] if expected else [])


def test_returning_includes_the_card_and_its_groups() -> None:
    there = [function(each, "vfio-pci") for each in (A, B, LONE, OTHER)]
    there[1] = there[1]._replace(class_code="040300")
    host = machine(group_of(1, there[0]), group_of(2, there[1], there[2]), group_of(3, there[3]))
    assert words(give_back(host, [A])) == [f"{A}=default", f"{B}=default", f"{LONE}=default"]


@given(machines(claimed=False), models, st.data())
def test_a_preset_makes_every_group_of_the_card_viable(host: Host, model: Model, data: st.DataObject) -> None:
    address = data.draw(st.sampled_from(list(host.devices)))
    preset = free_card(host, address, model)
    if preset is None:
        return
    assert len({intent.device for intent in preset}) == len(preset)
    plan = plan_intents(host, preset, model)
    if plan.permitted:
        assert all(change.after.viable is True and not change.after.refused for change in plan.groups)


def goals_of(host: Host, *intents: Intent) -> list[Goal]:
    return [goal for intent in intents if isinstance(goal := goal_of(host, intent), Goal)]


def test_a_fix_comes_with_its_cost() -> None:
    host = machine(group_of(1, GPU, function(LONE, "nvme", class_code="010802")))
    host = host._replace(uses=Uses(storage=(Storage(LONE, Held.MOUNT, ("/",), ("nvme0n1",)),)))
    wanted, further = Intent(A, "vfio-pci"), Intent(LONE, "none")
    (hazard,) = fix_hazards(host, goals_of(host, wanted), [further])
    assert (hazard.code, hazard.device) == ("disk-mounted", LONE)
    assert fix_hazards(host, goals_of(host, wanted), ()) == fix_hazards(host, goals_of(host, wanted), None) == ()
    assert fix_hazards(host, goals_of(host, wanted, further), [further]) == ()


# -- virtual functions

PORT = function(A, "nvme", fits=(), class_code="020000", virtfns=(B, C))
BESIDE = function(D, "nvme", fits=(), class_code="020000")
VIRTUAL = [function(address, "nvme", fits=(), class_code="020000", physfn=A) for address in (B, C)]


@pytest.mark.parametrize("together", [True, False])
def test_a_virtual_function_is_its_own_card(together: bool) -> None:
    rows = (PORT, *VIRTUAL, BESIDE)
    host = machine(group_of(1, *rows)) if together else machine(*(group_of(n, row) for n, row in enumerate(rows)))
    rest = [f"{A}=none", f"{C}=none", f"{D}=none"] if together else []
    assert words(free_card(host, B, OWNER)) == sorted([f"{B}=vfio-pci", *rest])
    preset = words(free_card(host, A, OWNER)) or []
    beside = [f"{D}=vfio-pci"] if together else []
    assert [word for word in preset if word.endswith("=vfio-pci")] == [f"{A}=vfio-pci", *beside]
    group = host.group_of(B)
    assert group is not None
    assert words(fix_for(host, group, B, OWNER)) == words(free_card(host, B, OWNER))


def test_a_virtual_function_and_its_card_are_returned_separately() -> None:
    rows = [device._replace(driver="vfio-pci") for device in (PORT, *VIRTUAL, BESIDE)]
    host = machine(group_of(0, rows[0], rows[3]), group_of(1, rows[1]), group_of(2, rows[2]))
    assert words(give_back(host, [B])) == [f"{B}=default"]
    assert words(give_back(host, [A])) == words(give_back(host, [D])) == [f"{A}=default", f"{D}=default"]


# -- groups that the kernel refuses anyway


@pytest.mark.parametrize(
    ("model", "kernel", "intel", "refused"),
    [("dma-owner", "6.12.0", False, True), ("dma-owner", "6.12.0", True, True), ("dma-owner", "6.1.0", True, True),
     ("dma-owner", "6.1.0", False, False), ("vfio-group", "5.10.0", True, True),
     ("vfio-group", "5.10.0", False, False), ("dma-hint", "5.15.0", True, False)],
)  # fmt: skip
@pytest.mark.parametrize("driver", ["amdgpu", None])
def test_no_fix_ends_in_a_refused_group(
    model: str, kernel: str, intel: bool, refused: bool, driver: str | None
) -> None:
    host = machine(group_of(1, function(A, driver, fits=()), direct=True), kernel=kernel, intel=intel)
    rules, group = MODELS[model], host.groups[1]
    presets = [free_card(host, A, rules), free_devices(host, [A], rules)]
    presets += [free_group(host, group, rules)] if driver else []
    assert [words(preset) for preset in presets] == [None if refused else [f"{A}=vfio-pci"]] * len(presets)
    assert (fix_for(host, group, A, rules) is None) is refused
    assert (smallest_fix(host, [], [group], rules) is None) is refused
    said = why_not_free(host, [A], rules)
    assert (said is not None and "Firmware requires a direct mapping of 0x0-0xfff for group 1" in said) is refused


@pytest.mark.parametrize(
    ("staying", "expected"), [(None, [f"{A}=none"]), ("nvme", [f"{A}=none", f"{B}=none"]), ("vfio-pci", None)]
)
def test_the_domain_of_a_host_driver_goes_with_the_last_driver(staying: str | None, expected: list[str] | None) -> None:
    """vhost-vdpa attaches such a domain: while any driver stays bound, the group is refused."""
    host = machine(group_of(1, function(A, "nvme"), function(B, staying), foreign=True))
    fix = smallest_fix(host, [], [host.groups[1]], OWNER)
    assert words(fix) == expected
    if fix is not None:
        assert not plan_intents(host, fix, OWNER).groups[0].after.refused


@pytest.mark.parametrize("name", ["dma-owner", "vfio-group"])
def test_a_group_in_use_needs_no_fix(name: str) -> None:
    host = machine(group_of(1, function(A, "vfio-pci"), owner="qemu"))
    assert smallest_fix(host, [], [host.groups[1]], MODELS[name]) == ()


ISA = function(B, fits=(), class_code="060100")


@pytest.mark.parametrize(
    ("host", "asked", "model", "said"),
    [
        (machine(group_of(1, GPU)), [A], "dma-owner", None),
        (machine(group_of(1, GPU)), [A], "dma-hint", None),
        (machine(group_of(1, ISA)), [B], "dma-owner",
         f"Nothing here can go to a virtual machine. {B} is an ISA bridge of this machine, and no virtual machine "
         f"can use it. If its driver has to be unbound, name it yourself: {B}=none."),
        (machine(group_of(1, bridge(A), ISA)), [A, B], "dma-owner",
         f"Nothing here can go to a virtual machine. {A} is a bridge, and vfio-pci refuses bridges. It can "
         f"stay on pcieport: a bridge there does not block its group. {B} is an ISA bridge of this machine, and no "
         f"virtual machine can use it. If its driver has to be unbound, name it yourself: {B}=none."),
        (machine(group_of(1)), [], "dma-owner", "Nothing here can go to a virtual machine."),
        (machine(lone=[GPU, AUDIO]), [A, B], "dma-owner",
         f"{A} has no IOMMU group, so VFIO cannot use it: no IOMMU covers it, or the IOMMU is off."),
        (machine(group_of(1, GPU, direct=True)), [A], "dma-owner",
         f"Nothing frees {A} for a virtual machine: Firmware requires a direct mapping of 0x0-0xfff for group 1; the "
         "kernel refuses to hand over such a group, whatever its devices are bound to."),
        (machine(group_of(1, GPU, function(C, "ehci", bus="platform"))), [A], "dma-owner",
         f"Nothing frees {A} for a virtual machine: {C} is bound to the host driver ehci. Every "
         "device in the group must leave its host driver before a virtual machine can use any of them."),
        (machine(group_of(1, GPU._replace(driver="vfio-pci"), owner="qemu", via="cdev")), [A], "dma-owner",
         f"Nothing frees {A} for a virtual machine: Group 1 is in use by qemu."),
        (machine(group_of(1, GPU, AUDIO)), [A, B], "kernel-ownership",
         f"Nothing frees {A}, {B} for a virtual machine: {A} is bound to the host driver amdgpu. Every device in the "
         f"group must leave its host driver before a virtual machine can use any of them. {B} is bound to the host "
         "driver snd_hda_intel. Every device in the group must leave its host driver before a virtual machine can use "
         "any of them."),
    ],
)  # fmt: skip
def test_a_device_that_cannot_be_freed_has_a_reason(
    host: Host, asked: list[Address], model: str, said: str | None
) -> None:
    assert why_not_free(host, asked, MODELS[model]) == said


@given(machines(), models, st.data())
def test_a_reason_is_given_exactly_if_there_is_no_preset(host: Host, model: Model, data: st.DataObject) -> None:
    asked = data.draw(st.lists(st.sampled_from(list(host.devices)), min_size=1, unique=True))
    said = why_not_free(host, asked, model)
    assert (said is None) is (free_devices(host, asked, model) is not None)
    assert said is None or not said.endswith(": ")


def test_a_device_that_vfio_pci_refuses_is_in_no_fix_or_preset() -> None:
    qat = function(A, "c6xx", vendor_id="8086", device_id="37c8", class_code="0b4000", fits=())
    alone = machine(group_of(1, qat))
    for preset in (free_card(alone, A, OWNER), free_group(alone, alone.groups[1], OWNER)):
        assert preset is None
    assert fix_for(alone, alone.groups[1], None, OWNER) is None
    assert [reason.code for reason in why_no_fix(alone, alone.groups[1], None, OWNER)] == ["denylisted"]
    assert "on its list" in (why_not_free(alone, [A], OWNER) or "")
    beside = machine(group_of(1, qat, AUDIO))
    assert words(fix_for(beside, beside.groups[1], B, OWNER)) == [f"{A}=none", f"{B}=vfio-pci"]
    old = alone._replace(kernel="5.8.0")
    assert words(fix_for(old, old.groups[1], A, OWNER)) == [f"{A}=vfio-pci"]
