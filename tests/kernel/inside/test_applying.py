"""Plans applied with real drivers: applied and reverted, confirmed or not, interrupted, stuck, and traced."""

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from . import pci
from .disk import DISK, NODE, run, written
from .program import Answer, Run, command
from .terminal import Terminal

pytestmark = pytest.mark.skipif(os.environ.get("IOMMUTUI_GUEST") != "gpu", reason="needs the topology gpu")

CARD = ["0000:01:00.0", "0000:01:00.1", "0000:01:00.2", "0000:01:00.3"]
LONE = "0000:00:05.0"
DISPLAY = "0000:00:01.0"
LONG = 120
"""Seconds; no test waits this long. An emulated processor is slow, and nothing may be reverted too early."""


def _dangers(answer: Answer) -> list[str]:
    """The options that accept the dangers in this answer's review."""
    return re.findall(r"--accept \S+", answer.out + answer.err)


def _accepting(iommutui: Run, *words: str) -> list[str]:
    """The arguments, with the options that accept every danger, taken from the program's own output."""
    return [*words, *(part for option in _dangers(iommutui("plan", *words)) for part in option.split())]


@pytest.mark.parametrize(
    ("which", "target"),
    [
        ("network", "vfio-pci"),
        ("storage", "none"),
        ("sound", "pci-stub"),
        ("usb", "vfio-pci"),
        ("card", "vfio-pci"),
        ("card", "none"),
    ],
)
def test_a_plan_file_is_applied_and_reverted(
    iommutui: Run, restored: pci.State, tmp_path: Path, which: str, target: str
) -> None:
    devices = {"network": [LONE], "storage": [DISK], "sound": [CARD[1]], "usb": [CARD[2]], "card": CARD}[which]
    words = [f"{address}={target}" for address in devices]
    path = str(tmp_path / "plan.json")
    planned = iommutui("plan", *words, "-o", path)
    assert planned.code == 0, planned.out + planned.err
    accepted = [part for option in _dangers(planned) for part in option.split()]
    applied = iommutui("apply", path, "--yes", *accepted)
    assert applied.code == 0, applied.out + applied.err
    assert [pci.driver(address) for address in devices] == [None if target == "none" else target] * len(devices)
    again = iommutui("plan", *words)
    assert "Nothing to write" in again.out
    stale = iommutui("apply", path, "--yes", *accepted)
    assert stale.code == 3
    assert f"{devices[0]}: override was none and is {target}" in stale.err
    assert iommutui("revert", "--yes").code == 0
    assert pci.State.now() == restored


def test_a_preset_frees_the_card_and_its_group_and_no_other_device(
    iommutui: Run, restored: pci.State, vfio_status: Callable[[int], dict[str, Any]]
) -> None:
    pci.bind(CARD[1], "vfio-pci")
    document = iommutui("plan", "--card", CARD[0], "--json").document
    # QEMU's functions have other vendors than the display, so that they are in its group but not on its card.
    targets = {CARD[0]: "vfio-pci", CARD[2]: "none", CARD[3]: "none"}
    assert {intent["device"]: intent["target"] for intent in document["intents"]} == targets
    assert document["counts"]["devices"] == 3
    words = [f"{intent['device']}={intent['target']}" for intent in document["intents"]]
    assert iommutui("apply", *_accepting(iommutui, *words), "--yes").code == 0
    assert vfio_status(pci.group(CARD[0]))["viable"] is True


def test_a_danger_has_to_be_accepted_by_name(iommutui: Run, restored: pci.State) -> None:
    """The plan takes the display that the firmware started on, and every other display that has a monitor."""
    if (pci.DEVICES / DISPLAY / "boot_vga").read_text().strip() != "1" or pci.driver(DISPLAY) is None:
        pytest.skip("the firmware's display has no driver here")
    displays = [a for a in pci.devices() if (pci.DEVICES / a / "class").read_text().startswith("0x03")]
    words = [f"{address}=none" for address in displays]
    refused = iommutui("apply", *words, "--yes")
    assert refused.code == 3, refused.out + refused.err
    assert f"--accept boot-display:{DISPLAY}" in refused.err
    assert pci.State.now() == restored
    applied = iommutui("apply", *_accepting(iommutui, *words), "--yes")
    assert applied.code == 0, applied.out + applied.err
    assert pci.driver(DISPLAY) is None


# -- confirmed in time, or not


def _counting(process: "subprocess.Popen[str]") -> list[dict[str, Any]]:
    """The events up to the countdown."""
    events: list[dict[str, Any]] = []
    assert process.stdout is not None
    while not events or events[-1]["event"] != "counting":
        line = process.stdout.readline()
        assert line, events
        events.append(json.loads(line))
    return events


def _start(*words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command("apply", *words, "--yes", "--json"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )


def test_an_unconfirmed_apply_is_reverted(iommutui: Run, restored: pci.State) -> None:
    answer = iommutui("apply", f"{LONE}=vfio-pci", "--yes", "--json", "--keep-within", "3")
    assert answer.code == 5, answer.out + answer.err
    names = [event["event"] for event in answer.events]
    assert names.index("counting") > names.index("step-done")
    assert answer.events[-1]["exit"] == 5
    assert "3 seconds" in answer.events[-1]["summary"]
    assert pci.State.now() == restored
    assert "not confirmed, and reverted" in iommutui("journal").out


def test_another_process_confirms_an_apply(iommutui: Run, restored: pci.State) -> None:
    process = _start(f"{LONE}=vfio-pci", "--keep-within", str(LONG))
    _counting(process)
    assert "waits to be confirmed" in iommutui("journal").out
    kept = iommutui("keep")
    assert kept.code == 0, kept.out + kept.err
    assert process.wait() == 0
    assert pci.driver(LONE) == "vfio-pci"
    assert iommutui("keep").code == 1
    assert iommutui("revert", "--yes").code == 0
    assert pci.State.now() == restored


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
def test_the_countdown_survives_the_asking_program(iommutui: Run, restored: pci.State, number: signal.Signals) -> None:
    process = _start(f"{LONE}=vfio-pci", "--keep-within", "15")
    _counting(process)
    process.send_signal(number)
    assert process.wait() == -number
    assert pci.driver(LONE) == "vfio-pci"
    assert pci.wait_for(lambda: pci.State.now() == restored, LONG)
    assert pci.wait_for(lambda: "not confirmed, and reverted" in iommutui("journal").out, LONG)


def test_everything_is_reverted_after_the_terminal_dies(iommutui: Run, restored: pci.State) -> None:
    terminal = Terminal(command("apply", f"{LONE}=vfio-pci", "--yes", "--keep-within", "15"))
    assert pci.wait_for(lambda: pci.driver(LONE) == "vfio-pci", LONG)
    terminal.close()
    assert pci.wait_for(lambda: pci.State.now() == restored, LONG)
    assert pci.wait_for(lambda: "not confirmed, and reverted" in iommutui("journal").out, LONG)


def test_another_terminal_confirms_after_the_first_one_dies(iommutui: Run, restored: pci.State) -> None:
    terminal = Terminal(command("apply", f"{LONE}=vfio-pci", "--yes", "--keep-within", str(LONG)))
    terminal.wait("iommutui keep")
    terminal.close()
    assert iommutui("keep").code == 0
    assert pci.driver(LONE) == "vfio-pci"
    assert "in effect" in iommutui("journal").out


def test_an_answer_at_the_same_terminal_confirms_the_apply(iommutui: Run, restored: pci.State) -> None:
    terminal = Terminal(command("apply", f"{LONE}=vfio-pci", "--yes", "--keep-within", str(LONG)))
    terminal.wait("iommutui keep")
    terminal.press("-l", "keep")
    terminal.press("Enter")
    assert pci.wait_for(lambda: "in effect" in iommutui("journal").out, LONG)
    assert pci.driver(LONE) == "vfio-pci"


# -- killed


def test_an_apply_killed_during_its_writes_can_be_reverted(iommutui: Run, restored: pci.State) -> None:
    words = _accepting(iommutui, *(f"{address}=vfio-pci" for address in CARD))
    process = _start(*words)
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "step-begun" and event["step"]["op"] == "unbind":
            process.kill()
            break
    process.wait()
    assert pci.State.now() != restored
    listed = iommutui("list")
    assert listed.code == 0
    assert "was interrupted" in listed.err
    other = iommutui("apply", f"{LONE}=vfio-pci", "--yes")
    assert other.code == 3
    assert "iommutui revert" in other.err
    assert iommutui("revert", "--yes").code == 0
    assert pci.State.now() == restored
    assert "was interrupted" not in iommutui("list").err


def test_an_apply_killed_during_its_countdown_can_be_reverted(iommutui: Run, restored: pci.State) -> None:
    process = _start(f"{LONE}=vfio-pci", "--keep-within", str(LONG))
    _counting(process)
    for pid in _processes(process.pid):
        os.kill(pid, signal.SIGKILL)
    process.wait()
    assert pci.wait_for(lambda: "while it waited to be confirmed" in iommutui("journal").out, LONG)
    assert iommutui("revert", "--yes").code == 0
    assert pci.State.now() == restored


def _processes(parent: int) -> list[int]:
    """Every process of the program: the asking, the waiting and the writing one."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdigit() and int(place.name) != os.getpid():
            words = (place / "cmdline").read_bytes().split(b"\0")
            if b"iommutui" in words and b"apply" in words:
                found.append(int(place.name))
    assert parent in found
    return found


# -- stuck


def test_a_blocked_unbind_names_the_process_and_stops_the_writes(
    restored: pci.State, vfio_hold: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """The group is claimed after the apply has read its facts, as can happen on any machine."""
    from iommutui.apply.child import Patience
    from iommutui.apply.events import Finished, StepWaiting
    from iommutui.apply.executor import execute
    from iommutui.apply.journal.reader import read_journals
    from iommutui.apply.real_kernel import RealKernel
    from iommutui.core.address import Address
    from iommutui.core.models import model_for
    from iommutui.core.plan.intents import Intent
    from iommutui.core.plan.planner import plan_intents
    from iommutui.sources import load

    pci.bind(LONE, "vfio-pci")
    number = pci.group(LONE)
    assert pci.wait_for(Path(f"/dev/vfio/{number}").exists)
    host = load()
    plan = plan_intents(host, [Intent(Address(LONE), "default")], model_for(host.kernel))
    assert plan.permitted
    seen: list[str] = []

    def frozen(_root: str) -> Any:
        override = pci.override(LONE) if not seen else None
        return host.with_device(host.devices[Address(LONE)]._replace(driver_override=override))

    process = vfio_hold(number, "--devices")["process"]
    events = []
    kernel = RealKernel(scan=frozen, patience=Patience(first=1.0, each=1.0, give_up=4.0))
    directory = tmp_path / "s/journal"
    for event in execute(plan, kernel, directory):
        events.append(event)
        seen += ["waiting"] if isinstance(event, StepWaiting) else []
    waiting = [event for event in events if isinstance(event, StepWaiting)]
    assert str(process.pid) in " ".join(waiting[0].holders)
    end = events[-1]
    assert isinstance(end, Finished)
    assert end.exit == 6
    assert LONE in end.summary
    assert str(process.pid) in end.summary
    assert [event.step.op for event in waiting] == ["unbind"] * len(waiting)
    process.terminate()
    process.wait()
    assert pci.wait_for(lambda: read_journals(directory).readable[-1].steps[-1].late, LONG)
    assert read_journals(directory).readable[-1].steps[-1].result == "ok"


def test_a_modprobe_that_hangs_in_the_kernel_is_given_up(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its child is in state D on a frozen file system. We do not wait for it, and it leaves nothing behind."""
    from iommutui.apply import real_kernel
    from iommutui.apply.child import Patience
    from iommutui.apply.kernel import Waiting

    run("mke2fs", "-q", "-F", "-b", "1024", "-O", "^has_journal", str(image))
    frozen = tmp_path / "frozen"
    frozen.mkdir()
    rule = Path("/etc/modprobe.d/iommutui-test.conf")
    rule.write_text(f"install iommutui_test /bin/sh -c ': > {frozen}/file'\n")
    monkeypatch.setattr(real_kernel, "MODULE_PATIENCE", Patience(first=1.0, each=1.0, give_up=4.0))
    with written(image, 1024):
        run("mount", "-t", "ext4", NODE, str(frozen))
        run("fsfreeze", "-f", str(frozen))
        try:
            answers = list(real_kernel.RealKernel().load_module("iommutui_test"))
            assert isinstance(answers[-1], Waiting)
            assert answers[-1].given_up
            assert len(answers) > 1
            assert _states(f"{frozen}/file") == {"D"}
        finally:
            run("fsfreeze", "-u", str(frozen))
        assert pci.wait_for(lambda: _states(f"{frozen}/file") == set(), LONG)
        run("umount", str(frozen))
    rule.unlink()


def _states(word: str) -> set[str]:
    """The process states of shells whose command contains this word."""
    found = set()
    for place in Path("/proc").iterdir():
        if place.name.isdigit():
            with suppress(OSError):
                words = (place / "cmdline").read_bytes()
                if words.startswith(b"/bin/sh\0-c\0: >") and word.encode() in words:
                    found.add((place / "stat").read_text().rpartition(")")[2].split()[0])
    return found


# -- what the host needs


def test_the_card_of_the_default_route_is_not_unbound(iommutui: Run, restored: pci.State) -> None:
    card = next(path.name for path in (pci.DEVICES / LONE / "net").iterdir())
    try:
        for words in (["link", "set", card, "up"], ["addr", "add", "192.0.2.1/24", "dev", card],
                      ["route", "add", "default", "via", "192.0.2.2"]):  # fmt: skip
            if shutil.which("ip") is None or subprocess.run(["ip", *words], check=False).returncode:
                pytest.skip("no route can be set here")
        refused = iommutui("apply", f"{LONE}=vfio-pci", "--yes")
    finally:
        for words in (["addr", "flush", "dev", card], ["link", "set", card, "down"]):
            subprocess.run(["ip", *words], check=False)
    assert refused.code == 3
    assert "route" in refused.out + refused.err
    assert "--accept" in refused.err
    assert pci.State.now() == restored


def test_a_mounted_disk_is_not_unbound(iommutui: Run, restored: pci.State, mounted: Path) -> None:
    refused = iommutui("apply", f"{DISK}=vfio-pci", "--yes")
    assert refused.code == 3
    assert f"--accept disk-mounted:{DISK}" not in refused.out + refused.err
    assert iommutui("apply", f"{DISK}=vfio-pci", "--yes", "--accept", f"disk-mounted:{DISK}").code == 3
    assert str(mounted) in refused.out + refused.err
    assert os.path.ismount(mounted)
    assert pci.State.now() == restored


# -- traced


def test_only_the_listed_writes_are_opened_for_writing(iommutui: Run, restored: pci.State, tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("needs strace")
    planned = iommutui("plan", f"{LONE}=vfio-pci", "--json").document
    trace = tmp_path / "trace"
    words = [strace, "-f", "-o", str(trace), "-e", "trace=open,openat,openat2,creat"]
    applied = iommutui("apply", f"{LONE}=vfio-pci", "--yes", prefix=words)
    assert applied.code == 0, applied.out + applied.err
    call = r'open(?:at2?)?\((?:AT_FDCWD, )?"([^"]+)"[^)]*(?:O_WRONLY|O_RDWR)[^)]*\) = \d'
    opened = set(re.findall(call, trace.read_text()))
    listed = {step["path"] for step in planned["steps"]}
    state = os.environ["IOMMUTUI_STATE_DIR"]
    assert opened >= listed
    own = ("/dev/null", "/proc/self/fd/1", f"{state}/")
    assert {path for path in opened - listed if not path.startswith(own)} == set()
    assert "creat(" not in trace.read_text()
