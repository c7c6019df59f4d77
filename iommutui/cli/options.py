"""The shared options as values: the machine, its model, intents and accepted dangers."""

import argparse
import re
from typing import TYPE_CHECKING

from iommutui.cli.output import complain
from iommutui.cli.parser import Options
from iommutui.core.errors import IommutuiError, RefusedError, UsageError
from iommutui.core.host import Host
from iommutui.core.models import MODELS, Model, model_for
from iommutui.settings import driver_table, read_settings
from iommutui.sources import Depth, load, open_source

if TYPE_CHECKING:
    from iommutui.core.hazards import Acceptance
    from iommutui.core.plan.intents import Intent


def read_machine(options: Options, depth: Depth = Depth.FULL) -> tuple[Host, Model]:
    """The machine that the options name, and the model of ``--model``, else that of the machine's kernel."""
    host = read_host(options, depth)
    return host, model_for(host.kernel) if options.model is None else MODELS[options.model]


def read_host(options: Options, depth: Depth = Depth.FULL) -> Host:
    """The machine that ``--from``, ``--demo`` and ``--kernel`` name, with the drivers of the user's settings.

    A mistake in the settings is reported on standard error, and the rest is used.
    """
    settings = read_settings()
    for error in settings.wrong:
        complain(f"Note: {error.what} It is ignored. {error.remedy}")
    table = driver_table(settings)
    check_source(options)
    if options.demo:
        from iommutui.demo import demo_host

        host = demo_host()
        return host._replace(kernel=options.kernel or host.kernel, driver_table=table)
    if options.source is not None:
        opened = open_source(options.source, kernel=options.kernel, depth=depth, driver_table=table)
        for note in opened.notes:
            complain(f"Note: {note}")
        return opened.host
    from iommutui.sources.processes import session_address

    host = load(kernel=options.kernel, depth=depth, session=session_address(), driver_table=table)
    _report_interrupted()
    return host


def _report_interrupted() -> None:
    """A note on standard error for each apply to this machine that a crash interrupted."""
    from iommutui.apply.boots import boot_id
    from iommutui.apply.journal import journal_dir, may_be_open
    from iommutui.sources import HERE

    directory, boot = journal_dir(), boot_id(HERE)
    if not may_be_open(directory, boot):
        return
    from iommutui.apply.recovery import interrupted_words, open_journals, remedy_words

    try:
        for journal in open_journals(directory, boot):
            complain(f"Note: {interrupted_words(journal)} {remedy_words(journal)}")
    except IommutuiError as error:
        complain(f"Note: {error.what}")


def check_source(options: Options) -> None:
    """Raises UsageError if the options name no machine, kernel or model."""
    if options.kernel is not None and re.match(r"\d+\.\d+", options.kernel) is None:
        raise UsageError(
            f"{options.kernel!r} is not a kernel release.", "Write it as 'uname -r' prints it: 6.1.0-13-amd64."
        )
    if options.demo and options.source is not None:
        raise UsageError("--demo and --from cannot be combined.", "Leave one of them out.")
    if options.model is not None and options.model not in MODELS:
        raise UsageError(f"Unknown model {options.model!r}.", f"The models are {', '.join(MODELS)}.")


def refuse_recorded(options: Options, command: str) -> None:
    """Only the running machine can be written and has journals, under the rules of its own kernel."""
    if options.source is not None or options.demo:
        other = " and ".join(options.source or ()) or "the built-in machine of --demo"
        raise RefusedError(
            f"'{command}' works only on this machine, and {other} is a recording.",
            "On the screen, an apply to a recording is simulated; the log (L) lists what it would write.",
        )
    if options.kernel is not None:
        raise RefusedError(f"'{command}' uses the running kernel.", "Leave --kernel out.")


def same_machine(options: Options) -> str:
    """The options that make another command read the same machine by the same rules, to append to its words."""
    from shlex import quote

    words = ["--demo"] if options.demo else []
    for name, values in (("--from", options.source), ("--kernel", options.kernels), ("--model", [options.model])):
        words += [word for value in values or () if value is not None for word in (name, quote(value))]
    return "".join(f" {word}" for word in words)


def with_source(options: Options, text: str) -> str:
    """The text with every quoted command (``'iommutui why 14'``) completed to read the same machine."""
    there = same_machine(options)
    return re.sub(r"'(iommutui (?:list|why|preview|plan)\b[^']*)'", lambda found: f"'{found[1]}{there}'", text)


def parse_intents(host: Host, words: list[str]) -> "list[Intent]":
    """``DEVICE=TARGET`` words as intents, each device at most once."""
    from iommutui.core.plan.intents import Intent
    from iommutui.core.query import find_device

    intents: dict[str, Intent] = {}
    for word in words:
        device_text, equals, target = word.rpartition("=")
        if not equals or not device_text or not target:
            raise UsageError(f"{word!r} is not DEVICE=TARGET.", "For example 01:00.0=vfio-pci, or 01:00.1=none.")
        device = find_device(host, device_text)
        if device.address in intents and intents[device.address].target != target:
            raise UsageError(f"{device.address} has two targets.", "Name each device once.")
        intents[device.address] = Intent(device.address, target)
    return list(intents.values())


def add_output(parser: argparse.ArgumentParser) -> None:
    """``-o``, for commands that print a text."""
    parser.add_argument("-o", "--output", metavar="FILE", help="write to this file instead of standard output")


def add_consent(parser: argparse.ArgumentParser) -> None:
    """``--accept`` and ``--yes``, for commands that write."""
    words = "accept one danger from the review, for one device; may be repeated"
    parser.add_argument("--accept", action="append", default=[], metavar="CODE:DEVICE", help=words)
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask; dangers must still be accepted")


def parse_accepted(host: Host, words: list[str]) -> "tuple[Acceptance, ...]":
    """``CODE:DEVICE`` words as the dangers that they accept."""
    from iommutui.core.hazards import KINDS, Acceptance
    from iommutui.core.query import find_device

    found = []
    for word in words:
        code, _, device = word.partition(":")
        if code not in KINDS or not device:
            remedy = "The review lists each danger with the option that accepts it."
            raise UsageError(f"{word!r} is not CODE:DEVICE for a known danger.", remedy)
        found.append(Acceptance(code, find_device(host, device).address))
    return tuple(dict.fromkeys(found))
