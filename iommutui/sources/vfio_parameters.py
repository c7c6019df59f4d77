"""Other facts that decide whether VFIO hands out a device: interrupt remapping, and parameters of its modules."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from iommutui.core.drivers import parameter
from iommutui.core.host import Host, VfioParameters
from iommutui.sources.tree import Tree, names_in

if TYPE_CHECKING:
    from iommutui.core.uses import ById
    from iommutui.sources.uses.survey import Survey

SHORT = 1 << 16
"""Bytes of a file that are read."""

_ON, _OFF = ("1", "y", "Y", "on"), ("0", "n", "N", "off")


def with_vfio_parameters(tree: Tree, host: Host) -> Host:
    """The Host with the facts that the kernel checks when a group is claimed."""
    parameters = VfioParameters(
        _flag(tree, host, "vfio_iommu_type1", "allow_unsafe_interrupts"),
        _flag(tree, host, "iommufd", "allow_unsafe_interrupts"),
        _flag(tree, host, "vfio", "enable_unsafe_noiommu_mode"),
    )
    return host._replace(interrupt_remapping=_remapping(tree, host), vfio=parameters)


def _remapping(tree: Tree, host: Host) -> bool | None:
    """``/proc/interrupts`` names the chips: ``IR-IO-APIC`` and ``IR-PCI-MSI`` where interrupts are remapped (x86).

    Without it, the command line shows whether it is turned off (``setup_intremap``), and bit 3 of Intel's ``ecap``
    whether it exists; whether it is on cannot be seen.
    """
    data = tree.bytes("proc/interrupts", SHORT)
    text = data.decode("ascii", "replace") if isinstance(data, bytes) else ""
    if re.search(r"\bIR-(?:IO-APIC|PCI-MSI)", text):
        return True
    if re.search(r"(?<![-\w])(?:IO-APIC|PCI-MSI)", text):
        return False
    words = (host.cmdline or "").split()
    if "nointremap" in words or any(word.startswith("intremap=") and "off" in word for word in words):
        return False
    registers = [tree.attribute(f"class/iommu/{iommu.name}/intel-iommu/ecap") for iommu in host.iommus or ()]
    known = [int(text, 16) for text in registers if re.fullmatch("[0-9a-f]{1,16}", text)]
    return False if any(not value & 1 << 3 for value in known) else None


def _flag(tree: Tree, host: Host, module: str, name: str) -> bool | None:
    """A module's parameter: its present value if the module is loaded, otherwise the one that it would get."""
    text: str | None = tree.attribute(f"module/{module}/parameters/{name}")
    if not text:
        text = parameter(host.cmdline, f"{module}.{name}")
        text = _option(tree, module, name) if text is None else text
    return True if text in _ON else False if text in _OFF else None


def _option(tree: Tree, module: str, name: str) -> str:
    """``options vfio_iommu_type1 allow_unsafe_interrupts=1`` in ``/etc/modprobe.d``."""
    wanted = rf"^\s*options\s+{module.replace('_', '[-_]')}\s+(?:.*\s)?{name}=(\S+)"
    texts = [text for _, text in _modprobe_d(tree)]
    return next(iter([value for text in texts for value in re.findall(wanted, text, re.MULTILINE)][-1:]), "")


def read_by_id(survey: "Survey") -> tuple["ById", ...]:
    """``options vfio-pci ids=10de:2204,10de:1aef`` in ``/etc/modprobe.d``; the kernel's command line is in the Host."""
    from iommutui.core.uses import ById  # a plain listing does without

    survey.check("by_id", names_in(f"{survey.root}/etc/modprobe.d"))
    option = r"^\s*options\s+(vfio[-_]pci|pci[-_]stub)\s+(?:.*\s)?ids=(\S+)"
    return tuple(
        ById(driver.replace("_", "-"), tuple(ids.strip('"').lower().split(",")), f"/etc/modprobe.d/{name}")
        for name, text in _modprobe_d(survey)
        for driver, ids in re.findall(option, text, re.MULTILINE)
    )


def _modprobe_d(tree: Tree) -> Iterator[tuple[str, str]]:
    """The files of ``/etc/modprobe.d`` in the order of their names, each with its text."""
    names = names_in(f"{tree.root}/etc/modprobe.d")
    for name in sorted(names) if isinstance(names, list) else ():
        data = tree.bytes(f"etc/modprobe.d/{name}", SHORT) if name.endswith(".conf") else None
        if isinstance(data, bytes):
            yield name, data.decode("utf-8", "backslashreplace").replace("\\\n", " ")
