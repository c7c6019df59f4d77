"""A live machine that changes while it is shown, and the process that writes to it."""

import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from iommutui.apply.elevation import Applying
from iommutui.apply.events import (
    Compensating,
    Event,
    Finished,
    Refused,
    Started,
    StepBegun,
    StepDone,
    StepWaiting,
    to_json,
)
from iommutui.core.errors import Exit, IommutuiError, NotPermittedError
from iommutui.core.hazards import Hazard, Severity, Topic
from iommutui.core.host import Host
from iommutui.core.models import MODELS
from iommutui.core.plan.drift import Change
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import Plan, plan_intents
from iommutui.tui import scanner
from iommutui.tui.machines.base import Job
from iommutui.tui.machines.live import ProcessApplier, request
from iommutui.tui.state import Key, Phase
from tests.tui.driver import USUAL, LiveLike, Ui, screen_of
from tests.tui.fakes import Refusing, Scripted
from tests.tui.machines import GPU, NIC, changed, small


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanner, "SETTLE_SECONDS", 0.001)


def _plan() -> Plan:
    return plan_intents(small(), [Intent(NIC, "vfio-pci")], MODELS["dma-owner"])


async def _until(ui: Ui, words: str) -> None:
    for _ in range(200):
        await ui.pilot.pause(0.01)
        if words in ui.text():
            return
    raise AssertionError(f"{words!r} does not appear:\n{ui.text()}")


async def test_events_update_the_rows_and_nothing_else() -> None:
    machine = LiveLike(small(), Refusing("no"))
    async with screen_of(machine) as ui:
        await ui.select(GPU)
        await ui.press("v", "slash")
        await ui.type("01")
        await ui.press("enter")
        machine.host = changed(machine.host, GPU, driver="nouveau")
        for _ in range(100):
            machine.changed()
        await _until(ui, "nouveau → vfio-pci")
        assert ui.state.cursor == Key(1, GPU)
        assert ui.state.filter == "01"
        assert ui.staged() == [f"{GPU}=vfio-pci"]


async def test_an_intent_fulfilled_from_outside_is_reported() -> None:
    machine = LiveLike(small(), Refusing("no"))
    async with screen_of(machine) as ui:
        await ui.select(NIC)
        await ui.press("v")
        machine.host = changed(machine.host, NIC, driver="vfio-pci", driver_override="vfio-pci")
        machine.changed()
        await _until(ui, "is done already")
        assert ui.staged() == []


class HeldUp(LiveLike):
    """A machine whose second scan blocks until the test sets ``go_on``."""

    def __init__(self) -> None:
        super().__init__(small(), Refusing("no"))
        self.looks = 0
        self.go_on = threading.Event()

    def scan(self) -> Host:
        """The facts, once the scan may continue."""
        self.looks += 1
        if self.looks == 2:
            self.go_on.wait(10)
        return self.host


async def test_a_review_waits_for_the_scan_in_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanner, "NOTICE_SECONDS", 0.001)
    machine = HeldUp()
    async with screen_of(machine) as ui:
        await ui.select(NIC)
        await ui.press("v")
        machine.host = changed(machine.host, NIC, driver="e1000e")
        machine.changed()
        await ui.pilot.press("a")
        await _until(ui, "Waiting until the machine has been scanned.")
        assert "Review: apply" not in ui.text()
        machine.go_on.set()
        await _until(ui, "Review: apply")
        assert ui.state.host == machine.host
        assert "e1000e" in ui.text()


async def test_a_waiting_review_does_not_cover_a_dialog_opened_meanwhile() -> None:
    machine = HeldUp()
    async with screen_of(machine) as ui:
        await ui.select(NIC)
        await ui.press("v")
        machine.changed()
        await ui.pilot.press("a")
        await ui.pilot.press("question_mark")
        machine.go_on.set()
        await ui.settle()
        assert "Review: apply" not in ui.text()


async def test_a_review_opens_although_a_scan_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanner, "NOTICE_SECONDS", 0.001)
    monkeypatch.setattr(scanner, "LOOK_PATIENCE", 0.001)
    machine = HeldUp()
    async with screen_of(machine) as ui:
        await ui.select(NIC)
        await ui.press("v")
        machine.changed()
        await ui.pilot.press("a")
        await _until(ui, "Review: apply")
        machine.go_on.set()


async def test_a_live_machine_names_itself_and_says_that_it_is_read_only() -> None:
    async with screen_of(LiveLike(small(), Refusing("no"), writer="/usr/bin/sudo"), USUAL) as ui:
        assert ui.lines()[0].startswith(" LIVE  kernel 6.12.1  READ-ONLY")
    async with screen_of(LiveLike(small(), Refusing("no")), USUAL) as ui:
        assert "READ-ONLY" not in ui.lines()[0]


async def test_without_a_way_to_become_root_apply_says_so() -> None:
    async with screen_of(LiveLike(small(), Refusing("no"), writer=None)) as ui:
        await ui.select(NIC)
        await ui.press("v", "a")
        assert "none of sudo, pkexec and run0 is installed" in ui.toasts()[-1]


async def test_missing_events_are_reported_in_header_and_log() -> None:
    machine = LiveLike(small(), Refusing("no"))
    machine.lacks = "pyudev is not installed."
    async with screen_of(machine) as ui:
        assert "r to rescan" in ui.lines()[0]
        assert ui.log() == ["pyudev is not installed."]


async def test_a_slow_apply_shows_each_write_and_what_delays_it() -> None:
    plan = _plan()
    first = plan.steps[0]
    said: list[Event | None] = [
        Started("j1", 3), StepBegun(1, first), StepDone(1, first, "ok", 0.1), StepBegun(2, plan.steps[1]),
        StepWaiting(2, plan.steps[1], 5.0, ("qemu (pid 7)",)), None,
        StepDone(2, plan.steps[1], "ok", 6.0), StepDone(3, plan.steps[2], "ok", 0.1),
        Finished(Exit.DONE, "3 writes done."),
    ]  # fmt: skip
    applier = Scripted(said)
    machine = LiveLike(small(), applier)
    async with screen_of(machine) as ui:
        await ui.select(NIC)
        await ui.press("v", "a")
        await ui.pilot.press("y")
        await _until(ui, "qemu (pid 7) may have it open")
        assert ui.state.phase is Phase.APPLYING
        await ui.pilot.press("escape", "a")
        assert ui.toasts()[-1] == "A plan is being applied already."
        machine.host = changed(machine.host, NIC, driver="vfio-pci", driver_override="vfio-pci")
        applier.go_on.set()
        await _until(ui, "3 writes done. R reverts it")
        await ui.settle()
        assert ui.staged() == []
        assert "vfio-pci" in ui.line_with("▌", NIC)
        assert ui.log()[-1] == "3 writes done."


async def test_a_failed_apply_stays_on_the_screen_and_keeps_the_intents() -> None:
    step = _plan().steps[0]
    end = Finished(Exit.NOT_ROLLED_BACK, "Not everything is back.", (Change(NIC, "driver", "igb", "none"),))
    said: list[Event | None] = [
        Started("", 3), StepDone(1, step, "EBUSY", 0.0), Compensating("EBUSY"), StepDone(4, step, "ok", 0.0), end,
    ]  # fmt: skip
    async with screen_of(LiveLike(small(), Scripted(said))) as ui:
        await ui.select(NIC)
        await ui.press("v", "a", "y")
        text = ui.text()
        assert "✖ EBUSY" in text
        assert "Rolling back: EBUSY" in text
        assert "0000:05:00.0: driver was igb and is none" in text
        assert ui.staged() == [f"{NIC}=vfio-pci"]
        await ui.press("escape")
        assert "Reverting everything" not in "\n".join(ui.lines()[:20])


async def test_an_apply_that_raises_is_not_reported_as_done() -> None:
    class Broken(Scripted):
        def events(self, job: Job) -> Iterator[Event]:
            yield Started("", 3)
            raise ValueError("[/] odd")

    async with screen_of(LiveLike(small(), Broken([]))) as ui:
        await ui.select(NIC)
        await ui.press("v", "a", "y")
        assert "ValueError: [/] odd" in ui.text()
        assert ui.state.phase is Phase.READY


# -- the applying process, replaced by a program of the test

PLAYER = """
import sys
request = sys.stdin.read()
open(sys.argv[1], "w").write(request)
sys.stdout.write(open(sys.argv[2]).read())
sys.stderr.write(sys.argv[3])
sys.exit(int(sys.argv[4]))
"""


def _player(folder: Path, events: list[Event], talk: str = "", code: int = 0) -> ProcessApplier:
    (folder / "player.py").write_text(PLAYER)
    (folder / "events").write_text("".join(json.dumps(to_json(event)) + "\n" for event in events))
    program = [
        sys.executable,
        str(folder / "player.py"),
        str(folder / "request"),
        str(folder / "events"),
        talk,
        str(code),
    ]
    return ProcessApplier(program, "")


def _job() -> Job:
    return Job(_plan(), (Intent(NIC, "vfio-pci"),), MODELS["dma-owner"])


def test_the_request_reaches_the_process_and_its_events_come_back(tmp_path: Path) -> None:
    from iommutui.apply.request import parse_request

    said: list[Event] = [Started("j1", 3), Finished(Exit.DONE, "Done.")]
    applier = _player(tmp_path, said)
    applier.begin(_job())
    assert list(applier.events(_job())) == said
    asked = parse_request((tmp_path / "request").read_text())
    assert asked.intents == (Intent(NIC, "vfio-pci"),)
    assert asked.basis == _plan().basis


def test_a_process_without_events_is_an_error_with_its_own_message(tmp_path: Path) -> None:
    applier = _player(tmp_path, [], "iommutui: it is refused.", 3)
    applier.begin(_job())
    with pytest.raises(IommutuiError, match="it is refused"):
        list(applier.events(_job()))


def test_a_refusal_is_an_error_with_its_remedy(tmp_path: Path) -> None:
    applier = _player(tmp_path, [Refused(Exit.REFUSED, "It has drifted.", "Plan again.")], "talk", 3)
    applier.begin(_job())
    with pytest.raises(IommutuiError, match="It has drifted") as caught:
        list(applier.events(_job()))
    assert caught.value.remedy == "Plan again."


def test_a_program_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(IommutuiError, match="does not start"):
        ProcessApplier(["/no/such/program"], "").begin(_job())


def test_no_device_is_named_on_the_command_line() -> None:
    applying = Applying(request(_job()), ["true"], "/usr/bin/env")
    with pytest.raises(NotPermittedError):
        list(applying.events())
    assert applying.command == ["/usr/bin/env", "true", "apply", "--stdin"]


def test_a_revert_names_its_journal_in_the_request() -> None:
    asked = request(_job()._replace(revert=True, journal="j7"))
    assert (asked.reverts, asked.intents, asked.basis) == ("j7", (), _plan().basis)


def test_accepted_dangers_and_the_timeout_are_in_the_request() -> None:
    danger = Hazard("boot-display", Topic.DISPLAY, Severity.DANGER, NIC)
    job = _job()._replace(plan=_plan()._replace(hazards=(danger,)), keep_within=30.0)
    asked = request(job)
    assert (asked.accepted, asked.keep_within) == ((danger.acceptance,), 30.0)
