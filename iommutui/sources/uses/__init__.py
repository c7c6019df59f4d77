"""The uses of PCI devices: one module per topic, imported only if it has something to read."""

import os

from iommutui.core.device import Gap
from iommutui.core.host import Host
from iommutui.sources.tree import Depth, Tree

_LEFT = ("screens", "firmware", "inputs", "sounds", "openers", "plugged", "by_id", "fstab")
"""Fields that the plain listing does not collect."""


def with_uses(tree: Tree, host: Host, depth: Depth, session: str | None, console: bool) -> Host:
    """The Host with its uses.

    The plain listing gets only the cheap ones: mounts, swap, routes. ``session`` is the address that the
    SSH session of the caller came to, ``console`` whether the text console is drawn on framebuffers.
    """
    everything = depth is Depth.FULL
    if not everything and not any(os.path.isdir(f"{tree.sys}/class/{name}") for name in ("block", "net")):
        return host
    from iommutui.core.uses import Uses
    from iommutui.sources.uses.network import read_network, through
    from iommutui.sources.uses.storage import read_storage
    from iommutui.sources.uses.survey import Survey

    survey = Survey(tree.root)
    storage, far = read_storage(survey, everything)
    network = read_network(survey, session)
    uses = Uses(storage=(*storage, *through(survey, far, network)), network=network)
    if everything:
        from iommutui.sources.uses import seat
        from iommutui.sources.vfio_parameters import read_by_id

        uses = uses._replace(
            screens=seat.read_display(survey, console),
            inputs=seat.read_inputs(survey),
            sounds=seat.read_sounds(survey),
            openers=seat.read_openers(survey, host.devices),
            plugged=seat.read_plugged(survey),
            by_id=read_by_id(survey),
        )
    else:
        survey.gaps.update(dict.fromkeys(_LEFT, "not-collected"))
    gaps = tuple(Gap(field, why) for field, why in survey.gaps.items())
    return host._replace(uses=uses._replace(gaps=gaps))
