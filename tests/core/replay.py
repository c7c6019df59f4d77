"""Recorded walks of real kernels, replayed through the engine: what differs, and what is set aside and why.

A trace is a file of JSON lines: a header with the machine, then steps with each write and its errno, what changed, and
the status of every VFIO group.
"""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from iommutui.core.address import Address
from iommutui.core.events import Bind, ClaimGroup, Event, Override, Probe, ReleaseGroup, Remove, Rescan, Unbind
from iommutui.core.host import Device, Driver, Fit, Group, Host, by_address, by_number
from iommutui.core.models import model_for
from iommutui.core.models.base import Model
from iommutui.core.transition import transition

Line = dict[str, Any]
OWNER = "oracle"


def host_of(header: Line) -> Host:
    """The Host that a trace's header describes."""
    devices = [_device(row) for row in header["devices"]]
    known = {driver for row in header["devices"] for driver in row["drivers"]} | set(header.get("pci_drivers", ()))
    known |= {device.driver for device in devices if device.driver} | {"vfio-pci", "pci-stub", "pcieport"}
    groups = [Group(int(n), tuple(Address(m) for m in members)) for n, members in header["groups"].items()]
    return Host(
        by_address(devices),
        by_number(groups),
        kernel=header["kernel"],
        drivers=tuple(Driver(name) for name in sorted(known)),
    )


def _hex(text: str | None) -> str | None:
    return None if text is None else text.removeprefix("0x")


def _device(row: Line) -> Device:
    override = row["driver_override"]
    own = [d for d in row["drivers"] if d not in ("vfio-pci", "pci-stub")]
    return Device(
        Address(row["bdf"]),
        vendor_id=_hex(row["vendor"]),
        device_id=_hex(row["device"]),
        class_code=_hex(row["class"]),
        header_type=row["header_type"],
        driver=row["driver"],
        driver_override=None if override in (None, "(null)", "") else override,
        group=None if row["group"] is None else int(row["group"]),
        parent=None if row["parent"] is None else Address(row["parent"]),
        physfn=None if row["physfn"] is None else Address(row["physfn"]),
        fits=tuple(Fit(driver, None, loaded=True) for driver in own),
    )


class Difference(NamedTuple):
    """One fact on which engine and kernel differ."""

    step: int
    what: str
    kernel: object
    engine: object


class Result(NamedTuple):
    """What a replay found."""

    steps: int
    facts: int
    differences: list[Difference]
    aside: Counter[str]


def _event(write: Line) -> Event | None:
    path, data = str(write["path"]), str(write["data"])
    parts = path.split("/")
    device = Address(data.strip())
    if path.endswith("/driver_override"):
        value = data.split("\n", 1)[0]
        return Override(Address(parts[-2]), value or None)
    if path.endswith("/unbind"):
        return Unbind(device)
    if path.endswith("/drivers_probe"):
        return Probe(device)
    if path.endswith("/bind"):
        return Bind(device, parts[-2])
    if path.endswith("/remove"):
        return Remove(Address(parts[-2]))
    return Rescan() if path.endswith("/rescan") else None


def _writes(result: Any) -> Iterator[Line]:
    if isinstance(result, dict):
        if "path" in result:
            yield result
        for value in result.values():
            yield from _writes(value)
    elif isinstance(result, list):
        for value in result:
            yield from _writes(value)


class Replay:
    """One trace against one model; each step starts from what the kernel was seen to be in."""

    def __init__(self, header: Line, model: Model | None = None) -> None:
        self.host = host_of(header)
        self.model = model or model_for(header["kernel"])
        self.steps = self.facts = 0
        self.differences: list[Difference] = []
        self.aside: Counter[str] = Counter()
        self.state = {a: (d.driver, d.driver_override, d.group) for a, d in self.host.devices.items()}

    def differ(self, step: int, what: str, kernel: object, engine: object) -> None:
        """Counts a comparison, and keeps it where the two are not the same."""
        self.facts += 1
        if kernel != engine:
            self.differences.append(Difference(step, what, kernel, engine))

    def play(self, step: Line) -> None:
        """One step of the trace."""
        self.steps += 1
        number, result = step["i"], step["result"]
        returned: set[Address] = set()
        for write in _writes(result):
            returned |= self._write(number, write)
        if step["op"] == "claim":
            self._claim(number, result)
        elif step["op"] == "release":
            self._apply(ReleaseGroup(int(step["args"]["group"]), OWNER))
        if "after_release" in step:
            for group in [g for g in self.host.groups.values() if g.claim is not None]:
                self._apply(ReleaseGroup(group.id, OWNER))
        self._compare(number, step, returned)

    def _apply(self, event: Event) -> str:
        outcome = transition(self.host, event, self.model)
        self.host = outcome.host
        return "blocked" if outcome.blocks else outcome.result.replace("ok", "OK")

    def _write(self, number: int, write: Line) -> set[Address]:
        event = _event(write)
        if event is None:
            return set()
        seen = "blocked" if write.get("blocked") else write.get("errno") or write.get("open_errno")
        before = set(self.host.devices)
        engine = self._apply(event)
        self.differ(number, f"{event}", seen, engine)
        return set(self.host.devices) - before if isinstance(event, Rescan) else set()

    def _claim(self, number: int, result: Line) -> None:
        if "set_container" not in result or str(result["set_container"]).startswith("not tried"):
            return
        seen = result["set_container"] if result["set_container"] != "OK" else result.get("set_iommu", "OK")
        engine = self._apply(ClaimGroup(int(result["group"]), OWNER, devices=True))
        self.differ(number, f"claim {result['group']}", seen, engine)
        group = self.host.groups[int(result["group"])]
        if result.get("claimed"):
            opened = {k.split()[1] for k, v in result.items() if k.startswith("device_fd ") and v == "OK"}
            self.differ(number, "devices opened", opened, set(group.claim.opened) if group.claim else set())

    def _compare(self, number: int, step: Line, returned: set[Address]) -> None:
        for address, (_, now) in step["changes"].items():
            if now is None:
                self.state.pop(Address(address), None)
            else:
                driver, override, group = now
                override = None if override in (None, "(null)", "") else override
                self.state[Address(address)] = (driver, override, None if group is None else int(group))
        self.differ(number, "devices", sorted(self.state), sorted(self.host.devices))
        for address, (driver, override, number_of_group) in self.state.items():
            device = self.host.devices.get(address)
            if device is None:
                continue
            if address in returned and device.group != number_of_group:
                self.aside["a device that came back after rescan is in another group than predicted"] += 1
                self._move(device, number_of_group)
                device = self.host.devices[address]
            self.differ(number, f"driver of {address}", driver, device.driver)
            self.differ(number, f"override of {address}", override, device.driver_override)
            self.differ(number, f"group of {address}", number_of_group, device.group)
        for group_text, status in (step.get("status") or {}).items():
            group = self.host.groups.get(int(group_text))
            if "viable" in status and group is not None:
                verdict = self.model.verdict(self.host, group)
                self.differ(number, f"viability of group {group_text}", status["viable"], verdict.viable)

    def _move(self, device: Device, number: int | None) -> None:
        """Puts a device where the kernel has put it, so that what follows is compared on the kernel's own state."""
        groups = dict(self.host.groups)
        if device.group is not None:
            old = groups[device.group]
            members = tuple(a for a in old.members if a != device.address)
            if members:
                groups[old.id] = old._replace(members=members)
            else:
                del groups[old.id]
        if number is not None:
            new = groups.get(number, Group(number))
            groups[number] = new._replace(members=tuple(sorted({*new.members, device.address})))
        self.host = self.host._replace(groups=dict(sorted(groups.items())))
        self.host = self.host.with_device(device._replace(group=number))


def replay(path: Path) -> Result:
    """Replays one file of a walk."""
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    machine = Replay(lines[0])
    for line in lines[1:]:
        if line["type"] == "step":
            machine.play(line)
    return Result(machine.steps, machine.facts, machine.differences, machine.aside)
