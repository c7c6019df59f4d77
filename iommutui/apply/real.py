"""The kernel of this machine."""

import json
import os
from collections.abc import Callable, Iterator, Sequence

from iommutui import sources
from iommutui.apply import modules, writer
from iommutui.apply.child import PATIENCE, Late, Patience, in_child
from iommutui.apply.holders import holders
from iommutui.apply.kernel import Answer, GivenUp, ReadBack, Waiting, Written
from iommutui.apply.kernel import Late as TellLate
from iommutui.core.address import Address
from iommutui.core.errors import IommutuiError
from iommutui.core.host import Host
from iommutui.core.plan.planner import Step

DIED = "ECHILD"
"""The result of a write whose child died before it could tell one."""

NO_OVERRIDE = "(null)"
"""What ``driver_override`` reads where there is none."""


Call = Callable[[Callable[[], bytes], Callable[[bytes, float], None], Patience], Iterator[Late | bytes]]
"""What `in_child` is: it makes a system call that may block."""


class RealKernel:
    """The machine whose ``/`` is ``root``: this one, where none is named.

    It needs one thread only, because writes are made by forked children.
    """

    lasting = True

    def __init__(
        self,
        root: str | None = None,
        scan: Callable[[str], Host] | None = None,
        patience: Patience = PATIENCE,
        load: Callable[[str, str], None] = modules.load,
        call: Call = in_child,
        put: Callable[[writer.Write], str] | None = None,
    ) -> None:
        self._scan = scan or _listing
        self._survey = scan or _whole
        self._root = sources.HERE if root is None else root
        self._patience = patience
        self._load = load
        self._call = call
        self._put = put or (lambda write: writer.put(write))

    def check(self, steps: Sequence[Step]) -> None:
        """NotPermittedError where one of the files may not be written."""
        writer.check(self._root, steps)

    def observe(self) -> Host:
        """A fresh scan."""
        return self._scan(self._root)

    def survey(self) -> Host:
        """A fresh scan of everything."""
        return self._survey(self._root)

    def read_back(self, address: Address) -> ReadBack:
        """``driver`` and ``driver_override``; up to 6.1 reading the latter hangs while an unbind waits."""
        directory = os.path.join(self._root, "sys/bus/pci/devices", writer.address_of(address))

        def work() -> bytes:
            return json.dumps(_read_back(directory)).encode()

        for answer in self._call(work, lambda *_: None, self._patience):
            if isinstance(answer, Late):
                if answer.given_up:
                    break
            elif answer and answer != b"null":
                driver, override = json.loads(answer)
                return ReadBack(driver, override)
            else:
                raise IommutuiError(f"There is no device {address} any more.")
        raise IommutuiError(f"{address} does not answer: something in the kernel still holds it.")

    def write(self, step: Step, late: TellLate) -> Iterator[Answer]:
        """One write of one child. Closing the iterator leaves the child to itself, and it tells ``late``."""
        write = writer.write_of(self._root, step)

        def work() -> bytes:
            return self._put(write).encode()

        def tell(answer: bytes, seconds: float) -> None:
            late(answer.decode(), seconds)

        for answer in self._call(work, tell, self._patience):
            if isinstance(answer, bytes):
                yield Written(answer.decode() or DIED)
            elif answer.given_up:
                yield GivenUp(answer.seconds, holders(self._root, step.device))
            else:
                yield Waiting(answer.seconds, holders(self._root, step.device))

    def load_module(self, name: str) -> None:
        """``modprobe``, with the reason where it is refused."""
        self._load(name, self._root)


def _listing(root: str) -> Host:
    return sources.load(root, depth=sources.Depth.LISTING)


def _whole(root: str) -> Host:
    return sources.load(root)


def _read_back(directory: str) -> tuple[str | None, str | None] | None:
    """None where the device is gone."""
    if not os.path.isdir(directory):
        return None
    try:
        driver = os.path.basename(os.readlink(os.path.join(directory, "driver")))
    except OSError:
        driver = None
    try:
        with open(os.path.join(directory, "driver_override"), encoding="utf-8", errors="backslashreplace") as file:
            override = file.read().removesuffix("\n")
    except OSError:
        return driver, None
    return driver, None if override in (NO_OVERRIDE, "") else override
