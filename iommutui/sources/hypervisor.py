"""What this machine runs in: Xen's privileged domain, or a virtual machine of some hypervisor."""

import re

from iommutui.core.address import Address
from iommutui.core.host import Device
from iommutui.sources.tree import Tree

_MAKERS = {"QEMU": "KVM", "Red Hat": "KVM", "KVM": "KVM", "VMware": "VMware", "innotek": "VirtualBox", "Xen": "Xen",
           "Parallels": "Parallels", "Amazon EC2": "KVM", "Google": "KVM"}  # fmt: skip
"""Words in the maker or the name of the machine that DMI tells; Microsoft makes machines as well."""

_EMULATED = {"15ad": "VMware", "80ee": "VirtualBox", "1b36": "KVM", "1234": "KVM", "5853": "Xen"}
"""Makers of PCI functions that exist in virtual machines only."""

_CARDS = {("8086", "100f"): "VMware or VirtualBox", ("8086", "7190"): "VMware", ("1414", "5353"): "Hyper-V"}


def hypervisor_of(tree: Tree, devices: dict[Address, Device]) -> str | None:
    """``xen-dom0``, or the name of the hypervisor that this machine is a guest of."""
    kind = tree.text("sys/hypervisor/type")
    if kind == "xen" or isinstance(tree.text("proc/xen/capabilities"), str):
        dom0 = "control_d" in str(tree.text("proc/xen/capabilities"))
        return "xen-dom0" if dom0 else "Xen"
    told = " ".join(str(tree.text(f"sys/class/dmi/id/{name}") or "") for name in ("sys_vendor", "product_name"))
    named = next((name for words, name in _MAKERS.items() if words in told), None)
    if named is None and "Microsoft Corporation Virtual Machine" in told:
        named = "Hyper-V"
    return named or _by_devices(devices) or ("a hypervisor" if _says_so(tree) else None)


def _by_devices(devices: dict[Address, Device]) -> str | None:
    for device in devices.values():
        ids = (device.vendor_id or "", device.device_id or "")
        if found := _EMULATED.get(ids[0]) or _CARDS.get(ids):
            return found
    return None


def _says_so(tree: Tree) -> bool:
    """The processor's flag ``hypervisor``, which it has in a virtual machine only."""
    data = tree.bytes("proc/cpuinfo", 1 << 13)
    return isinstance(data, bytes) and re.search(rb"^flags\s*:.* hypervisor\b", data, re.MULTILINE) is not None
