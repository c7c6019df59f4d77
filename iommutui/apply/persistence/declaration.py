"""The declaration ``/etc/iommutui/persist.conf``: which device, by address and ids, goes to which driver."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from iommutui.core.address import Address, is_pci, sort_key
from iommutui.core.errors import IommutuiError, RefusedError
from iommutui.core.host import Host
from iommutui.core.plan.planner import Plan

CONF = "/etc/iommutui/persist.conf"
SWITCH = "iommutui.persist=0"
"""The word of the kernel's command line with which nothing that was declared is done."""

_IDS = re.compile(r"[0-9a-f]{4}:[0-9a-f]{4}")
_TARGET = re.compile(r"[A-Za-z0-9_.+-]{1,128}")
_HEADER = f"""\
# Made by iommutui: 'iommutui persist' writes it, 'iommutui unpersist' removes it.
# {SWITCH} on the kernel command line makes the next boot ignore it.
# A change takes effect in the next initramfs.
# ADDRESS    IDS       SUBSYSTEM TARGET
"""


class Entry(NamedTuple):
    """One line."""

    address: Address
    ids: str
    """``10de:2204``."""
    board: str
    """The same of the subsystem, which distinguishes two makers' cards; ``-`` where it is not known."""
    target: str
    """The override: a driver, or ``none``."""


def entries_of(host: Host, plan: Plan) -> list[Entry]:
    """The plan's goals as entries. RefusedError for a device that the next boot could not identify."""
    found = []
    for goal in plan.goals:
        if goal.override is None:
            raise RefusedError(
                f"{goal.device} goes to the driver that the kernel chooses, and that needs no entry.",
                f"'iommutui unpersist {goal.device}' removes an entry for it.",
            )
        device = host.devices[goal.device]
        if device.ids is None or not _TARGET.fullmatch(goal.override):
            raise RefusedError(f"The ids of {goal.device} are not known, and the next boot has to check them.")
        found.append(Entry(goal.device, device.ids, device.board or "-", goal.override))
    return found


def merged(old: Iterable[Entry], new: Iterable[Entry]) -> list[Entry]:
    """Both, in the order of addresses; of one address the new one."""
    every = {entry.address: entry for entry in (*old, *new)}
    return sorted(every.values(), key=lambda entry: sort_key(entry.address))


def to_text(entries: Iterable[Entry]) -> str:
    """The file."""
    return _HEADER + "".join(f"{' '.join(entry)}\n" for entry in entries)


def from_text(text: str, path: str) -> list[Entry]:
    """The entries of the file. IommutuiError names the first line that is none."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        entry = Entry(Address(fields[0]), *fields[1:4]) if len(fields) >= 4 else None
        if entry is None or not _is_whole(entry):
            raise IommutuiError(
                f"{path}, line {number}: not ADDRESS IDS SUBSYSTEM TARGET.",
                "Correct the line, or remove it: # begins a comment.",
            )
        found.append(entry)
    return found


def _is_whole(entry: Entry) -> bool:
    known = _IDS.fullmatch(entry.ids) and (entry.board == "-" or _IDS.fullmatch(entry.board))
    return bool(known and is_pci(entry.address) and _TARGET.fullmatch(entry.target))


def why_not_in_force(entry: Entry, host: Host, *, booted: bool) -> str:
    """Why the entry is not in force now; empty where it is. ``booted``: since it was declared."""
    device = host.devices.get(entry.address)
    if device is None:
        return f"no device is at {entry.address}"
    if entry.ids not in ("-", device.ids) or entry.board not in ("-", device.board):
        return f"another device ({device.vendor_id}:{device.device_id}) is at {entry.address}"
    if (device.driver or "none") == entry.target:
        return ""
    if SWITCH in (host.cmdline or "").split():
        return f"this boot has {SWITCH} on its command line"
    until = "; the kernel log says why: dmesg | grep iommutui" if booted else " until the next boot"
    return f"it is on {device.driver or 'no driver'}{until}"
