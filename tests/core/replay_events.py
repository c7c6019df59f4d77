"""Events in the format of ``simulate`` that were applied to a real kernel, replayed through the engine one by one.

A file ``NAME.out`` has a header with the machine, then a line an event: the event, what the call returned or that it
did not return, and afterwards the drivers and the viability of the group that it concerns.
"""

from collections import Counter
from pathlib import Path

from iommutui.core.address import Address
from iommutui.core.engine import transition
from iommutui.core.events import (
    Bind,
    ClaimDevice,
    ClaimGroup,
    Event,
    Override,
    Probe,
    ReleaseDevice,
    ReleaseGroup,
    Remove,
    Rescan,
    Unbind,
)
from iommutui.core.host import Host
from iommutui.core.models import model_for
from tests.core.aside import NOT_BOUND_CDEV
from tests.core.replay import Result
from tests.core.side_by_side import Difference
from tests.core.traces import Line, host_of, read_lines


def replay_events(path: Path) -> Result:
    """Replays one file."""
    header, *lines = read_lines(path)
    dumps = sorted(path.parent.glob("dump*.json"))
    host = host_of(header, dumps[0] if dumps else None)
    differences: list[Difference] = []
    aside: Counter[str] = Counter()
    facts = agreed = 0
    for line in lines:
        event = _event(line["event"])
        if event is None:
            aside[NOT_BOUND_CDEV] += 1
            continue
        pairs, host = _compare(host, event, line)
        found = [Difference(line["n"], what, kernel, engine) for what, kernel, engine in pairs if kernel != engine]
        facts += len(pairs)
        agreed += not found
        differences += found
    return Result(len(lines), agreed, facts, 0, differences, aside)


def _compare(host: Host, event: Event, line: Line) -> tuple[list[tuple[str, object, object]], Host]:
    """Compare kernel and engine on each fact, and return the Host afterwards."""
    model = model_for(host.kernel)
    outcome = transition(host, event, model)
    after = outcome.host
    blocks = bool(line.get("blocks"))
    pairs: list[tuple[str, object, object]] = [(f"{event} blocks", blocks, outcome.blocks)]
    if not blocks:
        pairs.append((f"{event}", line["result"], outcome.result))
    if line["device"] is not None and "driver" in line:
        device = after.devices.get(Address(line["device"]))
        pairs.append((f"driver after {event}", line["driver"], device.driver if device is not None else None))
    for number, seen in line["groups"].items():
        group = after.groups.get(int(number))
        if group is None:
            continue
        for member, driver in seen["members"].items():
            pairs.append((f"driver of {member} after {event}", driver, after.devices[Address(member)].driver))
        if seen["viable"] is not None:
            viable = model.verdict(after, group).viable
            pairs.append((f"viability of group {number} after {event}", seen["viable"], viable))
    return pairs, after


def _event(line: Line) -> Event | None:
    op, owner = line["op"], line.get("owner", "")
    device = Address(line["device"]) if "device" in line else None
    if op == "claim":
        if device is None:
            return ClaimGroup(int(line["group"]), owner, devices=line.get("devices", True))
        return ClaimDevice(device, owner, cdev=line.get("via") == "cdev")
    if op == "release":
        return ReleaseGroup(int(line["group"]), owner) if device is None else ReleaseDevice(device, owner)
    if op == "rescan":
        return Rescan()
    if device is None or op not in ("override", "unbind", "bind", "probe", "remove"):
        return None
    if op == "override":
        return Override(device, line["driver"])
    if op == "bind":
        return Bind(device, line["driver"])
    if op == "unbind":
        return Unbind(device)
    return Probe(device) if op == "probe" else Remove(device)
