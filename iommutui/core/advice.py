"""What to do on a machine that has no IOMMU groups."""

from iommutui.core.gap import NOT_LISTED, gap_words
from iommutui.core.host import Host

_FIRMWARE = {
    "GenuineIntel": ("Intel", "VT-d", "intel_iommu=on"),
    "AuthenticAMD": ("AMD", "IOMMU (on some boards AMD-Vi, below AMD CBS or NBIO)", None),
    "HygonGenuine": ("Hygon", "IOMMU", None),
}


def no_iommu_advice(host: Host) -> list[str]:
    """Sentences: whether an IOMMU is there, what turns it on for this processor, and how to check. Empty with groups.

    What counts is ``/sys/class/iommu`` and the groups; the command line only says what somebody asked for.
    """
    if host.groups:
        return []
    if (gap := next((gap for gap in host.gaps if gap.attribute == "iommu_groups"), None)) is not None:
        if gap.why != NOT_LISTED:
            return [f"The IOMMU groups are not known: {gap_words(gap.why)}."]
        return [
            "The listing tells no IOMMU groups: the IOMMU was off, or the command does not show them.",
            "Add 'lspci -v' (pciutils 3.7 or later) or the Arch wiki's script with a second --from, or record the "
            "machine with the script of 'iommutui snapshot --script'.",
        ]
    if host.iommus:
        names = ", ".join(iommu.name for iommu in host.iommus)
        return [
            f"An IOMMU is active ({names}), but no device has a group.",
            "It translates none of the devices here; a device it covers would show an iommu_group link in sysfs.",
        ]
    lines = [_found(host)]
    parameters = (host.cmdline or "").split()
    off = [word for word in parameters if word in ("iommu=off", "intel_iommu=off", "amd_iommu=off")]
    if off:
        lines.append(f"The kernel command line turns it off: remove {' and '.join(off)}.")
    lines += _turn_on(host.cpu_vendor, parameters)
    lines.append(
        "Afterwards check with 'ls /sys/class/iommu' (an entry such as dmar0 or ivhd0 means that it is on), "
        "'dmesg | grep -e DMAR -e AMD-Vi', and 'iommutui list'."
    )
    lines.append("In a virtual machine the hypervisor has to offer a virtual IOMMU; few do by default.")
    return lines


def turn_on_advice(host: Host) -> str:
    """What turns the IOMMU on, for a line of its own; empty where one is on."""
    on = host.groups or host.iommus
    return "" if on else " ".join(_turn_on(host.cpu_vendor, (host.cmdline or "").split()))


def _found(host: Host) -> str:
    if host.iommus is None:
        return "There are no IOMMU groups, and no /sys/class/iommu to tell whether an IOMMU is active."
    return "No IOMMU is active: /sys/class/iommu is empty, and there are no groups."


def _turn_on(vendor: str | None, parameters: list[str]) -> list[str]:
    if vendor in _FIRMWARE:
        maker, setting, parameter = _FIRMWARE[vendor]
        lines = [f"This processor is made by {maker}: turn on {setting} in the firmware setup (BIOS, UEFI)."]
        if parameter is None:
            lines.append(
                "The kernel needs no parameter for it: its AMD IOMMU driver is on as soon as the firmware offers one "
                "(amd_iommu=on is not a value that it knows)."
            )
        elif parameter in parameters:
            lines.append(f"{parameter} is on the kernel command line already, so the firmware setting is what is left.")
        else:
            lines.append(f"Then add {parameter} to the kernel command line, if your distribution has not set it.")
        return lines
    if vendor is None:
        return [
            "Turn on VT-d (Intel) or IOMMU (AMD) in the firmware setup (BIOS, UEFI); "
            "on Intel add intel_iommu=on to the kernel command line as well, AMD needs no parameter.",
        ]
    return [
        f"For a processor of {vendor} the firmware has to describe an IOMMU (an SMMU on Arm, in the device tree "
        "or the ACPI table IORT); there is no kernel parameter that adds one.",
    ]
