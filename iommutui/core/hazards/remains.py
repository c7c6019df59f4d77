"""What remains when a plan takes several ways into the machine: dangers that take each other's remedy away are one."""

from collections.abc import Sequence

from iommutui.core.hazards.base import DANGER, LIFELINES, Hazard, Kind, Topic
from iommutui.core.host import Host

NOTHING = Kind(
    "nothing-remains", Topic.DISPLAY, "the last way in: screen or keyboard, and network", (DANGER,),
    "Leave one of them with the host: hand them over one after the other, and only while another way in is open.",
    says="This plan takes [the display {display} and ][the keyboard {input} and ]the network of {network} at once: "
    "no way into this machine remains to see or to say that something went wrong.",
)  # fmt: skip

_AT_IT = ("boot-display", "monitor", "last-keyboard")
"""Without one of these nobody can work at the machine itself, and without a network nobody can from elsewhere."""


def as_a_whole(host: Host, hazards: Sequence[Hazard]) -> list[Hazard]:
    """The hazards of one plan: two dangers as one where nothing remains, and no advice that the plan itself defeats."""
    dangers = [h for h in hazards if h.severity is DANGER]
    at_it = [h for h in dangers if h.code in _AT_IT]
    from_elsewhere = [h for h in dangers if h.topic is Topic.NETWORK]
    without = {topic for topic in LIFELINES if (at_it if topic is Topic.NETWORK else from_elsewhere)}
    if _has_no_network(host):
        without |= {Topic.DISPLAY, Topic.INPUT}
    parts = [*at_it, *from_elsewhere] if at_it and from_elsewhere else []
    kept = [
        h._replace(facts=(*h.facts, ("without", "yes"))) if h.topic in without and not h.unknown else h
        for h in hazards
        if h not in parts
    ]
    if not parts:
        return kept
    facts = [(topic, ", ".join(_name(h) for h in parts if h.topic is topic)) for topic in LIFELINES]
    return [NOTHING.of(host.devices[parts[0].device], DANGER, facts), *kept]


def _name(hazard: Hazard) -> str:
    what = hazard.fact("interface") or hazard.fact("names") or hazard.fact("monitors")
    return f"{hazard.device} ({what})" if what else hazard.device


def _has_no_network(host: Host) -> bool:
    uses = host.uses
    if uses is None or uses.gap("network"):
        return False
    return not any(use.address or use.default_route for use in uses.network)
