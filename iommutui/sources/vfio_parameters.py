"""What decides, beside drivers and groups, whether VFIO hands a device out: interrupts, parameters of its modules."""

import re

from iommutui.core.drivers import underscored
from iommutui.core.host import Host, VfioParameters
from iommutui.sources.tree import Tree, names_in

_ENOUGH = 1 << 16
_ON, _OFF = ("1", "y", "Y", "on"), ("0", "n", "N", "off")


def with_vfio_parameters(tree: Tree, host: Host) -> Host:
    """The Host with what the kernel asks when a group is claimed."""
    parameters = VfioParameters(
        _flag(tree, host, "vfio_iommu_type1", "allow_unsafe_interrupts"),
        _flag(tree, host, "iommufd", "allow_unsafe_interrupts"),
        _flag(tree, host, "vfio", "enable_unsafe_noiommu_mode"),
    )
    return host._replace(interrupt_remapping=_remapping(tree, host), vfio=parameters)


def _remapping(tree: Tree, host: Host) -> bool | None:
    """``/proc/interrupts`` names the chips: ``IR-IO-APIC`` and ``IR-PCI-MSI`` where interrupts are remapped (x86).

    Without it, the command line says whether it is turned off (``setup_intremap``), and bit 3 of Intel's ``ecap``
    whether there is any; that it is on does not show then.
    """
    data = tree.bytes("proc/interrupts", _ENOUGH)
    text = data.decode("ascii", "replace") if isinstance(data, bytes) else ""
    if re.search(r"\bIR-(?:IO-APIC|PCI-MSI)", text):
        return True
    if re.search(r"(?<![-\w])(?:IO-APIC|PCI-MSI)", text):
        return False
    words = (host.cmdline or "").split()
    if "nointremap" in words or any(word.startswith("intremap=") and "off" in word for word in words):
        return False
    registers = [tree.text(f"{_relative(tree)}class/iommu/{i.name}/intel-iommu/ecap") for i in host.iommus or ()]
    known = [int(text, 16) for text in registers if isinstance(text, str) and re.fullmatch("[0-9a-f]{1,16}", text)]
    return False if any(not value & 1 << 3 for value in known) else None


def _flag(tree: Tree, host: Host, module: str, name: str) -> bool | None:
    """A parameter: of the module while it is loaded, otherwise as it would be given to it."""
    text = tree.text(f"{_relative(tree)}module/{module}/parameters/{name}")
    if not isinstance(text, str):
        given = [word.partition("=") for word in (host.cmdline or "").split()]
        values = [value for key, _, value in given if underscored(key) == f"{module}.{name}"]
        text = values[-1] if values else _option(tree, module, name)
    return True if text in _ON else False if text in _OFF else None


def _option(tree: Tree, module: str, name: str) -> str:
    """``options vfio_iommu_type1 allow_unsafe_interrupts=1`` in ``/etc/modprobe.d``."""
    wanted = re.compile(rf"^\s*options\s+{module.replace('_', '[-_]')}\s+(?:.*\s)?{name}=(\S+)", re.MULTILINE)
    found = ""
    names = names_in(f"{tree.root}/etc/modprobe.d")
    for file in sorted(names) if isinstance(names, list) else ():
        data = tree.bytes(f"etc/modprobe.d/{file}", _ENOUGH) if file.endswith(".conf") else None
        for match in wanted.findall(data.decode("utf-8", "replace")) if isinstance(data, bytes) else ():
            found = match
    return found


def _relative(tree: Tree) -> str:
    """Where the sysfs is below the root: a bare one is the root itself."""
    return "" if tree.sys == tree.root else "sys/"
