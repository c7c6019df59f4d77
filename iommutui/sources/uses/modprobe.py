"""Settings of ``modprobe.d`` that give every device of some ids to a driver."""

import re

from iommutui.core.device import Gap
from iommutui.core.uses import ById
from iommutui.sources.tree import Tree, Unreadable, names_in
from iommutui.sources.uses.sysfs_links import SHORT

_OPTION = re.compile(r"^\s*options\s+(vfio[-_]pci|pci[-_]stub)\s+(?:.*\s)?ids=(\S+)", re.MULTILINE)


def read_by_id(tree: Tree) -> tuple[tuple[ById, ...], list[Gap]]:
    """``options vfio-pci ids=10de:2204,10de:1aef`` in ``/etc/modprobe.d``; the kernel's command line is in the Host."""
    names = names_in(f"{tree.root}/etc/modprobe.d")
    if isinstance(names, Unreadable):
        return (), [Gap("by_id", names.why)]
    if names is None:
        return (), [Gap("by_id", "not-recorded")] if tree.root else []
    found = []
    for name in sorted(name for name in names if name.endswith(".conf")):
        data = tree.bytes(f"etc/modprobe.d/{name}", SHORT)
        text = data.decode("utf-8", "backslashreplace").replace("\\\n", " ") if isinstance(data, bytes) else ""
        found += [
            ById(driver.replace("_", "-"), tuple(ids.strip('"').lower().split(",")), f"/etc/modprobe.d/{name}")
            for driver, ids in _OPTION.findall(text)
        ]
    return tuple(found), []
