"""The models of the kernel's rules: what a model is, which there are, and the rules that several share.

The mechanics of binding are in ``core.engine``.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, Protocol

from iommutui.core.address import sort_key
from iommutui.core.drivers import KnownRole, Role
from iommutui.core.host import NO_IOMMU, Device, Gap, Group, Host, is_vfio
from iommutui.core.kernel import Version, parse_release
from iommutui.core.reasons import OK, Code, Reason, State, Verdict, unknown_driver


class Check(NamedTuple):
    """The answer of a rule: ``ok`` or an errno, and the reasons that decided it."""

    errno: str = OK
    reasons: tuple[Reason, ...] = ()


def turned_down(errno: str, code: Code, device: Device, driver: str | None, *facts: tuple[str, str]) -> Check:
    """A driver or VFIO does not take the device."""
    return Check(errno, (Reason(code, device.group, device.address, driver, facts),))


class Model(Protocol):
    """One set of kernel rules; the defaults here fit most of them."""

    name: str
    title: str
    kernels: str
    change: str
    """What changed with it, and when."""
    source: str
    rules: tuple[tuple[str, str], ...]
    """What the model says, rule by rule: (where it comes from, sentence)."""
    blocked: str
    """The errno of a claim while a host driver blocks the group."""
    through_vfio: bool = True
    """Whether a group is claimed through VFIO's files, which exist while a member is on a VFIO driver; otherwise by the
    bare call into the IOMMU core, whose claims of one owner are counted and released one by one."""
    container_waits: bool = False
    """Whether an unbind of a group's last VFIO device waits for the container; otherwise it ends the claim."""

    def role(self, host: Host, device: Device, driver: str) -> KnownRole:
        """For whom the driver does DMA, in this model's terms."""
        ...

    def counts(self, device: Device) -> bool:
        """Whether a driver on the device can block the group."""
        return True

    def verdict(self, host: Host, group: Group) -> Verdict:
        """Whether the group can be handed to user space now: its owner, its blockers, its unknowns."""
        blockers, notes = self.in_the_way(host, group)
        if group.claim is not None:
            return self.claimed(group, blockers, notes)
        unknown = unknown_drivers(host, group, self.counts)
        foreign = foreign_domain(group).reasons
        if blockers:
            state = State.FOREIGN if foreign else State.KERNEL
            return Verdict(False, state, self.blocked, (*foreign, *blockers, *unknown, *notes))
        if unknown:
            return Verdict(None, State.UNKNOWN, OK, (*foreign, *unknown, *notes))
        attach = self.check_attach(host, group)
        return Verdict(True, State.FOREIGN if foreign else State.IDLE, attach.errno, (*attach.reasons, *notes))

    def in_the_way(self, host: Host, group: Group) -> tuple[tuple[Reason, ...], tuple[Reason, ...]]:
        """Members on host drivers that keep user space out; and notes, here on roles that are guesses."""
        blockers: tuple[Reason, ...] = ()
        guesses: tuple[Reason, ...] = ()
        for device, driver in bound(host, group):
            known = self.role(host, device, driver)
            if known.assumed:
                guesses += (Reason(Code.ASSUMED_ROLE, group.id, device.address, driver, (("role", known.role),)),)
            if known.role is Role.KERNEL and self.counts(device):
                blockers += (Reason(Code.KERNEL_DRIVER, group.id, device.address, driver),)
        return blockers, guesses

    def claimed(self, group: Group, blockers: tuple[Reason, ...], notes: tuple[Reason, ...]) -> Verdict:
        """The verdict on a group that user space has."""
        return Verdict(True, State.USER, "EBUSY", (owned(group),))

    def check_attach(self, host: Host, group: Group) -> Check:
        """The result of attaching the group to user space's domain, whatever drivers are bound."""
        return foreign_domain(group)

    def check_probe(self, host: Host, group: Group, device: Device, driver: str) -> Check:
        """The driver core's answer before the driver's own probe runs."""
        return Check()

    def crash_of(self, host: Host, group: Group, device: Device, driver: str) -> tuple[str, tuple[Reason, ...]] | None:
        """The kernel's last words if it does not survive this bind."""
        return None

    def check_claim(self, host: Host, group: Group, owner: str) -> Check:
        verdict = self.verdict(host, group)
        return Check(verdict.claim, verdict.reasons)

    def check_device_claim(self, host: Host, group: Group, device: Device, owner: str, cdev: bool) -> Check:
        """Claim of a group through one of its devices."""
        return self.check_claim(host, group, owner)

    def opens_devices(self, host: Host, group: Group) -> bool:
        """Whether devices of the group can be opened once it is claimed."""
        return True

    def unbind_blocks(self, host: Host, group: Group, device: Device) -> bool:
        """Whether an unbind of this device waits for the group's owner: while it is open."""
        return device.address in group.opened


_MODULES = {"kernel-ownership": "drafts", "dma-hint": "drafts", "vfio-group": "vfio_group", "dma-owner": "dma_owner"}
"""In the order of their history; each model is a constant of its module."""


class _Models(Mapping[str, Model]):
    """Imports the requested model only: most runs need just one."""

    def __getitem__(self, name: str) -> Model:
        constant = name.replace("-", "_").upper()
        model: Model = getattr(__import__(f"{__name__}.{_MODULES[name]}", fromlist=[constant]), constant)
        return model

    def __iter__(self) -> Iterator[str]:
        return iter(_MODULES)

    def __len__(self) -> int:
        return len(_MODULES)


MODELS: Mapping[str, Model] = _Models()


def model_for(release: str | None) -> Model:
    """The model of a kernel release; without one, that of the newest kernels."""
    version = parse_release(release)
    return MODELS["vfio-group" if version is not None and version < Version(5, 19) else "dma-owner"]


# -- rules that several of them share


def first_error(*checks: Check) -> Check:
    """The first of these that fails, in the order in which the kernel asks them; else the last."""
    return next((check for check in checks if check.errno != OK), checks[-1])


def since(host: Host, version: tuple[int, int]) -> bool:
    """Whether the Host's kernel has this version or a later one; an unknown kernel is taken to be the newest."""
    release = parse_release(host.kernel)
    return release is None or release >= version


def bound(host: Host, group: Group) -> list[tuple[Device, str]]:
    """The members that have a driver, with its name."""
    return [(device, device.driver) for device in host.members(group) if device.driver is not None]


def unbind_pending(group: Group | None, device: Device) -> bool:
    """Whether an unbind of the device is still waiting: its ``driver`` link is gone, and the driver still has it.

    Its user has it open, or the kernel was seen to be in the middle of the unbind.
    """
    opened = group is not None and device.address in group.opened
    return device.being_unbound or (device.driver is None and opened)


def unknown_drivers(host: Host, group: Group, matters: Callable[[Device], bool]) -> tuple[Reason, ...]:
    """A reason for each member of which it is not known whether it has a driver, and for which that ``matters``.

    And one for members that the source may have left out.
    """
    unseen = Gap("driver", "not-recorded")
    reasons = []
    for address in group.members if len(group.members) < 2 else sorted(group.members, key=sort_key):
        device = host.devices.get(address, Device(address, group=group.id, gaps=(unseen,)))
        if matters(device) and (reason := unknown_driver(device)) is not None:
            reasons.append(reason)
    if (gap := group.gap("members")) is not None:
        reasons.append(Reason(Code.UNKNOWN_MEMBERS, group.id, facts=(("why", gap.why),)))
    return tuple(reasons)


def owned(group: Group) -> Reason:
    """Names the owner of a claimed group."""
    return Reason(Code.OWNED, group.id, facts=(("owner", group.owner or ""),))


def vfio_devices(host: Host, group: Group) -> list[Device]:
    """The members that VFIO knows: those on a VFIO driver, and those whose unbind is still waiting."""
    return [d for d in host.members(group) if d.address in group.opened or is_vfio(host, d, d.driver)]


def has_node(host: Host, group: Group) -> bool:
    """Whether ``/dev/vfio/N`` exists: while a member is on a VFIO driver, or an owner keeps it."""
    return group.claim is not None or bool(vfio_devices(host, group))


def not_vfio(host: Host, device: Device, errno: str = "ENODEV") -> Check:
    """ENODEV where the device is on no VFIO driver, so that VFIO does not know a device of its name.

    ENOENT where its own file is asked for, which does not exist then.
    """
    return Check() if is_vfio(host, device, device.driver) else turned_down(errno, Code.NOT_VFIO, device, device.driver)


def foreign_domain(group: Group) -> Check:
    """EBUSY while a kernel driver has the group on a domain of its own (``iommu_attach_group``)."""
    return Check("EBUSY", (Reason(Code.FOREIGN_DOMAIN, group.id),)) if group.foreign else Check()


def check_vfio_attach(host: Host, group: Group, *, blocks_dma: bool = False) -> Check:
    """What ``VFIO_SET_IOMMU`` says whatever drivers are bound (``vfio_ioctl_set_iommu``); interrupts come last.

    In no-IOMMU mode ENODEV for any type that virtual machines ask for, although the group reads as viable. Where a
    claim ``blocks_dma`` first, a ``direct`` region refuses it with EINVAL (``__iommu_device_set_domain``, 6.6); before,
    only Intel did, with EPERM ("platform RMRR requirement").
    """
    if group.name == NO_IOMMU:
        return Check("ENODEV", (Reason(Code.NO_IOMMU, group.id),))
    if group.foreign:
        return foreign_domain(group)
    regions = direct_regions(group)
    intel = any(iommu.kind == "intel-iommu" or iommu.name.startswith("dmar") for iommu in host.iommus or ())
    if regions and (blocks_dma or intel):
        return Check("EINVAL" if blocks_dma else "EPERM", regions)
    return check_interrupts(host, group)


def direct_regions(group: Group) -> tuple[Reason, ...]:
    """A reason for each ``direct`` line of ``reserved_regions``; ``direct-relaxable`` does not count."""
    return tuple(
        Reason(Code.DIRECT_REGION, group.id, facts=(("region", f"{region.start:#x}-{region.end:#x}"),))
        for region in group.regions or ()
        if region.type == "direct"
    )


def check_interrupts(host: Host, group: Group, iommufd: bool = False) -> Check:
    """EPERM where interrupts are not remapped, unless the module that is asked allows it.

    ``vfio_iommu_type1_attach_group`` (all versions) for containers, ``iommufd_device_bind`` (6.2) for iommufd; each has
    its own ``allow_unsafe_interrupts``.
    """
    allowed = host.vfio.unsafe_interrupts_iommufd if iommufd else host.vfio.unsafe_interrupts_container
    if host.interrupt_remapping is not False or allowed:
        return Check()
    module = "iommufd" if iommufd else "vfio_iommu_type1"
    return Check("EPERM", (Reason(Code.NO_INTERRUPT_REMAPPING, group.id, facts=(("module", module),)),))
