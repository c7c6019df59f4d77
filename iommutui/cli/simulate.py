"""``iommutui simulate``: JSON events in, JSON outcomes out, one per line."""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from iommutui.apply.validation import object_in, parse_plain
from iommutui.cli.documents import outcome_document
from iommutui.cli.options import read_machine
from iommutui.cli.parser import Options
from iommutui.core import events
from iommutui.core.engine import transition
from iommutui.core.errors import Exit, IommutuiError, UsageError
from iommutui.core.host import Host
from iommutui.core.query import find_device

Line = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    words = "events, one JSON object per line (default: standard input)"
    parser.add_argument("file", nargs="?", metavar="FILE", default="-", help=words)


def run(options: Options) -> int:
    """Answers every event in order, each on the Host that the one before has left."""
    if options.file == "-" and "-" in (options.source or ()):
        raise UsageError("Snapshot and events cannot both come from standard input.", "Put one of them in a file.")
    host, model = read_machine(options)
    for number, (place, line) in enumerate(_lines(options.file)):
        outcome = transition(host, _event(host, line, place), model)
        host = outcome.host
        sys.stdout.write(json.dumps(outcome_document(number, line, outcome, model)) + "\n")
        sys.stdout.flush()
    return Exit.DONE


def _lines(path: str) -> Iterator[tuple[str, Line]]:
    """Each event, and the place that an error names."""
    try:
        stream = sys.stdin.buffer if path == "-" else open(path, "rb")  # noqa: SIM115 - read line by line
    except OSError as error:
        raise IommutuiError(f"{path} cannot be read: {error.strerror}.", "Name a file of events, or '-'.") from error
    for number, text in enumerate(stream, 1):
        if text.strip():
            place = f"{'standard input' if path == '-' else path}, line {number}"
            yield place, object_in(text, place, _EXAMPLE)


_EXAMPLE = 'For example {"op":"bind","device":"0000:01:00.0","driver":"nvidia"}.'

_EVENTS: dict[str, type[events.Event]] = {
    "override": events.Override,
    "unbind": events.Unbind,
    "bind": events.Bind,
    "probe": events.Probe,
    "claim": events.ClaimGroup,
    "release": events.ReleaseGroup,
    "remove": events.Remove,
    "rescan": events.Rescan,
}
_OF_DEVICE: dict[str, type[events.Event]] = {"claim": events.ClaimDevice, "release": events.ReleaseDevice}
"""The events for a claim or release that names a device."""


def _event(host: Host, line: Line, place: str) -> events.Event:
    """The event of a line, in which its device is then spelled as an address."""
    op = line.get("op")
    if not isinstance(op, str) or op not in _EVENTS:
        raise IommutuiError(f"{place}: 'op' must be one of {', '.join(_EVENTS)}.", _EXAMPLE)
    kind = _OF_DEVICE.get(op, _EVENTS[op]) if "device" in line else _EVENTS[op]
    if isinstance(line.get("device"), str):
        with suppress(IommutuiError):  # a device that is not there is for the kernel to refuse
            line["device"] = find_device(host, line["device"]).address
    fields = {"driver": None, **line, "cdev": line.get("via") == "cdev"}
    if str(line.get("group")).isdecimal():
        fields["group"] = int(line["group"])
    return parse_plain(kind, {name: fields[name] for name in kind.__match_args__ if name in fields}, place, _EXAMPLE)
