"""Helpers for the tests of hazards: goals as text, and machines with uses."""

import re
from typing import Any

from iommutui.core.hazards import KINDS, Hazard, hazard_loss, hazard_sentence, hazards_of
from iommutui.core.host import Device, Host
from iommutui.core.plan.intents import Goal, Intent, goal_of
from iommutui.core.uses import Uses
from tests.core.machines import LONE, OTHER, A, B, C, D, function, group_of, machine

NAMES = {"A": A, "B": B, "C": C, "D": D, "OTHER": OTHER, "LONE": LONE}

GPU, GPU2 = function(A, "amdgpu"), function(OTHER, "amdgpu")
NIC, NIC2 = (function(address, "nvme", class_code="020000") for address in (A, OTHER))


def goals_of(host: Host, *intents: str) -> list[Goal]:
    goals: list[Goal] = []
    for text in intents:
        device, _, target = text.partition("=")
        goal = goal_of(host, Intent(NAMES[device], target))
        assert isinstance(goal, Goal)
        goals.append(goal)
    return goals


def found(host: Host, *intents: str) -> list[Hazard]:
    hazards = hazards_of(host, goals_of(host, *intents))
    for hazard in hazards:
        assert hazard.device in hazard_loss(hazard)
        assert not re.search(r"None|  | [.,;]|\(\)|[^.]$", hazard_sentence(hazard)), hazard_sentence(hazard)
        assert hazard.severity in KINDS[hazard.code].severities
        assert hazard.topic is KINDS[hazard.code].topic
    return hazards


def hazards(host: Host, *intents: str) -> list[tuple[str, str]]:
    return [(hazard.code, hazard.device) for hazard in found(host, *intents)]


def severities(host: Host, *intents: str) -> dict[str, str]:
    return {f"{h.code}:{h.device[-4:]}": str(h.severity) for h in found(host, *intents)}


def one(device: Device, **uses: Any) -> Host:
    return machine(group_of(1, device))._replace(uses=Uses(**uses))


def two(first: Device, second: Device, **uses: Any) -> Host:
    """Two cards in two groups."""
    return machine(group_of(1, first), group_of(2, second))._replace(uses=Uses(**uses))
