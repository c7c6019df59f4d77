"""The Host: everything iommutui knows about a machine, one immutable value, the same from every source.

``None`` means that the kernel has no such attribute, an empty string or tuple that it has one and it is empty, and an
entry in ``gaps`` that it could not be read (or was not recorded), whatever the field holds.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from iommutui.core.address import Address, sort_key
from iommutui.core.device import Bar as Bar
from iommutui.core.device import Details as Details
from iommutui.core.device import Device as Device
from iommutui.core.device import Fit as Fit
from iommutui.core.device import Gap as Gap
from iommutui.core.device import card, find_gap, slot_of
from iommutui.core.drivers import KNOWN, STUB, DriverTable, KnownRole, Role

if TYPE_CHECKING:
    from iommutui.core.events import DelayedWrite
    from iommutui.core.uses import Uses  # with the events, two dozen classes that a listing does without
else:
    # A field's type as a string would be compiled, and the first ``compile`` of a process takes 1 ms.
    DelayedWrite = Uses = object


class Region(NamedTuple):
    """A line of ``reserved_regions``: an inclusive range of I/O virtual addresses and its type."""

    start: int
    end: int
    type: str


class Claim(NamedTuple):
    """User space owns the DMA of a group."""

    owner: str
    uses: int = 1
    via: str = "group"
    """``group`` (container), ``device`` (a device of the group, iommufd) or ``cdev``."""
    opened: tuple[Address, ...] = ()
    """Devices whose file is open, so that their unbind blocks, and devices whose unbind is blocked already."""


NO_IOMMU = "vfio-noiommu"
"""The name of a group that VFIO made up for a device that no IOMMU translates (``vfio_noiommu_group_alloc``)."""


class Group(NamedTuple):
    """An IOMMU group. ``members`` holds devices of every bus."""

    id: int
    members: tuple[Address, ...] = ()
    type: str | None = None
    """Type of the default domain (``DMA``, ``DMA-FQ``, ``identity``...)."""
    name: str | None = None
    regions: tuple[Region, ...] | None = None
    claim: Claim | None = None
    foreign: bool = False
    """A kernel driver has attached a domain of its own (``iommu_attach_device()``, vhost-vdpa)."""
    gaps: tuple[Gap, ...] = ()

    @property
    def owner(self) -> str | None:
        return self.claim.owner if self.claim is not None else None

    @property
    def opened(self) -> tuple[Address, ...]:
        """The devices that its owner has open."""
        return self.claim.opened if self.claim is not None else ()

    def gap(self, attribute: str) -> Gap | None:
        return find_gap(self.gaps, attribute)


class Driver(NamedTuple):
    """A registered PCI driver and the module it came from (None if it is built in without a name)."""

    name: str
    module: str | None = None


class Iommu(NamedTuple):
    """An IOMMU instance of ``/sys/class/iommu``: ``dmar0``, ``ivhd0``, ``smmu3.0x...``."""

    name: str
    kind: str | None = None
    """``intel-iommu`` or ``amd-iommu``, where the kernel shows such a directory."""
    function: Address | None = None
    """The PCI function that it is: AMD's are functions, those of others are no PCI devices."""
    width: int | None = None
    """Bits of an I/O virtual address (MGAW), where the kernel shows them."""


class VfioParameters(NamedTuple):
    """Parameters of VFIO's modules; None: unknown, and assumed off, the kernel's default."""

    unsafe_interrupts_container: bool | None = None
    """``allow_unsafe_interrupts`` of ``vfio_iommu_type1``: for groups in a container."""
    unsafe_interrupts_iommufd: bool | None = None
    """``allow_unsafe_interrupts`` of ``iommufd``: for device files, and for groups with an iommufd."""
    noiommu: bool | None = None
    """``enable_unsafe_noiommu_mode`` of ``vfio``."""


class Host(NamedTuple):
    """A machine. ``devices`` and ``groups`` are never changed in place."""

    devices: dict[Address, Device]
    groups: dict[int, Group]
    kernel: str | None = None
    cmdline: str | None = None
    cpu_vendor: str | None = None
    """``GenuineIntel``, ``AuthenticAMD``..."""
    iommus: tuple[Iommu, ...] | None = None
    """None: there is no ``/sys/class/iommu``."""
    drivers: tuple[Driver, ...] | None = None
    """PCI drivers that are registered; None: not known, and none is taken to be missing."""
    removed: dict[Address, Device] = {}  # noqa: RUF012 - never changed in place, and frozen mappings cost a copy
    """Devices that ``remove`` took away and ``rescan`` will find again."""
    waiting: tuple[DelayedWrite, ...] = ()
    """Writes that wait for an unbind of their device to end, in their order."""
    interrupt_remapping: bool | None = None
    """Whether the IOMMU remaps interrupts; None: not known, and assumed, as on most machines."""
    vfio: VfioParameters = VfioParameters()
    uses: Uses | None = None
    """What the machine does with its devices; None: not collected, so no device may be assumed unused."""
    gaps: tuple[Gap, ...] = ()
    hypervisor: str | None = None
    """What this machine runs in: ``xen-dom0``, or the name of a hypervisor of which it is a guest (``KVM``); None if
    none is detected."""
    lacks: tuple[str, ...] = ()
    """Drivers of VFIO and ``pci-stub`` that the kernel has neither built in nor as a module."""
    driver_table: DriverTable = KNOWN
    """What is known of drivers, with the rows of the user's settings; it is no fact of the machine."""

    def gap(self, attribute: str) -> Gap | None:
        """Why something of the machine is not known (``claims``, ``iommu_groups``...), or None if it is."""
        return find_gap(self.gaps, attribute)

    def with_device(self, device: Device) -> "Host":
        return self._replace(devices={**self.devices, device.address: device})

    def with_group(self, group: Group) -> "Host":
        return self._replace(groups={**self.groups, group.id: group})

    def without_group(self, number: int) -> "Host":
        return self._replace(groups={n: group for n, group in self.groups.items() if n != number})

    def group_of(self, address: Address) -> Group | None:
        """The group of a device, or None if it has none."""
        number = self.devices[address].group
        return None if number is None else self.groups.get(number)

    def groups_of(self, addresses: Iterable[Address]) -> list[Group]:
        """The groups of those of these devices that are there, ascending."""
        numbers = {device.group for a in addresses if (device := self.devices.get(a)) is not None}
        return [self.groups[n] for n in sorted(n for n in numbers if n is not None) if n in self.groups]

    def members(self, group: Group) -> list[Device]:
        """The devices of a group in the order of their addresses."""
        addresses = group.members if len(group.members) < 2 else sorted(group.members, key=sort_key)
        return [device for address in addresses if (device := self.devices.get(address)) is not None]

    def card(self, address: Address) -> list[Device]:
        """The functions of the device's card, itself first; they may lie in several groups."""
        return card(self.devices, address)

    def same_slot(self, address: Address) -> list[Device]:
        """The other functions whose addresses have the same slot, virtual ones among them."""
        return [device for device in slot_of(self.devices, address) if device.address != address]

    def has_driver(self, name: str) -> bool:
        """Whether the driver is registered, as far as is known."""
        return self.drivers is None or any(driver.name == name for driver in self.drivers)


def vfio_role(host: Host, device: Device, driver: str) -> KnownRole | None:
    """USER where the driver registers a VFIO device, by the table, by ``vfio-dev``, or (assumed) by its name.

    ``vfio-dev`` exists from 6.1 while a VFIO driver is bound, whatever the driver is called.
    """
    row = host.driver_table.get(driver)
    if row is not None:
        return KnownRole(Role.USER) if row.vfio else None
    shown = device.driver == driver and device.vfio_dev is not None
    if shown or any(fit.driver == driver and fit.vfio for fit in device.fits or ()):
        return KnownRole(Role.USER)
    return KnownRole(Role.USER, assumed=True) if "vfio" in driver else None


def is_vfio(host: Host, device: Device, driver: str | None) -> bool:
    """Whether a driver hands the device to virtual machines; None is no driver."""
    return driver is not None and vfio_role(host, device, driver) is not None


def serves_host(host: Host, device: Device, driver: str | None) -> bool:
    """Whether a driver uses the device for the host: any except those of VFIO and ``pci-stub``."""
    return driver is not None and driver != STUB and not is_vfio(host, device, driver)


def settled(host: Host) -> Host:
    """The Host as a kernel left it: every loaded driver that matches a free device without an override has refused it.

    It was tried when the device came, or when its module was loaded. (It may also have been unbound by hand since; so
    this is not assumed of a driver that an override names.)
    """
    devices = dict(host.devices)
    for address, device in host.devices.items():
        tried = device.fits and device.driver is None and device.driver_override is None and not device.gap("driver")
        if tried and device.bus == "pci":
            fits = (fit._replace(refused=fit.loaded and not fit.vfio and not fit.proven) for fit in device.fits or ())
            devices[address] = device._replace(fits=tuple(fits))
    return host._replace(devices=devices)


def by_address(devices: Iterable[Device]) -> dict[Address, Device]:
    """Devices keyed by address, in the order that every view uses."""
    return {d.address: d for d in sorted(devices, key=lambda d: sort_key(d.address))}


def by_number(groups: Iterable[Group]) -> dict[int, Group]:
    """Groups keyed by number, ascending."""
    return {g.id: g for g in sorted(groups, key=lambda g: g.id)}
