"""What the machine does with its PCI devices: one module a topic, each imported where there is something to look at."""

import os
from typing import TYPE_CHECKING

from iommutui.core.device import Gap
from iommutui.core.host import Host
from iommutui.sources.tree import Depth, Tree

if TYPE_CHECKING:
    from iommutui.core.uses import Uses


def with_uses(tree: Tree, host: Host, depth: Depth, session: str | None, console: bool) -> Host:
    """The Host with its uses.

    The plain listing gets those that cost next to nothing: mounts, swap, routes. ``session`` is the address that the
    SSH session of the caller came to, ``console`` whether the text console is drawn on framebuffers.
    """
    recorded = any(os.path.isdir(f"{tree.sys}/class/{name}") for name in ("block", "net"))
    if depth is Depth.LISTING and not recorded:
        return host
    return host._replace(uses=_uses(tree, host, session, console, everything=depth is not Depth.LISTING))


def _uses(tree: Tree, host: Host, session: str | None, console: bool, *, everything: bool) -> "Uses":
    from iommutui.core.uses import Uses
    from iommutui.sources.uses.network import read_network, through
    from iommutui.sources.uses.storage import read_storage

    storage, far, no_storage = read_storage(tree, everything)
    network, no_network = read_network(tree, session)
    storage += through(tree, far, network)
    if not everything:
        left = ("screens", "firmware", "inputs", "sounds", "openers", "plugged", "by_id")
        gaps = (*no_storage, *no_network, *(Gap(field, "not-collected") for field in left))
        return Uses(storage=tuple(storage), network=network, gaps=gaps)
    from iommutui.sources.uses.seat import read_display, read_inputs, read_openers, read_plugged, read_sounds
    from iommutui.sources.vfio_parameters import read_by_id

    screens, no_screens = read_display(tree, console)
    inputs, no_inputs = read_inputs(tree)
    sounds, no_sounds = read_sounds(tree)
    openers, no_openers = read_openers(tree, host.devices)
    plugged, no_plugged = read_plugged(tree)
    by_id, no_ids = read_by_id(tree)
    gaps = (*no_screens, *no_storage, *no_network, *no_inputs, *no_sounds, *no_openers, *no_plugged, *no_ids)
    return Uses(screens, tuple(storage), network, inputs, sounds, openers, plugged, by_id, gaps)
