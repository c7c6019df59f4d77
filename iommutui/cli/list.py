"""``iommutui list``: groups and their devices."""

import argparse

from iommutui.cli.options import read_machine
from iommutui.cli.output import columns, complain, cut, write_json, write_lines
from iommutui.cli.parser import Options
from iommutui.core.address import Address
from iommutui.core.advice import no_iommu_advice
from iommutui.core.errors import Exit
from iommutui.core.host import Device, Group, Host
from iommutui.core.labels import (
    GLYPHS,
    class_words,
    device_name,
    driver_words,
    group_word,
    use_labels,
)
from iommutui.core.models import Model
from iommutui.core.reasons import Code, Verdict
from iommutui.sources import Depth

_KEYS = "driver:, group:, viable:, class:, id:, override:, bus:"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "filter",
        nargs="*",
        metavar="FILTER",
        help=f"terms that must all match: words from a row, or {_KEYS}; '!' before a term inverts it",
    )


def run(options: Options) -> int:
    """Prints the listing."""
    host, model = read_machine(options, Depth.FULL if options.json else Depth.LISTING)
    verdicts = {number: model.verdict(host, group) for number, group in host.groups.items()}
    devices = _filtered(host, options.filter, verdicts)
    if options.json:
        from iommutui.cli.documents import list_document

        write_json(list_document(host, model, devices))
    else:
        write_lines(_lines(host, devices, verdicts, model, bool(options.filter)))
    if options.filter and not devices:
        from iommutui.core.query import mistakes

        said = mistakes(" ".join(options.filter)) or [f"All terms must match: words from a row, or {_KEYS}."]
        complain(f"Nothing matches. {' '.join(said)}")
    for line in no_iommu_advice(host):
        complain(line)
    return Exit.DONE


def _filtered(host: Host, words: list[str], verdicts: dict[int, Verdict]) -> list[Device]:
    if not words:
        return list(host.devices.values())
    from iommutui.core.query import matching, parse_query

    return matching(host, parse_query(" ".join(words)), lambda group: verdicts[group.id])


def _lines(host: Host, devices: list[Device], verdicts: dict[int, Verdict], model: Model, filtered: bool) -> list[str]:
    room, marks = columns(), use_labels(host)
    width = max((len(device.address) for device in devices), default=0)
    by_group: dict[int | None, list[Device]] = {}
    for device in devices:
        by_group.setdefault(device.group, []).append(device)
    lines = []
    for number, group in host.groups.items():
        members = by_group.get(number, [])
        if members or not filtered:
            word = group_word(host, group, verdicts[number])
            lines.append(_group_line(group, verdicts[number], word))
            lines += [_device_line(host, device, width, marks, room) for device in members]
    for title, known in (("No IOMMU group", True), ("Group not known", False)):
        if alone := [d for d in by_group.get(None, []) if (d.gap("iommu_group") is None) == known]:
            lines += [title, *(_device_line(host, device, width, marks, room) for device in alone)]
    return [*lines, _summary(host, devices, verdicts, model, filtered)]


def _group_line(group: Group, verdict: Verdict, word: str) -> str:
    line = f"Group {group.id:<3} {GLYPHS[word]} {word}"
    blockers = [r for r in verdict.reasons if r.code is Code.KERNEL_DRIVER and word == "blocked"]
    if blockers:
        names = [(r.driver or "", (r.device or "").removeprefix("0000:")) for r in blockers]
        line += ": " + ", ".join(f"{driver} on {place}" for driver, place in names)
    elif group.owner is not None:
        line += f" by {group.owner}"
    elif word == "refused":
        line += f": claiming it fails with {verdict.claim}"
    return line


def _device_line(
    host: Host, device: Device, width: int, marks: dict[Address, tuple[str, ...]], room: int | None
) -> str:
    driver = device.driver if device.driver is not None else _no_driver(host, device)
    if device.driver_override is not None and device.driver_override != device.driver:
        driver += f" (override {device.driver_override})"
    ids = f" [{device.ids or '????:????'}]" if device.vendor_name and device.device_name else ""
    interfaces = f" {' '.join(device.interfaces)}" if device.interfaces else ""
    start = f"  {device.address:{width}}  {driver:<15}  "
    name = f"{class_words(device)}: {device_name(device)}{ids}{interfaces}"
    words = marks.get(device.address)
    mark = f"  ! {', '.join(words)}" if words else ""
    if room is not None and len(start) + len(name) + len(mark) > room:
        mark = cut(mark, max(room - len(start) - _NAME, 0))
        name = _shorter_name(device, interfaces, room - len(start) - len(mark))
        start = cut(start, room)
    return start + name + mark


_NAME = 24
"""Columns that the name of a device keeps beside what the host uses it for."""


def _shorter_name(device: Device, interfaces: str, room: int) -> str:
    """The longest name of the device that fits the columns, or the beginning of the shortest; and its interfaces."""
    whole = device_name(device)
    for name in (f"{class_words(device)}: {whole}{interfaces}", whole + interfaces):
        if len(name) <= room:
            return name
    return cut(cut(device.device_name or whole, max(room - len(interfaces), 0)) + interfaces, room)


def _no_driver(host: Host, device: Device) -> str:
    word = driver_words(host, device)
    if word != "being unbound" and any(gap.why == "timeout" for gap in device.gaps):
        return "(no answer)"
    return "-" if word == "free" else f"({word})"


def _summary(host: Host, devices: list[Device], verdicts: dict[int, Verdict], model: Model, filtered: bool) -> str:
    viable = sum(group_word(host, host.groups[n], verdict) == "viable" for n, verdict in verdicts.items())
    shown = f"{len(devices)} of {len(host.devices)}" if filtered else f"{len(devices)}"
    return (
        f"{shown} devices, {len(host.groups)} groups, {viable} viable; "
        f"kernel {host.kernel or 'unknown'}, model {model.name}."
    )
