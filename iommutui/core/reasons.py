"""Why something is as it is, as data. Sentences are made in ``wording``."""

from enum import StrEnum
from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.host import Device


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
