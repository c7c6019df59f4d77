"""Query and claim VFIO groups, directly through the kernel's interface.

    python3 vfio.py status GROUP
    python3 vfio.py hold GROUP [--devices] [--group-only] [--seconds N]

Both print one line of JSON. ``hold`` acts as a virtual machine: it keeps the group until its standard input ends,
N seconds have passed, or SIGTERM arrives. This program shares no code with what it checks.
"""

import argparse
import errno
import fcntl
import json
import os
import select
import signal
import struct
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

NODES = Path("/dev/vfio")
GROUPS = Path("/sys/kernel/iommu_groups")

# From linux/vfio.h: _IO(';', 100 + n), and the numbers that go with them.
VFIO = ord(";") << 8 | 100
SET_IOMMU = VFIO + 2
GROUP_GET_STATUS = VFIO + 3
GROUP_SET_CONTAINER = VFIO + 4
GROUP_GET_DEVICE_FD = VFIO + 6
TYPE1V2_IOMMU = 3
FLAG_VIABLE = 1
FLAG_CONTAINER_SET = 2

OK = "OK"


def errno_name(problem: OSError) -> str:
    """Return the name of the errno, such as ``EBUSY``."""
    return errno.errorcode.get(problem.errno or 0, str(problem))


def group_flags(descriptor: int) -> int:
    """Return the flags of an open group."""
    answer = fcntl.ioctl(descriptor, GROUP_GET_STATUS, struct.pack("II", 8, 0))
    return int(struct.unpack("II", answer)[1])


def status(group: int) -> dict[str, Any]:
    """Query the state of a group; ``viable`` and ``container`` are None if the kernel does not say.

    This opens the node, which fails with EBUSY while another process has it open.
    """
    node = NODES / str(group)
    answer: dict[str, Any] = {"node": node.exists(), "open": OK, "viable": None, "container": None}
    try:
        descriptor = os.open(node, os.O_RDWR | os.O_CLOEXEC)
    except OSError as problem:
        return answer | {"open": errno_name(problem)}
    try:
        flags = group_flags(descriptor)
    finally:
        os.close(descriptor)
    return answer | {"viable": bool(flags & FLAG_VIABLE), "container": bool(flags & FLAG_CONTAINER_SET)}


class Claim:
    """A group in use, as by a virtual machine, for the duration of a ``with`` block.

    ``steps`` has the outcome of each step; a failed step does not raise, and the next ones are still tried.
    With ``devices``, the devices are opened as well; otherwise most kernels would let them be unbound. Unbinding one
    then blocks until the end of the block, so it must not be done in the block's own thread.
    """

    def __init__(self, group: int, *, devices: bool = False, container: bool = True) -> None:
        """Prepare; nothing is opened before the block is entered."""
        self.group = group
        self.steps: dict[str, Any] = {}
        self._want_devices = devices
        self._want_container = container
        self._descriptors: list[int] = []

    def __enter__(self) -> "Claim":
        """Claim the group."""
        self.steps = {"group": self.group}
        group = self._open("open", NODES / str(self.group))
        if group is None or not self._want_container:
            return self
        container = self._open("container", NODES / "vfio")
        if container is not None:
            self._ioctl("set_container", group, GROUP_SET_CONTAINER, struct.pack("i", container))
            self._ioctl("set_iommu", container, SET_IOMMU, TYPE1V2_IOMMU)
        if self._want_devices:
            members = sorted(path.name for path in (GROUPS / str(self.group) / "devices").iterdir())
            self.steps["devices"] = {name: self._device(group, name) for name in members}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Release the group."""
        self.close()

    def close(self) -> None:
        """Release the group: devices first, as a virtual machine does."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    @property
    def complete(self) -> bool:
        """Whether we have the group and can use it; members that are not on vfio-pci do not count."""
        return all(self.steps.get(step, OK) == OK for step in ("open", "container", "set_container", "set_iommu"))

    def _open(self, step: str, path: Path) -> int | None:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as problem:
            self.steps[step] = errno_name(problem)
            return None
        self.steps[step] = OK
        # Closed in reverse order: container and devices before the group.
        self._descriptors.append(descriptor)
        return descriptor

    def _ioctl(self, step: str, descriptor: int, request: int, argument: bytes | int) -> None:
        try:
            fcntl.ioctl(descriptor, request, argument)
            self.steps[step] = OK
        except OSError as problem:
            self.steps[step] = errno_name(problem)

    def _device(self, group: int, name: str) -> str:
        try:
            # Python returns the call's result, here the descriptor, only with a mutable buffer.
            descriptor = fcntl.ioctl(group, GROUP_GET_DEVICE_FD, bytearray(name.encode() + b"\0"), True)
        except OSError as problem:
            return errno_name(problem)
        self._descriptors.append(descriptor)
        return OK


def hold(claim: Claim, seconds: float | None) -> int:
    """Claim, print the steps, and wait; the status is 1 if the group could not be opened."""

    def stop(*_: object) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    with claim:
        print(json.dumps(claim.steps), flush=True)
        if claim.steps["open"] != OK:
            return 1
        # Input that is there is not the end of input: read it, and wait on.
        while select.select([sys.stdin], [], [], seconds)[0]:
            if not os.read(sys.stdin.fileno(), 4096):
                break
    return 0


def main(words: list[str]) -> int:
    """Run the command in ``words`` and return the exit status."""
    parser = argparse.ArgumentParser(description="Ask about and claim VFIO groups.")
    actions = parser.add_subparsers(dest="action", required=True)
    ask = actions.add_parser("status", help="tell the state of a group")
    claim = actions.add_parser("hold", help="claim a group and keep it until standard input ends")
    for action in (ask, claim):
        action.add_argument("group", type=int)
    claim.add_argument("--devices", action="store_true", help="open the group's devices too")
    claim.add_argument("--group-only", action="store_true", help="open the group without using it")
    claim.add_argument("--seconds", type=float, help="let go after this time at the latest")
    arguments = parser.parse_args(words)
    if arguments.action == "status":
        print(json.dumps(status(arguments.group)))
        return 0
    return hold(
        Claim(arguments.group, devices=arguments.devices, container=not arguments.group_only), arguments.seconds
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
