"""What the engine answers, and the answers that several events have in common."""

from enum import StrEnum
from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.host import Device, Group, Host
from iommutui.core.reasons import Code, Reason

OK = "ok"
"""The result of a write or ioctl that succeeds; any other result is the name of an errno."""


class State(StrEnum):
    """Who has the DMA of a group."""

    IDLE = "idle"
    KERNEL = "kernel"
    USER = "user"
    FOREIGN = "foreign"
    UNKNOWN = "unknown"


class Verdict(NamedTuple):
    """Whether a group can be handed to a virtual machine.

    ``viable`` is None where the Host does not hold what the answer depends on. ``claim`` is what claiming the group
    would return: a viable group can still refuse it.
    """

    viable: bool | None
    state: State
    claim: str
    reasons: tuple[Reason, ...] = ()

    @property
    def refused(self) -> bool:
        """A claim fails although no driver is in the way and nobody has the group."""
        return self.viable is True and self.state is not State.USER and self.claim != OK


class Outcome(NamedTuple):
    """The answer to an event: ``result`` is what the kernel's write or ioctl returns."""

    result: str
    host: Host
    reasons: tuple[Reason, ...] = ()
    crash: str | None = None
    """What the kernel would print, where it would not survive."""
    blocks: bool = False
    """The call waits until the device is released, and returns ``result`` then."""
    groups: tuple[int, ...] = ()
    """The groups that the event concerns."""

    @property
    def ok(self) -> bool:
        """The call succeeded, and at once."""
        return self.result == OK and self.crash is None and not self.blocks


def refused(host: Host, errno: str, *reasons: Reason) -> Outcome:
    return Outcome(errno, host, reasons)


def missing(host: Host, address: Address, errno: str = "ENODEV") -> Outcome:
    """ENODEV of a driver's or the bus's file that is given the name; ENOENT where the device's own file is opened."""
    return refused(host, errno, Reason(Code.NO_DEVICE, device=address))


def in_use(group: Group | None, device: Device) -> tuple[Reason, ...]:
    """Why a call waits: for the owner of the group, or for an unbind of which nothing else is known."""
    claim = group.claim if group is not None else None
    if claim is None:
        return (Reason(Code.BEING_UNBOUND, device.group, device.address),)
    return (Reason(Code.IN_USE, device.group, device.address, device.driver, (("owner", claim.owner),)),)
