"""Record what a program can see of a machine's PCI devices, as a tree of plain files.

    python3 record.py DIR            # writes DIR/sys/..., DIR/proc/..., DIR/lib/modules/...
    python3 record.py FILE.tar.gz    # the same, as an archive

It needs only the standard library, and should run as root: other users cannot read all of ``config``.
``recorded.json`` in the result names what could not be read and why.
"""

import argparse
import errno
import io
import json
import os
import re
import select
import socket
import stat
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

MAXIMUM = 4096
PATIENCE = 3.0
#: Files that are slow to read, affect the hardware when read, or say nothing.
NEVER_READ = re.compile(r"(rom|vpd|resource\d+(_wc)?|legacy_(io|mem)|m?mio\w*|trace|uevent_seqnum)")

Reader = Callable[[Path], bytes]


@dataclass
class Recording:
    """Paths relative to the root, with the content of files and the targets of links."""

    directories: set[str] = field(default_factory=set)
    files: dict[str, bytes] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


class PatientReader:
    """Reads files in a child process, which is abandoned when a read blocks.

    Reading some attributes of a device that is being unbound blocks until the unbind ends, and nothing gets a
    process out of such a read.
    """

    def __init__(self, patience: float = PATIENCE, read: Reader | None = None) -> None:
        """Wait ``patience`` seconds for each file; ``read`` is what the child process does."""
        self._patience = patience
        self._read = read or read_start
        self._connection: socket.socket | None = None

    def __call__(self, path: Path) -> bytes:
        """Return the start of a file; a read that blocks raises TimeoutError."""
        if self._connection is None:
            self._connection = self._start()
        self._connection.send(os.fsencode(path))
        ready, _, _ = select.select([self._connection], [], [], self._patience)
        if not ready:
            self._connection.close()
            self._connection = None
            raise TimeoutError(errno.ETIMEDOUT, "blocked")
        answer = self._connection.recv(MAXIMUM + 8)
        number = int.from_bytes(answer[:4], "little")
        if number:
            raise OSError(number, os.strerror(number))
        return answer[4:]

    def close(self) -> None:
        """End the child process, if it can be ended."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Fork twice, so that init and not this process has to wait for a child that cannot die.
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            theirs.close()
            return ours
        if os.fork():
            os._exit(0)
        ours.close()
        try:
            while path := theirs.recv(65536):
                try:
                    theirs.send(bytes(4) + self._read(Path(os.fsdecode(path))))
                except OSError as problem:
                    theirs.send((problem.errno or errno.EIO).to_bytes(4, "little"))
        finally:
            os._exit(0)


def read_start(path: Path) -> bytes:
    """Return up to MAXIMUM bytes of a file."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(descriptor, MAXIMUM)
    finally:
        os.close(descriptor)


class Recorder:
    """Fills a recording from the directory tree ``root``."""

    def __init__(self, root: Path, reader: Reader) -> None:
        """Start with an empty recording."""
        self.root = root
        self.recording = Recording()
        self._reader = reader

    def tree(self, place: str) -> None:
        """Record a directory with everything below it; links stay links."""
        try:
            entries = sorted(os.scandir(self.root / place), key=lambda entry: entry.name)
        except OSError as problem:
            self._leave_out(place, problem)
            return
        self.recording.directories.add(place)
        for entry in entries:
            path = f"{place}/{entry.name}"
            if entry.is_symlink():
                self.link(path)
            elif entry.is_dir():
                self.tree(path)
            elif entry.is_file():
                self.attribute(path)

    def link(self, path: str) -> None:
        """Record a symbolic link."""
        try:
            self.recording.links[path] = os.readlink(self.root / path)
        except OSError as problem:
            self._leave_out(path, problem)

    def links_in(self, place: str) -> None:
        """Record the links in a directory and nothing else."""
        for path in self._glob(f"{place}/*"):
            if (self.root / path).is_symlink():
                self.link(path)

    def attribute(self, path: str) -> None:
        """Record a sysfs file, if it is readable."""
        if NEVER_READ.fullmatch(path.rpartition("/")[2]):
            self.recording.left_out[path] = "not tried"
            return
        try:
            if not stat.S_IMODE(os.lstat(self.root / path).st_mode) & 0o444:
                self.recording.left_out[path] = "write-only"
                return
            self.recording.files[path] = self._reader(self.root / path)
        except OSError as problem:
            self._leave_out(path, problem)

    def whole(self, path: str, shorten: Callable[[bytes], bytes] = lambda data: data) -> None:
        """Record an ordinary file of any length."""
        try:
            self.recording.files[path] = shorten((self.root / path).read_bytes())
        except OSError as problem:
            self._leave_out(path, problem)

    def machine(self, release: str) -> Recording:
        """Record everything about a machine that runs the kernel ``release``."""
        for place in ("bus/pci", "kernel/iommu_groups", "class/iommu", "devices/virtual/iommu"):
            self.tree(f"sys/{place}")
        for pattern in ("sys/devices/pci*", "sys/module/*/drivers"):
            for place in self._glob(pattern):
                self.tree(place)
        self.links_in("sys/class/net")
        for path in ("sys/kernel/osrelease", "cmdline", "self/mountinfo"):
            self.whole(f"proc/{path}")
        self.whole("proc/cpuinfo", first_processor)
        for name in ("modules.alias", "modules.builtin", "modules.builtin.modinfo"):
            self.whole(f"lib/modules/{release}/{name}")
        return self.recording

    def _glob(self, pattern: str) -> Iterator[str]:
        return (str(path.relative_to(self.root)) for path in sorted(self.root.glob(pattern)))

    def _leave_out(self, path: str, problem: OSError) -> None:
        self.recording.left_out[path] = errno.errorcode.get(problem.errno or 0, str(problem))


def first_processor(cpuinfo: bytes) -> bytes:
    """Return the part of /proc/cpuinfo about the first processor."""
    return cpuinfo.partition(b"\n\n")[0] + b"\n"


def with_report(recording: Recording) -> dict[str, bytes]:
    """Return the files of a recording, including the one that lists what could not be read."""
    report = {"left_out": dict(sorted(recording.left_out.items()))}
    return {**recording.files, "recorded.json": json.dumps(report, indent=1).encode() + b"\n"}


def write_directory(recording: Recording, target: Path) -> None:
    """Write a recording as files below ``target``."""
    for name in sorted(recording.directories):
        (target / name).mkdir(parents=True, exist_ok=True)
    for name, data in with_report(recording).items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes(data)
    for name, link in recording.links.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).unlink(missing_ok=True)
        (target / name).symlink_to(link)


def write_archive(recording: Recording, target: Path) -> None:
    """Write a recording as a gzipped tar archive, with no date or owner in it."""
    with tarfile.open(target, "w:gz") as archive:
        for name in sorted(recording.directories):
            member = tarfile.TarInfo(name)
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(member)
        for name, data in sorted(with_report(recording).items()):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
        for name, link in sorted(recording.links.items()):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, link
            archive.addfile(member)


def main(words: list[str]) -> int:
    """Record this machine."""
    parser = argparse.ArgumentParser(description="Record the PCI devices of this machine as a tree of files.")
    parser.add_argument("target", type=Path, help="a directory, or an archive if the name ends in .tar.gz or .tgz")
    target: Path = parser.parse_args(words).target
    reader = PatientReader()
    recording = Recorder(Path("/"), reader).machine(os.uname().release)
    reader.close()
    write = write_archive if target.name.endswith((".tar.gz", ".tgz")) else write_directory
    write(recording, target)
    print(f"{len(recording.files)} files, {len(recording.links)} links; {len(recording.left_out)} left out")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
