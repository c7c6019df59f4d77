"""``kernel-ownership``: the sketch that the design mail quotes, of a few days before it.

``really_probe`` calls ``iommu_set_kernel_ownership()`` for every driver, so whatever is bound takes its group for the
kernel. Hence the draft: a VFIO driver would keep user space out of its own group.
"""

from iommutui.core.drivers import KnownRole, Role
from iommutui.core.host import Device, Group, Host
from iommutui.core.models import Check, Model, owned
from iommutui.core.reasons import State, Verdict


class KernelOwnership(Model):
    """``iommu_set_kernel_ownership`` and ``iommu_release_kernel_ownership`` of the quoted sketch."""

    name = "kernel-ownership"
    title = "Kernel ownership for every driver, the sketch"
    kernels = "none (a sketch of September 2021)"
    change = "Proposed on 22 September 2021: the driver core decides when a driver is bound, not VFIO when it is asked."
    source = "the sketch quoted in the design mail"
    blocked = "EBUSY"
    through_vfio = False
    rules: tuple[tuple[str, str], ...] = (
        ("iommu_set_kernel_ownership", "Every driver that is probed takes its group for the kernel, vfio-pci too."),
        ("iommu_set_kernel_ownership", "While user space owns the group, every driver is refused with EBUSY."),
        ("iommu_release_kernel_ownership", "The group is the kernel's until its last driver is unbound."),
        ("the sketch's silence", "A claim is refused with EBUSY while anything is bound."),
    )

    def role(self, host: Host, device: Device, driver: str) -> KnownRole:
        """KERNEL, whatever the driver."""
        return KnownRole(Role.KERNEL)

    def verdict(self, host: Host, group: Group) -> Verdict:
        """Viable when nothing at all is bound, and no kernel driver has left a domain of its own."""
        found = super().verdict(host, group)
        return found._replace(viable=False) if found.state is State.FOREIGN else found

    def check_probe(self, host: Host, device: Device, driver: str) -> Check:
        """EBUSY while user space owns the group."""
        group = host.group_of(device.address)
        if group is not None and group.claim is not None:
            return Check("EBUSY", (owned(group),))
        return Check()

    def check_device_claim(self, host: Host, group: Group, device: Device, owner: str, cdev: bool) -> Check:
        """As a claim of its group, but that an owner may claim its further devices: they are what it needs."""
        if group.claim is not None and group.claim.owner == owner and group.claim.via != "group":
            return Check()
        return self.check_claim(host, group, owner)


KERNEL_OWNERSHIP = KernelOwnership()
