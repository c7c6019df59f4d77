"""Refusals of a revert, and facts that only the journal has."""

from pathlib import Path

import pytest

from iommutui.apply.executor import execute
from iommutui.apply.journal.reader import Journal
from iommutui.apply.recovery import plan_revert
from iommutui.core.errors import Exit, RefusedError
from iommutui.core.host import Host
from iommutui.core.models import MODELS
from iommutui.core.plan.intents import Intent, restoring
from iommutui.core.plan.planner import plan_intents
from tests.apply.journals import load
from tests.apply.machines import CASES, CLOCK, GPU, NIC, ODD, SOUND, Case, case, desktop, facts, finished
from tests.reacting import FakeKernel


def _applied(one: Case, tmp_path: Path) -> tuple[Host, Journal]:
    kernel = FakeKernel(one.host, one.model)
    list(execute(one.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
    return kernel.host, load(tmp_path / "s/journal")


def test_the_goals_of_a_revert_restore_driver_and_override(tmp_path: Path) -> None:
    host, entry = _applied(next(c for c in CASES if c.name == "odd override to vfio"), tmp_path)
    assert plan_revert(entry, host, CASES[0].model).goals == (restoring(ODD, "igb", "some-other-driver"),)


@pytest.mark.parametrize("one", CASES, ids=str)
def test_an_apply_is_reverted(one: Case, tmp_path: Path) -> None:
    host, entry = _applied(one, tmp_path)
    kernel = FakeKernel(host, one.model)
    plan = plan_revert(entry, host, one.model)
    events = list(execute(plan, kernel, tmp_path / "s/journal", clock=CLOCK, reverts=entry.id))
    assert finished(events).exit is Exit.DONE
    moved = {goal.device for goal in one.plan.goals}
    assert {a: f for a, f in facts(kernel.host).items() if a in moved} == {
        a: f for a, f in facts(one.host).items() if a in moved
    }


def test_a_replaced_or_missing_card_refuses_the_revert(tmp_path: Path) -> None:
    host, entry = _applied(CASES[0], tmp_path)
    host = host.with_device(host.devices[GPU]._replace(device_id="9999"))
    host = host._replace(devices={a: d for a, d in host.devices.items() if a != SOUND})
    with pytest.raises(RefusedError) as caught:
        plan_revert(entry, host, CASES[0].model)
    assert f"{GPU}: ids was 1af4:0001 class 030000 and is 1af4:9999 class 030000" in caught.value.what
    assert f"{SOUND}: device was present and is absent" in caught.value.what


def test_a_driver_that_the_tables_do_not_name_is_restored(tmp_path: Path) -> None:
    """The device was bound to it, perhaps by a dynamic id; after a restart of the program, only the journal says so."""
    one = case("network", desktop(), (NIC, "vfio-pci"))
    host, entry = _applied(one, tmp_path)
    forgetful = host.with_device(host.devices[NIC]._replace(fits=()))
    plan = plan_revert(entry, forgetful, one.model)
    assert plan.permitted, plan.refusals
    assert plan.predicted.devices[NIC].driver == "e1000e"


def test_a_module_that_is_no_longer_loaded_is_loaded(tmp_path: Path) -> None:
    one = case("network", desktop(), (NIC, "vfio-pci"))
    host, entry = _applied(one, tmp_path)
    assert host.drivers is not None
    host = host._replace(drivers=tuple(d for d in host.drivers if d.name != "e1000e"))
    plan = plan_revert(entry, host, one.model)
    assert plan.modules == ("e1000e",)
    kernel = FakeKernel(host, one.model)
    events = list(execute(plan, kernel, tmp_path / "s/journal", clock=CLOCK, reverts=entry.id))
    assert finished(events).exit is Exit.DONE
    assert kernel.host.devices[NIC].driver == "e1000e"


def test_only_changed_devices_are_recorded(tmp_path: Path) -> None:
    """A device already on its target was not changed by the apply."""
    host = desktop()
    plan = plan_intents(host, [Intent(GPU, "vfio-pci"), Intent(NIC, "e1000e")], MODELS["dma-owner"])
    moved = {step.device for step in plan.steps}
    list(execute(plan, FakeKernel(host, MODELS["dma-owner"]), tmp_path / "s/journal", clock=CLOCK))
    assert {f.device for f in load(tmp_path / "s/journal").header.before} == moved
