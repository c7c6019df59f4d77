"""The world -> `Host`: sysfs of this machine or a recorded one, and snapshots."""

import os

from iommutui import debug
from iommutui.core.drivers import KNOWN, DriverTable
from iommutui.core.host import Host
from iommutui.sources.tree import Depth

__all__ = ["HERE", "Depth", "load"]

HERE = "/"
"""Where this machine is."""


def load(
    path: str | None = None,
    *,
    kernel: str | None = None,
    depth: Depth = Depth.FULL,
    session: str | None = None,
    driver_table: DriverTable = KNOWN,
) -> Host:
    """The machine at ``path``; SourceError says what is wrong with it and what to do.

    None is this machine, ``-`` a snapshot on standard input, a file a snapshot, and a directory a recorded tree: one
    with ``sys`` and beside it ``proc``, ``lib/modules``..., or a bare sysfs. ``kernel`` replaces the release that the
    source tells, and with it the rules that apply; what fits a device stays as it was recorded. ``session`` is the
    address of this machine that the caller's SSH session came to (`iommutui.sources.ssh_session`). ``driver_table`` is
    what is known of drivers.
    """
    if path is None:
        host = _scan(HERE, depth, session, driver_table)
    elif path != "-" and os.path.isdir(path):
        host = _scan(path, depth, session, driver_table)
    else:
        host = _snapshot(path)._replace(driver_table=driver_table)
    return host if kernel is None else host._replace(kernel=kernel)


def _scan(root: str, depth: Depth, session: str | None, driver_table: DriverTable) -> Host:
    # Each kind of source is imported when it is used: validation alone takes longer than a whole scan.
    from iommutui.sources.names import names_for
    from iommutui.sources.sysfs import scan
    from iommutui.sources.tree import Tree

    tree = Tree(root)
    debug.log("scan: %s, %s", root, depth)
    names = names_for(tree, depth)
    try:
        host = scan(tree, depth, names, session=session, driver_table=driver_table)
    finally:
        names.close()
    debug.log("scan: %s devices, %s groups, gaps %s", len(host.devices), len(host.groups), host.gaps)
    return host


def _snapshot(path: str) -> Host:
    from iommutui.sources.snapshot import parse, read_text

    name = "standard input" if path == "-" else path
    return parse(read_text(path), name)
