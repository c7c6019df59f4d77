"""The facts that a plan was computed from, and which of them have changed since."""

from collections.abc import Iterable
from typing import NamedTuple

from iommutui.core.address import Address, sort_key
from iommutui.core.host import Device, Host


class DeviceFacts(NamedTuple):
    """The facts of one device that a plan depends on; ``ids`` reveals another card at the same address."""

    device: Address
    ids: str
    driver: str | None
    override: str | None
    group: int | None


class Basis(NamedTuple):
    """The facts of every device that a plan moves and of every member of their groups."""

    kernel: str | None
    devices: tuple[DeviceFacts, ...]
    claims: tuple[tuple[int, str], ...] = ()
    """Groups that user space owns, with their owners."""
    claims_known: bool = True
    """Whether every process could be read: other users' are visible to root only."""


class Change(NamedTuple):
    subject: str
    fact: str
    before: str
    now: str


def basis_of(host: Host, moved: Iterable[Address]) -> Basis:
    """The basis of a plan that moves these devices."""
    addresses = set(moved)
    groups = host.groups_of(addresses)
    addresses |= {member for group in groups for member in group.members}
    devices = [host.devices[a] for a in sorted(addresses, key=sort_key) if a in host.devices]
    claims = tuple((group.id, group.claim.owner) for group in groups if group.claim is not None)
    return Basis(host.kernel, tuple(device_facts(device) for device in devices), claims, host.gap("claims") is None)


def device_facts(device: Device) -> DeviceFacts:
    ids = f"{device.vendor_id or '?'}:{device.device_id or '?'} class {device.class_code or '?'}"
    return DeviceFacts(device.address, ids, device.driver, device.driver_override, device.group)


def drift(basis: Basis, host: Host, moved: Iterable[Address]) -> list[Change]:
    """Every fact of the basis that differs on the Host now, named one by one.

    A fact that could not be seen, then or now, does not count: an owner that only root can see is not drift. The plan
    is computed anew for what can be seen now, and refused if an owner blocks it.
    """
    now = basis_of(host, moved)
    changes = [Change("host", "kernel", _text(basis.kernel), _text(now.kernel))] if basis.kernel != now.kernel else []
    changes += differences(basis.devices, now.devices)
    gone = [claim for claim in basis.claims if now.claims_known and claim not in now.claims]
    new = [claim for claim in now.claims if basis.claims_known and claim not in basis.claims]
    changes += (Change(f"group {group}", "owner", owner, "none") for group, owner in gone)
    changes += (Change(f"group {group}", "owner", "none", owner) for group, owner in new)
    return changes


def differences(before: Iterable[DeviceFacts], now: Iterable[DeviceFacts]) -> list[Change]:
    """Every fact of these devices that differs, by address."""
    changes: list[Change] = []
    before_by = {facts.device: facts for facts in before}
    now_by = {facts.device: facts for facts in now}
    for address in sorted({*before_by, *now_by}, key=sort_key):
        then, here = before_by.get(address), now_by.get(address)
        if then is None or here is None:
            changes.append(Change(address, "device", "present" if then else "absent", "present" if here else "absent"))
        else:
            facts = zip(then._fields, then, here, strict=True)
            changes += (Change(address, fact, _text(old), _text(new)) for fact, old, new in facts if old != new)
    return changes


def _text(value: object) -> str:
    return "none" if value is None else str(value)
