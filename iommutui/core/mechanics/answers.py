"""Answers that several events have in common."""

from iommutui.core.address import Address
from iommutui.core.host import Device, Group, Host
from iommutui.core.outcome import Outcome
from iommutui.core.reasons import Code, Reason


def refused(host: Host, errno: str, *reasons: Reason) -> Outcome:
    return Outcome(errno, host, reasons)


def missing(host: Host, address: Address, errno: str = "ENODEV") -> Outcome:
    """ENODEV of a driver's or the bus's file that is given the name; ENOENT where the device's own file is opened."""
    return refused(host, errno, Reason(Code.NO_DEVICE, device=address))


def in_use(group: Group | None, device: Device) -> tuple[Reason, ...]:
    claim = group.claim if group is not None else None
    facts = (("owner", claim.owner),) if claim is not None else ()
    return (Reason(Code.IN_USE, device.group, device.address, device.driver, facts),)
