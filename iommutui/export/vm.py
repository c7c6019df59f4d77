"""Formats that configure a virtual machine: libvirt, QEMU, Cloud Hypervisor, Proxmox VE and Incus."""

from iommutui.core.address import card_of, domain_of
from iommutui.core.errors import RefusedError
from iommutui.core.host import Device, is_vfio
from iommutui.export.base import Format, Subject

FIRST_BUS = 0x10
"""libvirt: the guest's bus of the first card with several functions, above the root ports that virt-manager makes."""
_CHASSIS = 0x40
"""QEMU: the first chassis number of the root ports, above those that people number by hand. None may be used twice."""


def _guest_functions(slot: list[Device]) -> list[tuple[Device, int]]:
    """Each function with its number in the guest: its own, unless function 0, which every slot needs, stays behind."""
    numbers = [int(device.address[-1]) for device in slot]
    return list(zip(slot, numbers if 0 in numbers and len(slot) > 1 else range(len(slot)), strict=True))


def _continued(words: list[str]) -> list[str]:
    return [f"{word} \\" for word in words[:-1]] + words[-1:]


# -- libvirt: formatdomain, "PCI / PCIe devices"


def _libvirt(subject: Subject) -> list[str]:
    lines: list[str] = []
    bus = FIRST_BUS
    for slot in subject.slots:
        for device, function in _guest_functions(slot):
            managed = "no" if is_vfio(subject.host, device, device.driver) else "yes"
            domain, number, own = device.address.split(":")
            lines += [
                f"<hostdev mode='subsystem' type='pci' managed='{managed}'>",
                "  <source>",
                f"    <address domain='0x{domain}' bus='0x{number}' slot='0x{own[:-2]}' function='0x{own[-1]}'/>",
                "  </source>",
            ]
            if len(slot) > 1:
                multi = " multifunction='on'" if function == 0 else ""
                place = f"domain='0x0000' bus='0x{bus:02x}' slot='0x00' function='0x{function:x}'"
                lines.append(f"  <address type='pci' {place}{multi}/>")
            lines.append("</hostdev>")
        bus += len(slot) > 1
    return lines


# -- QEMU and Cloud Hypervisor


def _qemu(subject: Subject) -> list[str]:
    words: list[str] = []
    for number, slot in enumerate(subject.slots):
        port = f"iommutui{number}"
        words.append(f"-device pcie-root-port,id={port},bus=pcie.0,chassis={_CHASSIS + number}")
        for device, function in _guest_functions(slot):
            # host= takes domains of four digits.
            source = "host=" if len(domain_of(device.address)) == 4 else "sysfsdev=/sys/bus/pci/devices/"
            multi = ",multifunction=on" if len(slot) > 1 and function == 0 else ""
            words.append(f"-device vfio-pci,{source}{device.address},bus={port},addr=0x0.0x{function:x}{multi}")
    return _continued(words)


def _cloud_hypervisor(subject: Subject) -> list[str]:
    paths = [f"path=/sys/bus/pci/devices/{device.address}/" for device in subject.guests]
    return _continued(["--device", *paths])


# -- Proxmox VE and Incus, which bind the devices themselves when a virtual machine starts


def _proxmox(subject: Subject) -> list[str]:
    far = [device.address for device in subject.guests if len(domain_of(device.address)) > 4]
    if far:
        raise RefusedError(f"Proxmox VE accepts only domains of four digits, not {', '.join(far)}.")
    slots = list(enumerate(subject.slots))
    return [
        "vmid=100 # the number of your virtual machine",
        "",
        "# On this node alone:",
        *(f'qm set "$vmid" -hostpci{number} "{_hosts(subject, slot)},pcie=1"' for number, slot in slots),
        "",
        "# Or as mappings, which are checked before a start (id, subsystem and group) and can have one",
        "# entry a node:",
        *(line for _, slot in slots for line in _mapping(subject, slot)),
        *(f'# qm set "$vmid" -hostpci{number} "mapping={_name(slot[0])},pcie=1"' for number, slot in slots),
    ]


def _hosts(subject: Subject, slot: list[Device]) -> str:
    """``0000:01:00`` stands for every function of the slot, which then share one slot of the guest."""
    whole = len(slot) > 1 and len(slot) == 1 + len(list(subject.host.same_slot(slot[0].address)))
    return card_of(slot[0].address) if whole else ";".join(device.address for device in slot)


def _mapping(subject: Subject, slot: list[Device]) -> list[str]:
    """The keys of a mapping are those of ``/etc/pve/mapping/pci.cfg``; the ids are those of the first function."""
    first = slot[0]
    facts = {
        "path": _hosts(subject, slot),
        "id": first.ids,
        "subsystem-id": first.board,
        "iommugroup": first.group,
    }
    known = ",".join(f"{key}={value}" for key, value in facts.items() if value is not None)
    return [
        f"# pvesh create /cluster/mapping/pci --id {_name(first)} \\",
        f'#     --map "node=$(hostname),{known}"',
    ]


def _name(device: Device) -> str:
    return f"pci-{device.address.replace(':', '-').replace('.', '-')}"


def _incus(subject: Subject) -> list[str]:
    lines = ["instance=vm1 # the name of your virtual machine", ""]
    for slot in subject.slots:
        display = next((device for device in slot if device.is_display), None)
        if display is None:
            lines += [f"{_add(device)} pci address={device.address}" for device in slot]
            continue
        # Incus adds the other functions of a display's slot by itself, and a second time would be an error.
        lines.append(f"{_add(display)} gpu gputype=physical pci={display.address}")
        others = [device.address for device in slot if device is not display]
        lines += [f"# {', '.join(others)}: come with it"] if others else []
    return lines


def _add(device: Device) -> str:
    return f'incus config device add "$instance" {_name(device)}'


FORMATS = (
    Format(
        "libvirt",
        "<hostdev> elements for a libvirt domain",
        "between <devices> and </devices> of 'virsh edit DOMAIN'; or each element in a file of its own, "
        "for 'virsh attach-device DOMAIN FILE' with its option config.",
        "the next time the domain starts.",
        "take the elements out again with 'virsh edit DOMAIN'.",
        _libvirt,
        # Two hyphens would end the comment, and a backslash means nothing in XML.
        comment=lambda line: f"<!-- {line.replace('--', '- -')} -->" if line else "",
        notes=(
            "managed='yes': libvirt takes the device from its driver when the domain starts and gives it back "
            "afterwards. managed='no': it is on a VFIO driver already, and stays there.",
            "Newer versions of libvirt also take <driver iommufd='yes'/> in a <hostdev>.",
            f"The functions of one card share a slot on a bus of the guest, from 0x{FIRST_BUS:02x} on (machine q35; "
            "libvirt adds the root ports). If the domain uses that bus already, choose another for all of them.",
        ),
        display_note="If the picture of the card that this machine booted on stays black in the guest, the firmware "
        "has changed its ROM: add <rom file='/path/of/a/copy.rom'/> below </source>.",
    ),
    Format(
        "qemu",
        "QEMU arguments for PCI devices",
        "on the command line of qemu-system-x86_64, with '-machine q35'. The devices have to be on a VFIO driver "
        "first, and you need access to /dev/vfio/GROUP and the right to lock the guest's memory (ulimit -l).",
        "when QEMU starts.",
        "take the arguments out again.",
        _qemu,
        notes=(
            "From QEMU 8.2 with Linux 6.6 iommufd works as well: add '-object iommufd,id=iommufd0', and "
            "',iommufd=iommufd0' to every vfio-pci.",
        ),
    ),
    Format(
        "cloud-hypervisor",
        "Cloud Hypervisor arguments for PCI devices",
        "on the command line of cloud-hypervisor. The devices have to be on a VFIO driver first, and you need access "
        "to /dev/vfio/GROUP.",
        "when cloud-hypervisor starts.",
        "take the arguments out again.",
        _cloud_hypervisor,
        notes=("Each function of a card gets its own slot in the guest.",),
    ),
    Format(
        "proxmox",
        "Proxmox VE commands for PCI devices",
        "a root shell on the node. The machine type has to be q35 (qm set VMID -machine q35); without it, leave "
        "',pcie=1' out.",
        "the next time the virtual machine starts; Proxmox then binds the devices to vfio-pci by itself.",
        "qm set VMID -delete hostpci0 (and so on), and pvesh delete /cluster/mapping/pci/NAME.",
        _proxmox,
        display_note="For the guest's only display without OVMF add ',x-vga=1'.",
    ),
    Format(
        "incus",
        "Incus commands for PCI devices",
        "a shell of a user who may use Incus. The instance has to be a virtual machine (--vm), and stopped.",
        "the next time the instance starts; Incus then binds the devices to vfio-pci by itself.",
        "incus config device remove INSTANCE NAME, for every name below.",
        _incus,
    ),
)
