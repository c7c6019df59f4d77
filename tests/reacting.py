"""A kernel for tests with scripted faults: it can fail, block, kill the process, or change by itself."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from iommutui.apply.kernel import Answer, ReadBack, SimulatedKernel, TellLate, Waiting
from iommutui.core.address import Address
from iommutui.core.errors import IommutuiError, NotPermittedError
from iommutui.core.host import Host
from iommutui.core.models import Model
from iommutui.core.plan.planner import Step


class Killed(BaseException):
    """The process has been killed. After this, our code may only release what it holds."""


@dataclass
class Faults:
    """The faults. Writes and scans are counted from 1."""

    fail: dict[int, str] = field(default_factory=dict)
    """Errno by number of write; the write has no effect."""
    fail_from: tuple[int, str] | None = None
    """Every write from this number on fails."""
    half: dict[int, str] = field(default_factory=dict)
    """Errno by number of write; the write takes effect anyway."""
    ignore: frozenset[int] = frozenset()
    """Writes that report success and have no effect."""
    block: frozenset[int] = frozenset()
    """Writes that never return."""
    interrupt: frozenset[int] = frozenset()
    """Writes that raise KeyboardInterrupt after they have taken effect."""
    binds: dict[Address, str] = field(default_factory=dict)
    """The driver that a probe binds instead of the expected one."""
    kill_at: int | None = None
    """The point at which the process is killed: points are before and after each call to the kernel."""
    outside: dict[int, Callable[[Host], Host]] = field(default_factory=dict)
    """A change right before the nth scan of the machine."""
    outside_write: dict[int, Callable[[Host], Host]] = field(default_factory=dict)
    """A change right after the nth write."""
    denied: bool = False
    """The check before the first write denies permission."""
    no_module: bool = False
    """Modules cannot be loaded."""
    stuck_module: bool = False
    """Loading a module never returns."""


BOOT = "1a2b3c4d-0000-4000-8000-000000000001"
OTHER_BOOT = "5e6f7a8b-0000-4000-8000-000000000002"


class FakeKernel:
    """Implements `iommutui.apply.kernel.Kernel`; its state is a Host that the engine drives."""

    lasting = True

    def __init__(self, host: Host, model: Model, faults: Faults | None = None) -> None:
        self.inner = SimulatedKernel(host, model)
        self.faults = faults or Faults()
        self.steps: list[Step] = []
        """Every requested write."""
        self.points = 0
        self.looks = 0
        self.dead = False
        self.boot_id: str | None = BOOT
        self.before_write: Callable[[], None] = lambda: None
        self.after_death: Callable[[], None] = lambda: None

    @property
    def host(self) -> Host:
        """The machine as it is."""
        return self.inner.host

    def _point(self) -> None:
        assert not self.dead, "a killed process calls the kernel"
        self.points += 1
        if self.points == self.faults.kill_at:
            self.dead = True
            self.after_death()
            raise Killed

    def hold(self) -> AbstractContextManager[None]:
        return nullcontext()

    def boot(self) -> str | None:
        return self.boot_id

    def check(self, steps: Sequence[Step]) -> None:
        self._point()
        if self.faults.denied:
            raise NotPermittedError("Writing is not permitted.")

    def observe(self) -> Host:
        self._point()
        self.looks += 1
        change = self.faults.outside.get(self.looks)
        if change is not None:
            self.inner.host = change(self.inner.host)
        return self.inner.observe()

    def survey(self) -> Host:
        return self.observe()

    def read_back(self, address: Address) -> ReadBack:
        self._point()
        return self.inner.read_back(address)

    def write(self, step: Step, late: TellLate) -> Iterator[Answer]:
        self._point()
        self.before_write()
        self.steps.append(step)
        number = len(self.steps)
        faults = self.faults
        if number in faults.block:
            if step.op == "unbind":
                list(self.inner.write(step, late))  # the link disappears at once
            yield Waiting(4.0, holders=("holder (1): /dev/vfio/1",))
            yield Waiting(30.0, given_up=True, holders=("holder (1): /dev/vfio/1",))
            return
        if number in faults.fail:
            answers: list[Answer] = [faults.fail[number]]
        elif faults.fail_from is not None and number >= faults.fail_from[0]:
            answers = [faults.fail_from[1]]
        elif number in faults.ignore:
            answers = ["ok"]
        else:
            answers = list(self.inner.write(step, late))
            if number in faults.half:
                answers = [faults.half[number]]
        if step.op == "probe" and step.device in faults.binds and answers == ["ok"]:
            device = self.host.devices[step.device]
            self.inner.host = self.host.with_device(device._replace(driver=faults.binds[step.device]))
        if number in faults.outside_write:
            self.inner.host = faults.outside_write[number](self.host)
        if number in faults.interrupt:
            raise KeyboardInterrupt
        self._point()
        yield from answers

    def load_module(self, name: str) -> Iterator[Answer]:
        self._point()
        if self.faults.no_module:
            raise IommutuiError(f"The module {name} is missing.", "Install it.")
        if self.faults.stuck_module:
            yield Waiting(4.0)
            yield Waiting(60.0, given_up=True)
            return
        yield from self.inner.load_module(name)
        self._point()
