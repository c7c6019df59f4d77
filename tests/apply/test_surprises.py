"""Applies on a machine that does not do what the plan predicts."""

from pathlib import Path

import pytest

from iommutui.apply.events import Compensating
from iommutui.apply.executor import execute
from iommutui.apply.journal.format import JournalWriter, Line, Result
from iommutui.core.errors import Exit, IommutuiError
from iommutui.core.host import Claim, Gap, Host
from tests.apply.changes import GPU_CASE, changed, gone
from tests.apply.machines import (
    CASES,
    CLOCK,
    GPU,
    SOUND,
    TWIN_A,
    TWIN_B,
    USB,
    case,
    desktop,
    differences,
    facts,
    finished,
)
from tests.reacting import FakeKernel, Faults


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
        # The first scan is at admission, the second comes before the unbinds, the third before the probes, the last at
        # the end.
        change = changed(GPU, driver="nouveau")
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model, Faults(outside={look: change}))
        events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        why = next(event.why for event in events if isinstance(event, Compensating))
        assert GPU in why
        assert "nouveau" in why
        assert finished(events).exit is Exit.ROLLED_BACK
        assert facts(kernel.host) == facts(GPU_CASE.host)

    def test_a_device_that_changes_right_before_its_unbind(self, tmp_path: Path) -> None:
        change = changed(SOUND, driver="nouveau")
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model, Faults(outside_write={3: change}))
        events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert finished(events).exit is Exit.ROLLED_BACK
        assert [step.op for step in kernel.steps[:3]] == ["override", "override", "unbind"]
        assert facts(kernel.host) == facts(GPU_CASE.host)

    def test_an_override_that_changes_right_before_an_unbind(self, tmp_path: Path) -> None:
        change = changed(SOUND, driver_override="somebody-else")
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model, Faults(outside_write={3: change}))
        events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert f"{SOUND}: override was vfio-pci and is somebody-else" in finished(events).summary
        assert finished(events).exit is Exit.ROLLED_BACK
        assert [step.op for step in kernel.steps if step.op == "unbind"] == ["unbind"]

    def test_an_untouched_device_is_not_restored(self, tmp_path: Path) -> None:
        change = changed(SOUND, driver="nouveau", driver_override="x")
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model, Faults(outside_write={1: change}, interrupt=frozenset({1})))
        events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        end = finished(events)
        assert end.exit is Exit.NOT_ROLLED_BACK
        assert {(c.subject, c.fact) for c in end.left} == {(SOUND, "driver"), (SOUND, "override")}
        assert all(step.device == GPU for step in kernel.steps)

    def test_a_neighbour_that_changes_is_named_and_left_alone(self, tmp_path: Path) -> None:
        one = next(c for c in CASES if c.name == "gpu alone")
        kernel = FakeKernel(one.host, one.model, Faults(outside={2: changed(SOUND, driver="nouveau")}))
        events = list(execute(one.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert finished(events).exit is Exit.ROLLED_BACK
        assert SOUND in finished(events).summary
        assert differences(one.host, kernel.host) == {(SOUND, "driver")}

    def test_a_device_that_vanishes(self, tmp_path: Path) -> None:
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model, Faults(outside={3: gone(GPU)}))
        events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        end = finished(events)
        assert end.exit is Exit.NOT_ROLLED_BACK
        assert [(c.subject, c.fact, c.now) for c in end.left] == [(GPU, "device", "absent")]
        assert facts(kernel.host)[SOUND] == facts(GPU_CASE.host)[SOUND]

    def test_another_card_at_the_address_is_left_alone(self, tmp_path: Path) -> None:
        other = changed(GPU, device_id="9999", driver="nouveau", driver_override=None)
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model, Faults(outside={3: other}))
        events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert finished(events).exit is Exit.NOT_ROLLED_BACK
        assert kernel.host.devices[GPU].driver == "nouveau"
        assert {c.fact for c in finished(events).left if c.subject == GPU} == {"ids", "driver"}

    def test_a_device_that_stops_answering_is_left_alone_by_the_rollback(self, tmp_path: Path) -> None:
        silent = changed(GPU, gaps=(Gap("driver_override", "timeout"),), driver_override=None)
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model, Faults(outside={3: silent}))
        events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        end = finished(events)
        assert end.exit is Exit.NOT_ROLLED_BACK
        assert {c.fact for c in end.left if c.subject == GPU} == {"driver", "state"}
        assert all(step.device != GPU for step in kernel.steps[4:])

    def test_a_device_claimed_meanwhile_is_left_to_its_virtual_machine(self, tmp_path: Path) -> None:
        def claim(host: Host) -> Host:
            return host.with_group(host.groups[14]._replace(claim=Claim("vm1", opened=(GPU, SOUND))))

        last = len(GPU_CASE.plan.steps)
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model, Faults(binds={SOUND: "other"}, outside_write={last: claim}))
        events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        end = finished(events)
        assert end.exit is Exit.NOT_ROLLED_BACK
        assert kernel.host.devices[GPU].driver == "vfio-pci"
        assert (GPU, "driver") in {(c.subject, c.fact) for c in end.left}

    def test_a_rollback_never_hits_the_bug_of_old_kernels(self, tmp_path: Path) -> None:
        """Up to 5.18, a host driver that binds in a group in use hits a BUG_ON."""
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

    def test_other_devices_bound_by_a_module_are_given_back(self, tmp_path: Path) -> None:
        one = next(c for c in CASES if c.name == "gpu, vfio not loaded")
        assert one.host.devices[USB].driver is None
        done = FakeKernel(one.host, one.model)
        list(execute(one.plan, done, tmp_path / "a/journal", clock=CLOCK))
        assert done.host.devices[USB].driver == "vfio-pci"
        failed = FakeKernel(one.host, one.model, Faults(fail={6: "EIO"}))
        list(execute(one.plan, failed, tmp_path / "b/journal", clock=CLOCK))
        assert failed.host.devices[USB].driver is None

    def test_a_device_of_the_group_bound_by_a_module_is_no_surprise(self, tmp_path: Path) -> None:
        host = desktop(vfio_loaded=False)
        host = changed(TWIN_B, driver=None, driver_override="vfio-pci")(host)
        one = case("", host, (TWIN_A, "vfio-pci"))
        kernel = FakeKernel(host, one.model)
        events = list(execute(one.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert finished(events).exit is Exit.DONE
        assert kernel.host.devices[TWIN_B].driver == "vfio-pci"

    def test_a_planned_device_bound_by_a_module_elsewhere_is_a_surprise(self, tmp_path: Path) -> None:
        """Loading nouveau for one device must not bind another device that is meant for a virtual machine."""
        host = desktop()
        host = changed(SOUND, driver=None, fits=host.devices[GPU].fits)(host)
        one = case("", host, (GPU, "nouveau"), (SOUND, "vfio-pci"))
        kernel = FakeKernel(host, one.model)
        events = list(execute(one.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert finished(events).exit is Exit.ROLLED_BACK
        assert f"{SOUND}: driver was none and is nouveau" in finished(events).summary
        assert facts(kernel.host) == facts(host)

    def test_a_machine_that_cannot_be_read_during_the_rollback(self, tmp_path: Path) -> None:
        def broken(host: Host) -> Host:
            raise IommutuiError("The machine cannot be read.")

        faults = Faults(fail={6: "EIO"}, outside={4: broken})
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model, faults)
        events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        end = finished(events)
        assert end.exit is Exit.NOT_ROLLED_BACK
        assert "cannot be read" in end.summary
        assert {(c.subject, c.fact) for c in end.left} == differences(GPU_CASE.host, kernel.host) | {("host", "state")}

    def test_a_bug_of_ours_is_rolled_back_too(self, tmp_path: Path) -> None:
        def bug(host: Host) -> Host:
            raise KeyError("surprise")

        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model, Faults(outside={3: bug}))
        events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert finished(events).exit is Exit.ROLLED_BACK
        assert "KeyError" in finished(events).summary
        assert facts(kernel.host) == facts(GPU_CASE.host)

    def test_a_full_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        append = JournalWriter.append

        def full(self: JournalWriter, line: Line) -> None:
            if isinstance(line, Result) and line.number >= 3:
                self.broken = True
                if not self.muted:
                    raise IommutuiError("The journal cannot be written: No space left on device.")
                return
            append(self, line)

        monkeypatch.setattr(JournalWriter, "append", full)
        kernel = FakeKernel(GPU_CASE.host, GPU_CASE.model)
        events = list(execute(GPU_CASE.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        end = finished(events)
        assert end.exit is Exit.ROLLED_BACK
        assert "No space left" in end.summary
        assert "incomplete" in end.summary
        assert facts(kernel.host) == facts(GPU_CASE.host)
