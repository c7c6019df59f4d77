"""The kernel of this machine: the only module that writes to sysfs and loads modules.

Path and data of a write are computed from a step's operation, address and driver. Nothing is created and no link is
followed to another file; each write is one system call with all of the data, made by a child.
"""

import errno
import json
import os
import re
import stat
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial

from iommutui import sources
from iommutui.apply.boots import boot_id
from iommutui.apply.child import ENVIRONMENT, PATIENCE, Patience, in_child
from iommutui.apply.journal import holding
from iommutui.apply.kernel import Answer, DeniedError, ReadBack, TellLate, Waiting
from iommutui.core.address import Address, is_pci
from iommutui.core.drivers import underscored
from iommutui.core.errors import IommutuiError
from iommutui.core.host import Host
from iommutui.core.plan.planner import Step, new_step
from iommutui.core.printable import printable
from iommutui.core.reasons import OK
from iommutui.sources.processes import possible_holders
from iommutui.sources.tree import Tree

DIED = "ECHILD"
"""The result of a write whose child died before it could report one."""

NO_OVERRIDE = "(null)"
"""What ``driver_override`` reads if none is set."""

MODULE_PATIENCE = Patience(give_up=60.0)
"""For ``modprobe``, which may have firmware to load."""

_PROBE = "sys/bus/pci/drivers_probe"

Call = Callable[[Callable[[], bytes], Callable[[bytes, float], None], Patience], Iterator[Waiting | bytes]]
"""The type of `in_child`, which makes a system call that may block."""


class RealKernel:
    """The machine whose ``/`` is ``root``; this one by default. Implements `Kernel`.

    The process must have one thread only, because writes are made by forked children.
    """

    lasting = True

    def __init__(
        self,
        root: str | None = None,
        scan: Callable[[str], Host] | None = None,
        patience: Patience = PATIENCE,
        load: Callable[[str, str], None] | None = None,
        call: Call = in_child,
        put: "Callable[[Write], str] | None" = None,
    ) -> None:
        self._scan = scan or partial(sources.load, depth=sources.Depth.LISTING)
        self._survey = scan or sources.load
        self._root = sources.HERE if root is None else root
        self._patience = patience
        self._load = load or modprobe
        self._call = call
        self._put = put

    def hold(self) -> AbstractContextManager[None]:
        """A lock on ``drivers_probe``, which only users who may write to it can take, wherever their journals are."""
        try:
            descriptor = os.open(os.path.join(self._root, _PROBE), os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return nullcontext()  # nothing can be bound here
        return holding(descriptor)

    def boot(self) -> str | None:
        return boot_id(self._root)

    def check(self, steps: Sequence[Step]) -> None:
        for path in dict.fromkeys(write_of(self._root, step).path for step in steps):
            # If a file is missing, the kernel's own answer reports it, in its turn.
            if os.path.lexists(path) and not os.access(path, os.W_OK):
                raise DeniedError(path)

    def observe(self) -> Host:
        return self._scan(self._root)

    def survey(self) -> Host:
        return self._survey(self._root)

    def read_back(self, address: Address) -> ReadBack:
        """``driver`` and ``driver_override``; up to 6.1 reading the latter hangs while an unbind waits."""
        directory = os.path.join(self._root, "sys/bus/pci/devices", address_of(address))
        *_, answer = self._call(lambda: _read_back(directory), lambda *_: None, self._patience)
        if isinstance(answer, Waiting) or not answer:
            raise IommutuiError(f"{address} does not answer: something in the kernel still holds it.")
        found = json.loads(answer)
        if found is None:
            raise IommutuiError(f"There is no device {address} any more.")
        return ReadBack(*found)

    def write(self, step: Step, late: TellLate) -> Iterator[Answer]:
        """One write of one child. Closing the iterator abandons the child, which then reports ``late``."""
        write = write_of(self._root, step)

        def work() -> bytes:
            return (self._put or put)(write).encode()

        def tell(answer: bytes, seconds: float) -> None:
            late(answer.decode(), seconds)

        for answer in self._call(work, tell, self._patience):
            if isinstance(answer, bytes):
                yield answer.decode() or DIED
            else:
                found = possible_holders(Tree(self._root), step.device)
                yield replace(answer, holders=tuple(map(printable, found)))

    def load_module(self, name: str) -> Iterator[Answer]:
        """``modprobe`` in a child, with the reason where it is refused."""

        def work() -> bytes:
            try:
                self._load(name, self._root)
            except IommutuiError as error:
                return json.dumps([error.what, error.remedy]).encode()
            return b"[]"

        for answer in self._call(work, lambda *_: None, MODULE_PATIENCE):
            if isinstance(answer, Waiting):
                yield answer
                continue
            why = json.loads(answer or b'["modprobe died."]')
            if why:
                raise IommutuiError(*why)
            yield OK


def _read_back(directory: str) -> bytes:
    """Driver and override of a device as JSON; null if it is gone."""
    if not os.path.isdir(directory):
        return b"null"
    driver = override = None
    with suppress(OSError):
        driver = os.path.basename(os.readlink(os.path.join(directory, "driver")))
    place = os.path.join(directory, "driver_override")
    with suppress(OSError), open(place, encoding="utf-8", errors="backslashreplace") as file:
        override = file.read().removesuffix("\n")
    return json.dumps([driver, None if override in (NO_OVERRIDE, "") else override]).encode()


# -- writes

_DRIVER = re.compile(r"[^/\x00-\x1f\x7f]{1,255}")


@dataclass(frozen=True, slots=True)
class Write:
    """One write, below the directory that is ``/`` of the machine."""

    path: str
    data: bytes


def write_of(root: str, step: Step) -> Write:
    """The write of a step. Raises IommutuiError for an address or a driver's name that cannot be one."""
    address = address_of(step.device)
    if step.op not in ("override", "unbind", "probe"):
        raise IommutuiError(f"There is no write for the operation {step.op!r}.")
    driver = step.value or ""
    if (step.op == "unbind" or step.value is not None) and (not _DRIVER.fullmatch(driver) or driver in (".", "..")):
        raise IommutuiError(f"{driver!r} is not a driver's name, so it is not written.")
    own = new_step(step.op, address, step.value)
    return Write(os.path.join(root, own.path[1:]), own.data.encode())


def address_of(name: str) -> Address:
    """The address, to be part of a path. Raises IommutuiError for anything else."""
    if not is_pci(name):
        raise IommutuiError(f"{name!r} is not the address of a PCI device, so nothing is written to it.")
    return Address(name)


def put(write: Write) -> str:
    """Makes the write, and blocks as long as the kernel does: ``ok`` or the name of an errno."""
    try:
        descriptor = os.open(write.path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return "EINVAL"
            return OK if os.write(descriptor, write.data) == len(write.data) else "EIO"
        finally:
            os.close(descriptor)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "EIO")


# -- modules

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

Ran = subprocess.CompletedProcess[str]


def run(command: tuple[str, ...]) -> Ran:
    """Runs the command. It may hang: this is called in a child."""
    try:
        return subprocess.run(
            command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
        )
    except OSError as error:
        return Ran(command, 127, "", error.strerror or "it could not be run")


def modprobe(name: str, root: str = "/", runner: Callable[[tuple[str, ...]], Ran] = run) -> None:
    """Loads the module. IommutuiError says whether it is blocked, or why it failed to load."""
    if _NAME.fullmatch(name) is None:
        raise IommutuiError(f"{name!r} is not a module's name.")
    if os.path.isdir(os.path.join(root, "sys/module", underscored(name))):
        return
    # An install line with /bin/true would succeed; a plain blacklist line does not keep modprobe from loading it.
    spelling = re.sub("[-_]", "[-_]", name)
    refusing = rf"^install\s+{spelling}\s+(?:/usr)?/bin/(?:false|true)\b.*$"
    block = re.search(refusing, runner(("modprobe", "--showconfig")).stdout, re.MULTILINE)
    if block is not None:
        raise IommutuiError(
            f"The module {name} is administratively blocked by the line '{block[0]}' of its modprobe configuration.",
            "Remove that line if you want to use the driver.",
        )
    ran = runner(("modprobe", "--", name))
    if ran.returncode != 0:
        complaint = " ".join(ran.stderr.split()) or f"modprobe ended with {ran.returncode}"
        raise IommutuiError(
            f"The module {name} could not be loaded: {complaint}.",
            "A module that is not found belongs to another kernel, or has to be installed. One that is not permitted "
            "is blocked by module_blacklist=, by kernel.modules_disabled, or because it is not signed.",
        )
