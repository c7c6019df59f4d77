"""The functions of one card."""

from collections.abc import Iterator, Sequence

from iommutui.core.drivers import STUB, is_vfio
from iommutui.core.hazards.base import Hazard, Severity, Topic, taken
from iommutui.core.host import Host
from iommutui.core.intents import Goal


def card_split(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """Functions of a card that stay behind on a kernel driver while another goes to a VFIO driver."""
    moved = {goal.device for goal in goals}
    for device, goal in taken(host, goals):
        if goal.driver is None or not is_vfio(device, goal.driver):
            continue
        behind = [
            other
            for other in host.same_card(device.address)
            if other.address not in moved
            and other.driver is not None
            and other.driver != STUB
            and not is_vfio(other, other.driver)
            and not other.is_bridge
            and other.physfn is None
        ]
        for other in behind:
            facts = (("driver", other.driver or ""), ("moved", device.address))
            yield Hazard("card-split", Topic.CARD, Severity.INFO, other.address, facts)
