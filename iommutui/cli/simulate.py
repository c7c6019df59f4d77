"""``iommutui simulate``: JSON events in, JSON outcomes out, one a line."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

from iommutui.cli.documents import outcome_document
from iommutui.cli.options import chosen_model, read_host
from iommutui.cli.parser import Options, add_source
from iommutui.core.address import Address
from iommutui.core.engine.transition import transition
from iommutui.core.errors import Exit, IommutuiError, UsageError
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
from iommutui.core.query import find_device

Line = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``simulate [FILE|-]``."""
    parser.add_argument(
        "file", nargs="?", metavar="FILE", default="-", help="events, one JSON object a line (default: standard input)"
    )
    add_source(parser)


def run(options: Options) -> int:
    """Answers every event in order, each on the Host that the one before has left."""
    if options.file == "-" and "-" in (options.source or ()):
        raise UsageError("Snapshot and events cannot both come from standard input.", "Put one of them in a file.")
    host = read_host(options)
    model = chosen_model(options, host)
    for number, (place, line) in enumerate(_lines(options.file)):
        event = _event(host, line, place)
        outcome = transition(host, event, model)
        host = outcome.host
        shown = {**line, "device": event.device} if not isinstance(event, ClaimGroup | ReleaseGroup | Rescan) else line
        sys.stdout.write(json.dumps(outcome_document(number, shown, outcome, model)) + "\n")
        sys.stdout.flush()
    return Exit.DONE


def _lines(path: str) -> Iterator[tuple[str, Line]]:
    name = "standard input" if path == "-" else path
    try:
        stream = sys.stdin if path == "-" else open(path, encoding="utf-8")  # noqa: SIM115 - read line by line
    except OSError as error:
        raise IommutuiError(f"{path} cannot be read: {error.strerror}.", "Name a file of events, or '-'.") from error
    try:
        for number, text in enumerate(stream, 1):
            if not text.strip():
                continue
            place = f"{name}, line {number}"
            try:
                line = json.loads(text)
            except (ValueError, RecursionError) as error:
                raise IommutuiError(f"{place}: this is not JSON ({error}).", "Write one event a line.") from error
            if not isinstance(line, dict):
                raise IommutuiError(f"{place}: an event is a JSON object.", _EXAMPLE)
            yield place, line
    except UnicodeDecodeError as error:
        raise IommutuiError(f"{name} is not text in UTF-8.", "Write one event a line.") from error


_EXAMPLE = 'For example {"op":"bind","device":"0000:01:00.0","driver":"nvidia"}.'


class _Reader:
    """Typed access to the fields of one event."""

    def __init__(self, host: Host, line: Line, place: str) -> None:
        self.host, self.line, self.place = host, line, place

    def fail(self, what: str) -> IommutuiError:
        return IommutuiError(f"{self.place}: {what}.", _EXAMPLE)

    def text(self, key: str) -> str:
        value = self.line.get(key)
        if not isinstance(value, str):
            raise self.fail(f"{key!r} must be a string")
        return value

    def device(self) -> Address:
        """The device; one that is not there is the kernel's to refuse, so any string passes."""
        text = self.text("device")
        try:
            return find_device(self.host, text).address
        except IommutuiError:
            return Address(text)

    def group(self) -> int:
        value = self.line.get("group")
        if isinstance(value, str) and value.isdecimal():
            return int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.fail("'group' must be a number")
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self.line.get(key, default)
        if not isinstance(value, bool):
            raise self.fail(f"{key!r} must be true or false")
        return value


def _override(r: _Reader) -> Event:
    driver = r.line.get("driver")
    if driver is not None and not isinstance(driver, str):
        raise r.fail("'driver' must be a string or null")
    return Override(r.device(), driver)


def _claim(r: _Reader) -> Event:
    owner = r.text("owner")
    if "device" in r.line:
        return ClaimDevice(r.device(), owner, cdev=r.line.get("via") == "cdev")
    return ClaimGroup(r.group(), owner, devices=r.flag("devices", True))


def _release(r: _Reader) -> Event:
    owner = r.text("owner")
    return ReleaseDevice(r.device(), owner) if "device" in r.line else ReleaseGroup(r.group(), owner)


_EVENTS: dict[str, Callable[[_Reader], Event]] = {
    "override": _override,
    "unbind": lambda r: Unbind(r.device()),
    "bind": lambda r: Bind(r.device(), r.text("driver")),
    "probe": lambda r: Probe(r.device()),
    "claim": _claim,
    "release": _release,
    "remove": lambda r: Remove(r.device()),
    "rescan": lambda r: Rescan(),
}


def _event(host: Host, line: Line, place: str) -> Event:
    make = _EVENTS.get(line["op"]) if isinstance(line.get("op"), str) else None
    if make is None:
        raise IommutuiError(f"{place}: 'op' must be one of {', '.join(_EVENTS)}.", _EXAMPLE)
    return make(_Reader(host, line, place))
