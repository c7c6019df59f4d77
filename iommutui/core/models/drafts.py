"""The two proposals of September 2021 that preceded the rules of today's kernels; neither was merged.

``kernel-ownership`` is the sketch that the design mail quotes, of a few days before it. ``dma-hint`` is the draft of
the mail itself: each driver says for whom it does DMA, the driver core compares hints when a driver is probed, and user
space claims a group with one switch.
"""

from collections.abc import Sequence

from iommutui.core.drivers import PCIEPORT, KnownRole, Role
from iommutui.core.host import Device, Group, Host
from iommutui.core.models import Check, Model, bound, owned, unknown_drivers
from iommutui.core.reasons import OK, Code, Reason, State, Verdict


class KernelOwnership(Model):
    """``iommu_set_kernel_ownership`` and ``iommu_release_kernel_ownership`` of the sketch.

    ``really_probe`` calls the first for every driver, so whatever is bound takes its group for the kernel. Hence the
    draft: a VFIO driver would keep user space out of its own group.
    """

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

    def check_probe(self, host: Host, group: Group, device: Device, driver: str) -> Check:
        """EBUSY while user space owns the group."""
        return Check("EBUSY", (owned(group),)) if group.claim is not None else Check()

    def check_device_claim(self, host: Host, group: Group, device: Device, owner: str, cdev: bool) -> Check:
        """As a claim of its group, but that an owner may claim its further devices: they are what it needs."""
        if group.claim is not None and group.claim.owner == owner and group.claim.via != "group":
            return Check()
        return self.check_claim(host, group, owner)


KERNEL_OWNERSHIP = KernelOwnership()


class DmaHint(Model):
    """``iommu_dev_viable``, ``iommu_device_set_dma_hint`` and ``iommu_{group,device}_init_user_dma`` of the draft.

    Its slips are modelled as meant: the inverted return value of ``__iommu_group_viable`` (S-08) is read as 0 or
    ``-EINVAL``, and ``enum dma_type`` (S-02) as ``enum dma_hint``. What decides an answer is named there: the inverted
    value where something is refused, a claimed group without a USER driver that accepts a KERNEL driver (H1), and a
    bridge on ``pcieport`` that counts as KERNEL (S-18).
    """

    name = "dma-hint"
    title = "DMA hints of drivers, the draft"
    kernels = "none (a draft of September 2021)"
    change = (
        "Proposed on 27 September 2021: drivers declare for whom they do DMA, so that a VFIO driver no longer keeps "
        "user space out of its own group. Never merged."
    )
    source = "the design mail, clauses S-01 to S-21"
    blocked = "EINVAL"
    through_vfio = False
    rules: tuple[tuple[str, str], ...] = (
        ("S-01", "A driver says KERNEL, USER or NONE; one that says nothing is KERNEL."),
        ("S-03", "The hint is checked before the driver is set, so a refused device stays free."),
        ("S-07", "KERNEL and USER exclude each other within a group, in both directions, with EINVAL."),
        ("S-08", "The draft returns 1 for a viable group and 0 for one that is not; 0 and EINVAL are meant."),
        ("S-09", "A device without a group binds freely, and a claim of it fails with ENODEV."),
        ("S-11", "The check at probe ignores ownership: gap H1, a claimed group without a USER driver."),
        ("S-12", "A claim needs a group without KERNEL drivers; the same owner counts up, another gets EBUSY."),
        ("S-13", "A group is claimed as such or through one of its devices: one count, one owner."),
        ("S-14", "Each release counts down; the last one gives the group back."),
        ("S-15", "Several USER drivers may share a group: vfio-pci beside a vDPA driver."),
        ("S-16", "NONE always binds and blocks nothing."),
        ("S-17", "Only pci-stub (NONE), ifcvf and vfio-pci (USER) are marked."),
        ("S-18", "Bridges are not exempt: pcieport counts as KERNEL."),
        ("S-19", "A group whose devices are all free can be claimed."),
        ("S-20", "Every KERNEL driver has to leave before the first USER driver comes, and back."),
    )

    def role(self, host: Host, device: Device, driver: str) -> KnownRole:
        """The driver's hint (S-01, S-17)."""
        row = host.driver_table.get(driver)
        return KnownRole(row.hint if row else Role.KERNEL)

    def in_the_way(self, host: Host, group: Group) -> tuple[tuple[Reason, ...], tuple[Reason, ...]]:
        """``__iommu_group_viable(group, DMA_FOR_USER)``, with the meaning that S-08 inverts."""
        blockers, _ = super().in_the_way(host, group)
        return blockers, _slips(group, blockers)

    def claimed(self, group: Group, blockers: tuple[Reason, ...], notes: tuple[Reason, ...]) -> Verdict:
        """EINVAL before EBUSY, where a KERNEL driver has come to a group that has an owner (H1)."""
        if not blockers:
            return super().claimed(group, blockers, notes)
        h1 = blockers[0]._replace(code=Code.DRAFT_GAP_H1)
        return Verdict(False, State.USER, self.blocked, (owned(group), *blockers, h1, *notes))

    def check_probe(self, host: Host, group: Group, device: Device, driver: str) -> Check:
        """``iommu_device_set_dma_hint``: the pairwise rule S-07 against every other bound member."""
        hint = self.role(host, device, driver).role
        if hint is Role.NONE:
            return Check()
        against = Role.USER if hint is Role.KERNEL else Role.KERNEL
        code = Code.KERNEL_BESIDE_USER if hint is Role.KERNEL else Code.USER_BESIDE_KERNEL
        facts = (("probing", driver), ("target", device.address))
        conflicts = tuple(
            Reason(code, group.id, other.address, its_driver, facts)
            for other, its_driver in bound(host, group)
            if other.address != device.address and self.role(host, other, its_driver).role is against
        )
        mine = Reason(Code.DRAFT_GAP_H1, group.id, device.address, driver)
        if conflicts:
            return Check("EINVAL", (*conflicts, *_slips(group, (*conflicts, mine))))
        unknown = [reason for reason in unknown_drivers(host, group, self.counts) if reason.device != device.address]
        claimed = hint is Role.KERNEL and group.claim is not None
        return Check(OK, (*([mine] if claimed else []), *unknown))

    def check_claim(self, host: Host, group: Group, owner: str) -> Check:
        """``__iommu_group_init_user_dma``: viability first, then the owner (S-12, RFC 06/20)."""
        verdict = self.verdict(host, group)
        if verdict.viable and group.claim is not None and group.claim.owner == owner:
            return Check()
        return Check(verdict.claim, verdict.reasons)


def _slips(group: Group, refused: Sequence[Reason]) -> tuple[Reason, ...]:
    """What in the draft decides a refusal: bridges on ``pcieport`` (S-17, S-18), and the inverted value (S-08)."""
    bridges = [r._replace(code=Code.DRAFT_GAP_BRIDGE, facts=()) for r in refused if r.driver == PCIEPORT]
    return (*bridges, Reason(Code.DRAFT_SLIP_S08, group.id)) if refused else ()


DMA_HINT = DmaHint()
