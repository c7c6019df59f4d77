"""The world -> `Host`: sysfs of this machine or a recorded one, snapshots, archives and pasted listings."""

import gc
import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

from iommutui import debug
from iommutui.core.drivers import KNOWN, DriverTable
from iommutui.core.errors import UsageError
from iommutui.core.host import Host
from iommutui.sources.tree import Depth

__all__ = ["HERE", "Depth", "Opened", "load", "open_source"]

HERE = "/"
"""Where this machine is."""


class Opened(NamedTuple):
    """A machine, and notes on how it was read."""

    host: Host
    notes: tuple[str, ...] = ()
    """Sentences: lines of a listing that were ignored, another state of the machine in the same text."""
    explain: Callable[[], list[str]] = list
    """What every line of a listing was taken for, line by line."""


def load(
    path: str | Sequence[str] | None = None,
    *,
    kernel: str | None = None,
    depth: Depth = Depth.FULL,
    session: str | None = None,
    driver_table: DriverTable = KNOWN,
) -> Host:
    """The machine at ``path``. Raises SourceError with the fault and its remedy.

    None is this machine, ``-`` standard input, a directory a recorded tree: one with ``sys`` and beside it ``proc``,
    ``lib/modules``..., or a bare sysfs; else a folder of listings of one machine. A file is a snapshot, such a tree in
    a tar archive, or listings as they are pasted; ``FILE#2`` is the second state in a listing. Several paths are
    listings of one machine. ``kernel`` replaces the release that the source shows, and with it the rules that apply;
    the drivers that fit a device stay as recorded. ``session`` is the address of this machine that the caller's SSH
    session came to (`iommutui.sources.processes`). ``driver_table`` holds the known drivers.
    """
    return open_source(path, kernel=kernel, depth=depth, session=session, driver_table=driver_table).host


def open_source(
    path: str | Sequence[str] | None = None,
    *,
    kernel: str | None = None,
    depth: Depth = Depth.FULL,
    session: str | None = None,
    driver_table: DriverTable = KNOWN,
) -> Opened:
    """As `load`, with notes about it."""
    paths = [path] if isinstance(path, str) else list(path or (HERE,))
    if len(paths) > 1 or paths[0] == "-" or not os.path.isdir(paths[0]):
        opened = _files(paths, depth, driver_table)
    elif listings := _listings_in(paths[0]):
        opened = _content(listings, depth, driver_table)
    else:
        opened = Opened(_scan(paths[0], depth, session, driver_table))
    host = opened.host._replace(driver_table=driver_table)
    return opened._replace(host=host if kernel is None else host._replace(kernel=kernel))


def open_text(text: str, name: str = "the paste", driver_table: DriverTable = KNOWN) -> Opened:
    """The machine in a text that was pasted: a snapshot or listings. Raises SourceError as of `load`."""
    opened = _content([(name, text.encode("utf-8", "replace"), None)], Depth.FULL, driver_table)
    return opened._replace(host=opened.host._replace(driver_table=driver_table))


_Read = tuple[str, bytes, int | None]
"""A file's name, its contents, and which of the states recorded in it to read."""


def _listings_in(folder: str) -> list[_Read]:
    """The files of a folder that is no recorded tree; only the whole machine, if one of them is."""
    if any(os.path.isdir(os.path.join(folder, name)) for name in ("sys", "bus/pci", "proc")):
        return []
    from iommutui.sources.listings.archive import is_tar  # a scan does not need the validation of snapshots
    from iommutui.sources.snapshot import is_snapshot, read_bytes

    try:
        with os.scandir(folder) as entries:
            files = sorted(entry.path for entry in entries if entry.is_file() and not entry.name.startswith("."))
    except OSError:
        return []

    read: list[_Read] = [(file, read_bytes(file), None) for file in files]
    return [each for each in read if is_tar(each[1]) or is_snapshot(each[1])][:1] or read


def _scan(root: str, depth: Depth, session: str | None, driver_table: DriverTable) -> Host:
    # Each kind of source is imported when it is used: validation alone takes longer than a whole scan.
    from iommutui.sources.names import names_for
    from iommutui.sources.sysfs import scan
    from iommutui.sources.tree import Tree

    tree = Tree(root)
    debug.log("scan: %s, %s", root, depth)
    # Thousands of values that all stay: repeated garbage collection would take a third of the time.
    gc.disable()
    try:
        host = scan(tree, depth, names_for(tree), session=session, driver_table=driver_table)
    finally:
        gc.enable()
    debug.log("scan: %s devices, %s groups, gaps %s", len(host.devices), len(host.groups), host.gaps)
    return host


def _files(paths: list[str], depth: Depth, driver_table: DriverTable) -> Opened:
    from iommutui.sources.snapshot import read_bytes

    if paths.count("-") > 1:
        raise UsageError("Standard input can be read once only.", "Give '-' once.")
    read = []
    for path in paths:
        file, mark, number = path.rpartition("#")
        numbered = bool(mark) and number.isdecimal() and len(number) < 4 and not os.path.lexists(path)
        file = file if numbered else path
        name = "standard input" if file == "-" else file
        if os.path.isdir(file):
            raise UsageError(f"{file} is a whole machine.", "Several --from are listings of one machine.")
        read.append((name, read_bytes(file), int(number) if numbered else None))
    return _content(read, depth, driver_table)


def _content(read: list[_Read], depth: Depth, driver_table: DriverTable) -> Opened:
    from iommutui.sources.listings import archive, read_listings
    from iommutui.sources.listings.text import decode
    from iommutui.sources.snapshot import is_snapshot, parse

    read = [(name, data if archive.is_tar(data) else archive.plain(data, name), number) for name, data, number in read]
    whole = [name for name, data, _ in read if archive.is_tar(data) or is_snapshot(data)]
    if whole and len(read) > 1:
        raise UsageError(f"{whole[0]} is a whole machine.", "Several --from are listings of one machine.")
    name, data, _ = read[0]
    if is_snapshot(data):
        return Opened(parse(data, name))
    texts = [] if whole else [(name, decode(data), number) for name, data, number in read]
    tree = data if whole else archive.tar_of_capture(texts[0][1], name) if len(texts) == 1 else None
    if tree is not None:
        with archive.unpacked(tree, name) as root:
            return Opened(_scan(root, depth, None, driver_table))
    return Opened(*read_listings(texts))
