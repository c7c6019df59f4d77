"""The rule for a card: which functions go to a virtual machine together. One rule, for every view and command.

A card is the device and the rest of its group. Only a display controller's card extends beyond the group, to its
companions: functions of its slot with its vendor id for sound, USB and serial buses, and on a card with its own switch
(Intel Arc, Radeon Navi) the same below that switch. Functions of a chipset that share a slot are not one card, and a
virtual function is its own card.
"""

from collections.abc import Iterable

from iommutui.core.address import Address, card_of
from iommutui.core.device import Device

Devices = dict[Address, Device]

_COMPANIONS = ("0401", "0403", "0c03", "0c80")
_USB_1, _USB_2 = ("0c0300", "0c0310"), "0c0320"


def card(devices: Devices, address: Address) -> list[Device]:
    """The functions of the device's card, itself first."""
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
    found += [each for each in mates if _kind(each) == _kind(device)]
    return list(dict.fromkeys([device, *found]))


def slot_of(devices: Devices, address: Address) -> list[Device]:
    """The functions whose addresses have the same slot, the device itself and virtual ones among them."""
    found = (devices.get(Address(f"{card_of(address)}.{number}")) for number in range(8))
    return [device for device in found if device is not None]


def _kind(device: Device) -> tuple[str | None, str]:
    """Functions of a slot and group with the same key are ports or channels of one card."""
    return device.vendor_id, (device.class_code or "")[:4]


def _companion(display: Device, other: Device) -> bool:
    return other.vendor_id == display.vendor_id and (other.class_code or "").startswith(_COMPANIONS)


def _sharing_ports(slot: Iterable[Device], device: Device) -> list[Device]:
    """EHCI and the UHCI or OHCI controllers of its slot drive the same sockets, so they move together."""
    usb = [d for d in slot if (d.class_code or "") in (*_USB_1, _USB_2) and d.vendor_id == device.vendor_id]
    return usb if device in usb and any(d.class_code == _USB_2 for d in usb) else []


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
    below = [d for d in devices.values() if not d.is_bridge and d.physfn is None and _is_below(devices, d, switch)]
    own = all(d.address == display.address or d.is_display or _companion(display, d) for d in below)
    return [d for d in below if _companion(display, d)] if own else []


def _is_below(devices: Devices, device: Device, switch: Device) -> bool:
    port = devices.get(device.parent) if device.parent is not None else None
    return port is not None and port.parent == switch.address
