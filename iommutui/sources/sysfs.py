"""The scan of a machine, running or recorded: sysfs -> `Host`."""

import os
import re

from iommutui.core.address import Address, is_pci
from iommutui.core.drivers import KNOWN, DriverTable, parse_release
from iommutui.core.errors import SourceError
from iommutui.core.host import Device, Driver, Gap, Host, Iommu, by_address, is_vfio
from iommutui.sources.groups import list_groups, other_members, read_groups
from iommutui.sources.names import Names
from iommutui.sources.pci import ReadContext, read_function, with_resets
from iommutui.sources.tree import (
    Depth,
    Tree,
    Unreadable,
    base_name,
    functions_in,
    known,
    names_in,
    read_link,
    read_text,
)
from iommutui.sources.uses import with_uses
from iommutui.sources.vfio_parameters import with_vfio_parameters

_VENDOR = rb"^(?:vendor_id|vendor)\s*:\s*(\S+)"
_IOMMU_KINDS = ("intel-iommu", "amd-iommu")


def scan(
    tree: Tree, depth: Depth, names: Names, *, session: str | None = None, driver_table: DriverTable = KNOWN
) -> Host:
    """Everything that the tree shows. Raises SourceError if it is no sysfs with PCI devices.

    On the sysfs of the running kernel, a child process reads the attributes that may block. ``session`` is
    the address that an SSH session of the caller came to.
    """
    functions = _functions(tree)
    gaps: list[Gap] = []
    listed = known(list_groups(tree), "iommu_groups", gaps) or {}
    switches = _console_switches(tree) if depth is Depth.FULL else []
    deadline = None
    if tree.live:
        from iommutui.sources.deadline_reader import DeadlineReader  # only where reads may block

        paths = [f"{tree.sys}/bus/pci/devices/{name}" for name in functions] + other_members(tree, listed)
        deadline = DeadlineReader([*(file for path in paths for file in _blocking(path)), *switches])
    read = read_text if deadline is None else deadline.get
    reading = ReadContext(tree, names, read, details=depth is Depth.FULL)
    try:
        found = (read_function(reading, name) for name in functions)
        devices: dict[Address, Device] = {device.address: device for device in found if device is not None}
        on_pci = len(devices)
        groups = read_groups(reading, devices, listed)
        console = any(_is_bound(read(path)) for path in switches)
    finally:
        if deadline is not None:
            deadline.close()
    if len(devices) > on_pci:
        devices = by_address(devices.values())
    release = known(tree.text("proc/sys/kernel/osrelease"), "kernel", gaps) or None
    host = Host(
        devices=with_resets(devices, parse_release(release)),
        groups=groups,
        kernel=release,
        cmdline=known(tree.text("proc/cmdline"), "cmdline", gaps) or None,
        cpu_vendor=_cpu_vendor(tree, gaps),
        iommus=_iommus(tree, gaps),
        drivers=_drivers(tree, gaps),
        gaps=tuple(gaps),
        driver_table=driver_table,
    )
    if depth is Depth.FULL or all(device.group is None for device in devices.values()):
        host = host._replace(hypervisor=hypervisor_of(tree, devices))
    if depth is Depth.FULL:
        from iommutui.sources.modules import with_fits  # the plain listing does not need them

        host = with_fits(tree, host)
    host = with_vfio_parameters(tree, host)
    # A device whose unbind waits for its user has lost its driver, but its group's node still exists.
    on_vfio = any(is_vfio(host, device, device.driver) for device in devices.values())
    if groups and (on_vfio or os.path.exists(f"{tree.root}/dev/vfio")):
        from iommutui.sources.processes import with_claims  # most listings do not need them

        host = with_claims(tree, host)
    return with_uses(tree, host, depth, session, console)


def _blocking(path: str) -> list[str]:
    """The attributes of a device that the child reads; its ``uevent`` only if it names a driver."""
    override, uevent = f"{path}/driver_override", f"{path}/uevent"
    return [override] if os.path.lexists(f"{path}/driver") else [override, uevent]


def _console_switches(tree: Tree) -> list[str]:
    """Files that show whether the text console is drawn on framebuffers. Reading one waits for the console's lock."""
    place = "class/vtconsole"
    drawn = [name for name in tree.listed(place) if "frame buffer" in tree.attribute(f"{place}/{name}/name")]
    return [f"{tree.sys}/{place}/{name}/bind" for name in drawn]


def _is_bound(answer: str | Unreadable | None) -> bool:
    """One that does not answer is being changed, so the console exists."""
    return answer == "1" or isinstance(answer, Unreadable)


def _functions(tree: Tree) -> list[str]:
    """The addresses of every PCI function, in order."""
    names = names_in(f"{tree.sys}/bus/pci/devices")
    if isinstance(names, list):
        functions = sorted(name for name in names if is_pci(name))
        functions.sort(key=len)  # a longer domain is a higher number
        return functions
    where = f"{tree.sys}/bus/pci/devices"
    if isinstance(names, Unreadable):
        raise SourceError(f"{where} cannot be read: {names.why}.", "Run this as a user who may read it.")
    if os.path.isdir(f"{tree.sys}/bus"):
        raise SourceError(
            f"{where} does not exist: this kernel has no PCI.",
            "Containers often hide PCI devices: run this on the host, or read a snapshot of one with --from.",
        )
    if tree.root == "":
        raise SourceError("There is no sysfs at /sys.", "Mount it, or read a snapshot of a machine with --from.")
    raise SourceError(
        f"{tree.root} is not a recorded machine: neither sys/bus/pci/devices nor bus/pci/devices is in it.",
        "Give the directory that holds the recorded sys, or a sysfs itself.",
    )


def _cpu_vendor(tree: Tree, gaps: list[Gap]) -> str | None:
    data = known(tree.bytes("proc/cpuinfo", 1024), "cpu_vendor", gaps)
    match = re.search(_VENDOR, data, re.MULTILINE) if data else None
    return match[1].decode("utf-8", "backslashreplace") if match else None


def _iommus(tree: Tree, gaps: list[Gap]) -> tuple[Iommu, ...] | None:
    place = f"{tree.sys}/class/iommu"
    names = known(names_in(place), "iommus", gaps)
    return None if names is None else tuple(_iommu(f"{place}/{name}") for name in sorted(names))


def _iommu(path: str) -> Iommu:
    """``ivhd0`` -> ``../../devices/pci0000:00/0000:00:00.2/iommu/ivhd0``: AMD's are PCI functions."""
    kind = next((kind for kind in _IOMMU_KINDS if os.path.isdir(f"{path}/{kind}")), None)
    function = next(reversed(functions_in(read_link(path))), None)
    width = _width(read_text(f"{path}/{kind}/cap")) if kind == "intel-iommu" else None
    return Iommu(os.path.basename(path), kind, function, width)


def _width(cap: str | Unreadable | None) -> int | None:
    """MGAW, bits 16 to 21 of the capability register, plus one (``cap_mgaw`` in drivers/iommu/intel/iommu.h)."""
    try:
        return (int(cap, 16) >> 16 & 0x3F) + 1 if isinstance(cap, str) else None
    except ValueError:
        return None


def _drivers(tree: Tree, gaps: list[Gap]) -> tuple[Driver, ...] | None:
    """Every registered driver. One that is built in may have no link to its module."""
    place = f"{tree.sys}/bus/pci/drivers"
    names = known(names_in(place), "drivers", gaps)
    if names is None:
        return None
    return tuple(Driver(name, base_name(read_link(f"{place}/{name}/module")) or None) for name in sorted(names))


_MAKERS = {"QEMU": "KVM", "Red Hat": "KVM", "KVM": "KVM", "VMware": "VMware", "innotek": "VirtualBox", "Xen": "Xen",
           "Parallels": "Parallels", "Amazon EC2": "KVM", "Google": "KVM",
           "Microsoft Corporation Virtual Machine": "Hyper-V"}  # fmt: skip
"""Words in the maker and the name of the machine that DMI tells."""

_EMULATED = {"15ad": "VMware", "80ee": "VirtualBox", "1b36": "KVM", "1234": "KVM", "5853": "Xen", "1414": "Hyper-V"}
"""Makers of PCI functions that exist in virtual machines only."""


def hypervisor_of(tree: Tree, devices: dict[Address, Device]) -> str | None:
    """``xen-dom0``, or the name of the hypervisor that this machine is a guest of."""
    xen = tree.text("proc/xen/capabilities")
    if isinstance(xen, str) or tree.attribute("hypervisor/type") == "xen":
        return "xen-dom0" if "control_d" in str(xen) else "Xen"
    told = " ".join(tree.attribute(f"class/dmi/id/{name}") for name in ("sys_vendor", "product_name"))
    names = [name for words, name in _MAKERS.items() if words in told]
    names += [_EMULATED[device.vendor_id] for device in devices.values() if device.vendor_id in _EMULATED]
    return next(iter(names), None) or ("a hypervisor" if _says_so(tree) else None)


def _says_so(tree: Tree) -> bool:
    """The processor's flag ``hypervisor``, which it has in a virtual machine only."""
    data = tree.bytes("proc/cpuinfo", 1 << 13)
    return isinstance(data, bytes) and re.search(rb"^flags\s*:.* hypervisor\b", data, re.MULTILINE) is not None


def read_lockdown(root: str) -> str | None:
    """``none``, ``integrity`` or ``confidentiality``; None if securityfs does not show it.

    The file holds ``none [integrity] confidentiality``, with brackets around the mode (security/lockdown/lockdown.c,
    from 5.4).
    """
    return Tree(root).attribute("kernel/security/lockdown").partition("[")[2].partition("]")[0] or None
