"""Commands for Proxmox VE and Incus, which bind the devices themselves when a virtual machine starts."""

from iommutui.core.address import card_of
from iommutui.core.errors import RefusedError
from iommutui.core.host import Device
from iommutui.export.base import Format, Subject, hex_ids, is_display


def _proxmox(subject: Subject) -> list[str]:
    far = [device.address for device in subject.guests if len(device.address.partition(":")[0]) > 4]
    if far:
        raise RefusedError(f"Proxmox VE takes domains of four digits only, not {', '.join(far)}.")
    lines = [
        "vmid=100 # the number of your virtual machine",
        "",
        "# On this node alone:",
    ]
    for number, slot in enumerate(subject.slots):
        lines.append(f'qm set "$vmid" -hostpci{number} "{_hosts(subject, slot)},pcie=1"')
    lines += [
        "",
        "# Or as mappings, which are checked before a start (id, subsystem and group) and can have one",
        "# entry a node:",
    ]
    lines += [word for slot in subject.slots for word in _mapping(subject, slot)]
    for number, slot in enumerate(subject.slots):
        lines.append(f'# qm set "$vmid" -hostpci{number} "mapping={_map_name(slot)},pcie=1"')
    return lines


def _hosts(subject: Subject, slot: list[Device]) -> str:
    """``0000:01:00`` stands for every function of the slot, which then share one slot of the guest."""
    first = slot[0]
    whole = [first.address, *(other.address for other in subject.host.same_slot(first.address))]
    if len(slot) > 1 and len(slot) == len(whole):
        return card_of(first.address)
    return ";".join(device.address for device in slot)


def _mapping(subject: Subject, slot: list[Device]) -> list[str]:
    """The keys of a mapping are those of ``/etc/pve/mapping/pci.cfg``; the ids are those of the first function."""
    first = slot[0]
    facts = [f"path={_hosts(subject, slot)}"]
    for key, ids in (
        ("id", hex_ids(first.vendor_id, first.device_id)),
        ("subsystem-id", hex_ids(first.subsystem_vendor_id, first.subsystem_device_id)),
    ):
        if ids is not None:
            facts.append(f"{key}={ids}")
    if first.group is not None:
        facts.append(f"iommugroup={first.group}")
    return [
        f"# pvesh create /cluster/mapping/pci --id {_map_name(slot)} \\",
        f'#     --map "node=$(hostname),{",".join(facts)}"',
    ]


def _map_name(slot: list[Device]) -> str:
    return "pci-" + slot[0].address.replace(":", "-").replace(".", "-")


def _incus(subject: Subject) -> list[str]:
    lines = ["instance=vm1 # the name of your virtual machine", ""]
    for slot in subject.slots:
        display = next((device for device in slot if is_display(device)), None)
        if display is not None:
            # Incus adds the other functions of a display's slot by itself, and a second time would be an error.
            lines.append(f"{_add(display)} gpu gputype=physical pci={display.address}")
            others = [device.address for device in slot if device is not display]
            lines += [f"# {', '.join(others)}: come with it"] if others else []
        else:
            lines += [f"{_add(device)} pci address={device.address}" for device in slot]
    return lines


def _add(device: Device) -> str:
    return f'incus config device add "$instance" pci-{device.address.replace(":", "-").replace(".", "-")}'


FORMATS = (
    Format(
        "proxmox",
        "PCI devices for a virtual machine of Proxmox VE",
        "a root shell on the node. The machine type has to be q35 (qm set VMID -machine q35); without it, leave "
        "',pcie=1' out.",
        "when the virtual machine is started next; Proxmox binds the devices to vfio-pci by itself then.",
        "qm set VMID -delete hostpci0 (and so on), and pvesh delete /cluster/mapping/pci/NAME.",
        _proxmox,
        notes=lambda subject: (
            ["For the guest's only display without OVMF add ',x-vga=1'."]
            if any(is_display(device) for device in subject.guests)
            else []
        ),
    ),
    Format(
        "incus",
        "PCI devices for a virtual machine of Incus",
        "a shell of a user who may use Incus. The instance has to be a virtual machine (--vm), and stopped.",
        "when the instance is started next; Incus binds the devices to vfio-pci by itself then.",
        "incus config device remove INSTANCE NAME, for every name below.",
        _incus,
    ),
)
