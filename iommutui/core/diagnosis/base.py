"""What a message and a cause are, what a message names, and what several families of messages have in common."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import IntEnum
from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.advice import no_iommu_advice
from iommutui.core.command_line import notices_of, parameter_advice
from iommutui.core.drivers import VFIO_PCI
from iommutui.core.hazards.base import listed
from iommutui.core.host import Device, Group, Host
from iommutui.core.models.base import Model, direct_regions
from iommutui.core.reasons import Code, Reason
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
    """What a message names, as far as it does, on which Host."""

    host: Host
    model: Model
    group: int | None
    device: Device | None
    address: Address | None = None
    """The address in it, whether there is such a device or not."""
    text: str = ""
    """The whole text in one line and in lower case."""
    driver: str | None = None
    errno: str | None = None
    words: Mapping[str, str] = {}
    """What the pattern kept."""

    @property
    def it(self) -> str:
        """The device, for the middle of a sentence."""
        return self.address or (self.device.address if self.device is not None else "the device")

    def cause(self, code: str, text: str, remedy: str, device: Device | None = None) -> Cause:
        """A cause about a device, by default the one that the message names."""
        device = device or self.device
        group = self.group if self.group is not None else device.group if device is not None else None
        text = "The" + text[3:] if text.startswith("the ") else text
        return Cause(code, text, remedy, group, device.address if device is not None else None)


Explain = Callable[[Found], Iterator[Cause]]


class Weight(IntEnum):
    """What a message is worth beside others of the same text; only those of the highest weight are explained."""

    HARMLESS = 0
    ERRNO = 1
    """The name of an errno, with nothing else that is known."""
    NAMED = 2


class Message(NamedTuple):
    """An error message that people paste. ``patterns`` are as in `paste.pattern` with ``|`` between them."""

    name: str
    patterns: str
    explain: Explain
    weight: Weight = Weight.NAMED


def means(
    name: str, patterns: str, code: str, text: str, remedy: str, *, parameter: str = "", weight: Weight = Weight.NAMED
) -> Message:
    """A message that means the same on every machine.

    ``{it}`` is the device, ``{number}`` the group, ``{word}`` what the pattern kept as ``<word>``, and ``{parameter}``
    the advice to set that parameter, or to look further where it is set.
    """

    def explain(found: Found) -> Iterator[Cause]:
        facts = {"it": found.it, "number": "N" if found.group is None else str(found.group), **found.words}
        advice = parameter_advice(found.host, parameter) if parameter else ""
        yield found.cause(code, text.format(**facts), remedy.format(**facts, parameter=advice))

    return Message(name, patterns, explain, weight)


def groups_asked(found: Found) -> list[Group]:
    """The group that the message names, else that of its device, else every group that a VFIO driver is in."""
    host = found.host
    number = found.group if found.group is not None else found.device.group if found.device else None
    if number is not None:
        return [host.groups[number]] if number in host.groups else []
    if found.device is not None or found.address is not None:
        return []
    return [g for g in host.groups.values() if any(is_vfio(found.host, d, d.driver) for d in host.members(g))]


def firmware_regions(found: Found) -> Iterator[Cause]:
    """Regions that the firmware wants mapped one to one: RMRR of Intel, unity maps of AMD (``reserved_regions``)."""
    remedy = (
        "Only the firmware can change that: look for a setting of the slot (shared memory, RMRR), or use another "
        "device. Kernels patched with relax_rmrr (Proxmox: intel_iommu=on,relax_rmrr) ignore it at your own risk."
    )
    for group in groups_asked(found):
        yield from (Cause("direct-region", sentence(r), remedy, group.id) for r in direct_regions(group))


def no_iommu(found: Found) -> Iterator[Cause]:
    """No IOMMU, or none that covers the device (``iommu_group_get()`` finds nothing)."""
    advice, device = no_iommu_advice(found.host), found.device
    if advice:
        yield found.cause("no-group" if device is not None else "no-iommu", advice[0], " ".join(advice[1:]))
    elif device is not None and device.group is None:
        covered = any(each.group is not None and each.bus == "pci" for each in found.host.devices.values())
        yield found.cause(
            "no-group",
            sentence(Reason(Code.NO_GROUP, device=device.address)),
            "The IOMMU covers other devices of this machine, but not this one."
            if covered
            else "The IOMMU of this machine covers parts of the chip itself and no PCI device, as on many systems on a "
            "chip. No setting changes that: a device on its PCIe cannot be handed to a virtual machine.",
        )


def in_the_way(found: Found) -> Iterator[Cause]:
    """What keeps the groups from being handed over, under the model."""
    for group in groups_asked(found):
        for reason in found.model.verdict(found.host, group).reasons:
            if reason.code in (Code.KERNEL_DRIVER, Code.FOREIGN_DOMAIN, Code.OWNED, Code.UNKNOWN_DRIVER):
                fix = f"'iommutui why {group.id}' shows the smallest fix."
                remedy = "Shut that virtual machine down, or leave the device to it." if group.claim else fix
                yield Cause(reason.code, sentence(reason), remedy, group.id, reason.device)


def settings(found: Found, devices: Iterable[Device]) -> Iterator[Cause]:
    """Settings that were meant to put these devices on a VFIO driver and have not."""
    for device in devices:
        for notice in notices_of(found.host, device):
            yield Cause(notice.code, notice.text, notice.remedy, device.group, notice.device)


def silent(found: Found, device: Device) -> Iterator[Cause]:
    """The device does not answer: its configuration space reads as all ones."""
    if device.details is not None and device.details.config_answers is False:
        yield found.cause(
            "not-responding",
            f"{device.address} does not answer: its configuration space reads as all ones (a header type of 127 or 7f "
            "is the same). It sleeps in D3cold or has fallen off the bus, and no driver can start it.",
            "Shut the machine down and take it off the mains for a moment; check power cables, the slot, and on a laptop "
            "the switch of the card. If vfio-pci put it to sleep: "
            + parameter_advice(found.host, "vfio-pci.disable_idle_d3=1"),
            device,
        )


def users(found: Found, device: Device | None) -> str:
    """Who has a node of the device open; empty where nobody is seen to."""
    openers = found.host.uses.openers_of(device.address) if found.host.uses is not None and device is not None else ()
    return listed(f"{o.name or 'a process'} (pid {o.pid})" if o.pid else o.name or "a process" for o in openers)


def refusals(found: Found, reasons: Iterable[Reason]) -> Iterator[Cause]:
    """Why a write or a probe of the device fails, as the engine says it, with what to do about it."""
    for reason in reasons:
        if reason.code is Code.NO_GROUP:
            yield from no_iommu(found)
        else:
            yield found.cause(reason.code, sentence(reason), _remedy(found, reason))


_OVERRIDE_FIRST = "Write {driver} to its driver_override first: 'iommutui preview {it}={driver}' shows the writes."
_SHUT_DOWN = "Shut that virtual machine down first."
_REMEDIES = {
    Code.ALREADY_BOUND: "Unbind it first: 'iommutui preview {it}={wanted}' shows the writes in the right order.",
    Code.NOT_BOUND: "There is nothing to unbind: go on without it.",
    Code.OVERRIDE_DIFFERS: _OVERRIDE_FIRST,
    Code.NO_MATCH: _OVERRIDE_FIRST,
    Code.BRIDGE: "Leave it where it is.",
    Code.DENYLISTED: "For a guest that you trust: {denylist}",
    Code.VFS_ENABLED: "Write 0 to its sriov_numvfs first, or hand over the virtual functions instead.",
    Code.NO_DRIVER: "Load it with 'modprobe {driver}', and check its name.",
    Code.OWNED: _SHUT_DOWN,
    Code.IN_USE: _SHUT_DOWN,
    Code.GROUP_FILE_OPEN: _SHUT_DOWN,
}


def _remedy(found: Found, reason: Reason) -> str:
    if reason.code is Code.ALREADY_BOUND and found.driver == reason.driver:
        return "It is where it should be: there is nothing to do."
    return _REMEDIES.get(reason.code, "'iommutui why {it}' says more.").format(
        it=found.it,
        driver=reason.driver or found.driver or VFIO_PCI,
        wanted=found.driver or VFIO_PCI,
        denylist=parameter_advice(found.host, "vfio-pci.disable_denylist=1"),
    )
