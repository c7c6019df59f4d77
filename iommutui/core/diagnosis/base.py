"""What a cause is, what a message names, and what several messages have in common."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.host import Device, Group, Host
from iommutui.core.models.base import Model, direct_regions
from iommutui.core.roles import is_vfio
from iommutui.core.wording import sentence


class Cause(NamedTuple):
    """One explanation: what it is, and what to do about it. Whole sentences."""

    code: str
    text: str
    remedy: str
    group: int | None = None
    device: Address | None = None


class Found(NamedTuple):
    """What a message names: the group and the device in it, as far as it holds any."""

    host: Host
    model: Model
    group: int | None
    device: Device | None
    address: Address | None = None
    """The first address in it, whether there is such a device or not."""


Explain = Callable[[Found], Iterator[Cause]]


def groups_asked(found: Found) -> list[Group]:
    """The group that the message names, else that of its device, else every group that a VFIO driver is in."""
    host = found.host
    number = found.group if found.group is not None else found.device.group if found.device else None
    if number is not None:
        return [host.groups[number]] if number in host.groups else []
    return [g for g in host.groups.values() if any(is_vfio(host, d, d.driver) for d in host.members(g))]


def missing_group(found: Found) -> Iterator[Cause]:
    if found.group is not None and found.group not in found.host.groups:
        yield Cause(
            "group-missing",
            f"This machine has no group {found.group}. Group numbers change with cards, firmware and kernels.",
            "'iommutui list' shows the groups as they are now.",
            found.group,
        )


def firmware_regions(groups: list[Group]) -> Iterator[Cause]:
    for group in groups:
        for reason in direct_regions(group):
            yield Cause(
                "direct-region",
                sentence(reason),
                "Only the firmware can change that: look for a setting of the slot (shared memory, RMRR), or use "
                "another device.",
                group.id,
            )
