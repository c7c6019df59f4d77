"""What the machine does with its PCI devices: one module a topic."""

from iommutui.core.gap import Gap
from iommutui.core.host import Host
from iommutui.core.uses import Uses
from iommutui.sources.depth import Depth
from iommutui.sources.tree import Tree
from iommutui.sources.uses.display import read_display
from iommutui.sources.uses.network import read_network
from iommutui.sources.uses.storage import read_storage


def with_uses(tree: Tree, host: Host, depth: Depth, session: str | None, console: bool) -> Host:
    """The Host with its uses.

    The plain listing gets those that cost next to nothing: mounts, swap, routes, monitors. ``session`` is the address
    that the SSH session of the caller came to, ``console`` whether the text console is drawn on framebuffers.
    """
    everything = depth is Depth.FULL
    storage, no_storage = read_storage(tree, everything)
    network, no_network = read_network(tree, session)
    screens, no_screens = read_display(tree, everything, console)
    uses = Uses(screens, storage, network, gaps=(*no_screens, *no_storage, *no_network))
    return host._replace(uses=_more(tree, host, uses) if everything else _left_out(uses))


def _left_out(uses: Uses) -> Uses:
    fields = ("inputs", "sounds", "openers", "plugged", "by_id")
    return uses._replace(gaps=(*uses.gaps, *(Gap(field, "not-collected") for field in fields)))


def _more(tree: Tree, host: Host, uses: Uses) -> Uses:
    from iommutui.sources.uses.audio import read_sounds
    from iommutui.sources.uses.byid import read_by_id
    from iommutui.sources.uses.input import read_inputs
    from iommutui.sources.uses.openers import read_openers
    from iommutui.sources.uses.thunderbolt import read_plugged

    inputs, no_inputs = read_inputs(tree)
    sounds, no_sounds = read_sounds(tree)
    openers, no_openers = read_openers(tree, host.devices)
    plugged, no_plugged = read_plugged(tree)
    by_id, no_ids = read_by_id(tree)
    return uses._replace(
        inputs=inputs,
        sounds=sounds,
        openers=openers,
        plugged=plugged,
        by_id=by_id,
        gaps=(*uses.gaps, *no_inputs, *no_sounds, *no_openers, *no_plugged, *no_ids),
    )
