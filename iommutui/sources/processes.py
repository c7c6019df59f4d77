"""Running processes and what they have open. Other users' processes show to root only."""

import os
from collections.abc import Iterator
from typing import NamedTuple

from iommutui.sources.tree import Unreadable, names_in, printable, read_file, to_text


class Process(NamedTuple):
    """One process; a name or a file is another program's to choose, and so hostile."""

    pid: int
    files: tuple[str, ...] | Unreadable
    """The targets of its descriptors, such as ``/dev/vfio/14``."""


def processes(root: str) -> Iterator[Process] | Unreadable:
    """Every process, by process id; one that ends meanwhile has nothing open."""
    names = names_in(f"{root}/proc")
    if isinstance(names, Unreadable):
        return names
    pids = sorted(int(name) for name in names or () if name.isdecimal())
    return (Process(pid, _files(f"{root}/proc/{pid}/fd")) for pid in pids)


def command(root: str, pid: int) -> str | None:
    """The short name of a process."""
    data = read_file(f"{root}/proc/{pid}/comm", 64)
    return to_text(data) if isinstance(data, bytes) else None


def _files(place: str) -> tuple[str, ...] | Unreadable:
    names = names_in(place)
    if not isinstance(names, list):
        return names or ()
    found = []
    for name in names:
        try:
            found.append(printable(os.readlink(f"{place}/{name}")))
        except PermissionError:
            return Unreadable("EACCES")  # the names of descriptors may show without what they are
        except OSError:
            continue
    return tuple(found)
