"""What an apply says, as sentences."""

from collections.abc import Iterable, Sequence

from iommutui.core.hazards import Hazard
from iommutui.core.plan.drift import Change
from iommutui.core.plan.planner import Step
from iommutui.core.wording import hazard_sentence


def change_words(change: Change) -> str:
    """``0000:01:00.0: driver was nvidia and is vfio-pci``."""
    return f"{change.subject}: {change.fact} was {change.before} and is {change.now}"


def changes_words(changes: Iterable[Change]) -> str:
    """Every change, in one line."""
    return "; ".join(change_words(change) for change in changes)


def dangers_words(hazards: Iterable[Hazard]) -> str:
    """Every danger with its evidence; where one of them is refused, those that are."""
    every = list(hazards)
    refused = [hazard for hazard in every if hazard.refused]
    said = " ".join(hazard_sentence(hazard) for hazard in refused or every)
    if refused:
        return f"Refused, whatever is accepted: {said}"
    return f"{_count(len(every), 'danger')} {'has' if len(every) == 1 else 'have'} not been accepted. {said}"


def accept_words(hazards: Iterable[Hazard]) -> str:
    """What to do about dangers that nobody has accepted: the options that accept them, unless one is refused."""
    every = list(hazards)
    if any(hazard.refused for hazard in every):
        return "Do that first, or leave the device to the host."
    options = " ".join(f"--accept {hazard.acceptance}" for hazard in every)
    return f"To accept {'it' if len(every) == 1 else 'them'}: {options}"


def step_words(step: Step) -> str:
    """What a step does, as the subject of a sentence."""
    return write_words(step.op, step.device, step.value)


def write_words(op: str, device: str, value: str | None) -> str:
    """What a write does, as the subject of a sentence."""
    if op == "override":
        return f"setting the override of {device} to {value}" if value else f"clearing the override of {device}"
    if op == "modprobe":
        return f"loading the module {value}"
    return f"unbinding {device} from {value}" if op == "unbind" else f"probing {device}"


def done_words(writes: int, devices: int) -> str:
    """How much was done."""
    return f"{_count(writes, 'write')} done, {_count(devices, 'device')} changed."


def stuck_words(step: Step, seconds: float, holders: Sequence[str], asked: str | None = None) -> str:
    """Which write does not return, since when, and which processes may hold the device."""
    said = f"{_capital(step_words(step))} has not returned after {seconds:.0f} s, so nothing further is written."
    if asked is not None:
        said = f"{_capital(asked)}. {said}"
    if holders:
        return f"{said} It may be held by {'; '.join(holders)}."
    return said if step.op == "modprobe" else f"{said} Which process holds it could not be seen."


def back_words(why: str, left: Sequence[Change]) -> str:
    """How taking everything back ended."""
    if not left:
        return f"{_capital(why)}. Drivers and overrides are restored."
    return f"{_capital(why)}. Not everything could be restored.{left_words(left)}"


def left_words(left: Sequence[Change]) -> str:
    """What differs from the state before, to be put behind a sentence."""
    return f" What is not as before: {changes_words(left)}." if left else ""


def left_alone_words(changes: Sequence[Change]) -> str:
    """What a revert does not put back; empty where that is nothing."""
    return f"Left alone, because it has been changed since: {changes_words(changes)}." if changes else ""


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _capital(text: str) -> str:
    text = text.rstrip(".")
    return text[:1].upper() + text[1:]
