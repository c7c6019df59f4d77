"""What a person types and points with: what counts is what remains."""

from collections.abc import Iterator, Sequence

from iommutui.core.hazards.base import (
    DANGER,
    INFO,
    WARN,
    Hazard,
    HazardCheck,
    Kind,
    Topic,
    listed,
    unbound,
    unknown,
)
from iommutui.core.host import Host
from iommutui.core.plan.intents import Goal
from iommutui.core.uses import Input

_WAYS = (
    "Plug it into a port of a controller that stays with the host, or have another way in (SSH).",
    "Plug it into a port of a controller that stays with the host.",
)

KEYBOARD = Kind(
    "last-keyboard", Topic.INPUT, "the last keyboard", (DANGER,), *_WAYS,
    says="{names} is on {device}, and no other keyboard remains.",
)  # fmt: skip
POINTER = Kind(
    "last-pointer", Topic.INPUT, "the last mouse or touchpad", (WARN,), *_WAYS,
    says="{names} is on {device}, and no other mouse or touchpad remains.",
)  # fmt: skip
INPUT = Kind(
    "input-leaves", Topic.INPUT, "a keyboard or pointer, while others remain", (INFO,), *_WAYS,
    says="{names} goes with {device}[; {remains} stays with the host].",
    asks="which keyboards and mice are on {device}",
)  # fmt: skip


def inputs(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """Keyboards and pointers that go with a device, by what remains.

    One on Bluetooth does not show which adapter it comes through, so it neither goes nor remains for certain.
    """
    leaving = unbound(host, goals)
    gone = {device.address for device in leaving}
    every = [i for i in host.uses.inputs if not i.wireless] if host.uses is not None else []
    kept = [i for i in every if i.device not in gone]
    for device in leaving:
        own = [i for i in every if i.device == device.address]
        keyboards, pointers = [i for i in own if i.keyboard], [i for i in own if i.pointer]
        no_keyboard = bool(keyboards) and not any(i.keyboard for i in kept)
        no_pointer = bool(pointers) and not any(i.pointer for i in kept)
        if no_keyboard:
            yield KEYBOARD.of(device, DANGER, _facts(keyboards, kept))
        if no_pointer:
            yield POINTER.of(device, WARN, _facts(pointers, kept))
        if own and not no_keyboard and not no_pointer:
            yield INPUT.of(device, INFO, _facts(own, kept))
        if (device.class_code or "").startswith("0c03") and (why := unknown(host, "inputs")):
            yield INPUT.of(device, INFO, unknown=why)


def _facts(lost: Sequence[Input], kept: Sequence[Input]) -> tuple[tuple[str, str], ...]:
    return ("names", listed(i.name for i in lost)), ("remains", listed(i.name for i in kept))


CHECKS = (HazardCheck(inputs, (KEYBOARD, POINTER, INPUT)),)
