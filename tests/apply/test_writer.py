"""The real kernel's files, on a directory of plain files."""

import contextlib
import io
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from iommutui.apply import real_kernel
from iommutui.apply.child import ANSWER_LIMIT, Patience, fork, in_child, in_own_session, scope_call
from iommutui.apply.executor import execute
from iommutui.apply.journal import lock
from iommutui.apply.kernel import Answer, Clock, ReadBack, Waiting
from iommutui.apply.real_kernel import RealKernel
from iommutui.core.address import Address
from iommutui.core.errors import Exit, IommutuiError, NotPermittedError, RefusedError
from iommutui.core.plan.planner import Step
from tests.apply.journals import list_journals
from tests.apply.machines import CASES, CLOCK, GPU, SOUND, finished
from tests.reacting import FakeKernel

AT_ONCE = Patience(first=0.0, each=0.0, give_up=0.0)
FOR_EVER = Patience(first=0.0, each=1e6, give_up=1e6)
"""One notice at once, then an unlimited wait."""
UNHURRIED = Patience(first=1e6, each=1e6, give_up=1e6)
"""No notice, however busy the machine is."""


def _step(op: str, value: str | None = None, device: str = GPU) -> Step:
    return Step(op, Address(device), value, "/somewhere/else", "ok")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """``/`` of a machine with two devices."""
    root = tmp_path / "root"
    drivers = root / "sys/bus/pci/drivers"
    for name in ("nvidia", "snd_hda_intel", "vfio-pci"):
        (drivers / name).mkdir(parents=True)
        (drivers / name / "unbind").touch()
    (root / "sys/bus/pci/drivers_probe").touch()
    for address, driver in ((GPU, "nvidia"), (SOUND, "snd_hda_intel")):
        device = root / "sys/devices/pci0000:00" / address
        device.mkdir(parents=True)
        (device / "driver_override").write_text("(null)\n")
        (device / "driver").symlink_to(drivers / driver)
        (root / "sys/bus/pci/devices").mkdir(exist_ok=True)
        (root / "sys/bus/pci/devices" / address).symlink_to(device)
    return root


def _files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def _kernel(tree: Path) -> RealKernel:
    return RealKernel(str(tree), patience=UNHURRIED)


def _answers(kernel: RealKernel, step: Step) -> list[Answer]:
    return list(kernel.write(step, lambda *_: None))


class TestWrites:
    @pytest.mark.parametrize(
        ("step", "path", "data"),
        [
            (_step("override", "vfio-pci"), f"sys/devices/pci0000:00/{GPU}/driver_override", b"vfio-pci\n"),
            (_step("override"), f"sys/devices/pci0000:00/{GPU}/driver_override", b"\n"),
            (_step("unbind", "nvidia"), "sys/bus/pci/drivers/nvidia/unbind", GPU.encode()),
            (_step("probe"), "sys/bus/pci/drivers_probe", GPU.encode()),
        ],
    )
    def test_each_step_writes_its_bytes_to_its_file(self, step: Step, path: str, data: bytes, tree: Path) -> None:
        (tree / f"sys/devices/pci0000:00/{GPU}/driver_override").write_bytes(b"")
        before = _files(tree)
        assert _answers(_kernel(tree), step) == ["ok"]
        assert _files(tree) == before | {path: data}

    def test_the_path_in_a_step_is_ignored(self, tree: Path) -> None:
        step = _step("probe")._replace(path=str(tree / "elsewhere"))
        (tree / "elsewhere").touch()
        assert _answers(_kernel(tree), step) == ["ok"]
        assert (tree / "elsewhere").read_bytes() == b""

    def test_a_value_is_written_with_one_system_call(self, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        calls: list[bytes] = []

        def note(_descriptor: int, data: bytes) -> int:
            calls.append(data)
            return len(data)

        monkeypatch.setattr(os, "write", note)
        assert real_kernel.put(real_kernel.write_of(str(tree), _step("override", "vfio-pci"))) == "ok"
        assert calls == [b"vfio-pci\n"]

    def test_a_partial_write_fails(self, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "write", lambda _fd, data: len(data) - 1)
        assert real_kernel.put(real_kernel.write_of(str(tree), _step("override", "vfio-pci"))) == "EIO"

    @pytest.mark.parametrize(
        "step",
        [_step("unbind", "nouveau"), _step("override", "x", "0000:ff:00.0")],
    )
    def test_nothing_is_created(self, step: Step, tree: Path) -> None:
        before = _files(tree)
        assert _answers(_kernel(tree), step) == ["ENOENT"]
        assert _files(tree) == before

    @pytest.mark.parametrize(
        "step",
        [
            _step("unbind", "../../../etc"),
            _step("unbind", ".."),
            _step("unbind", "."),
            _step("unbind", ""),
            _step("unbind"),
            _step("unbind", "a\nb"),
            _step("unbind", "a\0b"),
            _step("unbind", "x" * 256),
            _step("override", "a/b"),
            _step("override", "vfio-pci\nnvidia"),
            _step("override", ""),
            _step("override", "x", "../../etc"),
            _step("override", "x", "0000:01:00.0/../x"),
            _step("override", "x", "0000:01:00.0\n"),
            _step("override", "x", "01:00.0"),
            _step("override", "x", "0000:0A:00.0"),
            _step("probe", None, ""),
            _step("new_id", "10de 2204"),
            _step("remove"),
        ],
    )
    def test_invalid_names_are_not_written(self, step: Step, tree: Path) -> None:
        before = _files(tree)
        with pytest.raises(IommutuiError):
            _answers(_kernel(tree), step)
        assert _files(tree) == before

    def test_a_link_in_place_of_the_file_is_not_followed(self, tree: Path) -> None:
        victim = tree / "victim"
        victim.touch()
        probe = tree / "sys/bus/pci/drivers_probe"
        probe.unlink()
        probe.symlink_to(victim)
        assert _answers(_kernel(tree), _step("probe")) == ["ELOOP"]
        assert victim.read_bytes() == b""

    def test_a_device_file_is_not_written(self, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(real_kernel, "write_of", lambda *_: real_kernel.Write(os.devnull, b"x"))
        assert _answers(_kernel(tree), _step("probe")) == ["EINVAL"]


class TestPermission:
    def test_missing_permission_is_noticed_before_anything_is_written(
        self, tree: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        one = CASES[0]
        monkeypatch.setattr(os, "access", lambda path, mode: not str(path).endswith("drivers_probe"))
        monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1000)
        before = _files(tree)
        kernel = RealKernel(str(tree), scan=lambda _: one.host)
        monkeypatch.setattr("iommutui.apply.journal.check_trusted", lambda _: None)
        with pytest.raises(NotPermittedError) as caught:
            list(execute(one.plan, kernel, tmp_path / "s/journal", clock=CLOCK))
        assert caught.value.exit_code is Exit.PERMISSION
        assert "drivers_probe" in caught.value.what
        assert "sudo" in caught.value.remedy
        assert _files(tree) == before

    def test_a_read_only_sysfs_is_a_permission_error(self, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "access", lambda *_: False)
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        with pytest.raises(NotPermittedError, match="is not permitted") as caught:
            RealKernel(str(tree)).check([_step("probe")])
        assert "container" in caught.value.remedy

    def test_a_missing_file_is_not_a_permission_error(self, tree: Path) -> None:
        RealKernel(str(tree)).check([_step("unbind", "nouveau")])


class TestReading:
    def test_driver_and_override_are_read_back(self, tree: Path) -> None:
        kernel = _kernel(tree)
        assert kernel.read_back(GPU) == ReadBack("nvidia", None)
        override = tree / f"sys/devices/pci0000:00/{GPU}/driver_override"
        override.write_text("vfio-pci\n")
        (tree / f"sys/devices/pci0000:00/{GPU}/driver").unlink()
        assert kernel.read_back(GPU) == ReadBack(None, "vfio-pci")
        override.write_bytes(b"\xff\n")
        assert kernel.read_back(GPU) == ReadBack(None, "\\xff")
        override.unlink()
        assert kernel.read_back(GPU) == ReadBack(None, None)

    def test_a_missing_device_is_an_error(self, tree: Path) -> None:
        with pytest.raises(IommutuiError, match="There is no device"):
            RealKernel(str(tree)).read_back(Address("0000:ff:00.0"))
        with pytest.raises(IommutuiError, match="not the address"):
            RealKernel(str(tree)).read_back(Address("../x"))

    def test_a_device_that_does_not_answer_is_an_error(self, tree: Path, reap: Callable[[], None]) -> None:
        override = tree / f"sys/devices/pci0000:00/{GPU}/driver_override"
        override.unlink()
        os.mkfifo(override)
        with pytest.raises(IommutuiError, match="does not answer"):
            RealKernel(str(tree), patience=AT_ONCE).read_back(GPU)
        os.close(os.open(override, os.O_WRONLY))
        reap()

    def test_observe_scans_the_root(self, tree: Path) -> None:
        asked: list[str] = []
        host = CASES[0].host

        def scan(root: str) -> object:
            asked.append(root)
            return host

        assert RealKernel(str(tree), scan=scan).observe() is host  # type: ignore[arg-type]
        assert asked == [str(tree)]


@pytest.fixture
def gate() -> Iterator[tuple[int, int]]:
    """A pipe; a read from it blocks until something is written."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


@pytest.fixture
def reap(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Waits for the children of this test only."""
    children: list[int] = []

    def recorded(work: Callable[[], int]) -> int:
        children.append(pid := fork(work))
        return pid

    monkeypatch.setattr("iommutui.apply.child.fork", recorded)

    def wait() -> None:
        for pid in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)

    return wait


class TestChild:
    def test_the_answer_of_a_child_is_returned(self) -> None:
        assert list(in_child(lambda: b"ok", lambda *_: None, UNHURRIED)) == [b"ok"]

    def test_a_slow_child_gives_notices_and_then_its_answer(self, gate: tuple[int, int]) -> None:
        waiting = in_child(lambda: os.read(gate[0], 1), lambda *_: None, FOR_EVER)
        notice = next(waiting)
        assert isinstance(notice, Waiting)
        assert not notice.given_up
        os.write(gate[1], b"x")
        assert list(waiting) == [b"x"]

    def test_a_child_that_was_given_up_reports_its_end_itself(
        self, gate: tuple[int, int], tmp_path: Path, reap: Callable[[], None]
    ) -> None:
        reported = tmp_path / "reported"
        answers = list(in_child(lambda: os.read(gate[0], 1), lambda answer, _: _keep(reported, answer), AT_ONCE))
        assert [type(a) for a in answers] == [Waiting]
        assert not reported.exists()
        os.write(gate[1], b"x")
        reap()
        assert reported.read_bytes() == b"x"

    def test_closing_the_iterator_gives_the_child_up(
        self, gate: tuple[int, int], tmp_path: Path, reap: Callable[[], None]
    ) -> None:
        reported = tmp_path / "reported"
        waiting = in_child(lambda: os.read(gate[0], 1), lambda answer, _: _keep(reported, answer), FOR_EVER)
        next(waiting)
        waiting.close()
        os.write(gate[1], b"x")
        reap()
        assert reported.read_bytes() == b"x"

    def test_a_received_answer_is_not_reported_as_late(self, tmp_path: Path) -> None:
        list(in_child(lambda: b"x", lambda answer, _: _keep(tmp_path / "reported", answer), UNHURRIED))
        assert not (tmp_path / "reported").exists()

    def test_a_child_that_exits_gives_an_empty_answer(self) -> None:
        def die() -> bytes:
            os._exit(1)

        assert list(in_child(die, lambda *_: None, UNHURRIED)) == [b""]

    def test_an_error_in_the_child_gives_an_empty_answer(self) -> None:
        def fail() -> bytes:
            raise KeyboardInterrupt

        assert list(in_child(fail, lambda *_: None, UNHURRIED)) == [b""]

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_signals_do_not_stop_a_child(self, number: signal.Signals) -> None:
        def work() -> bytes:
            os.kill(os.getpid(), number)
            return b"done"

        assert list(in_child(work, lambda *_: None, UNHURRIED)) == [b"done"]

    def test_a_child_has_its_own_session(self) -> None:
        """A hang-up of the terminal, or Ctrl+C, does not reach a write."""
        work = lambda: f"{os.getsid(0) == os.getpid()} {os.getppid()}".encode()  # noqa: E731
        assert list(in_child(work, lambda *_: None, UNHURRIED)) == [f"True {os.getpid()}".encode()]

    @pytest.mark.parametrize("size", [1, 8192, 8193, 300_000, ANSWER_LIMIT])
    def test_a_long_answer_is_read_completely(self, size: int) -> None:
        assert list(in_child(lambda: b"x" * size, lambda *_: None, UNHURRIED)) == [b"x" * size]

    def test_an_answer_that_is_too_long_is_refused(self) -> None:
        assert list(in_child(lambda: b"x" * (ANSWER_LIMIT + 1), lambda *_: None, UNHURRIED)) == [b""]

    def test_a_child_does_not_keep_the_parents_output_open(self, tmp_path: Path) -> None:
        assert list(in_child(lambda: os.readlink("/proc/self/fd/1").encode(), lambda *_: None, UNHURRIED)) == [
            b"/dev/null"
        ]


def _keep(path: Path, answer: bytes) -> None:
    path.write_bytes(answer)


class TestStuck:
    def test_a_write_that_does_not_return_is_given_up(
        self,
        tree: Path,
        tmp_path: Path,
        gate: tuple[int, int],
        monkeypatch: pytest.MonkeyPatch,
        reap: Callable[[], None],
    ) -> None:
        """With a real child: the write is given up, nothing more is written, and the child records how it ended."""
        one = CASES[0]
        put = real_kernel.put

        def slow(write: real_kernel.Write) -> str:
            if write.path.endswith("unbind"):
                os.read(gate[0], 1)
                return "EBUSY"
            return put(write)

        def late(answer: bytes) -> None:
            os.write(gate[1], answer)

        monkeypatch.setattr(real_kernel, "put", slow)
        for address in (GPU, SOUND):
            (tree / f"sys/devices/pci0000:00/{address}/driver_override").write_bytes(b"")
        monkeypatch.setattr("iommutui.apply.real_kernel.possible_holders", lambda *_: ("qemu (7): /dev/vfio/14",))

        def scan(_root: str) -> object:
            overrides = [(tree / f"sys/devices/pci0000:00/{a}/driver_override").read_text() for a in (GPU, SOUND)]
            host = one.host
            for address, override in zip((GPU, SOUND), overrides, strict=True):
                device = host.devices[address]
                host = host.with_device(device._replace(driver_override=override.strip() or None))
            return host

        directory = tmp_path / "s/journal"
        kernel = RealKernel(str(tree), scan=scan, patience=FOR_EVER)  # type: ignore[arg-type]
        events = []
        for event in execute(one.plan, kernel, directory, clock=CLOCK):
            events.append(event)
            if type(event).__name__ == "StepBegun" and getattr(event, "number", 0) == 3:
                kernel._patience = AT_ONCE
        end = finished(events)
        assert end.exit is Exit.NOT_ROLLED_BACK
        assert "qemu (7): /dev/vfio/14" in end.summary
        assert f"unbinding {GPU} from nvidia" in end.summary.lower()
        assert {(c.subject, c.fact) for c in end.left} == {(GPU, "driver"), (GPU, "override"), (SOUND, "override")}
        (entry,) = list_journals(directory)
        assert entry.steps[-1].result == "blocked"
        with pytest.raises(RefusedError, match="has not returned"), lock(directory):
            pass
        late(b"x")
        reap()
        (entry,) = list_journals(directory)
        assert (entry.steps[-1].result, entry.steps[-1].late) == ("EBUSY", True)
        assert entry.exit is Exit.NOT_ROLLED_BACK
        with lock(directory):
            pass

    def test_a_modprobe_that_does_not_return_is_given_up(
        self, tree: Path, gate: tuple[int, int], monkeypatch: pytest.MonkeyPatch, reap: Callable[[], None]
    ) -> None:
        """It is waited for and given up like a write; the child continues."""
        monkeypatch.setattr("iommutui.apply.real_kernel.MODULE_PATIENCE", AT_ONCE)
        kernel = RealKernel(str(tree), load=lambda *_: (os.read(gate[0], 1), None)[1])
        assert [isinstance(a, Waiting) and a.given_up for a in kernel.load_module("vfio_pci")] == [True]
        os.write(gate[1], b"x")
        reap()

    def test_the_message_of_modprobe_comes_from_the_child(self, tree: Path) -> None:
        def refuse(name: str, _root: str) -> None:
            raise IommutuiError(f"{name} is missing.", "Install it.")

        with pytest.raises(IommutuiError, match="vfio_pci is missing") as caught:
            list(RealKernel(str(tree), load=refuse).load_module("vfio_pci"))
        assert caught.value.remedy == "Install it."

    def test_a_signal_ends_the_wait_for_a_write(self, tmp_path: Path) -> None:
        one = CASES[0]

        class Waits(FakeKernel):
            def write(self, step: Step, late: object) -> Iterator[Answer]:
                for _ in range(100):
                    os.kill(os.getpid(), signal.SIGINT)
                    yield Waiting(4.0, holders=("qemu (7): /dev/vfio/14",))

        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell ignores it
        try:
            events = list(execute(one.plan, Waits(one.host, one.model), tmp_path / "s/journal"))
        finally:
            signal.signal(signal.SIGINT, before)
        end = finished(events)
        assert end.exit is Exit.NOT_ROLLED_BACK
        assert "interrupted by SIGINT" in end.summary
        assert "qemu (7)" in end.summary


class TestForks:
    @pytest.mark.parametrize(
        "error",
        [ValueError("x"), KeyboardInterrupt(), SystemExit(0), GeneratorExit(), MemoryError(), BrokenPipeError()],
    )
    def test_an_error_never_leaves_the_function_of_a_child(self, error: BaseException) -> None:
        def work() -> int:
            sys.stderr = None  # not even the traceback can be printed
            raise error

        pid = fork(work)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1

    def test_a_failing_flush_does_not_change_the_exit_code(self) -> None:
        class Closed(io.StringIO):
            def flush(self) -> None:
                raise BrokenPipeError

        def work() -> int:
            sys.stderr = Closed()
            return 5

        assert in_own_session(work) == 5


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[str]:
    """The address of a message bus without systemd."""
    if shutil.which("dbus-daemon") is None or shutil.which("busctl") is None:
        pytest.skip("needs dbus-daemon and busctl")
    configuration = tmp_path / "bus.conf"
    configuration.write_text(
        f"<busconfig><listen>unix:path={tmp_path}/bus</listen><auth>EXTERNAL</auth>"
        '<policy context="default"><allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>'
    )
    words = ("dbus-daemon", f"--config-file={configuration}", "--nofork", "--print-address")
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as daemon:
        assert daemon.stdout is not None
        yield daemon.stdout.readline().strip()
        daemon.terminate()


class TestScope:
    """The call to systemd. Its effect is not tested here: none of the test machines runs systemd."""

    @pytest.mark.parametrize(("cut", "complaint"), [(0, "not provided by any"), (1, "signature")])
    def test_busctl_accepts_the_call(self, bus: str, cut: int, complaint: str) -> None:
        call = scope_call(1234)
        asked = subprocess.run(
            ["busctl", f"--address={bus}", *call[: len(call) - cut]], capture_output=True, text=True, check=False
        )
        assert complaint in asked.stderr


class TestTheMachine:
    def test_two_users_with_two_directories_cannot_both_lock_the_machine(self, tree: Path) -> None:
        (tree / "sys/bus/pci/drivers_probe").touch()
        first, second = RealKernel(str(tree)), RealKernel(str(tree))
        with first.hold(), pytest.raises(RefusedError, match="Another apply"), second.hold():
            pass
        with RealKernel(str(tree)).hold():
            pass

    def test_the_boot_id_is_read(self, tree: Path) -> None:
        assert RealKernel(str(tree)).boot() is None
        place = tree / "proc/sys/kernel/random"
        place.mkdir(parents=True)
        (place / "boot_id").write_text("1a2b\n")
        assert RealKernel(str(tree)).boot() == "1a2b"

    def test_the_clock_runs_during_suspend(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clocks = {time.CLOCK_BOOTTIME: 500.0, time.CLOCK_MONOTONIC: 100.0}
        monkeypatch.setattr(time, "clock_gettime", clocks.__getitem__)
        assert Clock().monotonic() == 500.0
