"""Recordings of real kernels, as the engine's Hosts and events.

A trace is a file of JSON lines whose first, the header, describes the machine. A ``dump.json`` beside it holds files
and links of the machine's sysfs.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from iommutui.core.address import Address
from iommutui.core.drivers import PCIEPORT, STUB, VFIO_PCI
from iommutui.core.events import Bind, Event, Override, Probe, Remove, Rescan, Unbind
from iommutui.core.host import Device, Driver, Fit, Group, Host, Iommu, by_address, by_number

Line = dict[str, Any]
State = tuple[str | None, str | None, int | None]
"""Driver, override and group of a device."""


def read_lines(path: Path) -> list[Line]:
    """The lines of a trace, up to one that a dying kernel left incomplete."""
    lines: list[Line] = []
    for text in path.read_text().splitlines():
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines


def host_of(header: Line, dump: Path | None = None) -> Host:
    """The Host that a trace's header describes, with facts added from the machine's dump."""
    registered = set(header.get("pci_drivers", ())) | {driver for row in header["devices"] for driver in row["drivers"]}
    registered |= {row["driver"] for row in header["devices"] if row["driver"]}
    registered |= {VFIO_PCI, STUB, PCIEPORT}
    devices = by_address(_device(row) for row in header["devices"])
    groups = [Group(int(n), tuple(Address(m) for m in members)) for n, members in header["groups"].items()]
    return Host(
        with_functions(devices),
        by_number(groups),
        kernel=header["kernel"],
        iommus=_iommus(dump) if dump is not None else None,
        drivers=tuple(Driver(name) for name in sorted(registered)),
    )


def _iommus(dump: Path) -> tuple[Iommu, ...]:
    """The machine's IOMMUs, each with its PCI function."""
    found = []
    for path, target in json.loads(dump.read_text())["links"].items():
        if match := re.fullmatch("/sys/class/iommu/(.+)", path):
            parts = re.findall(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", target)
            found.append(Iommu(match[1], function=Address(parts[-1]) if parts else None))
    return tuple(found)


def with_functions(devices: dict[Address, Device]) -> dict[Address, Device]:
    """The devices, each physical function with its virtual ones."""
    found: dict[Address, list[Address]] = {}
    for device in devices.values():
        if device.physfn is not None:
            found.setdefault(device.physfn, []).append(device.address)
    return {a: d._replace(virtfns=tuple(found.get(a, ()))) for a, d in devices.items()}


def _device(row: Line) -> Device:
    class_code = row["class"].removeprefix("0x")
    own = [d for d in row["drivers"] if d not in (VFIO_PCI, STUB)]
    return Device(
        Address(row["bdf"]),
        vendor_id=row["vendor"].removeprefix("0x"),
        device_id=row["device"].removeprefix("0x"),
        class_code=class_code,
        header_type=row["header_type"],
        multifunction=row.get("multifunction"),
        driver=row["driver"],
        driver_override=_override(row["driver_override"]),
        group=None if row["group"] is None else int(row["group"]),
        parent=None if row["parent"] is None else Address(row["parent"]),
        physfn=None if row["physfn"] is None else Address(row["physfn"]),
        fits=tuple(Fit(driver, None, True, proven=driver == row["driver"]) for driver in own),
    )


def _override(text: str | None) -> str | None:
    return None if text in (None, "(null)", "") else text


def state_of(value: list[str | None]) -> State:
    """Driver, override and group as a trace writes them."""
    driver, override, group = value
    return driver, _override(override), None if group is None else int(group)


def now(device: Device) -> State:
    """Driver, override and group of a device of the Host."""
    return device.driver, device.driver_override, device.group


def writes_of(result: Any) -> Iterator[Line]:
    """The writes in the result of a step."""
    if isinstance(result, dict) and "path" in result:
        yield result
    elif isinstance(result, dict | list):
        for part in result.values() if isinstance(result, dict) else result:
            yield from writes_of(part)


def event_of(write: Line) -> Event | None:
    """The engine's event for a write, or None if it has none."""
    path, data = str(write["path"]), _data(write)
    parts = path.split("/")
    device = Address(data.removesuffix("\n"))
    if path.endswith("/driver_override"):
        value = data.removesuffix("\n").split("\0", 1)[0]
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


def _data(write: Line) -> str:
    """What was written; the recorder shortens long text to its beginning and its length."""
    text = str(write["data"]).encode("latin-1").decode("utf-8", "replace")
    match = re.fullmatch(r"(.)\1*\.\.\.\((\d+) bytes\)", text)
    return match.group(1) * (int(match.group(2)) - 1) + "\n" if match else text
