"""Hazards of devices that carry the machine's network traffic."""

from collections.abc import Iterable, Iterator, Sequence

from iommutui.core.hazards.base import DANGER, INFO, WARN, Hazard, Kind, Moves, Topic, listed
from iommutui.core.uses import Network

_WAYS = (
    "Work from the machine's own keyboard and screen, or move the address to an interface that stays.",
    "Move the address to an interface that stays.",
)

_THROUGH = " through {interface}[ ({chain})] on {device}[; {remains} stays with the host]."

SESSION = Kind(
    "ssh-session", Topic.NETWORK, "your SSH session", (DANGER, WARN), *_WAYS,
    says="Your SSH session goes" + _THROUGH,
)  # fmt: skip
DEFAULT = Kind(
    "default-route", Topic.NETWORK, "the default route", (DANGER, WARN, INFO), *_WAYS,
    says="The default route goes" + _THROUGH, asks="which network traffic goes through {device}",
)  # fmt: skip
ADDRESS = Kind(
    "network-address", Topic.NETWORK, "an interface with an address", (DANGER, WARN), *_WAYS,
    says="An address of this machine is reached" + _THROUGH,
)  # fmt: skip
MEMBER = Kind(
    "network-member", Topic.NETWORK, "an interface that a bond, bridge or VLAN uses", (WARN,),
    "Take it out of the bond, bridge or VLAN first; virtual machines and containers may use it.",
    says="A bond, bridge or VLAN goes" + _THROUGH,
)  # fmt: skip


def networks(moves: Moves) -> Iterator[Hazard]:
    """The worst loss among each device's interfaces. It is less severe if another device takes over."""
    gone, why = {device.address for device in moves.leaving}, moves.uses.gap("network")
    for device in moves.leaving:
        own = moves.uses.of(device.address).network
        carried = {SESSION: [u for u in own if u.session], DEFAULT: [u for u in own if u.default_route]}
        if not any(carried.values()):
            carried = {ADDRESS: [u for u in own if u.address]}
        for kind, lost in carried.items():
            if lost:
                kept = (use for use in moves.uses.network if use.device not in gone)
                remains = _carries_on(kind, lost, kept)
                yield kind.of(device, WARN if remains else DANGER, **_facts(lost), remains=remains)
        members = [use for use in own if len(use.chain) > 1]
        if members and not any(carried.values()):
            yield MEMBER.of(device, **_facts(members))
        if why and (own or (device.class_code or "").startswith("02") or device.interfaces):
            yield DEFAULT.of(device, INFO, why)


def _carries_on(kind: Kind, lost: Sequence[Network], kept: Iterable[Network]) -> str:
    """The remaining interface that does the same: another member of a bond, or another route.

    The session is bound to its address, so only a bond keeps it.
    """
    tops = {use.top for use in lost}
    for use in kept:
        same = use.top in tops
        if same and use.bonded:
            return use.own
        if not same and ((kind is DEFAULT and use.default_route) or (kind is ADDRESS and use.address)):
            return use.top
    return ""


def _facts(uses: Sequence[Network]) -> dict[str, str]:
    chains = listed(" ← ".join(use.chain) for use in uses) if any(len(use.chain) > 1 for use in uses) else ""
    return {"interface": listed(use.own for use in uses), "chain": chains}


KINDS = (SESSION, DEFAULT, ADDRESS, MEMBER)
CHECKS = (networks,)
