"""What an apply refuses, checks and tells."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from iommutui.apply.events import Compensating, Finished, ModuleLoaded, Started, StepBegun, StepDone
from iommutui.apply.executor import execute
from iommutui.apply.journal import Journal, list_entries, load, lock
from iommutui.apply.lines import Line, Result
from iommutui.apply.revert import plan_revert
from iommutui.apply.simulated import SimulatedKernel
from iommutui.core.address import Address
from iommutui.core.errors import Exit, IommutuiError, NotPermittedError, RefusedError
from iommutui.core.host import Claim, Gap, Host
from iommutui.core.intents import Intent
from iommutui.core.models import MODELS
from iommutui.core.planner import plan_intents
from tests.apply.machines import (
    BY_ID,
    CASES,
    CLOCK,
    GPU,
    NIC,
    SOUND,
    TWIN_A,
    TWIN_B,
    USB,
    Case,
    case,
    desktop,
    differences,
    facts,
    finished,
)
from tests.reacting import FakeKernel, Faults

GPU_CASE = CASES[0]


def _changed(address: Address, **fields: object) -> Callable[[Host], Host]:
    """Somebody else changes a device."""

    def change(host: Host) -> Host:
        return host.with_device(host.devices[address]._replace(**fields))  # type: ignore[arg-type]

    return change


def _gone(address: Address) -> Callable[[Host], Host]:
    def change(host: Host) -> Host:
        return host._replace(devices={a: d for a, d in host.devices.items() if a != address})

    return change


class TestRefusals:
    def test_a_plan_that_is_not_permitted(self, tmp_path: Path) -> None:
        host = desktop()
        plan = plan_intents(host, [Intent(GPU, "e1000e")], MODELS["dma-owner"])
        kernel = FakeKernel(host, MODELS["dma-owner"])
        with pytest.raises(RefusedError, match="e1000e does not know the device"):
            list(execute(plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert kernel.steps == []
        assert list_entries(tmp_path / "s/journal") == []

    def test_drift_names_every_fact(self, tmp_path: Path) -> None:
        now = desktop()
        now = _changed(GPU, driver="nouveau", driver_override="x")(now)
        now = _changed(SOUND, vendor_id="ffff")(now)
        kernel = FakeKernel(now, GPU_CASE.model)
        with pytest.raises(RefusedError) as caught:
            list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert f"{GPU}: driver was nvidia and is nouveau" in caught.value.what
        assert f"{GPU}: override was none and is x" in caught.value.what
        assert f"{SOUND}: ids was 1af4:0001" in caught.value.what
        assert "plan again" in caught.value.remedy
        assert kernel.steps == []
        assert list_entries(tmp_path / "s/journal") == []

    def test_a_claim_that_came_is_drift(self, tmp_path: Path) -> None:
        now = desktop()
        now = now.with_group(now.groups[14]._replace(claim=Claim("vm1")))
        with pytest.raises(RefusedError, match="group 14: owner was none and is vm1"):
            list(execute(GPU_CASE.plan, FakeKernel(now, GPU_CASE.model), tmp_path / "s/journal", clock=CLOCK))

    def test_a_device_that_does_not_answer(self, tmp_path: Path) -> None:
        now = _changed(GPU, gaps=(Gap("driver_override", "timeout"),))(desktop())
        with pytest.raises(RefusedError, match="did not answer in time"):
            list(execute(GPU_CASE.plan, FakeKernel(now, GPU_CASE.model), tmp_path / "s/journal", clock=CLOCK))

    def test_two_at_once(self, tmp_path: Path) -> None:
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model)
        with lock(tmp_path / "s/journal"), pytest.raises(RefusedError, match="Another apply"):
            list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert kernel.points == 0

    def test_denied_before_anything_is_written(self, tmp_path: Path) -> None:
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model, Faults(denied=True))
        with pytest.raises(NotPermittedError):
            list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert kernel.steps == []
        assert list_entries(tmp_path / "s/journal") == []

    @pytest.mark.parametrize("errno", ["EACCES", "EPERM", "EROFS"])
    def test_the_first_write_is_denied(self, errno: str, tmp_path: Path) -> None:
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model, Faults(fail={1: errno}))
        with pytest.raises(NotPermittedError):
            list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert len(kernel.steps) == 1
        (entry,) = list_entries(tmp_path / "s/journal")
        assert entry.exit is Exit.PERMISSION
        assert not entry.in_effect

    def test_a_later_write_that_is_denied_is_taken_back(self, tmp_path: Path) -> None:
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model, Faults(fail={2: "EPERM"}))
        events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert finished(events).exit is Exit.ROLLED_BACK

    def test_lasting_writes_need_a_journal(self) -> None:
        with pytest.raises(ValueError, match="journal"):
            list(execute(GPU_CASE.plan, FakeKernel(GPU_CASE.host, GPU_CASE.model), None))


class TestOrder:
    def test_the_journal_is_on_disk_before_the_first_write(self, tmp_path: Path) -> None:
        directory = tmp_path / "s/journal"
        seen: list[int] = []
        for one in CASES:
            kernel = FakeKernel(one.host, one.model)

            def look(one: Case = one, kernel: FakeKernel = kernel) -> None:
                entry = list_entries(directory)[-1]
                assert entry.open
                assert {f.device for f in entry.before} == {step.device for step in one.plan.steps}
                for before in entry.before:
                    device = one.host.devices[before.device]
                    assert (before.driver, before.override) == (device.driver, device.driver_override)
                # The write itself is announced as well, and has no result yet.
                assert len(entry.steps) == len(kernel.steps) + 1
                assert entry.steps[-1].result is None
                assert entry.steps[-1].device == one.plan.steps[len(kernel.steps)].device
                seen.append(len(entry.steps))

            kernel.before_write = look
            list(execute(one.plan, kernel, directory, clock=CLOCK))
        assert seen.count(1) == len(CASES)

    def test_the_events_of_a_plan(self, tmp_path: Path) -> None:
        one = next(c for c in CASES if c.name == "gpu, vfio not loaded")
        kernel = FakeKernel(one.host, one.model)
        events = list(execute(one.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        steps = one.plan.steps
        (entry,) = list_entries(tmp_path / "s/journal")
        assert events[:2] == [Started(entry.id, len(steps)), ModuleLoaded("vfio-pci")]
        pairs = [(StepBegun(n, step), StepDone(n, step, "ok", 0.0)) for n, step in enumerate(steps, 1)]
        assert events[2:-1] == [event for pair in pairs for event in pair]
        assert events[-1] == Finished(Exit.DONE, "6 writes done, 2 devices changed.")
        assert entry.modules == ("vfio-pci",)
        assert entry.summary == "6 writes done, 2 devices changed."

    def test_overrides_then_unbinds_then_probes_then_old_overrides(self, tmp_path: Path) -> None:
        one = next(c for c in CASES if c.name == "many")
        kernel = FakeKernel(one.host, one.model)
        list(execute(one.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        revert = plan_revert(load(tmp_path / "s/journal"), kernel.host, one.model)
        ops = [step.op for step in revert.steps]
        phases = [op for n, op in enumerate(ops) if n == 0 or ops[n - 1] != op]
        assert phases == ["override", "unbind", "probe", "override"]

    def test_nothing_to_do(self, tmp_path: Path) -> None:
        host = desktop()
        plan = plan_intents(host, [Intent(USB, "vfio-pci")], MODELS["dma-owner"])
        events = list(execute(plan, FakeKernel(host, MODELS["dma-owner"]), tmp_path / "s/journal", clock=CLOCK))
        assert [type(event) for event in events] == [Finished]
        assert finished(events).exit is Exit.DONE
        assert list_entries(tmp_path / "s/journal") == []

    def test_the_kernel_may_choose(self, tmp_path: Path) -> None:
        one = case("usb back", desktop(), (USB, "default"))
        kernel = FakeKernel(one.host, one.model, Faults(binds={USB: "ehci-pci"}))
        events = list(execute(one.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert finished(events).exit is Exit.DONE
        assert [e.note for e in events if isinstance(e, StepDone) and e.note] == ["the kernel chose ehci-pci"]


class TestSurprises:
    def test_a_probe_that_binds_another_driver(self, tmp_path: Path) -> None:
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model, Faults(binds={SOUND: "nouveau"}))
        events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        why = next(event.why for event in events if isinstance(event, Compensating))
        assert f"{SOUND} is on nouveau" in why
        end = finished(events)
        assert end.exit is Exit.NOT_ROLLED_BACK
        assert [(c.subject, c.fact, c.before, c.now) for c in end.left] == [
            (SOUND, "driver", "snd_hda_intel", "nouveau")
        ]
        assert facts(kernel.host)[GPU] == facts(GPU_CASE.host)[GPU]

    @pytest.mark.parametrize("look", [2, 3, 4])
    def test_a_device_that_changes_between_the_phases(self, look: int, tmp_path: Path) -> None:
        # The first look is the admission, the second comes before the unbinds, the third before the probes; the last
        # is that of the end.
        change = _changed(GPU, driver="nouveau")
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model, Faults(outside={look: change}))
        events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        why = next(event.why for event in events if isinstance(event, Compensating))
        assert GPU in why
        assert "nouveau" in why
        assert finished(events).exit is Exit.ROLLED_BACK
        assert facts(kernel.host) == facts(GPU_CASE.host)

    def test_a_device_that_changes_right_before_its_unbind(self, tmp_path: Path) -> None:
        change = _changed(SOUND, driver="nouveau")
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model, Faults(outside_write={3: change}))
        events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert finished(events).exit is Exit.ROLLED_BACK
        assert [step.op for step in kernel.steps[:3]] == ["override", "override", "unbind"]
        assert facts(kernel.host) == facts(GPU_CASE.host)

    def test_an_override_that_changes_right_before_an_unbind(self, tmp_path: Path) -> None:
        change = _changed(SOUND, driver_override="somebody-else")
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model, Faults(outside_write={3: change}))
        events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert f"{SOUND}: override was vfio-pci and is somebody-else" in finished(events).summary
        assert finished(events).exit is Exit.ROLLED_BACK
        assert [step.op for step in kernel.steps if step.op == "unbind"] == ["unbind"]

    def test_what_was_not_touched_yet_is_not_ours_to_put_back(self, tmp_path: Path) -> None:
        change = _changed(SOUND, driver="nouveau", driver_override="x")
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model, Faults(outside_write={1: change}, interrupt=frozenset({1})))
        events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        end = finished(events)
        assert end.exit is Exit.NOT_ROLLED_BACK
        assert {(c.subject, c.fact) for c in end.left} == {(SOUND, "driver"), (SOUND, "override")}
        assert all(step.device == GPU for step in kernel.steps)

    def test_a_neighbour_that_changes_is_named_and_left_alone(self, tmp_path: Path) -> None:
        one = next(c for c in CASES if c.name == "gpu alone")
        kernel = FakeKernel(one.host, one.model, Faults(outside={2: _changed(SOUND, driver="nouveau")}))
        events = list(execute(one.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert finished(events).exit is Exit.ROLLED_BACK
        assert SOUND in finished(events).summary
        assert differences(one.host, kernel.host) == {(SOUND, "driver")}

    def test_a_device_that_goes_away(self, tmp_path: Path) -> None:
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model, Faults(outside={3: _gone(GPU)}))
        events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        end = finished(events)
        assert end.exit is Exit.NOT_ROLLED_BACK
        assert [(c.subject, c.fact, c.now) for c in end.left] == [(GPU, "device", "absent")]
        assert facts(kernel.host)[SOUND] == facts(GPU_CASE.host)[SOUND]

    def test_another_card_at_the_address_is_left_alone(self, tmp_path: Path) -> None:
        other = _changed(GPU, device_id="9999", driver="nouveau", driver_override=None)
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model, Faults(outside={3: other}))
        events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert finished(events).exit is Exit.NOT_ROLLED_BACK
        assert kernel.host.devices[GPU].driver == "nouveau"
        assert {c.fact for c in finished(events).left if c.subject == GPU} == {"ids", "driver"}

    def test_a_device_that_stops_answering_is_left_alone_on_the_way_back(self, tmp_path: Path) -> None:
        silent = _changed(GPU, gaps=(Gap("driver_override", "timeout"),), driver_override=None)
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model, Faults(outside={3: silent}))
        events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        end = finished(events)
        assert end.exit is Exit.NOT_ROLLED_BACK
        assert {c.fact for c in end.left if c.subject == GPU} == {"driver", "state"}
        assert all(step.device != GPU for step in kernel.steps[4:])

    def test_what_a_virtual_machine_has_taken_meanwhile_is_not_taken_from_it(self, tmp_path: Path) -> None:
        def claim(host: Host) -> Host:
            return host.with_group(host.groups[14]._replace(claim=Claim("vm1", opened=(GPU, SOUND))))

        last = len(GPU_CASE.plan.steps)
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model, Faults(binds={SOUND: "other"}, outside_write={last: claim}))
        events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        end = finished(events)
        assert end.exit is Exit.NOT_ROLLED_BACK
        assert kernel.host.devices[GPU].driver == "vfio-pci"
        assert (GPU, "driver") in {(c.subject, c.fact) for c in end.left}

    def test_a_way_back_never_runs_into_the_bug_of_old_kernels(self, tmp_path: Path) -> None:
        """Up to 5.18 a kernel driver that binds in a group in use is a BUG_ON."""
        one = next(c for c in CASES if c.name == "twins")
        one = case("twins", desktop("5.10.0"), *one.intents)

        def claim(host: Host) -> Host:
            return host.with_group(host.groups[24]._replace(claim=Claim("vm1")))

        failing = len(one.plan.steps)
        kernel = FakeKernel(one.host, one.model, Faults(fail={failing: "EIO"}, outside_write={failing: claim}))
        events = list(execute(one.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        end = finished(events)
        assert end.exit is Exit.NOT_ROLLED_BACK
        assert not any(step.op == "probe" and step.device == TWIN_B for step in kernel.steps)
        assert (TWIN_B, "driver") in {(c.subject, c.fact) for c in end.left}

    def test_a_module_that_cannot_be_loaded(self, tmp_path: Path) -> None:
        one = next(c for c in CASES if c.name == "gpu, vfio not loaded")
        kernel = FakeKernel(one.host, one.model, Faults(no_module=True))
        events = list(execute(one.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert finished(events).exit is Exit.ROLLED_BACK
        assert "vfio-pci is missing. Install it." in finished(events).summary
        assert kernel.steps == []

    def test_what_a_module_takes_besides_is_given_back(self, tmp_path: Path) -> None:
        one = next(c for c in CASES if c.name == "gpu, vfio not loaded")
        assert one.host.devices[USB].driver is None
        done = FakeKernel(one.host, one.model)
        list(execute(one.plan, done, tmp_path / "a/journal", clock=CLOCK))
        assert done.host.devices[USB].driver == "vfio-pci"
        failed = FakeKernel(one.host, one.model, Faults(fail={6: "EIO"}))
        list(execute(one.plan, failed, tmp_path / "b/journal", clock=CLOCK))
        assert failed.host.devices[USB].driver is None

    def test_what_a_module_takes_in_the_same_group_is_no_surprise(self, tmp_path: Path) -> None:
        host = desktop(vfio_loaded=False)
        host = _changed(TWIN_B, driver=None, driver_override="vfio-pci")(host)
        one = case("", host, (TWIN_A, "vfio-pci"))
        kernel = FakeKernel(host, one.model)
        events = list(execute(one.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert finished(events).exit is Exit.DONE
        assert kernel.host.devices[TWIN_B].driver == "vfio-pci"

    def test_what_a_module_takes_of_the_plan_is_a_surprise_where_it_goes_elsewhere(self, tmp_path: Path) -> None:
        """Loading nouveau for one device must not bind another that is to go to a virtual machine."""
        host = desktop()
        host = _changed(SOUND, driver=None, fits=host.devices[GPU].fits)(host)
        one = case("", host, (GPU, "nouveau"), (SOUND, "vfio-pci"))
        kernel = FakeKernel(host, one.model)
        events = list(execute(one.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert finished(events).exit is Exit.ROLLED_BACK
        assert f"{SOUND}: driver was none and is nouveau" in finished(events).summary
        assert facts(kernel.host) == facts(host)

    def test_a_machine_that_cannot_be_read_on_the_way_back(self, tmp_path: Path) -> None:
        def broken(host: Host) -> Host:
            raise IommutuiError("The machine cannot be read.")

        faults = Faults(fail={6: "EIO"}, outside={4: broken})
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model, faults)
        events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        end = finished(events)
        assert end.exit is Exit.NOT_ROLLED_BACK
        assert "cannot be read" in end.summary
        assert {(c.subject, c.fact) for c in end.left} == differences(GPU_CASE.host, kernel.host) | {("host", "state")}

    def test_a_bug_of_ours_is_taken_back_as_well(self, tmp_path: Path) -> None:
        def bug(host: Host) -> Host:
            raise KeyError("surprise")

        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model, Faults(outside={3: bug}))
        events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert finished(events).exit is Exit.ROLLED_BACK
        assert "KeyError" in finished(events).summary
        assert facts(kernel.host) == facts(GPU_CASE.host)

    def test_a_full_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        append = Journal.append

        def full(self: Journal, line: Line) -> None:
            if isinstance(line, Result) and line.number >= 3:
                self.broken = True
                if not self.muted:
                    raise IommutuiError("The journal cannot be written: No space left on device.")
                return
            append(self, line)

        monkeypatch.setattr(Journal, "append", full)
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model)
        events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        end = finished(events)
        assert end.exit is Exit.ROLLED_BACK
        assert "No space left" in end.summary
        assert "not complete" in end.summary
        assert facts(kernel.host) == facts(GPU_CASE.host)


class TestStopping:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_a_signal_is_obeyed_between_two_writes(self, number: signal.Signals, tmp_path: Path) -> None:
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model)
        before = signal.getsignal(number)

        def send() -> None:
            if len(kernel.steps) == 2:
                os.kill(os.getpid(), number)

        kernel.before_write = send
        events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert next(e.why for e in events if isinstance(e, Compensating)) == f"it was interrupted by {number.name}"
        assert finished(events).exit is Exit.ROLLED_BACK
        assert facts(kernel.host) == facts(GPU_CASE.host)
        # The write that was under way has been made and told; only then everything went back.
        told = events[: next(n for n, event in enumerate(events) if isinstance(event, Compensating))]
        assert [e.step.op for e in told if isinstance(e, StepDone)] == ["override", "override", "unbind"]
        assert signal.getsignal(number) == before

    def test_an_interrupt_that_is_thrown_in(self, tmp_path: Path) -> None:
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

    def test_the_lock_is_free_afterwards(self, tmp_path: Path) -> None:
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model)
        events = execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK)
        next(events)
        events.close()
        with lock(tmp_path / "s/journal"):
            pass


class TestSimulated:
    def test_no_file_is_needed(self) -> None:
        kernel = SimulatedKernel(GPU_CASE.host, GPU_CASE.model)
        events = list(execute(GPU_CASE.plan, kernel, None))
        assert isinstance(events[0], Started)
        assert events[0].journal_id == ""
        assert finished(events).exit is Exit.DONE
        assert kernel.host.devices[GPU].driver == "vfio-pci"

    def test_an_unbind_that_would_wait(self) -> None:
        host = desktop()
        claim = Claim("vm1", opened=(BY_ID,))
        host = host.with_group(host.groups[21]._replace(claim=claim))
        kernel = SimulatedKernel(host, MODELS["dma-owner"])
        (step,) = [s for s in case("", desktop(), (BY_ID, "none")).plan.steps if s.op == "unbind"]
        answers = list(kernel.write(step, lambda *_: None))
        assert [type(answer).__name__ for answer in answers] == ["Waiting", "GivenUp"]
        assert kernel.host.devices[BY_ID].driver is None

    def test_a_write_that_would_crash(self) -> None:
        host = desktop("5.10.0")
        host = host.with_group(host.groups[16]._replace(claim=Claim("vm1")))
        host = _changed(NIC, driver=None)(host)
        kernel = SimulatedKernel(host, MODELS["vfio-group"])
        step = next(s for s in CASES[0].plan.steps if s.op == "probe")._replace(device=NIC)
        with pytest.raises(IommutuiError, match="kernel BUG"):
            list(kernel.write(step, lambda *_: None))
        assert kernel.host == host

    def test_modules(self) -> None:
        kernel = SimulatedKernel(desktop(vfio_loaded=False), MODELS["dma-owner"])
        kernel.load_module("vfio_pci")
        assert kernel.host.has_driver("vfio-pci")
        with pytest.raises(IommutuiError, match="missing"):
            kernel.load_module("no-such-module")

    def test_a_device_that_is_gone(self) -> None:
        kernel = SimulatedKernel(desktop(), MODELS["dma-owner"])
        with pytest.raises(IommutuiError, match="no device"):
            kernel.read_back(Address("0000:ff:00.0"))
