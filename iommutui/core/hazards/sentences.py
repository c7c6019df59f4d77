"""Hazards as sentences: what is lost, and what to do about it. Plain text, no markup."""

import re
from collections.abc import Iterable

from iommutui.core.address import Address
from iommutui.core.gap import gap_words
from iommutui.core.hazards import KINDS
from iommutui.core.hazards.base import Hazard, Severity
from iommutui.core.reasons import Reason

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
