"""Refusals, checks and events of an apply, their order, and its interruptions."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from iommutui.apply.events import Compensating, Finished, ModuleLoaded, Started, StepBegun, StepDone
from iommutui.apply.executor import execute
from iommutui.apply.journal import lock
from iommutui.apply.kernel import SimulatedKernel, Waiting
from iommutui.apply.recovery import plan_revert
from iommutui.core.address import Address
from iommutui.core.errors import Exit, IommutuiError, NotPermittedError, RefusedError
from iommutui.core.host import Claim, Gap
from iommutui.core.models import MODELS
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import plan_intents
from tests.apply.changes import GPU_CASE, changed
from tests.apply.journals import list_journals, load
from tests.apply.machines import (
    BY_ID,
    CASES,
    CLOCK,
    GPU,
    NIC,
    SOUND,
    USB,
    Case,
    case,
    desktop,
    facts,
    finished,
)
from tests.reacting import FakeKernel, Faults


class TestRefusals:
    def test_a_plan_that_is_not_permitted_is_refused(self, tmp_path: Path) -> None:
        host = desktop()
        plan = plan_intents(host, [Intent(GPU, "e1000e")], MODELS["dma-owner"])
        kernel = FakeKernel(host, MODELS["dma-owner"])
        with pytest.raises(RefusedError, match="e1000e does not support"):
            list(execute(plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert kernel.steps == []
        assert list_journals(tmp_path / "s/journal") == []

    def test_drift_names_every_fact(self, tmp_path: Path) -> None:
        now = desktop()
        now = changed(GPU, driver="nouveau", driver_override="x")(now)
        now = changed(SOUND, vendor_id="ffff")(now)
        kernel = FakeKernel(now, GPU_CASE.model)
        with pytest.raises(RefusedError) as caught:
            list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert f"{GPU}: driver was nvidia and is nouveau" in caught.value.what
        assert f"{GPU}: override was none and is x" in caught.value.what
        assert f"{SOUND}: ids was 1af4:0001" in caught.value.what
        assert "plan again" in caught.value.remedy
        assert kernel.steps == []
        assert list_journals(tmp_path / "s/journal") == []

    def test_a_new_claim_is_drift(self, tmp_path: Path) -> None:
        now = desktop()
        now = now.with_group(now.groups[14]._replace(claim=Claim("vm1")))
        with pytest.raises(RefusedError, match="group 14: owner was none and is vm1"):
            list(execute(GPU_CASE.plan, FakeKernel(now, GPU_CASE.model), tmp_path / "s/journal", clock=CLOCK))

    def test_a_device_that_does_not_answer_is_refused(self, tmp_path: Path) -> None:
        now = changed(GPU, gaps=(Gap("driver_override", "timeout"),))(desktop())
        with pytest.raises(RefusedError, match="did not answer in time"):
            list(execute(GPU_CASE.plan, FakeKernel(now, GPU_CASE.model), tmp_path / "s/journal", clock=CLOCK))

    def test_a_second_apply_is_refused(self, tmp_path: Path) -> None:
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model)
        with lock(tmp_path / "s/journal"), pytest.raises(RefusedError, match="Another apply"):
            list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert kernel.points == 0

    def test_missing_permission_is_noticed_before_anything_is_written(self, tmp_path: Path) -> None:
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model, Faults(denied=True))
        with pytest.raises(NotPermittedError):
            list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert kernel.steps == []
        assert list_journals(tmp_path / "s/journal") == []

    @pytest.mark.parametrize("errno", ["EACCES", "EPERM", "EROFS"])
    def test_a_denied_first_write_ends_the_apply(self, errno: str, tmp_path: Path) -> None:
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model, Faults(fail={1: errno}))
        with pytest.raises(NotPermittedError):
            list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert len(kernel.steps) == 1
        (entry,) = list_journals(tmp_path / "s/journal")
        assert entry.exit is Exit.PERMISSION
        assert not entry.changed_something

    def test_a_later_denied_write_is_rolled_back(self, tmp_path: Path) -> None:
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model, Faults(fail={2: "EPERM"}))
        events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert finished(events).exit is Exit.ROLLED_BACK

    def test_a_lasting_apply_needs_a_journal(self) -> None:
        with pytest.raises(ValueError, match="journal"):
            list(execute(GPU_CASE.plan, FakeKernel(GPU_CASE.host, GPU_CASE.model), None))


class TestOrder:
    def test_the_journal_is_on_disk_before_the_first_write(self, tmp_path: Path) -> None:
        directory = tmp_path / "s/journal"
        seen: list[int] = []
        for one in CASES:
            kernel = FakeKernel(one.host, one.model)

            def look(one: Case = one, kernel: FakeKernel = kernel) -> None:
                entry = list_journals(directory)[-1]
                assert entry.open
                assert {f.device for f in entry.header.before} == {step.device for step in one.plan.steps}
                for before in entry.header.before:
                    device = one.host.devices[before.device]
                    assert (before.driver, before.override) == (device.driver, device.driver_override)
                # The write itself is recorded as begun, without a result.
                assert len(entry.steps) == len(kernel.steps) + 1
                assert entry.steps[-1].result is None
                assert entry.steps[-1].device == one.plan.steps[len(kernel.steps)].device
                seen.append(len(entry.steps))

            kernel.before_write = look
            list(execute(one.plan, kernel, directory, clock=CLOCK))
        assert seen.count(1) == len(CASES)

    def test_the_events_follow_the_plan(self, tmp_path: Path) -> None:
        one = next(c for c in CASES if c.name == "gpu, vfio not loaded")
        kernel = FakeKernel(one.host, one.model)
        events = list(execute(one.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        steps = one.plan.steps
        (entry,) = list_journals(tmp_path / "s/journal")
        assert events[:2] == [Started(entry.id, len(steps)), ModuleLoaded("vfio-pci")]
        pairs = [(StepBegun(n, step), StepDone(n, step, "ok", 0.0)) for n, step in enumerate(steps, 1)]
        assert events[2:-1] == [event for pair in pairs for event in pair]
        assert events[-1] == entry.end
        assert (finished(events).exit, finished(events).summary) == (Exit.DONE, "6 writes done, 2 devices changed.")
        assert entry.header.modules == ("vfio-pci",)

    def test_overrides_then_unbinds_then_probes_then_old_overrides(self, tmp_path: Path) -> None:
        one = next(c for c in CASES if c.name == "many")
        kernel = FakeKernel(one.host, one.model)
        list(execute(one.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        revert = plan_revert(load(tmp_path / "s/journal"), kernel.host, one.model)
        ops = [step.op for step in revert.steps]
        phases = [op for n, op in enumerate(ops) if n == 0 or ops[n - 1] != op]
        assert phases == ["override", "unbind", "probe", "override"]

    def test_an_empty_plan_writes_no_journal(self, tmp_path: Path) -> None:
        host = desktop()
        plan = plan_intents(host, [Intent(USB, "vfio-pci")], MODELS["dma-owner"])
        events = list(execute(plan, FakeKernel(host, MODELS["dma-owner"]), tmp_path / "s/journal", clock=CLOCK))
        assert [type(event) for event in events] == [Finished]
        assert finished(events).exit is Exit.DONE
        assert list_journals(tmp_path / "s/journal") == []

    def test_the_kernel_may_choose_the_driver(self, tmp_path: Path) -> None:
        one = case("usb back", desktop(), (USB, "default"))
        kernel = FakeKernel(one.host, one.model, Faults(binds={USB: "ehci-pci"}))
        events = list(execute(one.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert finished(events).exit is Exit.DONE
        assert [e.note for e in events if isinstance(e, StepDone) and e.note] == ["the kernel chose ehci-pci"]


@contextmanager
def disposition(number: signal.Signals, action: signal.Handlers) -> Iterator[None]:
    """Sets a signal's action, however these tests were started; the action must be unchanged at the end."""
    before = signal.signal(number, action)
    try:
        yield
        assert signal.getsignal(number) == action
    finally:
        signal.signal(number, before)


class TestStopping:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_a_signal_takes_effect_between_two_writes(self, number: signal.Signals, tmp_path: Path) -> None:
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model)

        def send() -> None:
            if len(kernel.steps) == 2:
                os.kill(os.getpid(), number)

        kernel.before_write = send
        with disposition(number, signal.SIG_DFL):
            events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert next(e.why for e in events if isinstance(e, Compensating)) == f"it was interrupted by {number.name}"
        assert finished(events).exit is Exit.ROLLED_BACK
        assert facts(kernel.host) == facts(GPU_CASE.host)
        # The write in progress was finished and reported before the rollback.
        earlier = events[: next(n for n, event in enumerate(events) if isinstance(event, Compensating))]
        assert [e.step.op for e in earlier if isinstance(e, StepDone)] == ["override", "override", "unbind"]

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
    def test_an_ignored_signal_stays_ignored(self, number: signal.Signals, tmp_path: Path) -> None:
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model)
        kernel.before_write = lambda: os.kill(os.getpid(), number)
        with disposition(number, signal.SIG_IGN):
            events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert finished(events).exit is Exit.DONE

    def test_an_interrupt_thrown_into_the_iterator_reverts(self, tmp_path: Path) -> None:
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model)
        events = execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK)
        seen = [next(events), next(events), events.throw(KeyboardInterrupt())]
        seen += list(events)
        assert finished(seen).exit is Exit.ROLLED_BACK
        assert facts(kernel.host) == facts(GPU_CASE.host)

    def test_closing_after_the_end_changes_nothing(self, tmp_path: Path) -> None:
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model)
        events = execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK)
        for event in events:
            if isinstance(event, Finished):
                break
        events.close()
        assert kernel.host.devices[GPU].driver == "vfio-pci"
        assert load(tmp_path / "s/journal").exit is Exit.DONE

    def test_the_lock_is_released_when_the_iterator_is_closed(self, tmp_path: Path) -> None:
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model)
        events = execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK)
        next(events)
        events.close()
        with lock(tmp_path / "s/journal"):
            pass


class TestSimulated:
    def test_a_simulated_apply_needs_no_file(self) -> None:
        kernel = SimulatedKernel(GPU_CASE.host, GPU_CASE.model)
        events = list(execute(GPU_CASE.plan, kernel, None))
        assert isinstance(events[0], Started)
        assert events[0].journal_id == ""
        assert finished(events).exit is Exit.DONE
        assert kernel.host.devices[GPU].driver == "vfio-pci"

    def test_an_unbind_that_would_block_is_given_up(self) -> None:
        host = desktop()
        claim = Claim("vm1", opened=(BY_ID,))
        host = host.with_group(host.groups[21]._replace(claim=claim))
        kernel = SimulatedKernel(host, MODELS["dma-owner"])
        (step,) = [s for s in case("", desktop(), (BY_ID, "none")).plan.steps if s.op == "unbind"]
        answers = list(kernel.write(step, lambda *_: None))
        assert [isinstance(answer, Waiting) and answer.given_up for answer in answers] == [False, True]
        assert kernel.host.devices[BY_ID].driver is None

    def test_a_write_that_would_crash_the_kernel_is_an_error(self) -> None:
        host = desktop("5.10.0")
        host = host.with_group(host.groups[16]._replace(claim=Claim("vm1")))
        host = changed(NIC, driver=None)(host)
        kernel = SimulatedKernel(host, MODELS["vfio-group"])
        step = next(s for s in CASES[0].plan.steps if s.op == "probe")._replace(device=NIC)
        with pytest.raises(IommutuiError, match="kernel BUG"):
            list(kernel.write(step, lambda *_: None))
        assert kernel.host == host

    def test_modules_are_loaded(self) -> None:
        kernel = SimulatedKernel(desktop(vfio_loaded=False), MODELS["dma-owner"])
        assert list(kernel.load_module("vfio_pci")) == ["ok"]
        assert kernel.host.has_driver("vfio-pci")
        with pytest.raises(IommutuiError, match="missing"):
            list(kernel.load_module("no-such-module"))

    def test_reading_back_a_missing_device_is_an_error(self) -> None:
        kernel = SimulatedKernel(desktop(), MODELS["dma-owner"])
        with pytest.raises(IommutuiError, match="no device"):
            kernel.read_back(Address("0000:ff:00.0"))
