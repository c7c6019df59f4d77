"""What the network traffic of the machine goes through."""

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
    uses_of,
)
from iommutui.core.host import Host
from iommutui.core.plan.intents import Goal
from iommutui.core.uses import Network

_WAYS = (
    "Work from the machine's own keyboard and screen, or move the address to an interface that stays.",
    "Move the address to an interface that stays.",
)

SESSION = Kind(
    "ssh-session", Topic.NETWORK, "the SSH session that you are in", (DANGER, WARN), *_WAYS,
    says="The SSH session that you are in goes through {interface}[ ({chain})], which {device} has[; {remains} "
    "stays with the host].",
)  # fmt: skip
DEFAULT = Kind(
    "default-route", Topic.NETWORK, "the default route", (DANGER, WARN, INFO), *_WAYS,
    says="The default route goes through {interface}[ ({chain})], which {device} has[; {remains} stays with the "
    "host].",
    asks="which network traffic goes through {device}",
)  # fmt: skip
ADDRESS = Kind(
    "network-address", Topic.NETWORK, "an interface with an address", (DANGER, WARN), *_WAYS,
    says="An address of this machine goes through {interface}[ ({chain})], which {device} has[; {remains} stays "
    "with the host].",
)  # fmt: skip
MEMBER = Kind(
    "network-member", Topic.NETWORK, "an interface that a bond, bridge or VLAN uses", (WARN,),
    "Take it out of the bond, bridge or VLAN first; virtual machines and containers may use it.",
    says="A bond, bridge or VLAN goes through {interface}[ ({chain})], which {device} has[; {remains} stays with "
    "the host].",
)  # fmt: skip


def networks(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """The worst thing that each device's interfaces carry. It is less bad where another device carries it on."""
    leaving = unbound(host, goals)
    gone = {device.address for device in leaving}
    uses = uses_of(host).network
    kept = [use for use in uses if use.device not in gone]
    why = unknown(host, "network")
    for device in leaving:
        own = [use for use in uses if use.device == device.address]
        found = False
        for kind, carried in ((SESSION, [u for u in own if u.session]), (DEFAULT, [u for u in own if u.default_route]),
                              (ADDRESS, [u for u in own if u.address])):  # fmt: skip
            if carried and not (kind is ADDRESS and found):
                found = True
                remains = _carries_on(kind, carried, kept)
                yield kind.of(device, WARN if remains else DANGER, _facts(carried, remains))
        if not found and (members := [use for use in own if len(use.chain) > 1]):
            yield MEMBER.of(device, WARN, _facts(members))
        if why and (own or (device.class_code or "").startswith("02") or device.interfaces):
            yield DEFAULT.of(device, INFO, unknown=why)


def _carries_on(kind: Kind, lost: Sequence[Network], kept: Sequence[Network]) -> str:
    """The interface that does the same and stays: another member of a bond, or another way out.

    The session is bound to its address, so only a bond keeps it.
    """
    for use in kept:
        same = use.top in {each.top for each in lost}
        if same and use.bonded:
            return use.own
        if not same and ((kind is DEFAULT and use.default_route) or (kind is ADDRESS and use.address)):
            return use.top
    return ""


def _facts(uses: Sequence[Network], remains: str = "") -> tuple[tuple[str, str], ...]:
    chains = listed(" ← ".join(use.chain) for use in uses) if any(len(use.chain) > 1 for use in uses) else ""
    return ("interface", listed(use.own for use in uses)), ("chain", chains), ("remains", remains)


CHECKS = (HazardCheck(networks, (SESSION, DEFAULT, ADDRESS, MEMBER)),)
