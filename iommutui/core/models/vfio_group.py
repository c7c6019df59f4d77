"""``vfio-group``: VFIO's own rule, up to Linux 5.18.

Nothing is checked when a driver is bound. VFIO looks at the drivers of a group when it is asked, and a notifier checks
every bind while the group is in use: a driver that it cannot accept is a BUG_ON.
"""

from iommutui.core import models
from iommutui.core.drivers import STUB, KnownRole, Role
from iommutui.core.host import Device, Group, Host, vfio_role
from iommutui.core.models import Check, Model
from iommutui.core.reasons import Code, Reason, State, Verdict

BUG = "kernel BUG at drivers/vfio/vfio.c (vfio_iommu_group_notifier)"


class VfioGroup(Model):
    """``vfio_dev_viable``, ``vfio_group_nb_verify`` and ``vfio_iommu_group_notifier`` (5.10 to 5.18)."""

    name = "vfio-group"
    title = "VFIO's own group rule"
    kernels = "up to 5.18"
    change = (
        "Up to Linux 5.18 (2022): nothing is checked at a bind, a bridge passes with any driver, and a wrong bind in a "
        "group in use is a BUG_ON."
    )
    source = "drivers/vfio/vfio.c"
    blocked = "EINVAL"
    container_waits = True
    rules: tuple[tuple[str, str], ...] = (
        ("vfio_dev_viable", "A member is acceptable if it is free, on a VFIO driver, on pci-stub, or a bridge."),
        ("vfio_dev_driver_allowed", "A bridge (header type 1 or 2) passes with any driver; pci-stub passes by name."),
        ("vfio_group_set_container", "A group goes into a container whether it is viable or not."),
        ("vfio_group_get_device_fd", "Its devices open only while it is viable; otherwise EINVAL."),
        ("vfio_iommu_group_notifier", "An unacceptable driver that is bound while the group is in use is a BUG_ON."),
        (
            "vfio_unregister_group_dev",
            "Unbinding a device in use waits for its user, and so does unbinding the last VFIO device of a container.",
        ),
        ("vfio_group_fops_open", "The file of a group is open only once: another open is EBUSY, the owner's too."),
        (
            "vfio_iommu_type1_attach_group",
            "Without interrupt remapping a claim fails with EPERM, unless allow_unsafe_interrupts is set.",
        ),
        ("vfio_iommu_group_get", "In no-IOMMU mode VFIO makes a group that no virtual machine can use (ENODEV)."),
    )

    def role(self, host: Host, device: Device, driver: str) -> KnownRole:
        """USER for drivers that register a VFIO device, NONE for those that block nothing, else KERNEL."""
        harmless = driver == STUB or _exempt(device)
        return vfio_role(host, device, driver) or KnownRole(Role.NONE if harmless else Role.KERNEL)

    def counts(self, device: Device) -> bool:
        """Whether the device is not one that ``vfio_dev_driver_allowed`` allows on any driver."""
        return not _exempt(device)

    def claimed(self, group: Group, blockers: tuple[Reason, ...], notes: tuple[Reason, ...]) -> Verdict:
        """``vfio_group_viable``, which is asked again whenever a device is opened."""
        return Verdict(not blockers, State.USER, "EBUSY", (models.owned(group), *blockers))

    def check_attach(self, host: Host, group: Group) -> Check:
        """``iommu_attach_group``: a foreign domain; then what Intel says of ``direct`` regions; interrupts."""
        return models.check_vfio_attach(host, group)

    def crash_of(self, host: Host, group: Group, device: Device, driver: str) -> tuple[str, tuple[Reason, ...]] | None:
        """``BUG_ON(vfio_group_nb_verify())``: only the device just bound is judged, and only in a live group."""
        if group.claim is None or self.role(host, device, driver).role is not Role.KERNEL:
            return None
        return BUG, (models.owned(group), Reason(Code.KERNEL_DRIVER, group.id, device.address, driver))

    def check_claim(self, host: Host, group: Group, owner: str) -> Check:
        """``vfio_group_set_container``, for what ``vfio_group_fops_open`` has let through."""
        return self.check_attach(host, group)

    def check_device_claim(self, host: Host, group: Group, device: Device, owner: str, cdev: bool) -> Check:
        """``vfio_group_get_device_fd``: EINVAL without a container, or where the group is not viable; then ENODEV."""
        if cdev:
            return Check("ENOENT", (Reason(Code.NO_INTERFACE, group.id, device.address),))
        if group.claim is None:
            return Check("EINVAL", (Reason(Code.NOT_OWNER, group.id, facts=(("asked", owner),)),))
        verdict = self.verdict(host, group)
        if not verdict.viable:
            return Check("EINVAL", verdict.reasons)
        return models.not_vfio(host, device)

    def opens_devices(self, host: Host, group: Group) -> bool:
        """Only while the group is viable."""
        return self.verdict(host, group).viable is not False

    def unbind_blocks(self, host: Host, group: Group, device: Device) -> bool:
        """Where the device is open, and for the group's last VFIO device while it is in a container."""
        if device.address in group.opened:
            return True
        return group.claim is not None and models.vfio_devices(host, group) == [device]


def _exempt(device: Device) -> bool:
    """``vfio_dev_driver_allowed``: header type not 0, on whatever driver."""
    return device.bus == "pci" and device.is_bridge


VFIO_GROUP = VfioGroup()
