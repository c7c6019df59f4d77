"""Requests: devices and targets to persist, or addresses to forget. They hold no path and no command.

The asking program prepares the same change to show it. The process that writes, as root, prepares it again from a
fresh scan, and refuses if it differs.
"""

import os
import re
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

from iommutui import sources
from iommutui.apply.child import held_signals
from iommutui.apply.confirmation import REQUEST_LIMIT
from iommutui.apply.elevation import Applying, own_program, root_program
from iommutui.apply.events import Event, EventStream, Finished, Notice, Refused, tell
from iommutui.apply.journal import journal_dir, lock
from iommutui.apply.persistence.mechanisms import (
    CONF,
    DRIVERCTL,
    Entry,
    File,
    Mechanism,
    by_name,
    driverctl_entry,
    entries_of,
    files_of,
    from_text,
    mechanism_of,
    paths_of,
)
from iommutui.apply.persistence.store import Change, Run, Store, digest_of, run_command
from iommutui.apply.request import check_intents, refuse_dangers, refuse_drift, refuse_unpermitted
from iommutui.apply.validation import parse
from iommutui.core.address import Address, parse_pci
from iommutui.core.errors import Exit, IommutuiError, RefusedError
from iommutui.core.hazards import Acceptance, Hazard, Topic
from iommutui.core.host import Host, serves_host
from iommutui.core.models import model_for
from iommutui.core.plan.drift import Basis
from iommutui.core.plan.intents import Goal, Intent
from iommutui.core.plan.planner import Plan, plan_intents
from iommutui.core.reasons import Code
from iommutui.core.uses import NOT_RECORDED, Held, Storage

SCHEMA: Final = 1


class PersistRequest(NamedTuple):
    """Intents to declare, or addresses to forget, or the last change to revert: one of the three."""

    schema: Literal[1]
    intents: tuple[Intent, ...] = ()
    basis: Basis | None = None
    accepted: tuple[Acceptance, ...] = ()
    forget: tuple[Address, ...] = ()
    forget_all: bool = False
    revert_last: bool = False
    driverctl: bool = False
    shown: str | None = None
    """The digest of the reviewed changes; None: no changes were reviewed."""


class Prepared(NamedTuple):
    """A change that may be made."""

    changes: list[Change]
    files: list[File]
    """Every file of ours afterwards."""
    mechanism: Mechanism
    hazards: tuple[Hazard, ...] = ()


def parse_persist_request(text: str) -> PersistRequest:
    """The request in the text. Raises IommutuiError for anything else."""
    what = "The request to persist"
    request = parse(PersistRequest, text.encode(errors="replace"), what)
    if sum(map(bool, (request.intents, request.forget, request.forget_all, request.revert_last))) != 1:
        raise IommutuiError(f"{what} has to ask for exactly one thing.")
    check_intents(request.intents, what)
    if any(parse_pci(address) != address for address in request.forget):
        raise IommutuiError(f"{what} names a device that is not a PCI address.")
    return request


def declared(store: Store) -> list[Entry]:
    """The entries declared now."""
    record = store.record()
    if record.mechanism == DRIVERCTL:
        return [driverctl_entry(path, store.read(path).text or "") for path in record.made]
    text = store.read(CONF).text
    return [] if text is None else from_text(text, CONF)


def prepare(request: PersistRequest, host: Host, store: Store) -> Prepared:
    """The requested change. Raises RefusedError if it may not be made."""
    record = store.record()
    if request.revert_last:
        if not record.before:
            raise RefusedError("There is no change to revert.", "'iommutui persist --list' shows what persists.")
        return Prepared(store.undo(), [], by_name(record.mechanism))
    if not record.finished:
        raise RefusedError("An earlier change was interrupted.", "'iommutui unpersist --last' reverts it.")
    known = declared(store)
    if request.intents:
        mechanism = mechanism_of(store.root, driverctl=request.driverctl)
        if known and record.mechanism not in ("", mechanism.name):
            raise RefusedError(
                f"What persists now uses {record.mechanism}.", "Run 'iommutui unpersist' first, then this again."
            )
        plan = _plan(request, host, store.root)
        entries = {entry.address: entry for entry in (*known, *entries_of(host, plan))}
        files = files_of(mechanism, entries.values())
        return Prepared(store.changes(files), files, mechanism, plan.hazards)
    unknown = [address for address in request.forget if address not in {entry.address for entry in known}]
    if unknown:
        raise RefusedError(
            f"{', '.join(unknown)}: nothing is declared.", "'iommutui persist --list' lists what is declared."
        )
    mechanism = by_name(record.mechanism) if record.mechanism else mechanism_of(store.root)
    left = [entry for entry in known if request.forget and entry.address not in request.forget]
    files = files_of(mechanism, left)
    changes = store.changes(files, paths_of(mechanism))
    if not changes:
        raise RefusedError("Nothing persists through iommutui.", "'iommutui persist' makes a binding last.")
    return Prepared(changes, files, mechanism)


def _plan(request: PersistRequest, host: Host, root: Path) -> Plan:
    """The plan for the next boot, by the rules of the running kernel.

    Open devices and claims end with this boot; a current mount is a danger that can be accepted.
    """
    groups = {number: group._replace(claim=None) for number, group in host.groups.items()}
    plan = plan_intents(host._replace(groups=groups), request.intents, model_for(host.kernel))
    refusals = [reason for reason in plan.refusals if reason.code is not Code.HOST_NEEDS]
    refuse_unpermitted(refusals, "The rules do not permit this: ", "'iommutui preview' shows more.")
    late = [g.device for g in plan.goals if host.devices[g.device].physfn is not None and not request.driverctl]
    if late:
        raise RefusedError(
            f"{', '.join(late)}: a virtual function is created only after the declaration is read at boot.",
            "'--with driverctl' binds it when it appears.",
        )
    needs = list(next_boot_needs(host, plan.goals, root))
    if needs:
        raise RefusedError(" ".join(needs), "Move that to another device first, or leave this device to the host.")
    lasting = [hazard for hazard in plan.hazards if not (hazard.refused and hazard.topic is Topic.USE)]
    return plan._replace(hazards=tuple(hazard._replace(refused=False) for hazard in lasting))


def carry_out(request: PersistRequest, host: Host, store: Store, run: Run = run_command) -> Iterator[str]:
    """Makes the change; lines of progress. Raises IommutuiError if it is refused, or failed and was reverted."""
    with lock(store.state / "journal"):
        if request.basis is not None:
            refuse_drift(request.basis, host, [intent.device for intent in request.intents])
        prepared = prepare(request, host, store)
        refuse_dangers(prepared.hazards, request.accepted)
        if request.shown is not None and request.shown != digest_of(prepared.changes):
            raise RefusedError("The files to write are no longer those shown.", "Review the change again.")
        if request.revert_last:
            yield from store.revert(run)
        elif not prepared.changes:
            yield "Every file is as it should be."
        else:
            yield from store.carry_out(prepared.changes, prepared.files, prepared.mechanism, run)


# -- what the next boot needs on its host drivers, which must not persist elsewhere

_SYSTEM = ("/", "/usr", "/boot", "/boot/efi", "/efi", "/etc", "/var")
_OPTIONAL = frozenset({"nofail", "noauto", "x-systemd.automount"})
_NETWORK_ROOT = re.compile(r"root=(?:/dev/)?nfs.*|nfsroot=.*|boot=nfs|(?:root|netroot)=iscsi.*|iscsi_.*|rd\.iscsi\..*")
"""Words of nfsroot(5), initramfs-tools(7) and dracut.cmdline(7)."""
_NAMED = re.compile(r"\(([^()]+)\)")


def next_boot_needs(host: Host, goals: tuple[Goal, ...], root: Path) -> Iterator[str]:
    """A sentence for each use of a device of the goals that the next boot needs.

    Raises RefusedError if a table below ``root`` cannot be read by root.
    """
    leaving = {g.device for g in goals if not serves_host(host, host.devices[g.device], g.driver) and not g.any_driver}
    mounts, names = _required(root, "fstab", 1), _required(root, "crypttab", 0)
    words, uses = (host.cmdline or "").split(), host.uses or NOT_RECORDED
    network_root = next(filter(_NETWORK_ROOT.fullmatch, words), "")
    for way in uses.network if network_root else ():
        if way.device in leaving and way.address:
            yield f"The next boot needs {way.device}: / may come through {way.own} ({network_root})."
    resume = _resume(root, words)
    for use in uses.storage:
        why = _need(use, mounts, names, resume) if use.device in leaving else ""
        if why:
            yield f"The next boot needs {use.device}: {why} ({use.path})."


def _resume(root: Path, words: list[str]) -> str:
    """The kernel's name of the block device that ``resume=`` means: ``sda3``; empty without one."""
    resume = next((word.partition("=")[2] for word in words if word.startswith("resume=")), "")
    tag, equals, value = resume.partition("=")
    path = root / (f"dev/disk/by-{tag.lower()}/{value}" if equals else resume.lstrip("/"))
    return os.path.basename(os.path.realpath(path)) if resume else ""


def _need(use: Storage, mounts: dict[str, str], names: dict[str, str], resume: str) -> str:
    if use.held is Held.SWAP:
        return "swap, and maybe the image to resume from, is on it"
    if use.held is Held.POOL:
        return f"the pool {', '.join(use.what)} is imported from it"
    links = (*use.what, *use.chain)
    if resume and resume in {link.partition(" ")[0] for link in links}:
        return f"resume= on the kernel's command line means {resume}, which is on it"
    if use.held in (Held.MOUNT, Held.FSTAB, Held.REMOTE, Held.PERHAPS_REMOTE):
        for point in use.what:
            if point in _SYSTEM:
                return f"{point} {'is on' if use.held in (Held.MOUNT, Held.FSTAB) else 'comes through'} it"
            if point in mounts:
                return f"/etc/fstab requires {point}, without nofail: '{mounts[point]}'"
    opened = [name for link in links for name in _NAMED.findall(link) if name in names]
    return f"/etc/crypttab opens {opened[0]} from it, without nofail: '{names[opened[0]]}'" if opened else ""


def _required(root: Path, table: str, key: int) -> dict[str, str]:
    """The lines of /etc/fstab or /etc/crypttab that the boot requires, by one of their fields."""
    try:
        text = (root / "etc" / table).read_text("utf-8", "backslashreplace")
    except OSError as error:
        # Root can read everything: the writing process checks again.
        if isinstance(error, FileNotFoundError) or (isinstance(error, PermissionError) and os.geteuid() != 0):
            return {}
        raise RefusedError(f"/etc/{table} cannot be read ({error.strerror}), and the next boot uses it.") from None
    found = {}
    for line in text.splitlines():
        fields = line.split()
        if len(fields) > max(key, 1) and not fields[0].startswith("#"):
            options = fields[3].split(",") if len(fields) > 3 else []
            if not _OPTIONAL.intersection(options):
                point = "[SWAP]" if key and fields[2:3] == ["swap"] else fields[key]
                found[re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), point)] = " ".join(fields)
    return found


# -- the writing process, and the asking program


def machine_store() -> Store:
    """The files of this machine, and the record of the last change to them."""
    return Store(Path(sources.HERE), journal_dir().parent)


def serve() -> int:
    """``persist --stdin``: reads one request, makes the change, and writes events; the exit code.

    A change is completed even if no one reads the events any more or a signal asks to stop.
    """
    stream = EventStream(sys.stdout.fileno())
    with held_signals():
        return tell(events_of(sys.stdin.read(REQUEST_LIMIT)), stream.send, alone=True)


def events_of(text: str) -> Generator[Event, None, None]:
    """The events of a request. It does not raise IommutuiError or OSError: they are events."""
    try:
        request = parse_persist_request(text)
        yield from map(Notice, carry_out(request, sources.load(), machine_store()))
    except IommutuiError as error:
        yield Refused(error.exit_code, error.what, error.remedy)
    except OSError as error:
        yield Refused(Exit.ERROR, f"{error.filename}: {error.strerror}.", "Nothing was written.")
    else:
        yield Finished(Exit.DONE, "Done.")


def changed_as_root(request: PersistRequest) -> Iterator[Event]:
    """Has another process make the change, as root. Raises what `Applying` does."""
    return Applying(request, own_program(), root_program(), command="persist").events()
