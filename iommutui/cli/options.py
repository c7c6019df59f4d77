"""What commands make of the options that they share."""

import re
from typing import TYPE_CHECKING

from iommutui.cli.parser import Options
from iommutui.core.errors import IommutuiError, UsageError
from iommutui.core.host import Host
from iommutui.core.models import MODELS, model_for
from iommutui.core.models.base import Model
from iommutui.settings import driver_table, read_settings
from iommutui.sources import Depth, load, open_source

if TYPE_CHECKING:
    from iommutui.core.hazards import Acceptance
    from iommutui.core.plan.intents import Intent


def read_host(options: Options, depth: Depth = Depth.FULL) -> Host:
    """The machine that ``--from``, ``--demo`` and ``--kernel`` name, with the drivers of the user's settings.

    What is wrong with the settings is told, and keeps nobody from anything.
    """
    config = read_settings()
    for error in config.wrong:
        from iommutui.cli.output import complain

        complain(f"Note: {error.what} {error.remedy} This goes on without it.")
    table = driver_table(config)
    check_source(options)
    if options.demo:
        from iommutui.demo import demo_host

        host = demo_host()
        return host._replace(kernel=options.kernel or host.kernel, driver_table=table)
    if options.source is not None:
        from iommutui.cli.output import complain

        opened = open_source(options.source, kernel=options.kernel, depth=depth, driver_table=table)
        for note in opened.notes:
            complain(f"Note: {note}")
        return opened.host
    from iommutui.sources.ssh_session import session_address

    host = load(kernel=options.kernel, depth=depth, session=session_address(), driver_table=table)
    tell_what_was_cut_off()
    return host


def tell_what_was_cut_off() -> None:
    """A line of talk for each apply to this machine that a crash has left half way; nothing where there is none."""
    from iommutui.apply.journal.directory import journal_dir, may_be_open
    from iommutui.sources import HERE
    from iommutui.sources.boots import boot_id

    directory, boot = journal_dir(), boot_id(HERE)
    if not may_be_open(directory, boot):
        return
    from iommutui.apply.recovery import cut_off_words, open_journals, way_out
    from iommutui.cli.output import complain

    try:
        for journal in open_journals(directory, boot):
            complain(f"Note: {cut_off_words(journal)} {way_out(journal)}")
    except IommutuiError as error:
        complain(f"Note: {error.what}")


def check_source(options: Options) -> None:
    """UsageError where no machine, kernel or model can be meant by the options."""
    if options.kernel is not None and re.match(r"\d+\.\d+", options.kernel) is None:
        raise UsageError(
            f"{options.kernel!r} is not a kernel release.", "Write it as 'uname -r' prints it: 6.1.0-13-amd64."
        )
    if options.demo and options.source is not None:
        raise UsageError("--demo and --from cannot be combined.", "Leave one of them out.")
    if options.model is not None and options.model not in MODELS:
        raise UsageError(f"Unknown model {options.model!r}.", f"The models are {', '.join(MODELS)}.")


def chosen_model(options: Options, host: Host) -> Model:
    """The model of ``--model``, else that of the Host's kernel."""
    return model_for(host.kernel) if options.model is None else MODELS[options.model]


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


def parse_accepted(host: Host, words: list[str]) -> "tuple[Acceptance, ...]":
    """``CODE:DEVICE`` words as what they accept; the device is spelled as everywhere."""
    from iommutui.core.hazards import KINDS, Acceptance
    from iommutui.core.query import find_device

    found = []
    for word in words:
        code, colon, device = word.partition(":")
        if not colon or not code or not device:
            raise UsageError(
                f"{word!r} is not CODE:DEVICE.",
                "The review lists each danger with the option that accepts it.",
            )
        if code not in KINDS:
            raise UsageError(
                f"Unknown danger {code!r}.",
                "The review lists each danger with the option that accepts it.",
            )
        found.append(Acceptance(code, find_device(host, device).address))
    return tuple(dict.fromkeys(found))
