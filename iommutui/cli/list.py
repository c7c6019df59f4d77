"""``iommutui list``: groups and their devices."""

import argparse
import sys
from collections import defaultdict

from iommutui.cli.options import read_machine
from iommutui.cli.output import columns, complain, cut, write_json, write_lines
from iommutui.cli.parser import Options
from iommutui.core.address import Address
from iommutui.core.advice import no_iommu_advice
from iommutui.core.errors import Exit
from iommutui.core.host import Device, Group, Host
from iommutui.core.labels import GLYPHS, class_words, device_name, driver_words, group_word, use_labels
from iommutui.core.models import Model
from iommutui.core.reasons import Code, Verdict
from iommutui.sources import Depth

_KEYS = "driver:, group:, viable:, class:, id:, override:, bus:"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    words = f"terms that must all match: words from a row, or {_KEYS}; '!' before a term inverts it"
    parser.add_argument("filter", nargs="*", metavar="FILTER", help=words)


def run(options: Options) -> int:
    """Prints the listing."""
    host, model = read_machine(options, Depth.FULL if options.json else Depth.LISTING)
    verdicts = {number: model.verdict(host, group) for number, group in host.groups.items()}
    devices = list(host.devices.values())
    if options.filter:
        from iommutui.core.query import matching, mistakes, parse_query

        query = " ".join(options.filter)
        devices = matching(host, parse_query(query), lambda group: verdicts[group.id])
        if not devices:
            said = mistakes(query) or [f"All terms must match: words from a row, or {_KEYS}."]
            complain(f"Nothing matches. {' '.join(said)}")
    if options.json:
        from iommutui.cli.documents import list_document

        write_json(list_document(host, model, devices))
    else:
        write_lines(_lines(host, devices, verdicts, model, bool(options.filter)))
    for line in no_iommu_advice(host):
        complain(line)
    return Exit.DONE


def _lines(host: Host, devices: list[Device], verdicts: dict[int, Verdict], model: Model, filtered: bool) -> list[str]:
    rows, by_group = _rows(host, devices), defaultdict(list)
    for device in devices:
        by_group[device.group].append(device)
    lines = []
    for number, group in host.groups.items():
        if by_group[number] or not filtered:
            lines.append(_group_line(group, verdicts[number], group_word(host, group, verdicts[number])))
            lines += [rows[device.address] for device in by_group[number]]
    for title, known in (("No IOMMU group", True), ("Group not known", False)):
        if alone := [d for d in by_group[None] if (d.gap("iommu_group") is None) == known]:
            lines += [title, *(rows[device.address] for device in alone)]
    viable = sum(group_word(host, host.groups[n], verdict) == "viable" for n, verdict in verdicts.items())
    shown = f"{len(devices)} of {len(host.devices)}" if filtered else f"{len(devices)}"
    return [
        *lines,
        f"{shown} devices, {len(host.groups)} groups, {viable} viable; "
        f"kernel {host.kernel or 'unknown'}, model {model.name}.",
    ]


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


def _rows(host: Host, devices: list[Device]) -> dict[Address, str]:
    """A line for each device. On a narrow terminal, its class and ids are left out before anything is cut."""
    room, uses = columns(sys.stdout), use_labels(host)
    width = max((len(device.address) for device in devices), default=0)
    rows = {}
    for device in devices:
        driver = device.driver if device.driver is not None else _no_driver(host, device)
        if device.driver_override is not None and device.driver_override != device.driver:
            driver += f" (override {device.driver_override})"
        start = f"  {device.address:{width}}  {driver:<15}  "
        ids = f" [{device.ids or '????:????'}]" if device.vendor_name and device.device_name else ""
        interfaces = f" {' '.join(device.interfaces)}" if device.interfaces else ""
        name = f"{class_words(device)}: {device_name(device)}{ids}{interfaces}"
        mark = f"  ! {', '.join(uses[device.address])}" if device.address in uses else ""
        if room is not None and len(start) + len(name) + len(mark) > room:
            mark = cut(mark, max(room - len(start) - _NAME, 0))
            left = room - len(start) - len(mark) - len(interfaces)
            name = cut(device.device_name or device_name(device), left) + interfaces
        rows[device.address] = cut(start + name + mark, room)
    return rows


_NAME = 24
"""Columns that the name of a device keeps beside what the host uses it for."""


def _no_driver(host: Host, device: Device) -> str:
    word = driver_words(host, device)
    if word != "being unbound" and any(gap.why == "timeout" for gap in device.gaps):
        return "(no answer)"
    return "-" if word == "free" else f"({word})"
