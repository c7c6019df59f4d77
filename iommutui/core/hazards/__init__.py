"""What the host loses by a plan. One registry entry per check."""

from collections.abc import Callable, Iterable, Sequence

from iommutui.core.hazards.base import (
    Acceptance,
    Hazard,
    Severity,
    Topic,
    cuts_a_lifeline,
    unaccepted,
)
from iommutui.core.hazards.card import card_split
from iommutui.core.hazards.condition import no_reset, not_responding
from iommutui.core.hazards.display import boot_display
from iommutui.core.host import Host
from iommutui.core.intents import Goal

CHECKS: tuple[Callable[[Host, Sequence[Goal]], Iterable[Hazard]], ...] = (
    boot_display,
    card_split,
    no_reset,
    not_responding,
)


def hazards_of(host: Host, goals: Sequence[Goal]) -> list[Hazard]:
    """Every hazard of moving these devices, each once."""
    return list(dict.fromkeys(hazard for check in CHECKS for hazard in check(host, goals)))


__all__ = ["CHECKS", "Acceptance", "Hazard", "Severity", "Topic", "cuts_a_lifeline", "hazards_of", "unaccepted"]
