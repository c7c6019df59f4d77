"""The devices that the next boot needs on their host drivers, which must not persist elsewhere."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from iommutui.core.errors import RefusedError
from iommutui.core.host import Host, serves_host
from iommutui.core.plan.intents import Goal
from iommutui.core.uses import NOT_RECORDED, Held, Storage

_SYSTEM = ("/", "/usr", "/boot", "/boot/efi", "/efi", "/etc", "/var")
_OPTIONAL = frozenset({"nofail", "noauto", "x-systemd.automount"})
_NETWORK_ROOT = re.compile(r"root=(?:/dev/)?nfs.*|nfsroot=.*|boot=nfs|(?:root|netroot)=iscsi.*|iscsi_.*|rd\.iscsi\..*")
"""Words of nfsroot(5), initramfs-tools(7) and dracut.cmdline(7)."""
_NAMED = re.compile(r"\(([^()]+)\)")


class Tables(NamedTuple):
    """The mounts, encrypted devices and resume device of the boot."""

    fstab: str = ""
    crypttab: str = ""
    resume: str = ""
    """The kernel's name of the block device that ``resume=`` means: ``sda3``."""
    network_root: str = ""
    """The word on the kernel's command line that puts ``/`` on the network."""


def tables_of(root: Path, cmdline: str) -> Tables:
    """The tables of a machine. Raises RefusedError if one cannot be read by root."""

    def text(name: str) -> str:
        try:
            return (root / "etc" / name).read_text("utf-8", "backslashreplace")
        except FileNotFoundError:
            return ""
        except OSError as error:
            if isinstance(error, PermissionError) and os.geteuid() != 0:
                return ""  # the writing process is root, and checks again
            raise RefusedError(f"/etc/{name} cannot be read ({error.strerror}), and the next boot uses it.") from None

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
            yield f"The next boot needs {use.device}: {why} ({use.path})."


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
    """The lines that the boot requires, by one of their fields. Their options are the fourth."""
    found = {}
    for line in table.splitlines():
        fields = line.split()
        if len(fields) > max(key, 1) and not fields[0].startswith("#"):
            options = fields[3].split(",") if len(fields) > 3 else []
            if not _OPTIONAL.intersection(options):
                point = "[SWAP]" if key and fields[2:3] == ["swap"] else fields[key]
                found[re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), point)] = " ".join(fields)
    return found
