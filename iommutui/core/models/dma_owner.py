"""``dma-owner``: a counter and an owner for each group, merged in Linux 5.19."""

from iommutui.core.drivers import KnownRole, Role, managed_role
from iommutui.core.host import Device, Group, Host
from iommutui.core.models.base import (
    COUNTED_BUSES,
    Check,
    assumed_role,
    bound,
    check_direct,
    since,
    unknown_drivers,
)
from iommutui.core.outcome import OK, State, Verdict
from iommutui.core.reasons import Code, Reason


class DmaOwner:
    """``drivers/iommu/iommu.c`` from 5.19: kernel drivers are counted, user space claims when none is."""

    name = "dma-owner"
    title = "DMA ownership, as merged"
    kernels = "5.19 and later"
    source = "drivers/iommu/iommu.c, driver_managed_dma"
    through_vfio = True
    rules: tuple[tuple[str, str], ...] = (
        (
            "iommu_device_use_default_domain, 5.19",
            "A driver that does not set driver_managed_dma counts its device into the group when it is probed.",
        ),
        (
            "iommu_device_use_default_domain, 5.19",
            "While user space owns the group, such a driver is refused: bind says EBUSY, drivers_probe EINVAL.",
        ),
        (
            "driver_managed_dma, 5.19",
            "VFIO drivers, pci-stub and pcieport manage DMA themselves: they bind at any time and never count.",
        ),
        (
            "iommu_group_claim_dma_owner, 5.19",
            "A claim succeeds when nothing is counted; otherwise it fails with EPERM, whoever is in the way.",
        ),
        (
            "iommu_device_claim_dma_owner, 6.2",
            "The same owner may claim further devices of its group; another owner gets EPERM.",
        ),
        (
            "__iommu_device_set_domain, 6.6",
            "A direct reserved region refuses the claim with EINVAL, although the group is viable.",
        ),
    )

    def role(self, device: Device, driver: str) -> KnownRole:
        """``driver_managed_dma`` set (USER or NONE) or not (KERNEL)."""
        return managed_role(device, driver)

    def _counted(self, device: Device, driver: str) -> bool:
        return device.bus in COUNTED_BUSES and self.role(device, driver).role is Role.KERNEL

    def verdict(self, host: Host, group: Group) -> Verdict:
        """``vfio_group_ioctl_get_status`` and ``iommu_group_claim_dma_owner`` (6.12)."""
        if group.claim is not None:
            return Verdict(True, State.USER, "EPERM", (owned(group),))
        if group.foreign:
            return Verdict(False, State.FOREIGN, "EPERM", (Reason(Code.FOREIGN_DOMAIN, group.id),))
        guesses: tuple[Reason, ...] = ()
        blockers = []
        for device, driver in bound(host, group):
            guesses += assumed_role(group, device, driver, self.role(device, driver))
            if self._counted(device, driver):
                blockers.append(Reason(Code.KERNEL_DRIVER, group.id, device.address, driver))
        unknown = unknown_drivers(host, group)
        if blockers:
            return Verdict(False, State.KERNEL, "EPERM", (*blockers, *unknown, *guesses))
        if unknown:
            return Verdict(None, State.UNKNOWN, OK, (*unknown, *guesses))
        direct = check_direct(host, group)
        return Verdict(True, State.IDLE, direct.errno, (*direct.reasons, *guesses))

    def check_probe(self, host: Host, device: Device, driver: str) -> Check:
        """``iommu_device_use_default_domain``: EBUSY where the group is user space's or on a foreign domain."""
        group = host.group_of(device.address)
        if group is None or not self._counted(device, driver):
            return Check()
        if group.claim is not None:
            return Check("EBUSY", (owned(group),))
        if group.foreign:
            return Check("EBUSY", (Reason(Code.FOREIGN_DOMAIN, group.id),))
        return Check()

    def crash_of(self, host: Host, device: Device, driver: str) -> None:
        """Nothing crashes: the notifier and its BUG_ON are gone."""

    def check_claim(self, host: Host, group: Group, owner: str) -> Check:
        """``iommu_group_claim_dma_owner``: EPERM even for the same owner."""
        verdict = self.verdict(host, group)
        return Check(verdict.claim, verdict.reasons)

    def check_device_claim(self, host: Host, group: Group, device: Device, owner: str, cdev: bool) -> Check:
        """``iommu_device_claim_dma_owner`` (6.2); the device file of iommufd exists from 6.6."""
        if not since(host, (6, 6) if cdev else (6, 2)):
            return Check("ENOENT" if cdev else "EINVAL", (Reason(Code.NO_INTERFACE, group.id, device.address),))
        if group.claim is not None and cdev and group.claim.via != "cdev":
            return Check("EBUSY", (Reason(Code.GROUP_FILE_OPEN, group.id, facts=(("owner", group.claim.owner),)),))
        if group.claim is not None and group.claim.owner == owner:
            return Check()
        return self.check_claim(host, group, owner)

    def opens_devices(self, host: Host, group: Group) -> bool:
        """A claimed group's devices open."""
        return True

    def unbind_blocks(self, host: Host, group: Group, device: Device) -> bool:
        """Only where the device itself is open (``vfio_unregister_group_dev``)."""
        return group.claim is not None and device.address in group.claim.opened


def owned(group: Group) -> Reason:
    """Names the owner of a claimed group."""
    owner = group.claim.owner if group.claim else ""
    return Reason(Code.OWNED, group.id, facts=(("owner", owner),))


DMA_OWNER = DmaOwner()
