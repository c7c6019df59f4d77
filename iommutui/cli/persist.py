"""``iommutui persist`` and ``iommutui unpersist``: bindings that last beyond the next boot."""

import argparse
import os
import sys

from iommutui import debug
from iommutui.apply.boots import boot_id
from iommutui.apply.events import Event, Finished, Notice, Refused
from iommutui.apply.journal import ID, journal_dir
from iommutui.apply.journal.reader import read_journals
from iommutui.apply.persistence import (
    SCHEMA,
    PersistRequest,
    changed_as_root,
    declared,
    machine_store,
    prepare,
    serve,
)
from iommutui.apply.persistence.mechanisms import SWITCH, why_not_in_force
from iommutui.apply.persistence.store import diff_of, digest_of
from iommutui.apply.request import read_plan, refuse_dangers
from iommutui.apply.validation import to_line
from iommutui.cli.documents import Document
from iommutui.cli.options import add_consent, parse_accepted, parse_intents, read_host, refuse_recorded
from iommutui.cli.output import ask, complain, write_json, write_lines
from iommutui.cli.parser import Options
from iommutui.cli.review import hazard_lines
from iommutui.core.address import Address, parse_pci
from iommutui.core.errors import Exit, UsageError
from iommutui.core.host import Host
from iommutui.core.plan.drift import basis_of
from iommutui.core.plan.intents import Intent
from iommutui.core.wording import count

_WAY_BACK = (
    f"If the screen stays dark at the next boot, press e in the boot loader's menu and add {SWITCH} to the",
    "kernel command line: that boot ignores all of this. A second menu entry with it saves the typing.",
    "'iommutui unpersist' removes it for good.",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    words = "a target for one device, as for preview; or a file written by 'iommutui plan', or a journal's id"
    parser.add_argument("what", nargs="*", metavar="DEVICE=TARGET", help=words)
    parser.add_argument("--list", action="store_true", help="show what persists, and whether it is in force")
    late = "use driverctl, which acts later during boot"
    parser.add_argument("--with", dest="driverctl", choices=["driverctl"], metavar="driverctl", help=late)
    add_consent(parser)
    parser.add_argument("--stdin", action="store_true", help=argparse.SUPPRESS)  # for the process that writes
    parser.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)


def run(options: Options) -> int:
    """Lists, or reviews, asks, and writes."""
    refuse_recorded(options, "persist")
    if options.debug:
        debug.turn_on()
    if options.stdin:
        return serve()
    if options.list:
        return _list(options)
    if options.model is not None:
        raise UsageError("'persist' uses the rules of the running kernel.", "Leave --model out.")
    host = read_host(options)
    intents = tuple(_intents(options.what, host))
    basis = basis_of(host, [intent.device for intent in intents])
    accepted = parse_accepted(host, options.accept)
    request = PersistRequest(SCHEMA, intents, basis, accepted, driverctl=options.driverctl is not None)
    return _review_and_ask(options, host, request)


def _intents(words: list[str], host: Host) -> list[Intent]:
    if not words:
        raise UsageError("Name the bindings to persist.", "For example: iommutui persist 01:00.0=vfio-pci")
    if len(words) > 1 or "=" in words[0]:
        return parse_intents(host, words)
    if os.path.lexists(words[0]):
        return list(read_plan(words[0]).intents)
    if not ID.fullmatch(words[0]):
        raise UsageError(
            f"{words[0]!r} is neither DEVICE=TARGET, nor a plan file, nor the id of a journal.",
            "'iommutui journal' lists the ids.",
        )
    goals = read_journals(journal_dir()).find(words[0]).header.goals
    return [Intent(goal.device, goal.driver or "none") for goal in goals if not goal.any_driver]


def add_arguments_unpersist(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "devices", nargs="*", type=_address, metavar="DEVICE", help="the address of a device (default: everything)"
    )
    parser.add_argument("--last", action="store_true", help="revert the last change and restore its files")
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")


def _address(text: str) -> Address:
    address = parse_pci(text)
    if address is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not an address; see 'iommutui persist --list'")
    return address


def run_unpersist(options: Options) -> int:
    """Reviews, asks, and removes. The device may be gone by now."""
    refuse_recorded(options, "unpersist")
    if options.last and options.devices:
        raise UsageError("--last reverts a whole change.", "Leave the devices out.")
    everything = not options.devices and not options.last
    request = PersistRequest(SCHEMA, forget=(*options.devices,), forget_all=everything, revert_last=options.last)
    return _review_and_ask(options, read_host(options), request)


def _review_and_ask(options: Options, host: Host, request: PersistRequest) -> int:
    """Shows every file as a diff, asks, and makes the change; returns the exit code."""
    store = machine_store()
    prepared = prepare(request, host, store)
    if not options.json:
        lines = [*diff_of(prepared.changes), *hazard_lines(prepared.hazards), ""]
        command = prepared.mechanism.command(store.root)
        if command:
            lines += [f"Then: {' '.join(command)}", *(_WAY_BACK if request.intents else ())]
        write_lines(lines)
        sys.stdout.flush()
    refuse_dangers(prepared.hazards, request.accepted)
    if prepared.changes and not options.yes:
        ask(f"Change {count(len(prepared.changes), 'file')}?", "--yes continues without asking.")
    code: Exit | None = None
    for event in changed_as_root(request._replace(shown=digest_of(prepared.changes))):
        text, code, remedy = _parts(event)
        if options.json:
            sys.stdout.write(to_line({"text": text, "code": code, "remedy": remedy}).decode())
        elif code:
            complain(f"iommutui: {text} {remedy}".rstrip())
        else:
            write_lines([text])
        sys.stdout.flush()
    return code or Exit.DONE


def _parts(event: Event) -> tuple[str, Exit | None, str]:
    """The text of an event, the code of the last one, and the remedy of an error."""
    match event:
        case Finished(exit=code, summary=text):
            return text, code, ""
        case Refused(exit=code, what=text, remedy=remedy):
            return text, code, remedy
        case Notice(what=text):
            return text, None, ""
    return "", None, ""


def persisted(options: Options) -> list[Document]:
    """The entries that persist, each with why it is not in force; empty if it is."""
    store = machine_store()
    record, entries = store.record(), declared(store)
    if not record.finished:
        complain("A change to what persists was interrupted; 'iommutui unpersist --last' reverts it.")
    if not entries:
        return []
    host, booted = read_host(options), record.boot != boot_id(str(store.root))
    found = [(entry, why_not_in_force(entry, host, booted=booted)) for entry in entries]
    return [{**entry._asdict(), "in_force": not why, "why": why} for entry, why in found]


def persisted_lines(entries: list[Document]) -> list[str]:
    """``persists 0000:09:00.0 (10de:1f08) on vfio-pci: not in force, another device (...) is at 0000:09:00.0``."""
    return [
        f"persists {entry['address']} ({entry['ids']}) on {entry['target']}: "
        + ("in force" if entry["in_force"] else f"not in force, {entry['why']}")
        for entry in entries
    ]


def _list(options: Options) -> int:
    found = persisted(options)
    if options.json:
        write_json({"finished": machine_store().record().finished, "persisted": found})
        return Exit.DONE
    if not found:
        complain("Nothing persists through iommutui.")
    write_lines(persisted_lines(found))
    return Exit.DONE
