"""Advice for a machine without IOMMU groups, and on parameters and settings that have no effect or came too late."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.device import NOT_LISTED, gap_words
from iommutui.core.drivers import VFIO_PCI
from iommutui.core.host import Device, Host, serves_host

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
_AMD = (
    "This processor is made by AMD or Hygon: turn on IOMMU in the firmware setup (BIOS, UEFI); some boards call it "
    "AMD-Vi, below AMD CBS or NBIO. The kernel needs no parameter for it."
)
_FIRMWARE_SETUP = {
    "GenuineIntel": "This processor is made by Intel: turn on VT-d in the firmware setup (BIOS, UEFI).",
    "AuthenticAMD": _AMD,
    "HygonGenuine": _AMD,
    None: "Turn on VT-d (Intel) or IOMMU (AMD) in the firmware setup (BIOS, UEFI); on Intel add intel_iommu=on to the "
    "kernel command line as well, AMD needs no parameter.",
}
"""What turns the IOMMU on, by the maker of the processor."""


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
    if host.iommus is None:
        found = "There are no IOMMU groups, and no /sys/class/iommu to tell whether an IOMMU is active."
    else:
        found = "No IOMMU is active: /sys/class/iommu is empty, and there are no groups."
    off = [word for word in _parameters(host) if word in ("iommu=off", "intel_iommu=off", "amd_iommu=off")]
    return [
        found,
        *([f"The kernel command line turns it off: remove {' and '.join(off)}."] if off else []),
        *(guest or [turn_on_advice(host)]),
        *idle_iommu(host),
        "Afterwards check with 'ls /sys/class/iommu' (an entry such as dmar0 or ivhd0 means that it is on), "
        "'dmesg | grep -e DMAR -e AMD-Vi', and 'iommutui list'.",
    ]


def turn_on_advice(host: Host) -> str:
    """How to turn the IOMMU on; empty if one is on."""
    if host.groups or host.iommus or host.hypervisor == XEN_DOM0:
        return ""
    maker = host.cpu_vendor
    how = _FIRMWARE_SETUP.get(maker) or (
        f"For a processor of {maker} the firmware has to describe an IOMMU (an SMMU on Arm, in the device tree or the "
        "ACPI table IORT); there is no kernel parameter that adds one."
    )
    return f"{how} {parameter_advice(host, 'intel_iommu=on')}" if maker == "GenuineIntel" else how


def not_recorded(host: Host) -> str:
    """What a recorded machine lacks, and what records it, as a sentence; empty if nothing important is missing."""
    facts = {
        "the kernel's version": host.kernel,
        "which drivers there are": host.drivers,
        "which drivers fit a device": next((d.fits for d in host.devices.values() if d.fits is not None), None),
        "what the machine uses its devices for": host.uses,
    }
    missing = ", ".join(words for words, fact in facts.items() if fact is None)
    if not missing or not host.devices:
        return ""
    return f"Not recorded here: {missing}. 'iommutui snapshot -o FILE' on that machine makes a complete one."


# The kernel's command line.


def _parameters(host: Host) -> list[str]:
    return (host.cmdline or "").split()


def _letters(name: str) -> str:
    """A name without the signs that people mix up: ``vfio-pci.ids`` and ``vfio_pci_ids`` are the same."""
    return re.sub("[-_.]", "", name)


def parameter_advice(host: Host, parameter: str) -> str:
    """Advice on a parameter that would help: set it, or look further if it is set already."""

    def same(word: str) -> tuple[str, str]:
        name, _, value = word.partition("=")
        return name.replace("-", "_"), {"y": "1", "Y": "1", "on": "1"}.get(value, value)

    if same(parameter) in map(same, _parameters(host)):
        return f"{parameter} is on the kernel command line already, so the reason is another."
    return f"Add {parameter} to the kernel command line and reboot."


_IOMMU_PARAMETERS = {
    "intel_iommu": ("Intel", ("1", "pt")),
    "amd_iommu": ("AMD", ("on", "1", "pt")),
    "iommu": ("", ("on", "1")),
}
"""Whose processors each is for, and what people give it although the kernel has no such value (Linux 6.12)."""


def idle_iommu(host: Host) -> Iterator[str]:
    """Words about the IOMMU that have no effect here: a name or value that the kernel lacks, or the other maker's."""
    own = {"GenuineIntel": "Intel", "AuthenticAMD": "AMD"}.get(host.cpu_vendor or "")
    for word in _parameters(host):
        written, equals, value = word.partition("=")
        name = next((known for known in _IOMMU_PARAMETERS if _letters(known) == _letters(written)), None)
        if name is None or not equals:
            continue
        maker, idle = _IOMMU_PARAMETERS[name]
        if maker and own and maker != own:
            yield f"{word} has no effect: it is for processors of {maker}."
        elif written != name:
            yield f"{word} is misspelt, so the kernel ignores it: the parameter is {name}=."
        elif value in idle:
            yield f"{word} has no effect: {value} is not a value of {name}=."


# Settings that give a device to a driver by its ids.


class Notice(NamedTuple):
    """A note about a setting for whoever made it. Whole sentences."""

    code: str
    text: str
    remedy: str
    device: Address | None = None


def setting_by_ids(host: Host, device: Device) -> tuple[str, str] | None:
    """The driver to which a setting gives the device by its ids, and where that setting is: the command line first."""
    from iommutui.core.engine.matching import taken_by_ids  # a plain listing does without the engine

    ids = [device.vendor_id, device.device_id]
    by_id = host.uses.by_id if host.uses is not None else ()
    found = [(name, "the kernel command line") for name in taken_by_ids(host, device)]
    found += [(each.driver, each.where) for each in by_id if any(text.split(":")[:2] == ids for text in each.ids)]
    return found[0] if found else None


def notices_of(host: Host, device: Device) -> Iterator[Notice]:
    """Settings that should have put the device on a VFIO driver: they came too late, or no module reads them."""
    on_host = serves_host(host, device, device.driver)
    setting = setting_by_ids(host, device) if on_host else None
    if setting is not None:
        driver, where = setting
        yield Notice(
            "ids-too-late",
            f"{where[0].upper()}{where[1:]} gives {device.address} to {driver} by its ids "
            f"({device.vendor_id}:{device.device_id}), but {device.driver} was loaded first and took it.",
            f"Put {driver} into the initramfs and load it first ('softdep {device.driver} pre: {driver}' in "
            f"/etc/modprobe.d), then rebuild the initramfs and reboot. "
            f"'iommutui preview {device.address}={driver}' shows the rebind until then.",
            device.address,
        )
    if not on_host and (device.driver is not None or device.driver_override == VFIO_PCI):
        return
    for word in _parameters(host):
        name, _, ids = word.partition("=")
        meant = {"vfiopciid": "vfio-pci.ids", "vfioid": "vfio-pci.ids", "pcistubid": "pci-stub.ids"}
        right = meant.get(_letters(name).removesuffix("s"))
        held = f"{device.vendor_id}:{device.device_id}" in ids.lower()
        if right is not None and held and name.replace("_", "-") != right:
            yield Notice(
                "misspelt-parameter",
                f"{name}= on the kernel command line is not a parameter of any module, so it has no effect.",
                f"Write {right}={ids} instead, with a dot before ids.",
            )
