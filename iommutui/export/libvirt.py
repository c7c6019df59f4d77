"""``<hostdev>`` elements for a domain of libvirt (formatdomain, "PCI / PCIe devices")."""

from iommutui.core.host import Device, Host
from iommutui.core.roles import is_vfio
from iommutui.export.base import Format, Subject

FIRST_BUS = 0x10
"""The guest's bus of the first card with several functions: above the root ports that virt-manager makes."""


def _body(subject: Subject) -> list[str]:
    lines: list[str] = []
    bus = FIRST_BUS
    for slot in subject.slots:
        for device, function in guest_functions(slot):
            lines += _hostdev(subject.host, device, bus, function, len(slot))
        bus += len(slot) > 1
    return lines


def guest_functions(slot: list[Device]) -> list[tuple[Device, int]]:
    """Each function with its number in the guest: its own, unless function 0, which every slot needs, stays behind."""
    numbers = [int(device.address[-1]) for device in slot]
    if 0 in numbers and len(slot) > 1:
        return list(zip(slot, numbers, strict=True))
    return list(zip(slot, range(len(slot)), strict=True))


def _hostdev(host: Host, device: Device, bus: int, function: int, functions: int) -> list[str]:
    managed = "no" if is_vfio(host, device, device.driver) else "yes"
    domain, number, slot_function = device.address.split(":")
    slot, _, own = slot_function.partition(".")
    lines = [
        f"<hostdev mode='subsystem' type='pci' managed='{managed}'>",
        "  <source>",
        f"    <address domain='0x{domain}' bus='0x{number}' slot='0x{slot}' function='0x{own}'/>",
        "  </source>",
    ]
    if functions > 1:
        multi = " multifunction='on'" if function == 0 else ""
        lines.append(
            f"  <address type='pci' domain='0x0000' bus='0x{bus:02x}' slot='0x00' function='0x{function:x}'{multi}/>"
        )
    return [*lines, "</hostdev>"]


def _notes(subject: Subject) -> list[str]:
    notes = [
        "managed='yes': libvirt takes the device from its driver when the domain starts and gives it back afterwards. "
        "managed='no': it is on a VFIO driver already, and stays there.",
        "A newer libvirt also takes <driver iommufd='yes'/> in a <hostdev>; see formatdomain of your version.",
    ]
    if any(len(slot) > 1 for slot in subject.slots):
        notes.append(
            f"The functions of one card share a slot on a bus of the guest, 0x{FIRST_BUS:02x} or above (machine q35; "
            "libvirt adds the root ports). If the domain uses that bus already, choose another for all of them."
        )
    if any(device.boot_vga for device in subject.guests):
        notes.append(
            "This machine booted on a card of these. If its picture stays black in the guest, the firmware has changed "
            "its ROM: add <rom file='/path/of/a/copy.rom'/> below </source>."
        )
    return notes


def _comment(line: str) -> str:
    # Two hyphens would end the comment, and a backslash means nothing in XML.
    return f"<!-- {line.replace('--', '- -')} -->"


FORMATS = (
    Format(
        "libvirt",
        "PCI devices for a domain of libvirt",
        "between <devices> and </devices> of 'virsh edit DOMAIN'; or one element a file, for "
        "'virsh attach-device DOMAIN FILE --config'.",
        "when the domain is started next.",
        "take the elements out again with 'virsh edit DOMAIN'.",
        _body,
        comment=_comment,
        notes=_notes,
    ),
)
