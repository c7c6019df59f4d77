"""Who has what open: one walk through ``/proc`` for owners of groups, users of devices, and what an unbind waits for.

Other users' processes show to root only, and a recording rarely has any.
"""

import os
from itertools import pairwise
from typing import NamedTuple

from iommutui.sources.tree import Tree, Unreadable, names_in, printable, read_file, to_text

VFIO_DEVICE = "anon_inode:[vfio-device]"
"""A device that was got from its group; from which one does not show."""

DELETED = " (deleted)"
"""Ends the name of a node that is no longer there."""


class Process(NamedTuple):
    """A process that has devices open; names and files are another program's to choose, and so hostile."""

    pid: int
    files: tuple[str, ...]
    """The targets of its descriptors below ``/dev``, such as ``/dev/vfio/14``, and `VFIO_DEVICE`; sorted, each once."""


class OpenFiles(NamedTuple):
    """What is seen, and an errno or ``not-recorded`` where there may be more."""

    processes: tuple[Process, ...]
    """By process id."""
    hidden: str | None


def read_open_files(tree: Tree) -> OpenFiles:
    """Every process that has a device open; one that ends meanwhile has nothing open."""
    names = names_in(f"{tree.root}/proc")
    if isinstance(names, Unreadable):
        return OpenFiles((), names.why)
    pids = sorted(int(name) for name in names or () if name.isdecimal())
    hidden = None if pids else "not-recorded"
    if tree.live and pids[:1] != [1]:
        hidden = (
            "EPERM"  # mounted with hidepid, /proc leaves out other users' processes, and the first of all with them
        )
    found = []
    for pid in pids:
        files = _files(f"{tree.root}/proc/{pid}/fd")
        if isinstance(files, Unreadable):
            hidden = files.why
        elif files:
            found.append(Process(pid, files))
    return OpenFiles(tuple(found), hidden)


def program(tree: Tree, pid: int) -> str | None:
    """The short name of a process."""
    data = read_file(f"{tree.root}/proc/{pid}/comm", 64)
    return to_text(data) if isinstance(data, bytes) else None


def virtual_machine(tree: Tree, pid: int) -> str | None:
    """The name of the virtual machine that a process runs, where its command line tells it.

    QEMU's ``-name guest=win11,debug-threads=on``, as libvirt gives it, or ``-name win11``; Proxmox VE puts ``-id 100``
    before that.
    """
    data = read_file(f"{tree.root}/proc/{pid}/cmdline", 1 << 16)
    words = data.decode("utf-8", "backslashreplace").split("\0") if isinstance(data, bytes) else []
    options = dict(pairwise(words))
    # A comma within a value is written twice.
    parts = options.get("-name", "").replace(",,", "\0").split(",")
    given = next((part for part in parts if part.startswith("guest=")), parts[0] if "=" not in parts[0] else "")
    guest = given.removeprefix("guest=").replace("\0", ",")
    return printable(" ".join(part for part in (options.get("-id"), guest) if part)) or None


def _files(place: str) -> tuple[str, ...] | Unreadable:
    names = names_in(place)
    if not isinstance(names, list):
        return names or ()
    found = set()
    for name in names:
        try:
            target = os.readlink(f"{place}/{name}")
        except PermissionError:
            return Unreadable("EACCES")  # the names of descriptors may show without what they are
        except OSError:
            continue
        if target.startswith("/dev/") or target == VFIO_DEVICE:
            found.add(printable(target))
    return tuple(sorted(found))
