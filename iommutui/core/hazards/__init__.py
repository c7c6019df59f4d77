"""What the host loses by a plan: a registry of checks, one module a topic."""

from collections.abc import Sequence

from iommutui.core.address import sort_key
from iommutui.core.hazards import audio, card, condition, display, input, isolation, network, remains, storage, use
from iommutui.core.hazards.base import (
    Acceptance,
    Hazard,
    HazardCheck,
    Kind,
    Severity,
    Topic,
    cuts_a_lifeline,
    unaccepted,
)
from iommutui.core.host import Host
from iommutui.core.plan.intents import Goal

CHECKS: tuple[HazardCheck, ...] = (
    *display.CHECKS,
    *storage.CHECKS,
    *network.CHECKS,
    *input.CHECKS,
    *audio.CHECKS,
    *use.CHECKS,
    *card.CHECKS,
    *condition.CHECKS,
    *isolation.CHECKS,
)

KINDS: dict[str, Kind] = {kind.code: kind for kind in (*(k for c in CHECKS for k in c.kinds), remains.NOTHING)}

_ORDER = (Severity.DANGER, Severity.WARN, Severity.INFO)


def hazards_of(host: Host, goals: Sequence[Goal]) -> list[Hazard]:
    """Every hazard of moving these devices, each once: the dangers first, then by device.

    The order of the goals makes no difference.
    """
    goals = sorted(goals, key=lambda goal: sort_key(goal.device))
    each = dict.fromkeys(hazard for check in CHECKS for hazard in check.find(host, goals))
    found = remains.as_a_whole(host, list(each))
    return sorted(found, key=lambda hazard: (_ORDER.index(hazard.severity), sort_key(hazard.device)))


__all__ = [
    "CHECKS",
    "KINDS",
    "Acceptance",
    "Check",
    "Hazard",
    "Kind",
    "Severity",
    "Topic",
    "cuts_a_lifeline",
    "hazards_of",
    "unaccepted",
]
