"""What may be asked for: devices and targets to persist, or addresses to forget. No path and no command.

The asking program prepares the same change to show it. The process that writes prepares it again, from a fresh look at
the machine, and refuses where it differs.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from iommutui.apply.journal.directory import lock
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
    merged,
    paths_of,
)
from iommutui.apply.persistence.store import Change, Run, Store, digest_of, run_command
from iommutui.apply.request import check_intents, refuse_drift
from iommutui.apply.validation import parse
from iommutui.core.address import Address, parse_pci
from iommutui.core.errors import IommutuiError, RefusedError
from iommutui.core.hazards import Acceptance, Hazard, Topic, accept_words, dangers_words, unaccepted
from iommutui.core.host import Host
from iommutui.core.models import model_for
from iommutui.core.plan.drift import Basis
from iommutui.core.plan.intents import Goal, Intent
from iommutui.core.plan.planner import Plan, plan_intents
from iommutui.core.reasons import Code
from iommutui.core.roles import serves_host
from iommutui.core.uses import NOT_RECORDED, Held, Storage
from iommutui.core.wording import sentence

SCHEMA = 1


class PersistRequest(NamedTuple):
    """Intents to declare, or addresses to forget, or the last change to revert: one of the three."""

    schema: int
    intents: tuple[Intent, ...] = ()
    basis: Basis | None = None
    accepted: tuple[Acceptance, ...] = ()
    forget: tuple[Address, ...] = ()
    forget_all: bool = False
    revert_last: bool = False
    driverctl: bool = False
    shown: str | None = None
    """The digest of the changes that somebody has read; None: nobody has read any."""


class Prepared(NamedTuple):
    """A change that may be made."""

    changes: list[Change]
    files: list[File]
    """Every file of ours afterwards."""
    mechanism: Mechanism
    hazards: tuple[Hazard, ...] = ()


def parse_persist_request(text: str) -> PersistRequest:
    """The request in the text; IommutuiError for anything that is none."""
    what = "The request to persist"
    request = parse(PersistRequest, text.encode(errors="replace"), what)
    if request.schema != SCHEMA:
        raise IommutuiError(f"{what} has schema {request.schema}, and this program knows {SCHEMA}.")
    if sum(map(bool, (request.intents, request.forget, request.forget_all, request.revert_last))) != 1:
        raise IommutuiError(f"{what} has to ask for exactly one thing.")
    check_intents(request.intents, what)
    if any(parse_pci(address) != address for address in request.forget):
        raise IommutuiError(f"{what} names a device that is not a PCI address.")
    return request


def declared(store: Store) -> list[Entry]:
    """What is declared now."""
    record = store.record()
    if record.mechanism == DRIVERCTL:
        return [driverctl_entry(path, store.read(path).text or "") for path in record.made]
    text = store.read(CONF).text
    return [] if text is None else from_text(text, CONF)


def prepare(request: PersistRequest, host: Host, store: Store) -> Prepared:
    """The change that is asked for. RefusedError where it may not be made."""
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
        files = files_of(mechanism, merged(known, entries_of(host, plan)))
        return Prepared(store.changes(files), files, mechanism, plan.hazards)
    unknown = [address for address in request.forget if address not in {entry.address for entry in known}]
    if unknown:
        raise RefusedError(f"{', '.join(unknown)}: nothing is declared.", "'iommutui persist --list' shows what is.")
    mechanism = by_name(record.mechanism) if record.mechanism else mechanism_of(store.root)
    left = [entry for entry in known if request.forget and entry.address not in request.forget]
    files = files_of(mechanism, left)
    changes = store.changes(files, paths_of(mechanism))
    if not changes:
        raise RefusedError("Nothing persists through iommutui.", "'iommutui persist' makes a binding last.")
    return Prepared(changes, files, mechanism)


def _plan(request: PersistRequest, host: Host, root: Path) -> Plan:
    """The plan for the next boot, by the rules of the running kernel.

    Who has a device open, or claims it, ends with this boot; what is mounted now is a danger that may be accepted.
    """
    groups = {number: group._replace(claim=None) for number, group in host.groups.items()}
    plan = plan_intents(host._replace(groups=groups), request.intents, model_for(host.kernel))
    refusals = [reason for reason in plan.refusals if reason.code is not Code.HOST_NEEDS]
    if refusals:
        raise RefusedError(
            "The rules do not permit this: " + " ".join(sentence(reason) for reason in refusals),
            "'iommutui preview' shows more.",
        )
    late = [g.device for g in plan.goals if host.devices[g.device].physfn is not None and not request.driverctl]
    if late:
        raise RefusedError(
            f"{', '.join(late)}: a virtual function is made later in the boot than the declaration is read.",
            "'--with driverctl' binds it when it appears.",
        )
    needs = list(next_boot_needs(host, plan.goals, tables_of(root, host.cmdline or "")))
    if needs:
        raise RefusedError(" ".join(needs), "Move that away from the device first, or leave the device to the host.")
    lasting = [hazard for hazard in plan.hazards if not (hazard.refused and hazard.topic is Topic.USE)]
    return plan._replace(hazards=tuple(hazard._replace(refused=False) for hazard in lasting))


def carry_out(request: PersistRequest, host: Host, store: Store, run: Run = run_command) -> Iterator[str]:
    """Makes the change; lines of progress. IommutuiError where it is refused, or failed and was reverted."""
    with lock(store.state / "journal"):
        if request.basis is not None:
            refuse_drift(request.basis, host, [intent.device for intent in request.intents])
        prepared = prepare(request, host, store)
        dangers = unaccepted(prepared.hazards, request.accepted)
        if dangers:
            raise RefusedError(dangers_words(dangers), accept_words(dangers))
        if request.shown is not None and request.shown != digest_of(prepared.changes):
            raise RefusedError("The files to write are no longer those that were shown.", "Look at it again.")
        if request.revert_last:
            yield from store.revert(run)
        elif not prepared.changes:
            yield "Every file is as it should be."
        else:
            yield from store.carry_out(prepared.changes, prepared.files, prepared.mechanism, run)


_SYSTEM = ("/", "/usr", "/boot", "/boot/efi", "/efi", "/etc", "/var")
_OPTIONAL = frozenset({"nofail", "noauto", "x-systemd.automount"})
_NETWORK_ROOT = re.compile(r"root=(?:/dev/)?nfs.*|nfsroot=.*|boot=nfs|(?:root|netroot)=iscsi.*|iscsi_.*|rd\.iscsi\..*")
"""Words of nfsroot(5), initramfs-tools(7) and dracut.cmdline(7)."""
_NAMED = re.compile(r"\(([^()]+)\)")


class Tables(NamedTuple):
    """What the boot mounts, opens and resumes from."""

    fstab: str = ""
    crypttab: str = ""
    resume: str = ""
    """The kernel's name of the block device that ``resume=`` means: ``sda3``."""
    network_root: str = ""
    """The word of the kernel's command line by which ``/`` comes through the network."""


def tables_of(root: Path, cmdline: str) -> Tables:
    """The tables of a machine. RefusedError where one cannot be read by root."""

    def text(name: str) -> str:
        try:
            return (root / "etc" / name).read_text("utf-8", "backslashreplace")
        except FileNotFoundError:
            return ""
        except OSError as error:
            if isinstance(error, PermissionError) and os.geteuid() != 0:
                return ""  # the process that writes is root, and looks by itself
            raise RefusedError(
                f"/etc/{name} cannot be read ({error.strerror}), and the next boot goes by it."
            ) from None

    words = cmdline.split()
    network = next(filter(_NETWORK_ROOT.fullmatch, words), "")
    resume = next((word.partition("=")[2] for word in words if word.startswith("resume=")), "")
    tag, equals, value = resume.partition("=")
    path = root / (f"dev/disk/by-{tag.lower()}/{value}" if equals else resume.lstrip("/"))
    return Tables(text("fstab"), text("crypttab"), os.path.basename(os.path.realpath(path)) if resume else "", network)


def next_boot_needs(host: Host, goals: tuple[Goal, ...], tables: Tables) -> Iterator[str]:
    """A sentence for each use of a device of the goals that the next boot needs."""
    leaving = {g.device for g in goals if not serves_host(host, host.devices[g.device], g.driver) and not g.any_driver}
    mounts, names = _required(tables.fstab, 1), _required(tables.crypttab, 0)
    uses = host.uses or NOT_RECORDED
    for way in uses.network if tables.network_root else ():
        if way.device in leaving and way.address:
            yield f"The next boot needs {way.device}: / may come through {way.own} ({tables.network_root})."
    for use in uses.storage:
        why = _need(use, mounts, names, tables.resume) if use.device in leaving else ""
        if why:
            chain = " ← ".join((*use.what[:1], *use.chain))
            yield f"The next boot needs {use.device}: {why} ({chain})."


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


def _required(table: str, key: int) -> dict[str, str]:
    """The lines that the boot does not go on without, by one of their fields. Their options are the fourth."""
    found = {}
    for line in table.splitlines():
        fields = line.split()
        if len(fields) > max(key, 1) and not fields[0].startswith("#"):
            options = fields[3].split(",") if len(fields) > 3 else []
            if not _OPTIONAL.intersection(options):
                point = "[SWAP]" if key and fields[2:3] == ["swap"] else fields[key]
                found[re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), point)] = " ".join(fields)
    return found
