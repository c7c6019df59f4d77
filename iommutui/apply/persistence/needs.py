"""What the next boot needs: a device that it waits for, or stops without, may not persist on another driver.

Pure. The text of ``/etc/fstab`` and ``/etc/crypttab`` comes in; of a disk, what it is used for now is known.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from iommutui.core.host import Host
from iommutui.core.plan.intents import Goal
from iommutui.core.roles import serves_host
from iommutui.core.uses import Held, Storage

_SYSTEM = ("/", "/usr", "/boot", "/boot/efi", "/efi", "/etc", "/var")
_OPTIONAL = frozenset({"nofail", "noauto", "x-systemd.automount"})
_NAMED = re.compile(r"\(([^()]+)\)")


class Tables(NamedTuple):
    """The tables of what the boot mounts and opens."""

    fstab: str = ""
    crypttab: str = ""


def next_boot_needs(host: Host, goals: tuple[Goal, ...], tables: Tables) -> Iterator[str]:
    """A sentence for each use of a device of the goals that the next boot needs."""
    leaving = {g.device for g in goals if not serves_host(host, host.devices[g.device], g.driver) and not g.any_driver}
    mounts, names = _required(tables.fstab, 1, 3), _required(tables.crypttab, 0, 3)
    for use in host.uses.storage if host.uses is not None else ():
        if use.device in leaving:
            for why in _needs(use, mounts, names):
                chain = " ← ".join((*use.what[:1], *use.chain))
                yield f"The next boot needs {use.device}: {why} ({chain})."


def _needs(use: Storage, mounts: dict[str, str], names: dict[str, str]) -> Iterator[str]:
    if use.held is Held.SWAP:
        yield "swap, and maybe the image to resume from, is on it"
    elif use.held is Held.POOL:
        yield f"the pool {', '.join(use.what)} is imported from it"
    elif use.held in (Held.MOUNT, Held.FSTAB):
        for point in use.what:
            if point in _SYSTEM:
                yield f"{point} is on it"
                return
            if point in mounts:
                yield f"/etc/fstab requires {point}, without nofail: '{mounts[point]}'"
                return
    opened = [name for link in use.chain for name in _NAMED.findall(link)]
    for name in opened:
        if name in names:
            yield f"/etc/crypttab opens {name} from it, without nofail: '{names[name]}'"
            return


def _required(table: str, key: int, options: int) -> dict[str, str]:
    """The lines that the boot does not go on without, by one of their fields."""
    found = {}
    for line in table.splitlines():
        fields = line.split()
        if len(fields) > max(key, 1) and not fields[0].startswith("#"):
            given = fields[options].split(",") if len(fields) > options else []
            if not _OPTIONAL.intersection(given):
                found[re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[key])] = " ".join(fields)
    return found
