"""``iommutui unpersist``: what was made to last no longer does."""

import argparse

from iommutui.cli.offline import refuse_recorded
from iommutui.cli.options import read_host
from iommutui.cli.parser import Options
from iommutui.cli.persist import add_answers, review_and_ask
from iommutui.core.address import parse_pci
from iommutui.core.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``unpersist [DEVICE...]``, or ``unpersist --last``."""
    parser.add_argument("devices", nargs="*", metavar="DEVICE", help="the address of a device (default: everything)")
    parser.add_argument("--last", action="store_true", help="put the files back as they were before the last change")
    add_answers(parser)


def run(options: Options) -> int:
    """Reviews, asks, and takes away. A device need not be there any more."""
    from iommutui.apply.persistence.request import SCHEMA, PersistRequest

    refuse_recorded(options, "unpersist")
    if options.last and options.devices:
        raise UsageError("--last takes a whole change back.", "Leave the devices out.")
    forget = []
    for word in options.devices:
        address = parse_pci(word)
        if address is None:
            raise UsageError(f"{word!r} is not an address.", "See 'iommutui persist --list'.")
        forget.append(address)
    request = PersistRequest(
        SCHEMA, forget=tuple(forget), forget_all=not forget and not options.last, take_back=options.last
    )
    return review_and_ask(options, read_host(options, way_back=True), request, [])
