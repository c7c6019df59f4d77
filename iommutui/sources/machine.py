"""Facts of the machine as a whole: its processor, IOMMUs, drivers and hypervisor, and the settings of VFIO."""

import os
import re

from iommutui.core.host import Driver, Gap, Host, Iommu, VfioParameters
from iommutui.core.kernel import parameter
from iommutui.sources.tree import Tree, base_name, functions_in, known, names_in, read_link

_SHORT = 1 << 16
"""Bytes of a file that are read."""


def with_facts(tree: Tree, host: Host) -> Host:
    """The Host with the facts of the whole machine, except for its hypervisor."""
    gaps: list[Gap] = []
    host = host._replace(
        cmdline=known(tree.text("proc/cmdline"), "cmdline", gaps) or None,
        cpu_vendor=_cpu_vendor(tree, gaps),
        iommus=_iommus(tree, gaps),
        drivers=_drivers(tree, gaps),
    )
    parameters = VfioParameters(
        _flag(tree, host, "vfio_iommu_type1", "allow_unsafe_interrupts"),
        _flag(tree, host, "iommufd", "allow_unsafe_interrupts"),
        _flag(tree, host, "vfio", "enable_unsafe_noiommu_mode"),
    )
    return host._replace(interrupt_remapping=_remapping(tree, host), vfio=parameters, gaps=(*host.gaps, *gaps))


def _cpu_vendor(tree: Tree, gaps: list[Gap]) -> str | None:
    data = known(tree.bytes("proc/cpuinfo", 1024), "cpu_vendor", gaps)
    match = re.search(rb"^(?:vendor_id|vendor)\s*:\s*(\S+)", data, re.MULTILINE) if data else None
    return match[1].decode("utf-8", "backslashreplace") if match else None


def _iommus(tree: Tree, gaps: list[Gap]) -> tuple[Iommu, ...] | None:
    names = known(names_in(f"{tree.sys}/class/iommu"), "iommus", gaps)
    return None if names is None else tuple(_iommu(tree, name) for name in sorted(names))


def _iommu(tree: Tree, name: str) -> Iommu:
    """``ivhd0`` -> ``../../devices/pci0000:00/0000:00:00.2/iommu/ivhd0``: AMD's are PCI functions.

    The width of an Intel IOMMU is MGAW, bits 16 to 21 of its capability register, plus one (``cap_mgaw`` in
    drivers/iommu/intel/iommu.h).
    """
    place = f"class/iommu/{name}"
    kinds = ("intel-iommu", "amd-iommu")
    kind = next((kind for kind in kinds if os.path.isdir(f"{tree.sys}/{place}/{kind}")), None)
    function = next(reversed(functions_in(read_link(f"{tree.sys}/{place}"))), None)
    cap = _register(tree, name, "cap")
    return Iommu(name, kind, function, None if cap is None else (cap >> 16 & 0x3F) + 1)


def _register(tree: Tree, iommu: str, name: str) -> int | None:
    """A register of an Intel IOMMU."""
    text = tree.attribute(f"class/iommu/{iommu}/intel-iommu/{name}")
    return int(text, 16) if re.fullmatch("[0-9a-f]{1,16}", text) else None


def _drivers(tree: Tree, gaps: list[Gap]) -> tuple[Driver, ...] | None:
    """Every registered driver. One that is built in may have no link to its module."""
    place = f"{tree.sys}/bus/pci/drivers"
    names = known(names_in(place), "drivers", gaps)
    if names is None:
        return None
    return tuple(Driver(name, base_name(read_link(f"{place}/{name}/module")) or None) for name in sorted(names))


def _remapping(tree: Tree, host: Host) -> bool | None:
    """``/proc/interrupts`` names the chips: ``IR-IO-APIC`` and ``IR-PCI-MSI`` where interrupts are remapped (x86).

    Without it, the command line shows whether it is turned off (``setup_intremap``), and bit 3 of Intel's ``ecap``
    whether it exists; whether it is on cannot be seen.
    """
    data = tree.bytes("proc/interrupts", _SHORT)
    chips = re.findall(rb"(?<![-\w])(IR-)?(?:IO-APIC|PCI-MSI)", data) if isinstance(data, bytes) else []
    if chips:
        return b"IR-" in chips
    words = (host.cmdline or "").split()
    if "nointremap" in words or any(word.startswith("intremap=") and "off" in word for word in words):
        return False
    registers = (_register(tree, iommu.name, "ecap") for iommu in host.iommus or ())
    return False if any(value is not None and not value & 1 << 3 for value in registers) else None


def _flag(tree: Tree, host: Host, module: str, name: str) -> bool | None:
    """A module's parameter: its present value if the module is loaded, otherwise the one that it would get."""
    text = tree.attribute(f"module/{module}/parameters/{name}") or parameter(host.cmdline, f"{module}.{name}")
    if text is None:
        text = next((value for _, value in reversed(module_options(tree, module, name))), "")
    return {"1": True, "y": True, "on": True, "0": False, "n": False, "off": False}.get(text.lower())


def module_options(tree: Tree, module: str, name: str) -> list[tuple[str, str]]:
    """``options vfio_iommu_type1 allow_unsafe_interrupts=1`` in ``/etc/modprobe.d``: the files and the values."""
    wanted = rf"^\s*options\s+{module.replace('_', '[-_]')}\s+(?:.*\s)?{name}=(\S+)"
    found = []
    names = names_in(f"{tree.root}/etc/modprobe.d")
    for file in sorted(names) if isinstance(names, list) else ():
        data = tree.bytes(f"etc/modprobe.d/{file}", _SHORT) if file.endswith(".conf") else None
        text = data.decode("utf-8", "backslashreplace").replace("\\\n", " ") if isinstance(data, bytes) else ""
        found += [(file, value) for value in re.findall(wanted, text, re.MULTILINE)]
    return found


_MAKERS = {"QEMU": "KVM", "Red Hat": "KVM", "KVM": "KVM", "VMware": "VMware", "innotek": "VirtualBox", "Xen": "Xen",
           "Parallels": "Parallels", "Amazon EC2": "KVM", "Google": "KVM",
           "Microsoft Corporation Virtual Machine": "Hyper-V"}  # fmt: skip
"""Words in the maker and the name of the machine that DMI tells."""


def hypervisor_of(tree: Tree) -> str | None:
    """``xen-dom0``, or the name of the hypervisor that this machine is a guest of."""
    xen = tree.text("proc/xen/capabilities")
    if isinstance(xen, str) or tree.attribute("hypervisor/type") == "xen":
        return "xen-dom0" if "control_d" in str(xen) else "Xen"
    told = " ".join(tree.attribute(f"class/dmi/id/{name}") for name in ("sys_vendor", "product_name"))
    if maker := next((name for words, name in _MAKERS.items() if words in told), None):
        return maker
    cpuinfo = tree.bytes("proc/cpuinfo", 1 << 13)
    # The processor has this flag in a virtual machine only.
    is_guest = isinstance(cpuinfo, bytes) and re.search(rb"^flags\s*:.* hypervisor\b", cpuinfo, re.MULTILINE)
    return "an unknown hypervisor" if is_guest else None


def read_lockdown(root: str) -> str | None:
    """``none``, ``integrity`` or ``confidentiality``; None if securityfs does not show it.

    The file holds ``none [integrity] confidentiality``, with brackets around the mode (security/lockdown/lockdown.c,
    from 5.4).
    """
    return Tree(root).attribute("kernel/security/lockdown").partition("[")[2].partition("]")[0] or None
