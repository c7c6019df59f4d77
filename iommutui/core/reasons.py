"""What the engine answers, and why, as data: reasons, verdicts, outcomes. Sentences are made in ``wording``."""

from enum import StrEnum
from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.host import Device, Group, Host


class Code(StrEnum):
    """Stable names of reasons, as they stand in JSON."""

    KERNEL_DRIVER = "kernel-driver"
    UNKNOWN_DRIVER = "unknown-driver"
    ASSUMED_ROLE = "assumed-role"
    OWNED = "owned"
    FOREIGN_DOMAIN = "foreign-domain"
    DIRECT_REGION = "direct-region"
    NO_DEFAULT_DOMAIN = "no-default-domain"
    NO_GROUP = "no-group"
    UNKNOWN_GROUP = "unknown-group"
    UNKNOWN_MEMBERS = "unknown-members"
    NO_NODE = "no-vfio-node"
    NOT_VFIO = "not-on-vfio"
    NOT_OWNER = "not-owner"
    NO_INTERFACE = "no-interface"
    GROUP_FILE_OPEN = "group-file-open"
    NO_DEVICE = "no-device"
    NO_DRIVER = "no-driver"
    NOT_BOUND = "not-bound"
    ALREADY_BOUND = "already-bound"
    OVERRIDE_DIFFERS = "override-differs"
    OVERRIDE_TOO_LONG = "override-too-long"
    NO_MATCH = "no-match"
    UNFIT_DRIVER = "unfit-driver"
    BRIDGE = "bridge"
    NOT_A_PORT = "not-a-port"
    REFUSED_BEFORE = "refused-before"
    NO_HOTPLUG_CONTROLLER = "no-hotplug-controller"
    DENYLISTED = "denylisted"
    VFS_ENABLED = "vfs-enabled"
    VIRTUAL_FUNCTION = "virtual-function"
    IN_USE = "in-use"
    BEING_UNBOUND = "being-unbound"
    IOMMU_FUNCTION = "iommu-function"
    NO_INTERRUPT_REMAPPING = "no-interrupt-remapping"
    NO_IOMMU = "no-iommu-mode"
    NOT_PCI = "not-pci"
    KERNEL_BESIDE_USER = "kernel-beside-user"
    USER_BESIDE_KERNEL = "user-beside-kernel"
    DRAFT_GAP_H1 = "draft-gap-h1"
    DRAFT_GAP_BRIDGE = "draft-gap-bridge"
    DRAFT_SLIP_S08 = "draft-slip-s08"
    UNANSWERED = "not-answering"
    LEFT_ELSEWHERE = "other-driver"
    HOST_NEEDS = "host-needs-it"
    OF_THE_BOARD = "of-the-board"
    BEHIND_VMD = "behind-vmd"
    NO_MODULE = "no-module"


class Reason(NamedTuple):
    """One reason. ``facts`` holds what else the sentence needs, as sorted pairs."""

    code: Code
    group: int | None = None
    device: Address | None = None
    driver: str | None = None
    facts: tuple[tuple[str, str], ...] = ()

    def fact(self, name: str) -> str:
        """One of the facts, or an empty string."""
        return dict(self.facts).get(name, "")


def groupless(device: Device) -> Reason:
    """Why a device that has no group here has none: it has none, or that is not known."""
    gap = device.gap("iommu_group")
    if gap is None:
        return Reason(Code.NO_GROUP, device=device.address)
    return Reason(Code.UNKNOWN_GROUP, device=device.address, facts=(("why", gap.why),))


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
