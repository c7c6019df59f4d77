"""``iommutui unpersist``: removes bindings that persist."""

import argparse

from iommutui.apply.persistence.request import SCHEMA, PersistRequest
from iommutui.cli.options import read_host, refuse_recorded
from iommutui.cli.parser import Options
from iommutui.cli.persist import add_answers, review_and_ask
from iommutui.core.address import parse_pci
from iommutui.core.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``unpersist [DEVICE...]``, or ``unpersist --last``."""
    parser.add_argument("devices", nargs="*", metavar="DEVICE", help="the address of a device (default: everything)")
    parser.add_argument("--last", action="store_true", help="revert the last change, and restore its files")
    add_answers(parser)


def run(options: Options) -> int:
    """Reviews, asks, and removes. The device may be gone by now."""
    refuse_recorded(options, "unpersist")
    if options.last and options.devices:
        raise UsageError("--last reverts a whole change.", "Leave the devices out.")
    forget = []
    for word in options.devices:
        address = parse_pci(word)
        if address is None:
            raise UsageError(f"{word!r} is not an address.", "See 'iommutui persist --list'.")
        forget.append(address)
    request = PersistRequest(
        SCHEMA, forget=tuple(forget), forget_all=not forget and not options.last, revert_last=options.last
    )
    return review_and_ask(options, read_host(options), request)
