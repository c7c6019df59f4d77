"""A device of a machine: its identity, its driver, its hardware, what is unknown about it, and the card it is on."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from iommutui.core.address import Address, card_of

NOT_LISTED = "not-listed"
"""The gap of what a pasted listing does not show."""


class Gap(NamedTuple):
    """An attribute that may exist but is not known here."""

    attribute: str
    why: str
    """An errno name (``EACCES``), ``timeout`` (the kernel did not answer), ``not-recorded``, ``malformed`` (no kernel
    writes this), ``asleep`` (reading would wake the device), ``not-collected`` (not read this time), ``not-listed`` (a
    pasted listing does not tell it) or ``unbinding`` (the ``driver`` link is gone, but the driver has not released
    the device yet)."""


UNBINDING = "unbinding"


def find_gap(gaps: tuple[Gap, ...], attribute: str) -> Gap | None:
    """The gap of this attribute; None if the attribute is known."""
    for gap in gaps:
        if gap.attribute == attribute:
            return gap
    return None


_WORDS = {
    "EACCES": "it can be read by root only",
    "EPERM": "it can be read by root only",
    "timeout": "the kernel did not answer in time",
    "not-recorded": "it was not recorded",
    "not-collected": "it was not collected",
    NOT_LISTED: "the listing does not show it",
    "malformed": "it does not hold what a kernel writes there",
    UNBINDING: "an unbind of it has not returned yet",
    "asleep": "the device is powered down, and reading it would wake it",
}


def gap_words(why: str) -> str:
    return _WORDS.get(why, f"reading it failed with {why}")


class Bar(NamedTuple):
    """A base address register: line ``number`` of ``resource``. ``size`` in bytes; ``flags`` as the kernel has them."""

    number: int
    start: int
    size: int
    flags: int


class Fit(NamedTuple):
    """A driver that the device could be bound to, because its table of ids or the module's aliases match."""

    driver: str
    """The name below ``/sys/bus/pci/drivers``; for a module that is not loaded, the module's name."""
    module: str | None
    loaded: bool
    vfio: bool = False
    """True for a ``vfio_pci:`` alias: a VFIO driver, which matches only through ``driver_override``."""
    proven: bool = False
    """The device has been seen on it, so the driver's own probe is known to accept it."""
    refused: bool = False
    """The driver's own probe seems to turn the device down: see ``settled``."""


class Details(NamedTuple):
    """Facts of a PCI function that no rule needs, read only on request."""

    numa_node: int | None = None
    reset_methods: tuple[str, ...] | None = None
    power_state: str | None = None
    d3cold_allowed: bool | None = None
    bars: tuple[Bar, ...] | None = None
    sriov_totalvfs: int | None = None
    sriov_numvfs: int | None = None
    link_speed: str | None = None
    link_width: str | None = None
    max_link_speed: str | None = None
    max_link_width: str | None = None
    config_answers: bool | None = None
    """False where configuration space reads as all ones, as that of a device that has fallen off the bus."""
    irq: int | None = None
    """The interrupt line (INTx), or a vector of MSI while a driver uses that; 0: none."""


class Device(NamedTuple):
    """A PCI function, or a member of a group on another bus. Ids are lower-case hex without ``0x``."""

    address: Address
    bus: str = "pci"
    vendor_id: str | None = None
    device_id: str | None = None
    subsystem_vendor_id: str | None = None
    subsystem_device_id: str | None = None
    class_code: str | None = None
    """Six hex digits: base class, sub-class, programming interface; four where a listing does not tell the last."""
    revision: str | None = None
    header_type: int | None = None
    """Configuration byte 0x0e without its top bit: 0 normal, 1 PCI-to-PCI bridge, 2 CardBus bridge."""
    multifunction: bool | None = None
    """The top bit of that byte: the device says of itself that its slot has several functions."""
    pcie_type: int | None = None
    """Device/port type of the PCI Express capability; visible to root only."""
    modalias: str | None = None
    driver: str | None = None
    driver_override: str | None = None
    group: int | None = None
    parent: Address | None = None
    """The bridge above; None on a root bus. Of a mediated device the function that it is a part of."""
    boot_vga: bool | None = None
    """The VGA card that the kernel's arbiter has as the default one."""
    boot_display: bool | None = None
    """The display that firmware left its framebuffer on (from 6.17); whatever class it has."""
    physfn: Address | None = None
    virtfns: tuple[Address, ...] = ()
    vfio_dev: tuple[str, ...] | None = None
    """Names below ``vfio-dev``, which exists (from 6.1) while a VFIO driver is bound."""
    iommu: str | None = None
    interfaces: tuple[str, ...] = ()
    """Network interfaces, those of a child on the virtio bus included."""
    fits: tuple[Fit, ...] | None = None
    """None: not collected."""
    vendor_name: str | None = None
    device_name: str | None = None
    class_name: str | None = None
    details: Details | None = None
    """None: not collected."""
    gaps: tuple[Gap, ...] = ()
    not_isolated_from: tuple[Address, ...] | None = None
    """Functions of its slot that were in its group when it was removed, so that nothing isolates it from them; None for
    a device that never was."""

    def gap(self, attribute: str) -> Gap | None:
        """Why the attribute is not known, or None if it is."""
        return find_gap(self.gaps, attribute)

    @property
    def ids(self) -> str | None:
        """``10de:2204``; None if either is unknown."""
        return _pair(self.vendor_id, self.device_id)

    @property
    def board(self) -> str | None:
        """The same for the subsystem, which distinguishes cards of two makers."""
        return _pair(self.subsystem_vendor_id, self.subsystem_device_id)

    @property
    def is_display(self) -> bool:
        return (self.class_code or "").startswith("03")

    @property
    def boots_display(self) -> bool:
        """Whether it is the display that the machine booted on."""
        return bool(self.boot_display or self.boot_vga)

    @property
    def is_bridge(self) -> bool:
        """Header type 1 or 2; if that is unknown, the class of a bridge (0604, 0607, 0609)."""
        if self.header_type is not None:
            return self.header_type != 0
        return (self.class_code or "")[:4] in ("0604", "0607", "0609")

    @property
    def silent(self) -> bool:
        """Whether its configuration space reads as all ones: it is powered down, or has fallen off the bus."""
        return self.details is not None and self.details.config_answers is False

    @property
    def being_unbound(self) -> bool:
        """Whether the kernel was seen to be in the middle of an unbind: no ``driver`` link, but not released yet."""
        gap = self.gap("driver")
        return gap is not None and gap.why == UNBINDING


def _pair(vendor: str | None, device: str | None) -> str | None:
    ids = f"{vendor}:{device}"
    return ids if re.fullmatch(r"[0-9a-f]{4}:[0-9a-f]{4}", ids) else None


Devices = dict[Address, Device]

_COMPANIONS = ("0401", "0403", "0c03", "0c80")


def card(devices: Devices, address: Address) -> list[Device]:
    """The functions of the device's card, itself first: those that go to a virtual machine together.

    A card is the device and the rest of its group. Only a display controller's card extends beyond the group, to its
    companions: functions of its slot with its vendor id for sound, USB and serial buses, and on a card with its own
    switch (Intel Arc, Radeon Navi) the same below that switch. Functions of a chipset that share a slot are not one
    card, and a virtual function is its own card.
    """
    device = devices[address]
    if device.physfn is not None:
        return [device]
    slot = [each for each in slot_of(devices, address) if each.physfn is None]
    mates = [each for each in slot if each.group == device.group]
    if device.is_display:
        found = [each for each in slot if _companion(device, each)] + _below_switch(devices, device)
    else:
        heads = [each for each in mates if each.is_display and _companion(each, device)]
        found = [each for head in heads for each in (head, *mates) if each is head or _companion(head, each)]
        found += _sharing_ports(slot, device)
    # Functions of one kind are ports or channels of one card.
    found += [each for each in mates if each.vendor_id == device.vendor_id and _kind(each) == _kind(device)]
    return list(dict.fromkeys([device, *found]))


def slot_of(devices: Devices, address: Address) -> list[Device]:
    """The functions whose addresses have the same slot, the device itself and virtual ones among them."""
    found = (devices.get(Address(f"{card_of(address)}.{number}")) for number in range(8))
    return [device for device in found if device is not None]


def _kind(device: Device) -> str:
    return (device.class_code or "")[:4]


def _companion(display: Device, other: Device) -> bool:
    return other.vendor_id == display.vendor_id and _kind(other) in _COMPANIONS


def _sharing_ports(slot: Iterable[Device], device: Device) -> list[Device]:
    """EHCI and the UHCI or OHCI controllers of its slot drive the same sockets, so they move together."""
    uhci, ohci, ehci = "0c0300", "0c0310", "0c0320"
    usb = [d for d in slot if d.class_code in (uhci, ohci, ehci) and d.vendor_id == device.vendor_id]
    return usb if device in usb and any(d.class_code == ehci for d in usb) else []


def _below_switch(devices: Devices, display: Device) -> list[Device]:
    """The companions below the switch that is on the card itself: one of the display's maker, with nothing else below.

    ``parent`` is None for a root port, which is not on the card.
    """
    port = devices.get(display.parent) if display.parent is not None else None
    switch = devices.get(port.parent) if port is not None and port.parent is not None else None
    if port is None or switch is None or switch.parent is None:
        return []
    if {port.vendor_id, switch.vendor_id} != {display.vendor_id}:
        return []
    ports = {d.address for d in devices.values() if d.parent == switch.address}
    below = [d for d in devices.values() if d.parent in ports and not d.is_bridge and d.physfn is None]
    own = all(d.is_display or _companion(display, d) for d in below)
    return [d for d in below if _companion(display, d)] if own else []
