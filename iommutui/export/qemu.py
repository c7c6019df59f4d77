"""Arguments for QEMU and for Cloud Hypervisor."""

from iommutui.core.host import Device
from iommutui.export.base import Format, Subject
from iommutui.export.libvirt import guest_functions

_CHASSIS = 0x40
"""The first chassis number of the root ports: above those that people number by hand. None may be used twice."""


def _qemu(subject: Subject) -> list[str]:
    arguments: list[str] = []
    for number, slot in enumerate(subject.slots):
        port = f"iommutui{number}"
        arguments.append(f"-device pcie-root-port,id={port},bus=pcie.0,chassis={_CHASSIS + number}")
        for device, function in guest_functions(slot):
            multi = ",multifunction=on" if len(slot) > 1 and function == 0 else ""
            arguments.append(f"-device vfio-pci,{_source(device)},bus={port},addr=0x0.0x{function:x}{multi}")
    return _continued(arguments)


def _source(device: Device) -> str:
    """``host=`` takes domains of four digits; those behind Intel's VMD have five."""
    short = len(device.address.partition(":")[0]) == 4
    return f"host={device.address}" if short else f"sysfsdev=/sys/bus/pci/devices/{device.address}"


def _cloud_hypervisor(subject: Subject) -> list[str]:
    paths = [f"path=/sys/bus/pci/devices/{device.address}/" for device in subject.guests]
    return _continued(["--device", *paths])


def _continued(words: list[str]) -> list[str]:
    return [f"{word} \\" for word in words[:-1]] + words[-1:]


_ENDS = "take the arguments out again."

FORMATS = (
    Format(
        "qemu",
        "PCI devices as arguments of QEMU",
        "on the command line of qemu-system-x86_64, with '-machine q35'. The devices have to be on a VFIO driver "
        "before, and you need access to /dev/vfio/GROUP and the right to lock the guest's memory (ulimit -l).",
        "when QEMU is started.",
        _ENDS,
        _qemu,
        notes=lambda subject: [
            "From QEMU 8.2 with Linux 6.6 iommufd works as well: add '-object iommufd,id=iommufd0', and "
            "',iommufd=iommufd0' to every vfio-pci."
        ],
    ),
    Format(
        "cloud-hypervisor",
        "PCI devices as arguments of Cloud Hypervisor",
        "on the command line of cloud-hypervisor. The devices have to be on a VFIO driver before, and you need access "
        "to /dev/vfio/GROUP.",
        "when cloud-hypervisor is started.",
        _ENDS,
        _cloud_hypervisor,
        notes=lambda subject: (
            ["Every function stands in a slot of its own in the guest."]
            if any(len(slot) > 1 for slot in subject.slots)
            else []
        ),
    ),
)
