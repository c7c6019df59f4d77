"""The impact of a plan on the host: a registry of checks, one module per topic; and hazards as sentences."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from iommutui.core.address import Address, sort_key
from iommutui.core.device import gap_words
from iommutui.core.hazards import access, device, storage
from iommutui.core.hazards.base import DANGER, Acceptance, Check, Hazard, Kind, Moves, Severity, Topic, moves_of
from iommutui.core.host import Host
from iommutui.core.plan.intents import Goal
from iommutui.core.reasons import Code, Reason

CHECKS: tuple[Check, ...] = (*access.CHECKS, *storage.CHECKS, *device.CHECKS)

NOTHING = Kind(
    "nothing-remains", Topic.DISPLAY, (DANGER,),
    "Leave one of them with the host: hand them over one after the other, and only while another way in is open.",
    says="This plan takes [the display {display} and ][the keyboard {input} and ]the network of {network} at once: "
    "no way into this machine remains if something goes wrong.",
)  # fmt: skip

_TOPICS, _SEVERITIES = tuple(Topic), (Severity.DANGER, Severity.WARN, Severity.INFO)
KINDS = {kind.code: kind for kind in (*access.KINDS, *storage.KINDS, *device.KINDS, NOTHING)}


def hazards_of(host: Host, goals: Sequence[Goal]) -> list[Hazard]:
    """Every hazard of moving these devices, each once: the dangers first, then by device and topic.

    The order of the goals makes no difference.
    """
    moves = moves_of(host, goals)
    found = _as_a_whole(moves, dict.fromkeys(hazard for check in CHECKS for hazard in check(moves)))
    return sorted(found, key=_place)


def _place(hazard: Hazard) -> tuple[int, tuple[int, int, str], int]:
    return _SEVERITIES.index(hazard.severity), sort_key(hazard.device), _TOPICS.index(hazard.topic)


LIFELINES = (Topic.DISPLAY, Topic.NETWORK, Topic.INPUT)
"""What a person needs to notice that something went wrong, and to respond."""

_AT_IT = ("boot-display", "monitor", "last-keyboard")
"""If one of these is lost, the machine cannot be used locally; without a network it cannot be used remotely."""


def _as_a_whole(moves: Moves, hazards: Iterable[Hazard]) -> list[Hazard]:
    """The hazards of one plan: one danger for several if no way in remains, and no advice that the plan defeats."""
    dangers = [h for h in hazards if h.severity is DANGER]
    at_it = [h for h in dangers if h.code in _AT_IT]
    from_elsewhere = [h for h in dangers if h.topic is Topic.NETWORK]
    reachable = moves.uses.gap("network") or any(way.address or way.default_route for way in moves.uses.network)
    without = {Topic.NETWORK} if at_it else set()
    if from_elsewhere or not reachable:
        without |= {Topic.DISPLAY, Topic.INPUT}
    parts = [*at_it, *from_elsewhere] if at_it and from_elsewhere else []
    kept = [_alone(h) if h.topic in without else h for h in hazards if h not in parts]
    if not parts:
        return kept
    names = {str(topic): ", ".join(_name(h) for h in parts if h.topic is topic) for topic in LIFELINES}
    return [NOTHING.of(moves.host.devices[parts[0].device], **names), *kept]


def _alone(hazard: Hazard) -> Hazard:
    """The hazard with advice that does not rely on anything else that the plan takes."""
    way = KINDS[hazard.code].alone
    return hazard._replace(facts=(*hazard.facts, ("way", way))) if way and not hazard.unknown else hazard


def _name(hazard: Hazard) -> str:
    what = hazard.fact("interface") or hazard.fact("names") or hazard.fact("monitors")
    return f"{hazard.device} ({what})" if what else hazard.device


def unaccepted(hazards: Iterable[Hazard], accepted: Iterable[Acceptance]) -> tuple[Hazard, ...]:
    """The dangers that have not been accepted yet, and those that cannot be accepted."""
    done = frozenset(accepted)
    return tuple(h for h in hazards if h.severity is Severity.DANGER and (h.refused or h.acceptance not in done))


def refusals_of(hazards: Iterable[Hazard]) -> list[Reason]:
    """The dangers that cannot be accepted, as reasons not to permit a plan."""
    return [
        Reason(Code.HOST_NEEDS, None, h.device, facts=(("hazard", h.code), ("unknown", h.unknown), *h.facts))
        for h in hazards
        if h.refused
    ]


def cuts_a_lifeline(hazards: Iterable[Hazard]) -> bool:
    """Whether a danger is about display, network or input: then an apply reverts unless it is confirmed."""
    return any(h.severity is Severity.DANGER and h.topic in LIFELINES for h in hazards)


_OPTIONAL = re.compile(r"\[([^\[\]]*)\]")
_FACT = re.compile(r"\{(\w+)\}")


def filled(template: str, facts: dict[str, str]) -> str:
    """A template of ``Kind.says``, filled with facts, which are never templates themselves."""
    known = defaultdict(str, facts)
    parts = _OPTIONAL.split(template)  # the parts in brackets are at odd indices
    kept = (part for n, part in enumerate(parts) if n % 2 == 0 or all(known[name] for name in _FACT.findall(part)))
    return "".join(part.format_map(known) for part in kept)


def hazard_loss(hazard: Hazard) -> str:
    """The loss or risk for the host; or what is unknown about it, and why."""
    kind, facts = KINDS[hazard.code], {"device": str(hazard.device), **dict(hazard.facts)}
    if hazard.unknown:
        return f"It is not known {filled(kind.asks, facts)} ({gap_words(hazard.unknown)})."
    return filled(kind.says, facts)


def hazard_advice(hazard: Hazard) -> str:
    """What to do instead, or first."""
    if hazard.unknown in ("EACCES", "EPERM"):
        return "Run 'sudo iommutui preview' to be sure."
    if hazard.unknown and not hazard.refused:
        return "Check this before you apply."
    return hazard.fact("way") or KINDS[hazard.code].advice


def refusal_sentence(reason: Reason) -> str:
    """The unacceptable hazard behind a reason that `refusals_of` made."""
    kind = KINDS.get(reason.fact("hazard"))
    if kind is None:
        return f"The running system needs {reason.device or 'the device'}."
    device = Address(reason.device or "")
    return hazard_sentence(
        Hazard(kind.code, kind.topic, Severity.DANGER, device, reason.facts, reason.fact("unknown"), True)
    )


def hazard_sentence(hazard: Hazard) -> str:
    """The loss for the host, and what to do about it."""
    return f"{hazard_loss(hazard)} {hazard_advice(hazard)}"


def dangers_words(hazards: Sequence[Hazard]) -> str:
    """Every danger with its evidence; if any is refused, only the refused ones."""
    refused = [hazard for hazard in hazards if hazard.refused]
    said = " ".join(hazard_sentence(hazard) for hazard in refused or hazards)
    if refused:
        return f"Refused, whatever is accepted: {said}"
    return f"{'1 danger has' if len(hazards) == 1 else f'{len(hazards)} dangers have'} not been accepted. {said}"


def accept_words(hazards: Sequence[Hazard]) -> str:
    """What to do about dangers not yet accepted: the options that accept them, unless one is refused."""
    if any(hazard.refused for hazard in hazards):
        return "Do that first, or leave the device to the host."
    options = " ".join(f"--accept {hazard.acceptance}" for hazard in hazards)
    return f"To accept {'it' if len(hazards) == 1 else 'them'}: {options}"


__all__ = ["KINDS", "Acceptance", "Hazard", "Kind", "Severity", "Topic", "cuts_a_lifeline", "hazards_of", "unaccepted"]
