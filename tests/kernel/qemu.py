"""The command line of QEMU for one guest."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import topology

#: The harness's own devices; without them the guest has neither files nor output.
INFRASTRUCTURE = ("0000:00:1b.0", "0000:00:1c.0", "0000:00:1d.0")


@dataclass(frozen=True)
class Machine:
    """All that QEMU has to know. ``out`` and ``err`` are connected sockets, unless the terminal is used."""

    image: Path
    initramfs: Path
    job: Path
    topology: str
    iommu: str
    """``intel``, ``amd`` or ``none``."""
    processors: int
    memory: int
    terminal: bool
    out: int = -1
    err: int = -1


IOMMUS = {
    "intel": ("-device", "intel-iommu,intremap=on,device-iotlb=off"),
    "amd": ("-device", "amd-iommu,intremap=on"),
    "none": (),
}
"""QEMU's arguments, by the name of the IOMMU. AMD's is a PCI function and takes the first free slot."""


def kernel_command_line(iommu: str) -> str:
    """Return the kernel's command line. An oops ends the guest, because nothing after it can be trusted."""
    # The kernel ignores the first word; a program knows by it that it runs in one of these guests.
    words = ["iommutui.guest=1", "console=ttyS0", "oops=panic", "panic=-1", "loglevel=5"]
    # On a busy machine the emulated timer is late for the kernel's own check, which then panics.
    words.append("no_timer_check")
    return " ".join([*words, f"intel_iommu={'on' if iommu == 'intel' else 'off'}"])


def _shared_directory(tag: str, path: Path, slot: str, options: str = "") -> list[str]:
    # In QEMU's option syntax, a literal comma is doubled.
    place = str(path).replace(",", ",,")
    return [
        *("-fsdev", f"local,id={tag},path={place},security_model=none,multidevs=remap{options}"),
        *("-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag},bus=pcie.0,addr={slot}"),
    ]


def _output(machine: Machine) -> Sequence[str]:
    if machine.terminal:
        return ["-chardev", "stdio,id=tty,signal=off", "-device", "virtconsole,bus=serial.0,nr=0,chardev=tty"]
    arguments: list[str] = []
    for number, (name, socket) in enumerate((("out", machine.out), ("err", machine.err)), start=1):
        arguments += ["-chardev", f"socket,id={name},fd={socket}"]
        arguments += ["-device", f"virtserialport,bus=serial.0,nr={number},chardev={name},name={name}"]
    return arguments


def command(machine: Machine) -> list[str]:
    """Return the command line that starts QEMU."""
    return [
        *("qemu-system-x86_64", "-machine", "q35", "-nodefaults", "-no-user-config", "-no-reboot"),
        # Never KVM: if the host is itself a virtual machine, KVM may exist and still hang.
        *("-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max,la57=off"),
        *("-smp", str(machine.processors), "-m", str(machine.memory)),
        *("-display", "none", "-vga", "none", "-rtc", "base=utc", "-serial", f"file:{machine.job / 'console'}"),
        *("-kernel", str(machine.image), "-initrd", str(machine.initramfs)),
        *("-append", kernel_command_line(machine.iommu)),
        *(IOMMUS["intel"] if machine.iommu == "intel" else ()),
        *("-device", "virtio-serial-pci,id=serial,bus=pcie.0,addr=1b"),
        *_output(machine),
        *_shared_directory("job", machine.job, "1c"),
        *_shared_directory("host", Path("/"), "1d", ",readonly=on"),
        *topology.arguments(machine.topology, machine.iommu),
        *(IOMMUS["amd"] if machine.iommu == "amd" else ()),
    ]
