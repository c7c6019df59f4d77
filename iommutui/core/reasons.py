"""The engine's answers as data: reasons, verdicts, outcomes. `wording` makes the sentences."""

from enum import StrEnum
from typing import NamedTuple, Self

from iommutui.core.address import Address
from iommutui.core.host import Device, Group, Host


class Code(StrEnum):
    """A kind of reason: its name in JSON, and its sentence.

    A sentence is a template with the facts of the reason; `wording.sentence` fills it. A part in brackets is left out
    if one of its facts is empty.
    """

    says: str

    def __new__(cls, name: str, says: str) -> Self:
        code = str.__new__(cls, name)
        code._value_ = name
        code.says = says
        return code

    # fmt: off
    KERNEL_DRIVER = ("kernel-driver", "{device} is bound to the host driver {driver}. Every device in the group must "
        "leave its host driver before a virtual machine can use any of them.")
    UNKNOWN_DRIVER = ("unknown-driver", "Whether {device} has a driver is unknown ({why}). Until it is known, the "
        "verdict on its group is uncertain.")
    ASSUMED_ROLE = ("assumed-role", "{driver} on {device} is assumed to be a VFIO driver because of its name; only a "
        "vfio-dev directory would confirm it.")
    OWNED = ("owned", "Group {group} is in use by {holder}.")
    FOREIGN_DOMAIN = ("foreign-domain", "A kernel driver has attached its own IOMMU domain to group {group} (as "
        "vhost-vdpa does).")
    DIRECT_REGION = ("direct-region", "Firmware requires a direct mapping of {region} for group {group}; the kernel "
        "refuses to hand over such a group, whatever its devices are bound to.")
    NO_DEFAULT_DOMAIN = ("no-default-domain", "Group {group} has no default domain yet, so the kernel defers the probe "
        "of {driver} on {device}.")
    NO_GROUP = ("no-group", "{subject} has no IOMMU group, so VFIO cannot use it: no IOMMU covers it, or the IOMMU is "
        "off.")
    UNKNOWN_GROUP = ("unknown-group", "It is not known which IOMMU group {subject} is in, if any ({why}).")
    UNKNOWN_MEMBERS = ("unknown-members", "It is not known what else is in group {group} ({why}), so its verdict is "
        "uncertain.")
    NO_NODE = ("no-vfio-node", "/dev/vfio/{group} does not exist: it exists only while a device of the group is on a "
        "VFIO driver.")
    NOT_VFIO = ("not-on-vfio", "{device} is {place}, not on a VFIO driver: there is nothing to open.")
    NOT_OWNER = ("not-owner", "{asked} does not own {subject}[; {owner} does].")
    NO_INTERFACE = ("no-interface", "This kernel does not yet support that way of claiming a device.")
    GROUP_FILE_OPEN = ("group-file-open", "The file of group {group} is open in {holder}; until it is closed, no "
        "device of the group can be claimed through its own file.")
    NO_DEVICE = ("no-device", "There is no device {device}.")
    NO_DRIVER = ("no-driver", "No driver[ named {driver}] that matches {device} is registered, so it stays as it is.")
    NOT_BOUND = ("not-bound", "{device} has no driver to unbind.")
    ALREADY_BOUND = ("already-bound", "{device} is already bound to {driver}.")
    OVERRIDE_DIFFERS = ("override-differs", "The override of {device} names {override}, so {driver} does not match "
        "it.")
    OVERRIDE_TOO_LONG = ("override-too-long", "The override for {device} is longer than the 4093 bytes that the kernel "
        "accepts.")
    NO_MATCH = ("no-match", "{driver} does not list the ids of {device}, and no override names it.")
    UNFIT_DRIVER = ("unfit-driver", "{driver} does not support {device}. An override would force it to probe the "
        "device anyway, and drivers have crashed the kernel that way.")
    BRIDGE = ("bridge", "{device} is a bridge, and {driver} refuses bridges. It can stay on pcieport: a bridge there "
        "does not block its group.")
    NOT_A_PORT = ("not-a-port", "{device} is not a PCI Express port, so {driver} does not bind to it.")
    REFUSED_BEFORE = ("refused-before", "{driver} supports {device} and is loaded, but did not bind to it; its probe "
        "probably refused the device.")
    NO_HOTPLUG_CONTROLLER = ("no-hotplug-controller", "{driver} binds to {device} only if it has its own hot-plug "
        "controller, which few bridges have.")
    DENYLISTED = ("denylisted", "{driver} refuses {device}: {ids} is on its list of devices that user space could "
        "misuse. The module parameter disable_denylist turns the list off.")
    VFS_ENABLED = ("vfs-enabled", "{device} has virtual functions enabled, and {driver} refuses it while they exist.")
    VIRTUAL_FUNCTION = ("virtual-function", "{device} is a virtual function and cannot be removed by itself; write a "
        "smaller number to sriov_numvfs of its physical function.")
    IN_USE = ("in-use", "{device} is in use by {holder}; unbinding it would hang until it is released.")
    BEING_UNBOUND = ("being-unbound", "{device} is being unbound: its driver has not released it yet, and a write to "
        "it now waits or does nothing.")
    IOMMU_FUNCTION = ("iommu-function", "{device} is an IOMMU itself; the kernel lets no driver bind to it.")
    NO_INTERRUPT_REMAPPING = ("no-interrupt-remapping", "The IOMMU does not remap interrupts, so the kernel refuses to "
        "hand over group {group} (unless {module} is given allow_unsafe_interrupts=1, which lets a virtual machine "
        "raise any interrupt of the host); intremap=off on the kernel command line turns remapping off.")
    NO_IOMMU = ("no-iommu-mode", "Group {group} is in VFIO's no-IOMMU mode: nothing isolates its device. No virtual "
        "machine can use it; only programs such as DPDK open /dev/vfio/noiommu-{group}.")
    NOT_PCI = ("not-pci", "{device} is on the {bus} bus; iommutui rebinds only PCI devices.")
    KERNEL_BESIDE_USER = ("kernel-beside-user", "{probing} would do DMA for the kernel on {target}, while {device} in "
        "the same group is bound to {driver}, which does it for user space.")
    USER_BESIDE_KERNEL = ("user-beside-kernel", "{probing} would do DMA for user space on {target}, while {device} in "
        "the same group is bound to {driver}, which does it for the kernel.")
    DRAFT_GAP_H1 = ("draft-gap-h1", "Not covered by the draft: group {group} is claimed, but no USER driver is bound "
        "in it, so nothing stops {driver} on {device}. A refusal was clearly meant.")
    DRAFT_GAP_BRIDGE = ("draft-gap-bridge", "Open point of the draft: {device} is a bridge on {driver}, which the "
        "draft does not mark, so it counts as doing DMA for the kernel. No kernel that was released has this rule.")
    DRAFT_SLIP_S08 = ("draft-slip-s08", "Mistake in the draft: taken literally, its check returns the opposite and "
        "would allow this in group {group}; the result shown is the intended one.")
    LEFT_ELSEWHERE = ("other-driver", "{device} would end up {place}[ instead of {wanted}].")
    HOST_NEEDS = ("host-needs-it", "The running system needs {subject}.")
    OF_THE_BOARD = ("of-the-board", "{device} is {what} of this machine, and no virtual machine can use it. If its "
        "driver has to be unbound, name it yourself: {device}=none.")
    BEHIND_VMD = ("behind-vmd", "{device} is behind a VMD controller ({controller}) and cannot be handed over without "
        "it: hand over the controller with everything behind it, or turn VMD off in the firmware setup.")
    NO_MODULE = ("no-module", "This kernel has no {driver} for {device}: it is neither built in nor among the kernel's "
        "modules. Install the kernel's extra-modules package, or a kernel that has the driver.")
    # fmt: on


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
    """Why a device has no group here: it has none, or that is unknown."""
    gap = device.gap("iommu_group")
    if gap is None:
        return Reason(Code.NO_GROUP, device=device.address)
    return Reason(Code.UNKNOWN_GROUP, device=device.address, facts=(("why", gap.why),))


def unknown_driver(device: Device) -> Reason | None:
    """Why it is not known whether a device has a driver; None if it is known."""
    gap = device.gap("driver") if device.driver is None else None
    if gap is None:
        return None
    return Reason(Code.UNKNOWN_DRIVER, device.group, device.address, facts=(("why", gap.why),))


OK = "ok"
"""The result of a write or ioctl that succeeds; any other result is the name of an errno."""


class State(StrEnum):
    """Who owns the DMA of a group."""

    IDLE = "idle"
    KERNEL = "kernel"
    USER = "user"
    FOREIGN = "foreign"
    UNKNOWN = "unknown"


class Verdict(NamedTuple):
    """Whether a group can be handed to a virtual machine.

    ``viable`` is None if the Host does not hold what the answer depends on. ``claim`` is what claiming the group
    would return: a viable group can still refuse it.
    """

    viable: bool | None
    state: State
    claim: str
    reasons: tuple[Reason, ...] = ()

    @property
    def refused(self) -> bool:
        """A claim fails although no driver blocks the group and nobody has claimed it."""
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
    """ENODEV from a driver's or the bus's file that takes the name; ENOENT from opening the device's own file."""
    return refused(host, errno, Reason(Code.NO_DEVICE, device=address))


def in_use(group: Group | None, device: Device) -> tuple[Reason, ...]:
    """Why a call waits: for the owner of the group, or for an unbind whose holder is unknown."""
    claim = group.claim if group is not None else None
    if claim is None:
        return (Reason(Code.BEING_UNBOUND, device.group, device.address),)
    return (Reason(Code.IN_USE, device.group, device.address, device.driver, (("owner", claim.owner),)),)
