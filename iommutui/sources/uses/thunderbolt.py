"""Thunderbolt and USB4 devices, by the controller that they are plugged into."""

import re

from iommutui.core.address import Address
from iommutui.core.device import Gap
from iommutui.core.uses import Plugged
from iommutui.sources.tree import Tree, Unreadable
from iommutui.sources.uses.sysfs_links import entries, functions_above, read_attr

_DEVICE = re.compile(r"\d+-[1-9a-f][0-9a-f]*")
"""``0-1``, ``0-301``: a domain and a route; ``0-0`` is the controller's own router."""


def read_plugged(tree: Tree) -> tuple[tuple[Plugged, ...], list[Gap]]:
    """What is plugged in. A kernel without Thunderbolt has no such bus, and then there is nothing to lose."""
    found = entries(tree, "bus/thunderbolt/devices")
    if not isinstance(found, list):
        return (), [Gap("plugged", found.why)] if isinstance(found, Unreadable) else []
    names: dict[Address, list[str]] = {}
    for entry in found:
        if _DEVICE.fullmatch(entry.name):
            for owner in functions_above(entry.path):
                names.setdefault(owner, []).append(read_attr(tree, f"{entry.path}/device_name") or entry.name)
    return tuple(Plugged(owner, tuple(names[owner])) for owner in sorted(names)), []
