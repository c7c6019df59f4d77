"""``dma-owner``: a counter and an owner for each group, merged in Linux 5.19."""

from iommutui.core import models
from iommutui.core.drivers import KnownRole, Role
from iommutui.core.host import NO_IOMMU, Device, Group, Host, vfio_role
from iommutui.core.models import Check, Model
from iommutui.core.reasons import OK, Code, Reason, State, Verdict

COUNTED_BUSES = frozenset({"pci", "platform", "amba", "fsl-mc", "cdx"})
"""Buses whose ``dma_configure`` takes part in ownership (Linux 6.12); drivers on other buses are never counted."""


class DmaOwner(Model):
    """``drivers/iommu/iommu.c`` from 5.19: kernel drivers are counted, user space claims when none is."""

    name = "dma-owner"
    title = "DMA ownership, as merged"
    kernels = "5.19 and later"
    change = (
        "From Linux 5.19 (2022): checked at bind and at claim without a BUG_ON; a bridge now counts unless it is "
        "free or on pcieport."
    )
    source = "drivers/iommu/iommu.c, driver_managed_dma"
    blocked = "EPERM"
    rules: tuple[tuple[str, str], ...] = (
        ("iommu_device_use_default_domain", "A driver without driver_managed_dma is counted when it is probed."),
        (
            "iommu_device_use_default_domain",
            "While the group is user space's, or on another driver's own domain, it is refused: EBUSY at bind, "
            "EINVAL at drivers_probe.",
        ),
        (
            "iommu_device_use_default_domain, 6.12",
            "In a group without a default domain its probe is deferred: EAGAIN at bind, EINVAL at drivers_probe.",
        ),
        ("pci_dma_configure and the like", "Only drivers on buses pci, platform, amba, fsl-mc and cdx are counted."),
        ("driver_managed_dma", "VFIO drivers, pci-stub and pcieport bind at any time and are never counted."),
        ("iommu_group_claim_dma_owner", "A claim succeeds when nothing is counted; otherwise it fails with EPERM."),
        ("iommu_device_claim_dma_owner, 6.2", "The owner may claim further devices of its group; another gets EPERM."),
        ("vfio_group_fops_open", "The file of a group is open only once: another open is EBUSY, the owner's too."),
        ("vfio_device_block_group, 6.6", "The file of a group and those of its devices exclude each other: EBUSY."),
        ("__iommu_device_set_domain, 6.6", "A direct region refuses a claim (EINVAL), although the group is viable."),
        (
            "vfio_iommu_type1_attach_group; iommufd_device_bind, 6.2",
            "Without interrupt remapping a claim fails with EPERM, unless allow_unsafe_interrupts is set.",
        ),
        (
            "vfio_group_ioctl_get_status, 6.2",
            "With an iommufd a group reads as viable whatever is bound; opening a device fails with EPERM.",
        ),
        ("vfio_noiommu_group_alloc", "In no-IOMMU mode VFIO makes a group that no virtual machine can use (ENODEV)."),
    )

    def role(self, host: Host, device: Device, driver: str) -> KnownRole:
        """``driver_managed_dma`` set (USER or NONE) or not (KERNEL).

        The versions in the table of drivers say when one came; distributions backport them, so a driver that is bound
        is taken to have been written with the flag.
        """
        row = host.driver_table.get(driver)
        managed = row is not None and row.managed
        return vfio_role(host, device, driver) or KnownRole(Role.NONE if managed else Role.KERNEL)

    def counts(self, device: Device) -> bool:
        """Whether ``dma_configure`` of the device's bus takes part in ownership (6.12)."""
        return device.bus in COUNTED_BUSES

    def _counted(self, host: Host, device: Device, driver: str) -> bool:
        return self.counts(device) and self.role(host, device, driver).role is Role.KERNEL

    def claimed(self, group: Group, blockers: tuple[Reason, ...], notes: tuple[Reason, ...]) -> Verdict:
        """The file of a group that is claimed by a device's file reads flags of 0 (``vfio_group_ioctl_get_status``)."""
        through_group = group.claim is not None and group.claim.via != "cdev"
        return Verdict(through_group, State.USER, "EBUSY", (models.owned(group),))

    def check_attach(self, host: Host, group: Group) -> Check:
        """From 6.6 with the blocking domain, which a direct mapping excludes (``__iommu_device_set_domain``)."""
        return models.check_vfio_attach(host, group, blocks_dma=_since(host, (6, 6)))

    def check_probe(self, host: Host, group: Group, device: Device, driver: str) -> Check:
        """``iommu_device_use_default_domain``: EBUSY where the group is user space's or on a foreign domain."""
        if not self._counted(host, device, driver):
            return Check()
        if group.type == "unknown" and _since(host, (6, 12)):
            return Check("EPROBE_DEFER", (Reason(Code.NO_DEFAULT_DOMAIN, group.id, device.address, driver),))
        if group.claim is not None:
            return Check("EBUSY", (models.owned(group),))
        shared = any(self._counted(host, other, its_driver) for other, its_driver in models.bound(host, group))
        return models.foreign_domain(group) if shared else Check()

    def check_device_claim(self, host: Host, group: Group, device: Device, owner: str, cdev: bool) -> Check:
        """``vfio_group_get_device_fd`` in a container; ``iommu_device_claim_dma_owner`` (6.2); a device file (6.6)."""
        missing = models.not_vfio(host, device)
        if missing.errno != OK:
            return missing
        claim = group.claim
        if claim is not None and claim.owner == owner and claim.via == "group" and not cdev:
            return Check()
        if not _since(host, (6, 6) if cdev else (6, 2)):
            return Check("ENOENT" if cdev else "EINVAL", (Reason(Code.NO_INTERFACE, group.id, device.address),))
        if cdev and claim is not None and claim.via != "cdev":
            return Check("EBUSY", (Reason(Code.GROUP_FILE_OPEN, group.id, facts=(("owner", claim.owner),)),))
        if cdev and device.address in group.opened:
            return Check("EINVAL", (models.owned(group),))
        if claim is None and group.name == NO_IOMMU:
            return Check()
        unsafe = models.check_interrupts(host, group, iommufd=True)
        if claim is None:
            return models.first_error(unsafe, self.check_claim(host._replace(interrupt_remapping=True), group, owner))
        return models.first_error(unsafe, Check() if claim.owner == owner else Check("EPERM", (models.owned(group),)))


def _since(host: Host, version: tuple[int, int]) -> bool:
    """Whether these rules are at least this new; on a kernel older than all of them, the newest are shown."""
    return models.since(host, version) or not models.since(host, (5, 19))


DMA_OWNER = DmaOwner()
