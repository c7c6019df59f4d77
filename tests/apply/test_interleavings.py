"""Applies, reverts, reboots, other tools and crashes in any order: listings are correct, and reverts follow them.

The test keeps its own record of what each apply left, and compares the journals with it.
"""

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from iommutui.apply.executor import execute
from iommutui.apply.journal.reader import Journal
from iommutui.apply.recovery import JournalState, find_revert, leave_as_it_is, open_journals, standing, state_of
from iommutui.core.address import Address
from iommutui.core.errors import IommutuiError, RefusedError
from iommutui.core.host import Host
from iommutui.core.models import model_for
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import Plan, plan_intents
from tests.apply.changes import changed
from tests.apply.journals import list_journals
from tests.apply.machines import CLOCK, GPU, SOUND, USB, desktop
from tests.reacting import FakeKernel, Faults, Killed

MODEL = model_for(desktop().kernel)
DEVICES = st.sampled_from([GPU, SOUND, USB])
TARGETS = st.sampled_from(["vfio-pci", "pci-stub", "none", "default"])
DEATH = st.one_of(st.none(), st.none(), st.none(), st.integers(1, 40))
"""The point at which the process is killed, if at all: mostly it is not."""
Binding = tuple[str | None, str | None]
FOREIGN: Binding = (None, "somebody")
"""A binding that no apply here leaves."""


class Interleavings(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="iommutui-"))
        self.directory = self.place / "state/journal"
        self.moved: dict[str, set[Address]] = {}
        self.boot_of: dict[str, str] = {}
        self.left: dict[str, dict[Address, Binding]] = {}
        """The bindings that each finished apply left."""
        self.boots = 0
        self.given: dict[Address, set[Binding]] = {}
        """Bindings from the boot, from another tool, or from a killed apply that was kept."""
        self._boot(desktop())

    def teardown(self) -> None:
        shutil.rmtree(self.place)

    def _boot(self, host: Host) -> None:
        self.boots += 1
        self.boot = f"{self.boots:04x}0000-0000-4000-8000-000000000001"
        self.host = host
        self.given = {address: {self._binding(address)} for address in host.devices}

    def _binding(self, address: Address) -> Binding:
        device = self.host.devices[address]
        return device.driver, device.driver_override

    def _bindings(self) -> dict[Address, Binding]:
        return {address: self._binding(address) for address in self.host.devices}

    def _journals(self) -> dict[str, Journal]:
        return {journal.id: journal for journal in list_journals(self.directory)}

    def _carry_out(self, plan: Plan, reverts: str | None, death: int | None) -> Journal | None:
        """The journal that it wrote; None if it was refused or killed first."""
        known = self._journals() if self.directory.exists() else {}
        kernel = FakeKernel(self.host, MODEL, Faults(kill_at=death))
        kernel.boot_id = self.boot
        cut_off = open_journals(self.directory, self.boot) if self.directory.exists() else ()
        try:
            list(execute(plan, kernel, self.directory, clock=CLOCK, reverts=reverts))
        except RefusedError:
            assert cut_off
        except Killed:
            assert reverts is not None or not cut_off
        else:
            assert reverts is not None or not cut_off
        self.host = kernel.host
        made = [journal for name, journal in self._journals().items() if name not in known]
        for journal in made:
            self.moved[journal.id] = {step.device for step in plan.steps}
            self.boot_of[journal.id] = self.boot
        return made[0] if made else None

    @rule(wanted=st.dictionaries(DEVICES, TARGETS, min_size=1, max_size=3), death=DEATH)
    def apply(self, wanted: dict[Address, str], death: int | None) -> None:
        plan = plan_intents(self.host, [Intent(*intent) for intent in wanted.items()], MODEL)
        if not plan.permitted or not plan.steps:
            return
        journal = self._carry_out(plan, None, death)
        if journal is not None and not journal.open:
            self.left[journal.id] = {address: self._binding(address) for address in self.moved[journal.id]}

    @rule(data=st.data(), death=DEATH)
    @precondition(lambda self: bool(self.moved))
    def revert(self, data: st.DataObject, death: int | None) -> None:
        wanted = data.draw(st.none() | st.sampled_from(sorted(self.moved)))
        try:
            found = find_revert(self.directory, wanted, self.host, MODEL, self.boot)
        except IommutuiError:
            return
        target = found.journal.id
        tried = any(journal.header.reverts == target for journal in self._journals().values())
        before = self._bindings()
        made = self._carry_out(found.plan, target, death)
        touched = {address for address, binding in self._bindings().items() if binding != before[address]}
        assert self.boot_of[target] == self.boot
        assert touched <= self.moved[target]
        assert all(before[address] != FOREIGN for address in touched)
        if target in self.left and not tried:
            assert all(before[address] == self.left[target][address] for address in touched)
        if made is not None and not made.open:
            self._is_applied_by_none_that_is_reverted(touched)

    def _is_applied_by_none_that_is_reverted(self, touched: set[Address]) -> None:
        ours = {name: each for name, each in self._journals().items() if self.boot_of[name] == self.boot}
        for address in touched:
            applied = {name for name in ours if address in self.moved[name] and ours[name].header.reverts is None}
            if not applied <= self.left.keys():
                continue  # this record does not show how far a killed apply got
            standing_still = {self.left[name][address] for name in applied if ours[name].reverted_by is None}
            assert self._binding(address) in standing_still | self.given[address]

    @rule(address=DEVICES, back=st.booleans())
    @precondition(lambda self: len(self.moved) % 3 == 2)
    def another_tool(self, address: Address, back: bool) -> None:
        """Another tool returns a device to its host driver, or does something that this program never would."""
        was = desktop().devices[address]
        driver, override = (was.driver, was.driver_override) if back else FOREIGN
        self.host = changed(address, driver=driver, driver_override=override)(self.host)
        self.given[address].add(self._binding(address))

    @rule(taken=st.none() | DEVICES)
    @precondition(lambda self: list(self.boot_of.values()).count(self.boot) > 3)
    def reboot(self, taken: Address | None) -> None:
        host = desktop()
        self._boot(host if taken is None else changed(taken, driver="vfio-pci", driver_override="vfio-pci")(host))

    @rule()
    @precondition(lambda self: bool(self.moved))
    def keep(self) -> None:
        for journal in open_journals(self.directory, self.boot):
            leave_as_it_is(self.directory, journal.id, "somebody")
            for address in self.moved[journal.id]:
                self.given[address].add(self._binding(address))

    @invariant()
    def a_listing_is_correct(self) -> None:
        if not self.directory.exists():
            return
        journals = self._journals()
        ours = [journal for journal in journals.values() if self.boot_of[journal.id] == self.boot]
        for name, journal in journals.items():
            state = state_of(journal, ours, self.host, self.boot, going_on=False)
            if journal.reverted_by is not None:
                assert state is JournalState.REVERTED
            elif journal.open and journal in ours:
                assert state is JournalState.CUT_OFF
            elif journal.header.reverts is not None:
                assert state is JournalState.REVERT
            elif journal not in ours:
                assert state is JournalState.REBOOTED
            elif name in self.left and all(other.header.reverts != name for other in ours):
                other = {a for a, binding in self.left[name].items() if self._binding(a) != binding}
                assert state is (JournalState.CHANGED if other else JournalState.IN_EFFECT)
                assert {change.subject for change in standing(journal, self.host, ours).changed} == other


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(max_examples=80, stateful_step_count=20)
