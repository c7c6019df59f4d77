"""What the host loses by a plan: a registry of checks, one module a topic; and hazards as sentences, without markup."""

import re
from collections.abc import Iterable, Sequence

from iommutui.core.address import Address, sort_key
from iommutui.core.device import gap_words
from iommutui.core.hazards import card, device, network, seat, storage, use
from iommutui.core.hazards.base import (
    DANGER,
    LIFELINES,
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
from iommutui.core.reasons import Reason

_TOPICS = tuple(Topic)

CHECKS: tuple[HazardCheck, ...] = tuple(
    sorted(
        (*seat.CHECKS, *storage.CHECKS, *network.CHECKS, *use.CHECKS, *card.CHECKS, *device.CHECKS),
        key=lambda check: _TOPICS.index(check.kinds[0].topic),
    )
)

NOTHING = Kind(
    "nothing-remains", Topic.DISPLAY, "the last way in: screen or keyboard, and network", (DANGER,),
    "Leave one of them with the host: hand them over one after the other, and only while another way in is open.",
    says="This plan takes [the display {display} and ][the keyboard {input} and ]the network of {network} at once: "
    "no way into this machine remains to see or to say that something went wrong.",
)  # fmt: skip

KINDS: dict[str, Kind] = {kind.code: kind for kind in (*(k for c in CHECKS for k in c.kinds), NOTHING)}

_ORDER = (Severity.DANGER, Severity.WARN, Severity.INFO)


def hazards_of(host: Host, goals: Sequence[Goal]) -> list[Hazard]:
    """Every hazard of moving these devices, each once: the dangers first, then by device.

    The order of the goals makes no difference.
    """
    goals = sorted(goals, key=lambda goal: sort_key(goal.device))
    found = _as_a_whole(host, dict.fromkeys(hazard for check in CHECKS for hazard in check.find(host, goals)))
    return sorted(found, key=lambda hazard: (_ORDER.index(hazard.severity), sort_key(hazard.device)))


_AT_IT = ("boot-display", "monitor", "last-keyboard")
"""Without one of these nobody can work at the machine itself, and without a network nobody can from elsewhere."""


def _as_a_whole(host: Host, hazards: Iterable[Hazard]) -> list[Hazard]:
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


_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")
_FACT = re.compile(r"\{(\w+)\}")


class _Facts(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return ""


def filled(template: str, facts: dict[str, str]) -> str:
    """A template of ``Kind.says`` with its facts, which are never templates themselves."""
    known = _Facts(facts)
    parts = _OPTIONAL.split(template)  # what is in brackets has the odd places
    kept = (part for n, part in enumerate(parts) if n % 2 == 0 or all(known[name] for name in _FACT.findall(part)))
    return "".join(part.format_map(known) for part in kept)


def _note(hazard: Hazard) -> str:
    """What becomes of the array that the disk is a part of."""
    name = hazard.fact("array")
    if hazard.fact("unseen"):
        return f" {hazard.fact('unseen')} may be redundant, but the kernel does not show it, so it counts as not."
    return f" {name} can do without it, but is no longer safe." if name and hazard.severity != "danger" else ""


def hazard_loss(hazard: Hazard) -> str:
    """What the host loses or risks; or what is not known of it, and why."""
    kind, facts = KINDS[hazard.code], {"device": str(hazard.device), "note": _note(hazard), **dict(hazard.facts)}
    if hazard.unknown:
        return f"It is not known {filled(kind.asks, facts)} ({gap_words(hazard.unknown)})."
    return filled(kind.says, facts)


def hazard_advice(hazard: Hazard) -> str:
    """What to do instead, or first."""
    if hazard.unknown in ("EACCES", "EPERM"):
        return "Run 'sudo iommutui preview' to be sure."
    if hazard.unknown and not hazard.refused:
        return "Check this before you apply."
    kind = KINDS[hazard.code]
    if hazard.fact("way"):
        return hazard.fact("way")
    return (hazard.fact("without") and kind.alone) or kind.advice


def refusal_sentence(reason: Reason) -> str:
    """The hazard that nobody can accept, of a reason that `refusals_of` made."""
    kind = KINDS.get(reason.fact("hazard"))
    if kind is None:
        return f"The running system needs {reason.device or 'the device'}."
    device = Address(reason.device or "")
    return hazard_sentence(
        Hazard(kind.code, kind.topic, Severity.DANGER, device, reason.facts, reason.fact("unknown"), True)
    )


def hazard_sentence(hazard: Hazard) -> str:
    """What the host loses, and what to do about it."""
    return f"{hazard_loss(hazard)} {hazard_advice(hazard)}"


def dangers_words(hazards: Iterable[Hazard]) -> str:
    """Every danger with its evidence; where one of them is refused, those that are."""
    every = list(hazards)
    refused = [hazard for hazard in every if hazard.refused]
    said = " ".join(hazard_sentence(hazard) for hazard in refused or every)
    if refused:
        return f"Refused, whatever is accepted: {said}"
    return f"{'1 danger has' if len(every) == 1 else f'{len(every)} dangers have'} not been accepted. {said}"


def accept_words(hazards: Iterable[Hazard]) -> str:
    """What to do about dangers that nobody has accepted: the options that accept them, unless one is refused."""
    every = list(hazards)
    if any(hazard.refused for hazard in every):
        return "Do that first, or leave the device to the host."
    options = " ".join(f"--accept {hazard.acceptance}" for hazard in every)
    return f"To accept {'it' if len(every) == 1 else 'them'}: {options}"


__all__ = [
    "CHECKS",
    "KINDS",
    "Acceptance",
    "Hazard",
    "Kind",
    "Severity",
    "Topic",
    "cuts_a_lifeline",
    "hazards_of",
    "unaccepted",
]
