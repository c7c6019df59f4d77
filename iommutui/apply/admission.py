"""Whether a plan may be carried out now. Every doubt refuses it, before anything is written."""

from collections.abc import Collection, Iterable

from iommutui.apply.kernel import Kernel
from iommutui.apply.wording import accept_words, changes_words, dangers_words
from iommutui.core.address import Address
from iommutui.core.errors import RefusedError
from iommutui.core.hazards import Acceptance, Hazard, hazards_of, unaccepted
from iommutui.core.host import Device, Host
from iommutui.core.plan.drift import Basis, drift
from iommutui.core.plan.planner import Plan, still_to_leave
from iommutui.core.wording import gap_words, sentence

_DECIDING = ("driver", "driver_override")


def admit(plan: Plan, kernel: Kernel, accepted: Collection[Acceptance] = ()) -> Host:
    """The machine as it is now, on which the plan may be carried out; RefusedError where it may not."""
    if not plan.permitted:
        why = " ".join(sentence(reason) for reason in plan.refusals)
        raise RefusedError(why, "'iommutui preview' shows what would do.")
    fresh = kernel.survey()
    refuse_drift(plan.basis, fresh, moved(plan))
    for address in moved(plan):
        gap = silent(fresh.devices[address])
        if gap is not None:
            raise RefusedError(f"The state of {address} is not known: {gap}.", "Find out what holds it, and try again.")
    refuse_dangers((*plan.hazards, *dangers(plan, fresh)), accepted)
    return fresh


def dangers(plan: Plan, host: Host) -> tuple[Hazard, ...]:
    """What the host would lose now by going on: only a device that has yet to leave its driver can be missed."""
    return tuple(hazards_of(host, still_to_leave(host, plan.goals)))


def refuse_dangers(hazards: Iterable[Hazard], accepted: Collection[Acceptance]) -> None:
    """RefusedError that names each danger that nobody has accepted, its evidence, and the words that accept it."""
    left = unaccepted(dict.fromkeys(hazards), accepted)
    if left:
        raise RefusedError(dangers_words(left), accept_words(left))


def moved(plan: Plan) -> list[Address]:
    """The devices that the plan is about."""
    return [goal.device for goal in plan.goals]


def refuse_drift(basis: Basis, host: Host, addresses: list[Address]) -> None:
    """RefusedError that lists each fact that is not as it was when the plan was made."""
    changes = drift(basis, host, addresses)
    if changes:
        raise RefusedError(
            f"The machine is not as it was when this was planned: {changes_words(changes)}.",
            "Check its present state, and plan again.",
        )


def silent(device: Device) -> str | None:
    """Why driver or override of the device are not known, in words; None where they are."""
    for attribute in _DECIDING:
        gap = device.gap(attribute)
        if gap is not None:
            return gap_words(gap.why)
    return None
