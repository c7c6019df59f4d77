"""Journals across boots, other tools and each other: a revert touches only what is still in effect."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iommutui.apply.events import Compensating, Counting, Finished, Notice
from iommutui.apply.executor import execute
from iommutui.apply.journal import may_be_open
from iommutui.apply.journal.format import Late, Module, Result
from iommutui.apply.journal.reader import read_journals
from iommutui.apply.recovery import (
    JournalState,
    Retention,
    Revert,
    find_revert,
    leave_as_it_is,
    open_journals,
    standing,
    state_of,
)
from iommutui.core.address import Address
from iommutui.core.errors import Exit, IommutuiError, RefusedError
from iommutui.core.host import Host
from iommutui.core.models import model_for
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import Plan, plan_intents
from tests.apply.changes import changed, gone
from tests.apply.journals import HEADER, list_damaged, list_journals, load, written
from tests.apply.machines import CLOCK, GPU, NIC, SOUND, USB, desktop, facts, finished
from tests.reacting import BOOT, OTHER_BOOT, FakeKernel, Faults, Killed

MODEL = model_for(desktop().kernel)


class Machine:
    """A machine on which this program, other tools and reboots take turns."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.kernel = FakeKernel(desktop(), MODEL)

    @property
    def host(self) -> Host:
        return self.kernel.host

    @property
    def boot(self) -> str | None:
        return self.kernel.boot_id

    def run(self, plan: Plan, reverts: str | None = None) -> list[str]:
        """Apply a plan, and return its notices."""
        events = list(execute(plan, self.kernel, self.directory, clock=CLOCK, reverts=reverts))
        assert finished(events).exit is Exit.DONE
        return [event.what for event in events if isinstance(event, Notice)]

    def apply(self, *intents: tuple[Address, str]) -> str:
        self.run(plan_intents(self.host, [Intent(*intent) for intent in intents], MODEL))
        return list_journals(self.directory)[-1].id

    def die(self, *intents: tuple[Address, str]) -> str:
        """Start an apply that is killed in the middle of its writes."""
        plan = plan_intents(self.host, [Intent(*intent) for intent in intents], MODEL)
        dying = FakeKernel(self.host, MODEL, Faults(kill_at=10))
        with pytest.raises(Killed):
            list(execute(plan, dying, self.directory, clock=CLOCK))
        self.kernel.inner.host = dying.host
        return list_journals(self.directory)[-1].id

    def find(self, journal: str | None = None) -> Revert:
        return find_revert(self.directory, journal, self.host, MODEL, self.boot)

    def revert(self, journal: str | None = None) -> list[str]:
        found = self.find(journal)
        return self.run(found.plan, found.journal.id)

    def reboot(self, host: Host | None = None) -> None:
        self.kernel = FakeKernel(host or desktop(), MODEL)
        self.kernel.boot_id = OTHER_BOOT

    def state(self, journal: str) -> JournalState:
        journals = list_journals(self.directory)
        return state_of(load(self.directory, journal), journals, self.host, self.boot, going_on=False)

    def foreign(self, address: Address, driver: str | None, override: str | None = None) -> None:
        """Another tool rebinds a device."""
        self.kernel.inner.host = changed(address, driver=driver, driver_override=override)(self.host)


@pytest.fixture
def machine(directory: Path) -> Machine:
    return Machine(directory)


# -- boots


def test_a_journal_records_its_boot_and_the_resulting_state(machine: Machine) -> None:
    journal = load(machine.directory, machine.apply((GPU, "vfio-pci")))
    assert journal.header.boot == BOOT
    assert journal.id.endswith(BOOT[:4])
    assert journal.end is not None
    assert [(f.device, f.driver, f.override) for f in journal.end.after] == [(GPU, "vfio-pci", "vfio-pci")]
    assert machine.state(journal.id) is JournalState.IN_EFFECT


def test_after_a_reboot_a_revert_changes_nothing(machine: Machine) -> None:
    journal = machine.apply((GPU, "vfio-pci"))
    machine.reboot(changed(GPU, driver="vfio-pci", driver_override="vfio-pci")(desktop()))
    assert machine.state(journal) is JournalState.REBOOTED
    for wanted in (journal, None):
        with pytest.raises(IommutuiError, match="earlier boot"):
            machine.revert(wanted)
    assert machine.kernel.steps == []


def test_an_unknown_boot_counts_as_this_one(machine: Machine) -> None:
    machine.kernel.boot_id = None
    journal = machine.apply((GPU, "vfio-pci"))
    assert machine.state(journal) is JournalState.IN_EFFECT
    machine.kernel.boot_id = BOOT
    assert load(machine.directory, journal).of_boot(None)
    machine.kernel.boot_id = None
    machine.revert()
    assert facts(machine.host) == facts(desktop())


def test_an_apply_interrupted_by_a_reboot_does_not_block_and_is_reported_once(machine: Machine) -> None:
    journal = machine.die((GPU, "vfio-pci"), (SOUND, "vfio-pci"))
    assert machine.state(journal) is JournalState.CUT_OFF
    machine.reboot()
    assert open_journals(machine.directory, machine.boot) == ()
    assert machine.state(journal) is JournalState.REBOOTED
    plan = plan_intents(machine.host, [Intent(NIC, "vfio-pci")], MODEL)
    (notice,) = machine.run(plan)
    assert journal in notice
    assert not load(machine.directory, journal).open
    assert machine.revert() == []


def test_a_damaged_journal_of_an_earlier_boot_is_closed_too(machine: Machine) -> None:
    written(machine.directory).write_text("rubbish\n")
    machine.reboot()
    (notice,) = machine.run(plan_intents(machine.host, [Intent(NIC, "vfio-pci")], MODEL))
    assert HEADER.id in notice
    assert not list_damaged(machine.directory)[0].open


# -- other tools


def test_devices_rebound_by_another_tool_are_named_and_not_touched(machine: Machine) -> None:
    journal = machine.apply((GPU, "vfio-pci"))
    machine.foreign(GPU, "nouveau", "nouveau")
    assert machine.state(journal) is JournalState.CHANGED
    with pytest.raises(RefusedError) as caught:
        machine.revert()
    assert f"{GPU}: driver was vfio-pci and is nouveau" in caught.value.what
    assert "iommutui apply" in caught.value.remedy


def test_the_remaining_devices_are_reverted(machine: Machine) -> None:
    journal = machine.apply((GPU, "vfio-pci"), (SOUND, "vfio-pci"))
    machine.foreign(SOUND, "snd_hda_intel")
    found = machine.find()
    assert {change.subject for change in found.left_alone} == {SOUND}
    assert {step.device for step in found.plan.steps} == {GPU}
    machine.revert()
    assert facts(machine.host) == facts(desktop())
    assert machine.state(journal) is JournalState.REVERTED


def test_a_missing_or_replaced_card_does_not_stop_the_revert_of_the_others(machine: Machine) -> None:
    machine.apply((GPU, "vfio-pci"), (SOUND, "vfio-pci"), (NIC, "vfio-pci"))
    machine.kernel.inner.host = gone(SOUND)(changed(GPU, device_id="9999")(machine.host))
    found = machine.find()
    assert {(change.subject, change.fact) for change in found.left_alone} == {(GPU, "ids"), (SOUND, "device")}
    machine.revert()
    assert machine.host.devices[NIC].driver == "e1000e"
    assert machine.host.devices[GPU].driver == "vfio-pci"


def test_the_newest_apply_still_in_effect_is_chosen(machine: Machine) -> None:
    first = machine.apply((GPU, "vfio-pci"))
    machine.apply((NIC, "vfio-pci"))
    machine.foreign(NIC, "e1000e")
    assert machine.find().journal.id == first


def test_an_interrupted_apply_owns_its_unfinished_changes_and_no_others(machine: Machine) -> None:
    journal = machine.die((GPU, "vfio-pci"), (SOUND, "vfio-pci"))
    assert standing(load(machine.directory, journal), machine.host).changed == ()
    machine.foreign(SOUND, "pci-stub", "pci-stub")
    assert {change.subject for change in machine.find().left_alone} == {SOUND}
    machine.revert()
    assert machine.host.devices[GPU].driver == "nvidia"
    assert machine.host.devices[SOUND].driver == "pci-stub"
    assert open_journals(machine.directory, machine.boot) == ()


# -- each other


def test_a_revert_is_neither_repeated_nor_reverted(machine: Machine) -> None:
    journal = machine.apply((GPU, "vfio-pci"))
    machine.revert()
    with pytest.raises(RefusedError, match="reverted already"):
        machine.revert(journal)
    with pytest.raises(RefusedError, match="itself a revert"):
        machine.revert(list_journals(machine.directory)[-1].id)
    assert facts(machine.host) == facts(desktop())


def test_reverting_out_of_order_applies_nothing_again(machine: Machine) -> None:
    first = machine.apply((GPU, "vfio-pci"), (SOUND, "vfio-pci"))
    second = machine.apply((SOUND, "default"))
    machine.revert(first)
    machine.revert(second)
    assert facts(machine.host) == facts(desktop())


def test_a_revert_restores_another_tools_binding_although_an_equal_apply_was_reverted(machine: Machine) -> None:
    machine.revert(machine.apply((GPU, "vfio-pci")))
    machine.foreign(GPU, "vfio-pci", "vfio-pci")
    before = facts(machine.host)
    machine.revert(machine.apply((GPU, "pci-stub")))
    assert facts(machine.host) == before


def test_an_older_apply_cannot_be_reverted_before_a_newer_one_of_the_same_device(machine: Machine) -> None:
    first = machine.apply((GPU, "vfio-pci"))
    machine.apply((GPU, "pci-stub"))
    with pytest.raises(RefusedError, match="driver was vfio-pci and is pci-stub"):
        machine.revert(first)
    machine.revert()
    machine.revert(first)
    assert facts(machine.host) == facts(desktop())


DEVICES = st.sampled_from([GPU, SOUND, NIC, USB])
TARGETS = st.sampled_from(["vfio-pci", "pci-stub", "none", "default"])
APPLIES = st.lists(st.dictionaries(DEVICES, TARGETS, min_size=1, max_size=3), min_size=1, max_size=4)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(applies=APPLIES, order=st.randoms(use_true_random=False), foreign=st.none() | DEVICES)
def test_reverting_everything_in_any_order_restores_the_boot_state(
    applies: list[dict[Address, str]],
    order: "st.random.Random",  # type: ignore[name-defined]
    foreign: Address | None,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """The result is the state at boot, except for devices that another tool rebound: they are not touched."""
    machine = Machine(tmp_path_factory.mktemp("boots") / "state/journal")
    for wanted in applies:
        intents = [Intent(*intent) for intent in wanted.items()]
        plan = plan_intents(machine.host, intents, MODEL)
        if plan.permitted and plan.steps:
            machine.run(plan)
    if foreign is not None:
        machine.foreign(foreign, None, "somebody")
    while True:
        names = [journal.id for journal in list_journals(machine.directory) if journal.changed_something]
        order.shuffle(names)
        for name in names:
            try:
                machine.revert(name)
                break
            except RefusedError:
                continue
        else:
            break
    now, before = facts(machine.host), facts(desktop())
    assert {a for a in before if now[a] != before[a]} == {foreign} - {None}
    if foreign is not None:
        assert now[foreign][:2] == (None, "somebody")


# -- damage


def test_a_journal_truncated_at_any_byte_is_judged_alike(machine: Machine) -> None:
    """The quick check and the reader agree on whether a journal has ended, and neither raises."""
    journal = machine.apply((GPU, "vfio-pci"))
    path = machine.directory / f"{journal}.jsonl"
    whole = path.read_bytes()
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        journals = read_journals(machine.directory)
        assert len(journals.readable) == len(journals.every)
        quick = may_be_open(machine.directory, machine.boot)
        assert quick is (length < len(whole))
        has_header = b"\n" in whole[:length]
        assert [each.open for each in journals.readable] == ([quick] if has_header else [])
        assert len(open_journals(machine.directory, machine.boot)) == (quick and has_header)


@pytest.mark.parametrize("line", [0, 1, 3])
def test_a_damaged_journal_that_may_be_open_blocks_until_it_is_kept(machine: Machine, line: int) -> None:
    journal = machine.die((GPU, "vfio-pci"))
    path = machine.directory / f"{journal}.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line] = b"\xff" + lines[line]
    path.write_bytes(b"".join(lines))
    plan = plan_intents(machine.host, [Intent(NIC, "vfio-pci")], MODEL)
    with pytest.raises(RefusedError) as caught:
        machine.run(plan)
    assert f"'iommutui keep {journal}'" in caught.value.remedy
    leave_as_it_is(machine.directory, journal, "somebody")
    assert open_journals(machine.directory, machine.boot) == ()
    machine.run(plan)


def test_a_damaged_journal_with_a_header_can_be_reverted(machine: Machine) -> None:
    journal = machine.die((GPU, "vfio-pci"), (SOUND, "vfio-pci"))
    path = machine.directory / f"{journal}.jsonl"
    path.write_bytes(path.read_bytes() + b"\x00\x00\x00\n")
    machine.revert(journal)
    assert facts(machine.host) == facts(desktop())
    assert open_journals(machine.directory, machine.boot) == ()


# -- pruning


def _of(directory: Path, day: int, boot: str) -> str:
    name = f"202611{day:02}T104501-{boot[:4]}"
    written(directory, Finished(Exit.DONE, "Done."), header=replace(HEADER, id=name, boot=boot))
    return name


def test_journals_of_earlier_boots_are_pruned_by_number_and_age(machine: Machine) -> None:
    old = [_of(machine.directory, day, OTHER_BOOT) for day in range(1, 21)]
    ours = _of(machine.directory, 2, BOOT)
    plan = plan_intents(machine.host, [Intent(NIC, "vfio-pci")], MODEL)
    list(execute(plan, machine.kernel, machine.directory, clock=CLOCK, retention=Retention(5, 365)))
    kept = [journal.id for journal in list_journals(machine.directory)]
    assert kept[:-1] == sorted([ours, *old[-5:]])
    plan = plan_intents(machine.host, [Intent(SOUND, "vfio-pci")], MODEL)
    list(execute(plan, machine.kernel, machine.directory, clock=CLOCK, retention=Retention(100, 3)))
    kept = [journal.id for journal in list_journals(machine.directory)]
    assert kept[:-2] == sorted([ours, *old[-2:]])


def test_a_live_scan_opens_only_journals_of_this_boot(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    for day in range(1, 10):
        _of(machine.directory, day, OTHER_BOOT)
    ours = _of(machine.directory, 11, BOOT)
    opened: list[str] = []
    real = os.open

    def noting(path: object, *rest: int, **named: int) -> int:
        opened.append(str(path))
        return real(path, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", noting)
    assert not may_be_open(machine.directory, BOOT)
    assert opened == [str(machine.directory / f"{ours}.jsonl")]


def test_lines_and_events_of_different_kinds_are_never_equal() -> None:
    values: list[object] = [
        Result(1, "ok", 1.0),
        Late(1, "ok", 1.0),
        Counting(1.0, 1.0),
        Compensating("x"),
        Module("x"),
        Notice("x"),
    ]
    assert all(a != b for a in values for b in values if a is not b)
    assert Late(1, "ok", 1.0) == values[1]
