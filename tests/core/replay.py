"""Replay recorded steps of real kernels through the engine, and count what agrees, differs, or is set aside and why.

A trace is a file of JSON lines: a header with the machine, then steps, each with its writes and their errnos, what was
read in between, what changed, and the status of every VFIO group. Each step starts from the state that the kernel was
in, and everything that the kernel reported is compared with what the engine says.
"""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from iommutui.core.address import Address, sort_key
from iommutui.core.drivers import STUB
from iommutui.core.engine import transition
from iommutui.core.events import Bind, ClaimDevice, ClaimGroup, Event, Override, Probe, ReleaseGroup, Rescan, Unbind
from iommutui.core.models import Model, has_node
from tests.core.aside import (
    DIED,
    EMPTY,
    FOREIGN_FILE,
    NO_VECTORS,
    PORT,
    SRIOV,
    UNFIT,
    UNRECORDED,
    WRONG_FILE,
    is_refused_port,
    is_unfit,
    rule_for,
)
from tests.core.side_by_side import BLOCKED, KILLED, OWNER, Difference, SideBySide
from tests.core.traces import Line, State, event_of, now, read_lines, state_of, writes_of


class Result(NamedTuple):
    """The result of a replay: steps by outcome, and individual facts."""

    steps: int
    agreed: int
    facts: int
    crashes: int
    differences: list[Difference]
    aside: Counter[str]
    """Steps in which a fact was set aside, by rule."""


class Replay(SideBySide):
    """One trace against one model; each step starts from the recorded state of the kernel."""

    def __init__(self, header: Line, model: Model | None = None) -> None:
        super().__init__(header, model)
        self.walk = header["kind"] == "walk"
        self.start = dict(self.kernel)
        self.resets_recorded = False
        self.steps = self.agreed = 0
        self.aside: Counter[str] = Counter()
        self.rules: set[str] = set()
        """Rules by which facts of this step are set aside."""
        self.excused: dict[Address, str] = {}
        """Devices of this step that may end up elsewhere, each with its rule."""
        self.returned: set[Address] = set()

    # -- one step

    def play(self, step: Line) -> None:
        """One step of the trace."""
        self.steps += 1
        self.number = step["i"]
        self.rules, self.excused, self.returned, self.detached = set(), {}, set(), set()
        before = len(self.differences)
        self._catch_up(step)
        what = str((step["args"] or {}).get("what", ""))
        if what == "rmmod pci_stub":
            left = tuple(d for d in self.host.drivers or () if d.name != STUB)
            self.host = self.host._replace(drivers=left)
        if what == "modprobe pci-stub":
            self.load(STUB)
        if any("error -28" in line or "failure status: -28" in line for line in step.get("kmsg", ())):
            self.excused[Address(step["args"]["bdf"])] = NO_VECTORS
        self._result(step["result"], step["args"] or {})
        if "after_release" in step:
            self.release({group.id for group in self.host.groups.values()})
        self._end(step)
        self.aside.update(self.rules)
        if len(self.differences) == before and not self.rules:
            self.agreed += 1
        if not self.walk and step["op"] == "rescan" and not self.resets_recorded:
            self._reset()

    def die(self, begin: Line) -> None:
        """Replay the last step of a trace, which the kernel did not survive."""
        self.steps += 1
        self.number = begin["i"]
        what, device = str(begin["args"].get("what", "")), Address(begin["args"].get("bdf", ""))
        if "to native" not in what:
            self.aside[DIED] += 1
            return
        events: list[Event] = [Probe(device)] if "drivers_probe" in what else [Bind(device, begin["args"]["driver"])]
        if isinstance(events[0], Probe):
            events.insert(0, Override(device, None))
        crash = False
        for event in events:
            outcome = transition(self.host, event, self.model)
            self.host = outcome.host
            crash = crash or outcome.crash is not None
        self.compare(f"crash of {what}", True, crash)
        self.crashes += crash
        self.agreed += crash

    def _catch_up(self, step: Line) -> None:
        """Bring the Host to the step's initial state: what the recorder does between two probes is not recorded.

        A device that the step did not write to, and that is elsewhere after it, was moved before it.
        """
        held = {int(group) for group in step.get("claims_before", ()) if group.isdecimal()}
        self.release({group.id for group in self.host.groups.values()} - held)
        moved = {Address(a): None if was is None else state_of(was) for a, (was, _) in step["changes"].items()}
        moved = {a: state for a, state in moved.items() if self.kernel.get(a) != state}
        if not self.walk and "modprobe" not in str((step["args"] or {}).get("what", "")):
            named = " ".join(f"{write['path']} {write['data']}" for write in writes_of(step["result"]))
            both = {Address(a): state_of(now) for a, (was, now) in step["changes"].items() if was and now}
            moved |= {a: state for a, state in both.items() if a not in named}
        if moved:
            self.rules.add(UNRECORDED)
            self.force(moved)

    def _reset(self) -> None:
        """Older recordings do not show how devices were put back after a probe: they went to their initial state."""
        back = {a: (d[0], None, self.kernel[a][2]) for a, d in self.start.items() if a in self.kernel}
        self.force(dict(back))

    def _end(self, step: Line) -> None:
        """Compare every device, and each group that the kernel reported, with the kernel's state."""
        for text, (_, after) in step["changes"].items():
            if after is None:
                self.kernel.pop(Address(text), None)
            else:
                self.kernel[Address(text)] = state_of(after)
        for address in sorted({*self.kernel, *self.host.devices}, key=sort_key):
            self._compare_device(address)
        claimed = {str(group.id) for group in self.host.groups.values() if group.claim is not None}
        self.compare("claims", set(step["claims"]) - self.detached, claimed)
        status = step.get("status")
        if status is not None:
            nodes = {str(group.id) for group in self.host.groups.values() if has_node(self.host, group)}
            self.compare("nodes", set(status), nodes)
            for text, reading in status.items():
                self.status(int(text), reading)

    def _compare_device(self, address: Address) -> None:
        device = self.host.devices.get(address)
        seen, here = self.kernel.get(address), None if device is None else now(device)
        if seen != here:
            rule = self._rule_for(address, seen, here)
            if rule is not None:
                self.rules.add(rule)
                self.force({address: seen})
                return
        names = ("driver", "override", "group")
        for name, kernel, engine in zip(names, seen or ("absent",) * 3, here or ("absent",) * 3, strict=True):
            self.compare(f"{name} of {address}", kernel, engine)
        if seen != here:
            self.force({address: seen})

    def _rule_for(self, address: Address, seen: State | None, here: State | None) -> str | None:
        if address in self.excused:
            return self.excused[address]
        if SRIOV in self.rules and (seen is None or here is None):
            return SRIOV
        return rule_for(self.host, address, seen, here, self.returned)

    # -- the writes and reads of a step

    def _result(self, result: Any, args: Line) -> None:
        if isinstance(result, list):
            for part in result:
                self._result(part, args)
        elif isinstance(result, dict):
            if "path" in result:
                self._write(result)
            elif "claimed" in result:
                self._claim(result)
            elif "released" in result:
                self.apply(ReleaseGroup(int(result["group"]), OWNER))
            else:
                self._reading(result, args)
                self._result(result.get("writes"), args)

    def _write(self, write: Line) -> None:
        event = event_of(write)
        seen = BLOCKED if write.get("blocked") else write.get("errno") or write.get("open_errno") or KILLED
        if event is None:
            self.rules.add(SRIOV if "sriov" in write["path"] else FOREIGN_FILE)
            self._virtual(write)
            return
        if not write["data"]:
            self.rules.add(EMPTY)
            return
        device = None if isinstance(event, Rescan) else self.host.devices.get(event.device)  # type: ignore[union-attr]
        before = set(self.host.devices)
        if device is not None:
            if isinstance(event, Unbind) and device.driver is not None and f"/{device.driver}/" not in write["path"]:
                self.rules.add(WRONG_FILE)
                return
            if is_unfit(device, event):
                self.rules.add(UNFIT)
                self.excused[device.address] = UNFIT
                self.apply(event)
                return
        answer = self.apply(event)
        if is_refused_port(self.host, event, seen, answer):
            self.rules.add(PORT)
        else:
            self.compare(str(event), seen, answer)
        if isinstance(event, Rescan):
            self.returned = set(self.host.devices) - before

    def _virtual(self, write: Line) -> None:
        """A write to ``sriov_numvfs``: a device that appears or vanishes in this step is a function of this device."""
        physfn = Address(write["path"].split("/")[-2])
        if write["path"].endswith("sriov_numvfs") and write.get("errno") == "OK" and physfn in self.host.devices:
            self.physfn = physfn

    def _claim(self, result: Line) -> None:
        if str(result.get("set_container", "not tried")).startswith("not tried"):
            return
        number = int(result["group"])
        self._reading({"group": number, "status": result.get("status_before")}, {})
        seen = result["set_container"] if result["set_container"] != "OK" else result.get("set_iommu", "OK")
        tried = [key for key in result if key.startswith("device_fd ")]
        self.compare(f"claim {number}", seen, self.apply(ClaimGroup(number, OWNER, devices=bool(tried))))
        opened = self.host.groups[number].claim
        fds = {key.split()[1] for key in tried if result[key] == "OK"}
        self.compare(f"open devices of {number}", fds, set(opened.opened) if opened else set())
        for key in tried:
            address = Address(key.split()[1])
            outcome = transition(self.host, ClaimDevice(address, OWNER), self.model)
            self.compare(f"open {address}", result[key], outcome.result.replace("ok", "OK"))
        self._reading({"group": number, "status": result.get("status_after")}, {})

    def _reading(self, reading: Line, args: Line) -> None:
        """Compare what was read in the middle of a step."""
        address = Address(args.get("bdf", ""))
        device = self.host.devices.get(address)
        if address in self.excused:
            return
        if device is not None and isinstance(reading.get("driver", ...), str | None):
            self.compare(f"driver of {address}", reading["driver"], device.driver)
        if device is not None and "read" in reading and "len" in reading:
            text = device.driver_override or "(null)"
            self.compare(f"override of {address}", (reading["read"], reading["len"]), (text[:60], len(text)))
        for member, driver in (reading.get("members") or {}).items():
            if member not in self.excused:
                self.compare(f"driver of {member}", driver, self.host.devices[Address(member)].driver)
        number = reading.get("group", args.get("group"))
        if number is None and device is not None:
            number = device.group
        if number is not None:
            if reading.get("status"):
                self.status(int(number), reading["status"])
            elif "viable" in reading or "node" in reading:
                self.status(int(number), reading)

    def put_back(self, reset: Line) -> None:
        """The writes that the recorder made after a probe."""
        self.release({group.id for group in self.host.groups.values()})
        self.force({Address(a): state_of(to) if to else None for a, (_, to) in reset["changes"].items()})


def replay(path: Path) -> Result:
    """Replays one file."""
    lines = read_lines(path)
    machine = Replay(lines[0])
    machine.resets_recorded = any(line["type"] == "reset" for line in lines)
    for line in lines[1:]:
        if line["type"] == "step":
            machine.play(line)
        elif line["type"] == "reset":
            machine.put_back(line)
    last = lines[-1]
    if last["type"] == "begin":
        machine.die(last)
    return Result(machine.steps, machine.agreed, machine.facts, machine.crashes, machine.differences, machine.aside)
