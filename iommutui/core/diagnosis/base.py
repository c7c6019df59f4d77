"""Messages, causes, the names found in a message, and causes that several families of messages share."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.advice import no_iommu_advice, notices_of, parameter_advice
from iommutui.core.drivers import VFIO_PCI
from iommutui.core.hazards import filled
from iommutui.core.hazards.base import openers_words
from iommutui.core.host import NO_IOMMU, Device, Group, Host, is_vfio
from iommutui.core.labels import driver_words
from iommutui.core.models import Model, direct_regions
from iommutui.core.plan.presets import not_of_use
from iommutui.core.reasons import Code, Reason
from iommutui.core.uses import NOT_RECORDED, Uses
from iommutui.core.wording import sentence


class Cause(NamedTuple):
    """One explanation and its remedy. Whole sentences."""

    code: str
    text: str
    remedy: str
    group: int | None = None
    device: Address | None = None


class Kind(NamedTuple):
    """The templates of one code: the cause and its remedy.

    ``{it}`` is what the message names and ``{name}`` the same in a command, ``{wanted}`` the driver that it is about;
    ``{device}`` and ``{group}`` what the cause is about, ``{on}`` where that device is, and ``{users}`` the processes
    that have it open; the caller gives the rest.
    ``{+name=value}`` is the advice to set a parameter, or to look further if it is set. A part in brackets is left out
    if one of its facts is empty.
    """

    code: str
    says: str
    remedy: str


_OVERRIDE_FIRST = "Write {driver} to its driver_override first: 'iommutui preview {name}={driver}' shows the writes."
SHUT_DOWN = "Shut that virtual machine down first, or leave the device to it."
REMEDIES = {
    Code.ALREADY_BOUND: "Unbind it first: 'iommutui preview {name}={wanted}' shows the writes in the right order.",
    Code.NOT_BOUND: "There is nothing to unbind: go on without it.",
    Code.OVERRIDE_DIFFERS: _OVERRIDE_FIRST,
    Code.NO_MATCH: _OVERRIDE_FIRST,
    Code.BRIDGE: "Leave it where it is.",
    Code.DENYLISTED: "For a guest that you trust: {+vfio-pci.disable_denylist=1}",
    Code.VFS_ENABLED: "Write 0 to its sriov_numvfs first, or hand over the virtual functions instead.",
    Code.NO_DRIVER: "Load it with 'modprobe {driver}', and check its name.",
    Code.OWNED: SHUT_DOWN,
    Code.IN_USE: SHUT_DOWN,
    Code.GROUP_FILE_OPEN: SHUT_DOWN,
}
"""The remedy for each reason of the engine."""
IN_THE_WAY = (Code.KERNEL_DRIVER, Code.FOREIGN_DOMAIN, Code.OWNED, Code.UNKNOWN_DRIVER)
"""The reasons of a verdict that keep a group from being handed over."""

# fmt: off
NO_DEVICE = Kind("no-device", "This machine has no device {it}.", "'iommutui list' shows the devices as they are now; "
    "names start with the domain, usually 0000.")
GROUP_MISSING = Kind("group-missing", "This machine has no group {group}. Group numbers change with cards, firmware "
    "and kernels.", "'iommutui list' shows the groups as they are now.")
NO_GROUP = Kind("no-group", "{what}", "The IOMMU covers other devices of this machine, but not this one.")
DIRECT_REGION = Kind("direct-region", "{what}", "Look for a setting for the slot in the firmware setup (shared memory, "
    "RMRR), or use another device. Kernels with the patch relax_rmrr (Proxmox: intel_iommu=on,relax_rmrr) ignore it at "
    "your own risk.")
NOT_RESPONDING = Kind("not-responding", "{device} does not answer: its configuration space reads as all ones (hence "
    "the header type 127 or 7f). It sleeps in D3cold or has fallen off the bus.", "Unplug the machine for a moment; "
    "check power cables, slot, and a laptop's switch for the card. If vfio-pci put it to sleep: "
    "{+vfio-pci.disable_idle_d3=1}")
NO_IOMMU_MODE = Kind("no-iommu-mode", "Group {group} is in no-IOMMU mode (/dev/vfio/noiommu-{group}): DPDK can use it, "
    "a virtual machine cannot.", "Turn on the IOMMU; a virtual machine needs a virtual one.")
UNKNOWN_OWNER = Kind("unknown-owner", "Only root can see which groups are in use, so another process may have this "
    "one.", "Ask again with sudo.")
WORKS_NOW = Kind("works-now", "{what} now, so something has changed since the message.", "Try again, and restart the "
    "program that printed it (libvirtd, Proxmox's page). If it comes back, find out what binds the device.")
# fmt: on

_NODE = re.compile(r"/dev/vfio/(?:devices/vfio)?\d+")
_PARAMETER = re.compile(r"\{\+([^}]+)\}")


class Found(NamedTuple):
    """The devices and words that a message names on a Host; and the causes that several messages share."""

    host: Host
    model: Model
    group: int | None
    device: Device | None
    address: Address | None
    """The address in the text, even if there is no such device."""
    text: str
    """The whole text in one line and in lower case."""
    driver: str | None
    errno: str | None
    words: Mapping[str, str]
    """What the pattern captured."""

    @property
    def it(self) -> str:
        """The device, for the middle of a sentence."""
        return self.address or (self.device.address if self.device is not None else "the device")

    @property
    def wanted(self) -> str:
        """The driver that the message is about: vfio-pci if it names none."""
        return self.driver or VFIO_PCI

    @property
    def uses(self) -> Uses:
        """What the machine does with its devices."""
        return self.host.uses or NOT_RECORDED

    @property
    def groups(self) -> list[Group]:
        """The group that the message names, else that of its device, else every group that a VFIO driver is in."""
        host = self.host
        number = self.group if self.group is not None else self.device.group if self.device is not None else None
        if number is not None:
            return [host.groups[number]] if number in host.groups else []
        if self.device is not None or self.address is not None:
            return []
        return [g for g in host.groups.values() if any(is_vfio(host, d, d.driver) for d in host.members(g))]

    def say(self, kind: Kind, device: Device | None = None, group: int | None = None, **facts: str) -> Cause:
        """A cause of this kind about a device or group: by default those that the message names."""
        device = device or self.device
        if group is None:
            group = self.group if self.group is not None else device.group if device is not None else None
        number, node = "N" if group is None else str(group), _NODE.search(self.text)
        known = {
            "driver": self.wanted,
            **self.words,
            "it": self.it,
            "name": "DEVICE" if self.it == "the device" else self.it,
            "group": number,
            "node": node[0] if node else f"/dev/vfio/{number}",
            "device": device.address if device is not None else self.it,
            "on": (f"on {device.driver}" if device.driver else driver_words(self.host, device)) if device else "free",
            "users": openers_words(self.uses.of(device.address).openers) if device is not None else "",
            "wanted": self.wanted,
            **facts,
        }
        remedy = _PARAMETER.sub(lambda parameter: parameter_advice(self.host, parameter[1]), kind.remedy)
        what = filled(kind.says, known)
        what = "The" + what[3:] if what.startswith("the ") else what
        return Cause(kind.code, what, filled(remedy, known), group, device.address if device is not None else None)

    def firmware_regions(self) -> list[Cause]:
        """Regions that firmware requires mapped 1:1: Intel's RMRR, AMD's unity maps (``reserved_regions``)."""
        regions = ((group.id, reason) for group in self.groups for reason in direct_regions(group))
        return [self.say(DIRECT_REGION, group=group, what=sentence(reason)) for group, reason in regions]

    def no_iommu(self) -> list[Cause]:
        """No IOMMU, or none that covers the device (``iommu_group_get()`` finds nothing)."""
        advice, address = no_iommu_advice(self.host), self.device.address if self.device is not None else None
        without = sentence(Reason(Code.NO_GROUP, device=address))
        if advice:
            text, *rest = advice if len(advice) > 1 else (without, *advice)
            return [Cause("no-group" if address is not None else "no-iommu", text, " ".join(rest), None, address)]
        covered = self.device is None or self.device.group is not None
        return [] if covered else [self.say(NO_GROUP, what=without)]

    def in_the_way(self, *codes: Code) -> Iterator[Cause]:
        """Why the groups cannot be handed over, under the model: with these codes, or whatever is in the way."""
        for group in self.groups:
            remedy = SHUT_DOWN if group.claim else f"'iommutui why {group.id}' shows the smallest fix."
            for reason in self.model.verdict(self.host, group).reasons:
                if reason.code in (codes or IN_THE_WAY):
                    yield Cause(reason.code, sentence(reason), remedy, group.id, reason.device)

    def owners(self) -> Iterator[Cause]:
        """Who has the groups: EBUSY of opening ``/dev/vfio/N`` (``vfio_group_fops_open()``) or a device's own file."""
        yield from self.in_the_way(Code.OWNED, Code.FOREIGN_DOMAIN)
        if self.host.gap("claims"):
            yield self.say(UNKNOWN_OWNER)

    def without_isolation(self) -> list[Cause]:
        """No-IOMMU mode (CONFIG_VFIO_NOIOMMU): no container of type 1, so no virtual machine."""
        return [self.say(NO_IOMMU_MODE, group=group.id) for group in self.groups if group.name == NO_IOMMU]

    def settings(self, devices: Iterable[Device]) -> Iterator[Cause]:
        """Settings that should have put these devices on a VFIO driver, but did not."""
        for device in devices:
            for notice in notices_of(self.host, device):
                yield Cause(notice.code, notice.text, notice.remedy, device.group, notice.device)

    def silent(self) -> list[Cause]:
        """The device does not answer: its configuration space reads as all ones."""
        return [self.say(NOT_RESPONDING)] if self.device is not None and self.device.silent else []

    def of_no_use(self, device: Device) -> Iterator[Cause]:
        """Why no rebind lets a virtual machine have the device, as behind a VMD controller."""
        reason = not_of_use(self.host, device)
        if reason is not None and reason.code in (Code.BEHIND_VMD, Code.OF_THE_BOARD):
            yield Cause(reason.code, sentence(reason), "Leave it to the host.", device.group, device.address)

    def refusals(self, reasons: Iterable[Reason]) -> Iterator[Cause]:
        """The engine's reason why a write or a probe of the device fails, with the remedy."""
        for reason in reasons:
            remedy = REMEDIES.get(reason.code, "'iommutui why {it}' says more.")
            if reason.code is Code.ALREADY_BOUND and self.driver == reason.driver:
                remedy = "It is where it should be: there is nothing to do."
            if reason.code is Code.NO_GROUP:
                yield from self.no_iommu()
            else:
                kind = Kind(reason.code, "{what}", remedy)
                yield self.say(kind, what=sentence(reason), driver=reason.driver or self.wanted)


class Weight(IntEnum):
    """The weight of a message among others in the same text; only those of the highest weight are explained."""

    HARMLESS = 0
    ERRNO = 1
    """The bare name of an errno."""
    NAMED = 2


class Message(NamedTuple):
    """An error message that people paste. ``patterns`` are as in `paste.pattern` with ``|`` between them."""

    name: str
    patterns: str
    explain: Callable[[Found], Iterable[Cause]]
    weight: Weight = Weight.NAMED


def means(
    name: str,
    patterns: str,
    code: str,
    text: str,
    remedy: str,
    *,
    unless: Callable[[Found], Sequence[Cause]] = lambda found: (),
    weight: Weight = Weight.NAMED,
) -> Message:
    """A message that means the same on every machine, ``unless`` that function finds the causes on this one."""
    return Message(name, patterns, lambda found: unless(found) or [found.say(Kind(code, text, remedy))], weight)
