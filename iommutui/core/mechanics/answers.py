"""Answers that several events have in common."""

from iommutui.core.address import Address
from iommutui.core.host import Device, Group, Host
from iommutui.core.outcome import Outcome
from iommutui.core.reasons import Code, Reason


def refused(host: Host, errno: str, *reasons: Reason) -> Outcome:
    return Outcome(errno, host, reasons)


def missing(host: Host, address: Address) -> Outcome:
    return refused(host, "ENODEV", Reason(Code.NO_DEVICE, device=address))


def in_use(group: Group | None, device: Device) -> tuple[Reason, ...]:
    claim = group.claim if group is not None else None
    facts = (("owner", claim.owner),) if claim is not None else ()
    return (Reason(Code.IN_USE, device.group, device.address, device.driver, facts),)
