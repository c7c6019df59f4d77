"""Properties that hold for every machine, every event and every model."""

import re

from hypothesis import given
from hypothesis import strategies as st

from iommutui.core.engine import transition
from iommutui.core.events import ClaimDevice, ClaimGroup, Event, Rescan, Unbind
from iommutui.core.host import Device, Host
from iommutui.core.models import MODELS, Model
from iommutui.core.plan.intents import Intent, goals_of, refusal_of, restoring
from iommutui.core.plan.planner import plan_goals, plan_intents
from iommutui.core.plan.presets import reached_host, smallest_fix
from iommutui.core.reasons import OK, Code
from iommutui.core.wording import sentence
from tests.core.strategies import ADDRESSES, events, machines, models
from tests.strategies import hosts


@given(machines(), st.lists(events(), max_size=6), models)
def test_every_event_has_a_result_with_sentences(host: Host, steps: list[Event], model: Model) -> None:
    for event in steps:
        outcome = transition(host, event, model)
        said = list(outcome.reasons)
        for group in outcome.host.groups.values():
            said += model.verdict(outcome.host, group).reasons
        for reason in said:
            assert not re.search(r"None|  |^[ ,;.]|[^.]$", sentence(reason)), reason
        host = outcome.host


@given(hosts(), st.lists(events(), max_size=3), models)
def test_no_host_from_a_source_raises(host: Host, steps: list[Event], model: Model) -> None:
    for event in steps:
        host = transition(host, event, model).host
        for group in host.groups.values():
            model.verdict(host, group)


@given(machines() | hosts(), events(), models)
def test_an_event_changes_only_the_groups_that_it_concerns(host: Host, event: Event, model: Model) -> None:
    outcome = transition(host, event, model)
    for number in host.groups.keys() | outcome.host.groups.keys():
        if number in outcome.groups:
            continue
        assert outcome.host.groups.get(number) == host.groups.get(number)
        for address in host.groups[number].members:
            assert outcome.host.devices.get(address) == host.devices.get(address)


@given(machines() | hosts(), events(), models)
def test_a_refused_event_changes_nothing(host: Host, event: Event, model: Model) -> None:
    outcome = transition(host, event, model)
    if outcome.result != OK:
        assert outcome.host == host
        assert outcome.reasons
        assert not outcome.blocks
        assert outcome.crash is None


@given(machines(), st.sampled_from(ADDRESSES), models)
def test_unbinding_never_makes_a_viable_group_unviable(host: Host, place: str, model: Model) -> None:
    outcome = transition(host, Unbind(ADDRESSES[ADDRESSES.index(place)]), model)  # type: ignore[arg-type]
    for number, group in outcome.host.groups.items():
        if model.verdict(host, host.groups[number]).viable:
            assert model.verdict(outcome.host, group).viable


@given(machines())
def test_the_sketch_accepts_no_claim_that_ownership_refuses(host: Host) -> None:
    """Except for ``direct`` regions, a rule since 6.6 that the sketch does not know."""
    for group in host.groups.values():
        for owner in ("vm1", "vm2"):
            refusal = MODELS["dma-owner"].check_claim(host, group, owner)
            if refusal.errno != OK and refusal.reasons[0].code is not Code.DIRECT_REGION:
                assert MODELS["kernel-ownership"].check_claim(host, group, owner).errno != OK


@given(machines(), st.randoms(use_true_random=False), models)
def test_a_verdict_does_not_depend_on_the_order_of_devices(host: Host, random: object, model: Model) -> None:
    def shuffled(values: list[object]) -> list[object]:
        random.shuffle(values)  # type: ignore[attr-defined]
        return values

    devices: dict[object, Device] = dict(shuffled(list(host.devices.items())))  # type: ignore[arg-type]
    groups = {n: g._replace(members=tuple(shuffled(list(g.members)))) for n, g in host.groups.items()}  # type: ignore[arg-type]
    other = host._replace(devices=devices, groups=groups)  # type: ignore[arg-type]
    for number, group in host.groups.items():
        assert model.verdict(other, other.groups[number]) == model.verdict(host, group)


@given(machines(), models)
def test_a_claim_returns_what_the_verdict_predicts(host: Host, model: Model) -> None:
    """For an unowned group with a file to open, the claim returns what the verdict predicts."""
    for number, group in host.groups.items():
        verdict = model.verdict(host, group)
        result = transition(host, ClaimGroup(number, "vm3"), model).result
        if group.claim is None and result != "ENOENT" and (model.name != "vfio-group" or verdict.viable):
            assert result == verdict.claim


@given(machines(), st.sampled_from(ADDRESSES), st.booleans(), models)
def test_only_the_owner_can_claim_more_of_a_group(host: Host, place: str, cdev: bool, model: Model) -> None:
    outcome = transition(host, ClaimDevice(ADDRESSES[ADDRESSES.index(place)], "vm3", cdev), model)  # type: ignore[arg-type]
    for number, group in host.groups.items():
        if group.claim is not None:
            assert outcome.host.groups[number].claim == group.claim


@given(machines(), models)
def test_a_rescan_that_finds_nothing_changes_nothing(host: Host, model: Model) -> None:
    assert transition(host, Rescan(), model).host == host


intents = st.lists(
    st.builds(Intent, st.sampled_from(ADDRESSES), st.sampled_from(["vfio-pci", "pci-stub", "none", "default", "nvme"])),
    min_size=1,
    max_size=4,
    unique_by=lambda intent: intent.device,
)


@given(machines(), intents, models)
def test_replaying_the_steps_of_a_plan_gives_what_it_predicts(host: Host, wanted: list[Intent], model: Model) -> None:
    plan = plan_intents(host, wanted, model)
    if not plan.permitted:
        return
    state = host
    loaded = plan.predicted.drivers
    state = state._replace(drivers=loaded)
    for step in plan.steps:
        outcome = transition(state, step.event, model)
        assert outcome.ok
        assert step.outcome == OK
        state = outcome.host
    assert state == plan.predicted
    for goal in plan.goals:
        device = state.devices[goal.device]
        assert device.driver_override == goal.override
        assert goal.any_driver or device.driver == goal.driver


@given(machines(), intents, models)
def test_an_applied_plan_has_nothing_left_to_do(host: Host, wanted: list[Intent], model: Model) -> None:
    plan = plan_intents(host, wanted, model)
    if plan.permitted and not any(goal.any_driver for goal in plan.goals):
        again = plan_intents(plan.predicted, wanted, model)
        assert again.permitted
        assert again.steps == ()
        assert again.no_ops == again.goals
        assert again.predicted == plan.predicted


@given(machines(claimed=False), intents)
def test_an_applied_plan_can_be_reverted(host: Host, wanted: list[Intent]) -> None:
    model = MODELS["dma-owner"]
    plan = plan_intents(host, wanted, model)
    if not plan.permitted:
        return
    moved = [host.devices[goal.device] for goal in plan.goals]
    back = plan_goals(plan.predicted, [restoring(d.address, d.driver, d.driver_override) for d in moved], model)
    if back.permitted:
        after = [back.predicted.devices[d.address] for d in moved]
        assert [(d.driver, d.driver_override, d.group) for d in after] == [
            (d.driver, d.driver_override, d.group) for d in moved
        ]
    else:
        # Only refusals that hold now as well: a group without a default domain, a device that VFIO refuses.
        refused = {reason.code for reason in back.refusals}
        assert refused <= {Code.NO_DEFAULT_DOMAIN, Code.BRIDGE, Code.NO_GROUP, Code.VFS_ENABLED, Code.DENYLISTED}


@given(machines(), intents, models)
def test_steps_come_in_phases(host: Host, wanted: list[Intent], model: Model) -> None:
    """Every override comes first, then every unbind, then every probe, then the final overrides."""
    steps = plan_intents(host, wanted, model).steps
    phases = [{"override": 0, "unbind": 1, "probe": 2}[step.op] for step in steps]
    first_probe = phases.index(2) if 2 in phases else len(phases)
    assert phases[:first_probe] == sorted(phases[:first_probe])
    assert 1 not in phases[first_probe:]
    devices = [step.device for step in steps if step.op == "override"]
    assert len(devices) == len(set(devices))  # None of these intents needs a second override.


@given(machines(claimed=False), intents, models)
def test_a_fix_is_sufficient_and_minimal(host: Host, wanted: list[Intent], model: Model) -> None:
    groups = list(host.groups.values())
    fix = smallest_fix(host, wanted, groups, model)
    if fix is None:
        return

    def all_viable(intents: list[Intent]) -> bool:
        goals = goals_of(host, [*wanted, *intents])
        after = reached_host(host, goals)
        return all(model.verdict(after, after.groups[g.id]).viable is True for g in groups)

    assert all_viable(list(fix))
    for left_out in fix:
        assert not all_viable([intent for intent in fix if intent != left_out])
    if len({intent.device for intent in wanted}) == len(wanted):
        assert smallest_fix(host, list(reversed(wanted)), list(reversed(groups)), model) == fix


@given(machines(claimed=False), intents, models)
def test_each_device_of_a_fix_blocks_by_itself(host: Host, wanted: list[Intent], model: Model) -> None:
    """It still blocks with every other device of its group unbound, so no fix can leave it out."""
    fix = smallest_fix(host, wanted, host.groups.values(), model) or ()
    for intent in fix:
        group = host.group_of(intent.device)
        assert group is not None
        alone = host
        for device in host.members(group):
            if device.address != intent.device:
                alone = alone.with_device(device._replace(driver=None, vfio_dev=None, gaps=()))
        assert model.verdict(alone, group).viable is not True


@given(machines(claimed=False), intents, models)
def test_a_fix_touches_only_blockers_without_an_intent(host: Host, wanted: list[Intent], model: Model) -> None:
    fix = smallest_fix(host, wanted, host.groups.values(), model) or ()
    decided = {intent.device for intent in wanted if refusal_of(host, intent) is None}
    assert not decided & {intent.device for intent in fix}
    for intent in fix:
        device = host.devices[intent.device]
        assert device.driver is not None
        assert intent.target == "none" or not device.is_bridge
