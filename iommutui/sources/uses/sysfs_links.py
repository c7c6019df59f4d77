"""Where a thing is in sysfs, and which PCI functions it hangs on.

Only the text of links is looked at: the directories that they lead to need not be in a recorded tree.
"""

import os
from collections.abc import Iterable
from typing import NamedTuple

from iommutui.core.address import Address, is_pci
from iommutui.core.device import Gap
from iommutui.sources.tree import Tree, Unreadable, failure, names_in, printable, read_file, to_text

SHORT = 1 << 16
"""Bytes; nothing that is read whole here is longer, but for the list of mounts."""


class ClassDevice(NamedTuple):
    """A device of a class. ``path`` is where its link leads, below the root of sysfs."""

    name: str
    path: str


def entries(tree: Tree, place: str) -> list[ClassDevice] | Unreadable | None:
    """The devices in a directory such as ``class/net``, by name; None where there is no such directory."""
    names = names_in(f"{tree.sys}/{place}")
    if not isinstance(names, list):
        return names
    return [ClassDevice(name, resolve(tree, f"{place}/{name}")) for name in sorted(names)]


def resolve(tree: Tree, place: str) -> str:
    """Where a link below sysfs leads, below sysfs; the place itself where it is no link, or one that leads outside."""
    try:
        target = printable(os.readlink(f"{tree.sys}/{place}"))
    except OSError:
        return place
    path = os.path.normpath(f"{place.rpartition('/')[0]}/{target}")
    return place if path.startswith(("../", "/")) else path


def functions_above(path: str) -> tuple[Address, ...]:
    """The PCI functions without which the thing at this path goes away, the nearest first.

    The nearest one, and a controller that has a whole PCI domain below it, as a VMD has.
    """
    found = [part for part in path.split("/") if is_pci(part)]
    kept = [
        name
        for number, name in enumerate(found)
        if number == len(found) - 1 or _domain(name) != _domain(found[number + 1])
    ]
    return tuple(Address(name) for name in reversed(kept))


def _domain(address: str) -> str:
    return address.partition(":")[0]


def read_attr(tree: Tree, path: str) -> str:
    """The text of an attribute below sysfs, empty where there is none or it cannot be read."""
    data = read_file(f"{tree.sys}/{path}", SHORT)
    return to_text(data).strip() if isinstance(data, bytes) else ""


def links_in(tree: Tree, place: str, prefix: str = "") -> list[str]:
    """The sorted names in a directory below sysfs that begin with the prefix; none where it cannot be listed."""
    names = names_in(f"{tree.sys}/{place}")
    return sorted(name for name in names if name.startswith(prefix)) if isinstance(names, list) else []


def gap_reason(tree: Tree, value: object) -> str:
    """Why a file or directory that was asked for is not known; empty where it is, or where there is nothing to know.

    What a running machine has not got is not there. What a recording has not got may not have been recorded.
    """
    if isinstance(value, Unreadable):
        return value.why
    return "not-recorded" if value is None and tree.root else ""


def gaps_of(tree: Tree, field: str, value: object) -> list[Gap]:
    """The gap of a field that a file or directory is read for, where ``gap_reason`` has one."""
    why = gap_reason(tree, value)
    return [Gap(field, why)] if why else []


def first_nonempty(reasons: Iterable[str]) -> str:
    """The first of the reasons that is one."""
    return next((why for why in reasons if why), "")


def exists(path: str) -> bool | Unreadable:
    """Whether something is there, links of a recorded tree included that lead nowhere."""
    try:
        os.lstat(path)
    except OSError as error:
        return failure(error) or False
    return True
