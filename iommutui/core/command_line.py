"""The kernel's command line: its parameters, those without effect, and settings by ids that came too late."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.drivers import VFIO_PCI
from iommutui.core.engine.matching import taken_by_ids
from iommutui.core.host import Device, Host, serves_host


class Notice(NamedTuple):
    """A note about a setting for whoever made it. Whole sentences."""

    code: str
    text: str
    remedy: str
    device: Address | None = None


_IDS = re.compile(r"(?:vfio[-_.]?pci|pci[-_.]?stub|vfio)[-_.]?ids?=.*")
_IDS_RIGHT = re.compile(r"(?:vfio[-_]pci|pci[-_]stub)\.ids=.*")
_IOMMU = re.compile(r"(?:(intel|amd)[-_.]?)?iommu=(.*)")
_VALUES = {
    "intel": "on off igfx_off forcedac strict sp_off sm_on sm_off tboot_noforce relax_rmrr",
    "amd": "fullflush force_enable off force_isolation pgtbl_v1 pgtbl_v2 irtcachedis nohugepages v2_pgsizes_only",
    "iommu": "off force noforce biomerge panic nopanic merge nomerge forcesac allowdac nodac usedac soft pt nopt",
}
"""What ``intel_iommu_setup()``, ``parse_amd_iommu_options()`` and ``iommu_setup()`` of x86 know (Linux 6.12)."""
_MAKERS = {"intel": "GenuineIntel", "amd": "AuthenticAMD"}


def is_set(host: Host, parameter: str) -> bool:
    """Whether the command line has the parameter with this value; ``-`` and ``_`` are the same in a name."""
    return _same(parameter) in [_same(word) for word in (host.cmdline or "").split()]


def _same(word: str) -> tuple[str, str]:
    name, _, value = word.partition("=")
    return name.replace("-", "_"), {"y": "1", "Y": "1", "on": "1"}.get(value, value)


def parameter_advice(host: Host, parameter: str) -> str:
    """Advice on a parameter that would help: set it, or look further if it is set already."""
    if is_set(host, parameter):
        return f"{parameter} is on the kernel command line already, so the reason is another."
    return f"Add {parameter} to the kernel command line and reboot."


def idle_ids(host: Host, device: Device) -> Iterator[Notice]:
    """Words that seem to give the device to ``vfio-pci`` by its ids, but that no module reads."""
    for word in (host.cmdline or "").split():
        held = f"{device.vendor_id}:{device.device_id}" in word.lower()
        if held and _IDS.fullmatch(word) and not _IDS_RIGHT.fullmatch(word):
            name, _, value = word.partition("=")
            right = "pci-stub.ids" if "stub" in name else "vfio-pci.ids"
            yield Notice(
                "misspelt-parameter",
                f"{name}= on the kernel command line is not a parameter of any module, so it has no effect.",
                f"Write {right}={value} instead, with a dot before ids.",
            )


def idle_iommu(host: Host) -> Iterator[Notice]:
    """Words about the IOMMU that have no effect here: a name or value that the kernel lacks, or the other maker's."""
    for word in (host.cmdline or "").split():
        match = _IOMMU.fullmatch(word)
        if match is None:
            continue
        kind, values = match[1] or "iommu", match[2]
        name = "iommu" if kind == "iommu" else f"{kind}_iommu"
        unknown = [value for value in values.split(",") if value not in _VALUES[kind].split()]
        if kind in _MAKERS and host.cpu_vendor in _MAKERS.values() and host.cpu_vendor != _MAKERS[kind]:
            text = f"{word} has no effect: it is for processors of {kind.upper() if kind == 'amd' else 'Intel'}."
        elif not word.startswith(f"{name}="):
            text = f"{word} is misspelt, so the kernel ignores it: the parameter is {name}=."
        elif unknown:
            text = f"{word} has no effect: {', '.join(unknown)} is not a value of {name}=."
        else:
            continue
        yield Notice("idle-parameter", text, f"Remove {word}.")


def setting_by_ids(host: Host, device: Device) -> tuple[str, str] | None:
    """The driver to which a setting gives the device by its ids, and where that setting is: the command line first."""
    ids = [device.vendor_id, device.device_id]
    by_id = host.uses.by_id if host.uses is not None else ()
    found = [(name, "the kernel command line") for name in taken_by_ids(host, device)]
    found += [(each.driver, each.where) for each in by_id if any(text.split(":")[:2] == ids for text in each.ids)]
    return found[0] if found else None


def late_ids(host: Host, device: Device) -> Iterator[Notice]:
    """A setting gives the device to ``vfio-pci`` or ``pci-stub`` by its ids, but a host driver had it first."""
    if not serves_host(host, device, device.driver):
        return
    setting = setting_by_ids(host, device)
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


def notices_of(host: Host, device: Device) -> Iterator[Notice]:
    """Notes on the settings for someone who wants this device on a VFIO driver."""
    yield from late_ids(host, device)
    if serves_host(host, device, device.driver) or (device.driver is None and device.driver_override != VFIO_PCI):
        yield from idle_ids(host, device)
