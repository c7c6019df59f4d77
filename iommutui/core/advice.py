"""Advice for a machine that has no IOMMU groups, or is only partly known."""

from iommutui.core.device import NOT_LISTED, gap_words
from iommutui.core.host import Host

XEN_DOM0 = "xen-dom0"

_XEN = (
    "This is dom0 of Xen: the hypervisor owns the IOMMU, so this kernel sees none and has no groups. VFIO is not used "
    "here.",
    "Xen shows whether the IOMMU is on: 'xl dmesg | grep -i -e vt-d -e iommu', and 'xl info' (hvm_directio).",
    "Devices are handed over through pciback: 'xl pci-assignable-add 01:00.0', then a pci= line in the guest's "
    "configuration.",
)
_GUEST = (
    "This machine seems to be a virtual machine itself ({name}): its hypervisor has to give it a virtual IOMMU "
    "(QEMU: -device intel-iommu or virtio-iommu; VMware: 'Expose IOMMU to the guest OS'). Without one only "
    "no-IOMMU mode is left (vfio.enable_unsafe_noiommu_mode=1), for programs such as DPDK."
)
_NOT_COVERED = (
    "This machine has IOMMU groups, but no PCI device is in one: its IOMMU does not cover PCI Express, as on many "
    "systems on a chip. No setting or parameter changes that, so VFIO cannot use a PCI device here."
)


def no_iommu_advice(host: Host) -> list[str]:
    """Sentences: whether an IOMMU is there, what turns it on for this processor, and how to check. Empty with groups.

    ``/sys/class/iommu`` and the groups decide; the command line only shows what was asked for.
    """
    if any(device.group is not None and device.bus == "pci" for device in host.devices.values()):
        return []
    if (gap := host.gap("iommu_groups")) is not None:
        if gap.why != NOT_LISTED:
            return [f"The IOMMU groups are not known: {gap_words(gap.why)}."]
        return [
            "The listing shows no IOMMU groups: the IOMMU was off, or the command does not show them.",
            "Add 'lspci -v' (pciutils 3.7 or later) or the Arch wiki's script with a second --from, or record the "
            "machine with the script of 'iommutui snapshot --script'.",
        ]
    if host.hypervisor == XEN_DOM0:
        return list(_XEN)
    guest = [_GUEST.format(name=host.hypervisor)] if host.hypervisor is not None else []
    if host.groups:
        return [_NOT_COVERED, *guest]
    if host.iommus:
        names = ", ".join(iommu.name for iommu in host.iommus)
        return [
            f"An IOMMU is active ({names}), but no device has a group.",
            "It translates none of the devices here; a device it covers would show an iommu_group link in sysfs.",
        ]
    from iommutui.core.command_line import idle_iommu  # a listing of a machine with groups does not need it

    if host.iommus is None:
        found = "There are no IOMMU groups, and no /sys/class/iommu to tell whether an IOMMU is active."
    else:
        found = "No IOMMU is active: /sys/class/iommu is empty, and there are no groups."
    lines = [found, *guest]
    words = (host.cmdline or "").split()
    off = [word for word in words if word in ("iommu=off", "intel_iommu=off", "amd_iommu=off")]
    if off:
        lines.append(f"The kernel command line turns it off: remove {' and '.join(off)}.")
    lines += _turn_on(host) if not guest else []
    lines += [notice.text for notice in idle_iommu(host)]
    lines.append(
        "Afterwards check with 'ls /sys/class/iommu' (an entry such as dmar0 or ivhd0 means that it is on), "
        "'dmesg | grep -e DMAR -e AMD-Vi', and 'iommutui list'."
    )
    if not guest:
        lines.append("In a virtual machine the hypervisor has to offer a virtual IOMMU; few do by default.")
    return lines


def turn_on_advice(host: Host) -> str:
    """How to turn the IOMMU on, as its own line; empty if one is on."""
    on = host.groups or host.iommus or host.hypervisor == XEN_DOM0
    return "" if on else " ".join(_turn_on(host))


def _turn_on(host: Host) -> list[str]:
    from iommutui.core.command_line import parameter_advice

    match host.cpu_vendor:
        case "GenuineIntel":
            return [
                "This processor is made by Intel: turn on VT-d in the firmware setup (BIOS, UEFI).",
                parameter_advice(host, "intel_iommu=on"),
            ]
        case "AuthenticAMD" | "HygonGenuine":
            return [
                "This processor is made by AMD or Hygon: turn on IOMMU in the firmware setup (BIOS, UEFI); some boards "
                "call it AMD-Vi, below AMD CBS or NBIO. The kernel needs no parameter for it.",
            ]
        case None:
            return [
                "Turn on VT-d (Intel) or IOMMU (AMD) in the firmware setup (BIOS, UEFI); on Intel add intel_iommu=on "
                "to the kernel command line as well, AMD needs no parameter.",
            ]
        case vendor:
            return [
                f"For a processor of {vendor} the firmware has to describe an IOMMU (an SMMU on Arm, in the device "
                "tree or the ACPI table IORT); there is no kernel parameter that adds one.",
            ]


def missing_facts(host: Host, *, live: bool, recorded: bool) -> tuple[str, ...]:
    """What is unknown of a machine and how to find it out, as sentences; none if nothing important is missing.

    ``live``: it is this machine; ``recorded``: it comes from a file.
    """
    found = []
    numbered = [d for d in host.devices.values() if d.bus == "pci" and d.vendor_id is not None]
    if numbered and all(d.vendor_name is None and d.device_name is None for d in numbered):
        again = "then r rescans" if live else "then open it again"
        found.append(
            "Names are missing: neither udev's hardware database nor pci.ids was found. The package pci.ids (Debian, "
            f"Ubuntu) or hwdata (Fedora, Arch, openSUSE) provides them; {again}."
        )
    facts = {
        "the kernel's version": host.kernel is not None,
        "which drivers there are": host.drivers is not None,
        "which drivers fit a device": any(device.fits is not None for device in host.devices.values()),
        "what the machine uses its devices for": host.uses is not None,
    }
    missing = [words for words, known in facts.items() if not known]
    if recorded and host.devices and missing:
        found.append(
            f"Not recorded here: {', '.join(missing)}. 'iommutui snapshot -o FILE' on that machine makes a complete "
            f"one."
        )
    return tuple(found)
