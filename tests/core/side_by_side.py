"""A recorded kernel and the engine side by side: events for the engine, facts of both compared, and the Host put to
where the kernel was seen to be.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from iommutui.core.address import Address, sort_key
from iommutui.core.engine import transition
from iommutui.core.events import Event, Probe, ReleaseGroup
from iommutui.core.host import Device, Driver, Group, by_address, by_number
from iommutui.core.models import Model, has_node, model_for
from tests.core.traces import Line, State, host_of, now, with_functions

OWNER = "oracle"
BLOCKED = "blocked"
KILLED = "killed"


class Difference(NamedTuple):
    """One fact on which engine and kernel differ."""

    step: int
    what: str
    kernel: object
    engine: object


class SideBySide:
    """The machine of a trace's header, in the kernel's state and in the engine's."""

    def __init__(self, header: Line, model: Model | None = None) -> None:
        self.host = host_of(header)
        self.model = model or model_for(header["kernel"])
        self.kernel = {a: now(d) for a, d in self.host.devices.items()}
        """The kernel's state, by device."""
        self.physfn: Address | None = None
        """The physical function of each device that did not exist at the beginning."""
        self.number = 0
        """The group status of the step."""
        self.facts = self.crashes = 0
        self.differences: list[Difference] = []
        self.detached: set[str] = set()
        """Groups whose last VFIO device is gone while the recorder still has the (dead) file open."""

    def compare(self, what: str, kernel: object, engine: object) -> None:
        """Count a comparison, and keep it if the two differ."""
        self.facts += 1
        if kernel != engine:
            self.differences.append(Difference(self.number, what, kernel, engine))

    def apply(self, event: Event) -> str:
        outcome = transition(self.host, event, self.model)
        self.host = outcome.host
        self.crashes += outcome.crash is not None
        return KILLED if outcome.crash else BLOCKED if outcome.blocks else outcome.result.replace("ok", "OK")

    def status(self, number: int, status: Line) -> None:
        group = self.host.groups.get(number)
        if group is None:
            return
        if status.get("status") == "ENODEV":
            self.detached.add(str(number))
            self.compare(f"claim of group {number}", None, group.claim)
        if "node" in status:
            self.compare(f"node of group {number}", status["node"], has_node(self.host, group))
        if "viable" in status:
            verdict = self.model.verdict(self.host, group)
            self.compare(f"viability of group {number}", status["viable"], verdict.viable)
            self.compare(f"container of group {number}", status["container"], group.claim is not None)

    def release(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            if self.host.groups[number].claim is not None:
                self.apply(ReleaseGroup(number, OWNER))

    def load(self, driver: str) -> None:
        """Load a module: its driver binds to the free devices that match."""
        self.host = self.host._replace(drivers=(*(self.host.drivers or ()), Driver(driver)))
        for device in list(self.host.devices.values()):
            if device.driver is None and device.driver_override == driver:
                self.apply(Probe(device.address))

    def force(self, states: Mapping[Address, State | None]) -> None:
        """Move devices to the kernel's state, so that the next step is compared from there."""
        devices, groups = dict(self.host.devices), dict(self.host.groups)
        removed = dict(self.host.removed)
        for address, state in states.items():
            old = devices.pop(address, None) or removed.pop(address, None)
            if old is not None and old.group in groups:
                group = groups[old.group]
                members = tuple(a for a in group.members if a != address)
                groups[group.id] = group._replace(members=members)
                if not members:
                    del groups[group.id]
            if state is None:
                self.kernel.pop(address, None)
                continue
            self.kernel[address] = state
            driver, override, number = state
            known = old or Device(address, header_type=0, fits=(), physfn=self.physfn)
            devices[address] = known._replace(driver=driver, driver_override=override, group=number)
            if number is not None:
                group = groups.get(number, Group(number))
                groups[number] = group._replace(members=tuple(sorted({*group.members, address}, key=sort_key)))
        self.host = self.host._replace(
            devices=with_functions(by_address(devices.values())), groups=by_number(groups.values()), removed=removed
        )
