"""Boot a guest, run one command in it as root, and collect the output."""

import os
import selectors
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Protocol

from . import initramfs, qemu
from .kernels import Kernel
from .tools import need

TIMED_OUT = 124
DIED = 125
_LOOK = 0.5
"""Seconds between two checks of whether to end the guest."""
DEFAULT_PRELOAD = ("vfio-pci", "vfio_iommu_type1", "pci-stub")


@dataclass(frozen=True)
class Options:
    """What to boot and what to run."""

    kernel: Kernel
    topology: str
    command: tuple[str, ...]
    job: Path
    timeout: float | None = 600
    iommu: str = "intel"
    terminal: bool = False
    udev: bool = True
    preload: tuple[str, ...] = DEFAULT_PRELOAD
    processors: int = 1
    memory: int = 1536
    directory: Path = field(default_factory=Path.cwd)
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """How it ended: ``status`` is the command's exit status, or None if the guest died first."""

    status: int | None
    timed_out: bool
    seconds: float
    #: Guest uptime, in seconds, when: root was mounted, udev had settled, the command started, the command ended.
    timing: Mapping[str, float]
    #: The last lines of the serial console and of QEMU's messages.
    last_words: str

    @property
    def started(self) -> bool:
        """Whether the command was started at all."""
        return "command" in self.timing

    @property
    def exit_status(self) -> int:
        """The exit status for a program that stands in for the guest."""
        if self.status is not None:
            return self.status
        return TIMED_OUT if self.timed_out else DIED


def job_files(options: Options, environment: Mapping[str, str], size: os.terminal_size) -> dict[str, str]:
    """Return the job directory's files, which tell the guest what to do."""
    settings = {
        "JOB": str(options.job),
        "MODULES": str(options.kernel.modules.resolve()),
        "UDEV": "yes" if options.udev else "",
        "PRELOAD": " ".join(options.preload),
        "TTY": "yes" if options.terminal else "",
        "COLUMNS": str(size.columns),
        "ROWS": str(size.lines),
    }
    variables = {
        "PATH": environment.get("PATH", os.defpath),
        "TMPDIR": "/run/tmp",
        "IOMMUTUI_GUEST": options.topology,
        "IOMMUTUI_GUEST_KERNEL": options.kernel.name,
        "IOMMUTUI_GUEST_INFRA": " ".join(qemu.INFRASTRUCTURE),
        "IOMMUTUI_GUEST_JOB": str(options.job),
        **({"TERM": environment.get("TERM", "linux")} if options.terminal else {}),
        **options.environment,
    }
    script = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    script += [f"cd {shlex.quote(str(options.directory))} || exit 126", f"exec {shlex.join(options.command)}"]
    return {
        "guest.conf": "".join(f"{name}={shlex.quote(value)}\n" for name, value in settings.items()),
        "guest.sh": "\n".join(script) + "\n",
    }


class Sink(Protocol):
    """Where output goes."""

    def write(self, data: bytes, /) -> object:
        """Accept some output."""
        ...

    def flush(self) -> object:
        """Show what has been accepted."""
        ...


def run(options: Options, out: Sink | None = None, err: Sink | None = None, stop: Event | None = None) -> Result:
    """Boot, run, and return the result; the command's output goes to ``out`` and ``err`` as it comes.

    Once ``stop`` is set the guest counts as timed out.
    """
    need("qemu-system-x86_64")
    job = options.job
    job.mkdir(parents=True, exist_ok=True)
    for stale in ("console", "dmesg", "qemu", "status", "timing"):
        (job / stale).unlink(missing_ok=True)
    for name, text in job_files(options, os.environ, shutil.get_terminal_size()).items():
        (job / name).write_text(text)
    begin = time.monotonic()
    with ExitStack() as stack:
        archive = stack.enter_context(tempfile.NamedTemporaryFile(prefix="iommutui-initramfs-"))
        archive.write(initramfs.build(options.kernel))
        archive.flush()
        messages = stack.enter_context(open(job / "qemu", "wb"))
        sinks: dict[socket.socket, Sink] = {}
        theirs: list[socket.socket] = []
        if not options.terminal:
            for sink in (out or sys.stdout.buffer, err or sys.stderr.buffer):
                ours, their = socket.socketpair()
                sinks[stack.enter_context(ours)] = sink
                theirs.append(stack.enter_context(their))
        machine = qemu.Machine(
            image=options.kernel.image,
            initramfs=Path(archive.name),
            job=job,
            topology=options.topology,
            iommu=options.iommu,
            processors=options.processors,
            memory=options.memory,
            terminal=options.terminal,
            **({} if options.terminal else {"out": theirs[0].fileno(), "err": theirs[1].fileno()}),
        )
        process = subprocess.Popen(
            qemu.command(machine),
            stdin=None if options.terminal else subprocess.DEVNULL,
            stdout=None if options.terminal else messages,
            stderr=messages,
            pass_fds=[their.fileno() for their in theirs],
        )
        for their in theirs:
            their.close()
        with _never_left_behind(process):
            timed_out = not _pump(process, sinks, options.timeout, stop or Event())
    return Result(_status(job), timed_out, time.monotonic() - begin, _timing(job), _last_words(job))


@contextmanager
def _never_left_behind(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    try:
        yield
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _pump(
    process: "subprocess.Popen[bytes]", sinks: Mapping[socket.socket, Sink], timeout: float | None, stop: Event
) -> bool:
    """Copy output until QEMU ends; return False if it did not end in time."""
    deadline = time.monotonic() + timeout if timeout else None
    with selectors.DefaultSelector() as selector:
        for connection, sink in sinks.items():
            selector.register(connection, selectors.EVENT_READ, sink)
        while selector.get_map() or process.poll() is None:
            left = None if deadline is None else deadline - time.monotonic()
            if stop.is_set() or (left is not None and left <= 0):
                return False
            for key, _ in selector.select(_LOOK if left is None else min(left, _LOOK)):
                data = os.read(key.fd, 65536)
                if data:
                    key.data.write(data)
                    key.data.flush()
                else:
                    selector.unregister(key.fileobj)
    return True


def _status(job: Path) -> int | None:
    try:
        return int((job / "status").read_text())
    except (OSError, ValueError):
        return None


def _timing(job: Path) -> dict[str, float]:
    try:
        lines = (job / "timing").read_text().splitlines()
    except OSError:
        return {}
    return {name: float(uptime) for name, uptime in (line.split() for line in lines)}


def _last_words(job: Path, lines: int = 30) -> str:
    tails = []
    for name in ("qemu", "console"):
        try:
            text = (job / name).read_text(errors="replace")
        except OSError:
            continue
        tails += [f"{name}: {line}" for line in text.splitlines()[-lines:]]
    return "\n".join(tails)
