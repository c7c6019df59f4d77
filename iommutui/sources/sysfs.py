"""The scan of a machine, running or recorded: sysfs -> `Host`."""

import gc
import os
import re

from iommutui.core.address import Address, is_pci
from iommutui.core.drivers import KNOWN, DriverTable
from iommutui.core.errors import SourceError
from iommutui.core.host import Device, Driver, Gap, Host, Iommu, by_address
from iommutui.core.kernel import parse_release
from iommutui.core.roles import is_vfio
from iommutui.sources.groups import group_numbers, other_members, read_groups
from iommutui.sources.names import Names
from iommutui.sources.pci import Reading, read_function, without_guessed_resets
from iommutui.sources.tree import PAGE, Depth, Tree, Unreadable, base_name, names_in, read_file, to_text
from iommutui.sources.uses import with_uses
from iommutui.sources.vfio_parameters import with_vfio_parameters

_VENDOR = rb"^(?:vendor_id|vendor)\s*:\s*(\S+)"
_IOMMU_KINDS = ("intel-iommu", "amd-iommu")


def scan(
    tree: Tree,
    depth: Depth,
    names: Names,
    *,
    deadline: bool | None = None,
    session: str | None = None,
    driver_table: DriverTable = KNOWN,
) -> Host:
    """Everything that the tree shows, or SourceError where it is no sysfs with PCI devices.

    ``deadline`` says whether attributes whose reading may block are read by a child process; by default on the sysfs of
    the running kernel only. ``session`` is the address that an SSH session of the caller came to.
    """
    # Thousands of values that all stay: looking for garbage among them again and again is a third of the time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _scan(tree, depth, names, tree.live if deadline is None else deadline, session, driver_table)
    finally:
        if collecting:
            gc.enable()


def _scan(
    tree: Tree, depth: Depth, names: Names, deadline: bool, session: str | None, driver_table: DriverTable
) -> Host:
    functions = _functions(tree)
    gaps: list[Gap] = []
    numbers = group_numbers(tree)
    if isinstance(numbers, Unreadable):
        gaps.append(Gap("iommu_groups", numbers.why))
        numbers = None
    release = _known("kernel", tree.text("proc/sys/kernel/osrelease"), gaps)
    pending = None
    switches = _console_switches(tree) if depth is Depth.FULL else []
    if deadline:
        from iommutui.sources.deadline_reader import DeadlineReader  # only where reads may block

        paths = [f"{tree.sys}/bus/pci/devices/{name}" for name in functions] + other_members(tree, numbers or [])
        pending = DeadlineReader([*(file for path in paths for file in _blocking(path)), *switches])
    reading = Reading(
        tree=tree,
        names=names,
        deadline=pending,
        kernel=parse_release(release),
        details=depth is Depth.FULL,
        parents={},
    )
    try:
        found = (read_function(reading, name) for name in functions)
        devices: dict[Address, Device] = {device.address: device for device in found if device is not None}
        listed = len(devices)
        groups = read_groups(reading, devices, numbers or [])
        console = any(_is_bound(pending.get(path) if pending is not None else _line(path)) for path in switches)
    finally:
        if pending is not None:
            pending.close()
    if len(devices) > listed:
        devices = by_address(devices.values())
    if depth is Depth.FULL:
        devices = without_guessed_resets(devices)
    host = Host(
        devices=devices,
        groups=groups,
        kernel=release,
        cmdline=_known("cmdline", tree.text("proc/cmdline"), gaps),
        cpu_vendor=_cpu_vendor(tree, gaps),
        iommus=_iommus(tree, gaps),
        drivers=_drivers(tree, gaps),
        gaps=tuple(gaps),
        driver_table=driver_table,
    )
    if depth is Depth.FULL or all(device.group is None for device in devices.values()):
        host = host._replace(hypervisor=hypervisor_of(tree, devices))
    if depth is Depth.FULL:
        from iommutui.sources.modules import with_fits  # the plain listing does without

        host = with_fits(tree, host)
    host = with_vfio_parameters(tree, host)
    if groups and _may_be_claimed(tree, host):
        from iommutui.sources.processes import with_claims

        host = with_claims(tree, host)
    return with_uses(tree, host, depth, session, console)


def _blocking(path: str) -> list[str]:
    """The attributes of a device that are left to the child; its ``uevent`` only where it names a driver."""
    override, uevent = f"{path}/driver_override", f"{path}/uevent"
    return [override] if os.path.lexists(f"{path}/driver") else [override, uevent]


def _may_be_claimed(tree: Tree, host: Host) -> bool:
    """A device whose unbind waits for its user has no driver any more, but its group's node is still there."""
    return os.path.exists(f"{tree.root}/dev/vfio") or any(is_vfio(host, d, d.driver) for d in host.devices.values())


def _console_switches(tree: Tree) -> list[str]:
    """Files that show whether the text console is drawn on framebuffers. Reading one waits for the console's lock."""
    place = f"{tree.sys}/class/vtconsole"
    names = names_in(place)
    every = [f"{place}/{name}" for name in names] if isinstance(names, list) else []
    return [f"{path}/bind" for path in every if "frame buffer" in str(_line(f"{path}/name"))]


def _is_bound(answer: str | Unreadable | None) -> bool:
    """One that does not answer is being changed, so the console is there."""
    return answer == "1" or isinstance(answer, Unreadable)


def _line(path: str) -> str | Unreadable | None:
    data = read_file(path, PAGE)
    return to_text(data) if isinstance(data, bytes) else data


def _functions(tree: Tree) -> list[str]:
    """The addresses of every PCI function, in order."""
    names = names_in(f"{tree.sys}/bus/pci/devices")
    if isinstance(names, list):
        functions = sorted(name for name in names if is_pci(name))
        functions.sort(key=len)  # a longer domain is a higher one
        return functions
    where = f"{tree.sys}/bus/pci/devices"
    if isinstance(names, Unreadable):
        raise SourceError(f"{where} cannot be read: {names.why}.", "Run this as a user who may read it.")
    if os.path.isdir(f"{tree.sys}/bus"):
        raise SourceError(
            f"There is no {where}: this kernel has no PCI.",
            "Containers often hide PCI devices: run this on the host, or read a snapshot of one with --from.",
        )
    if tree.root == "":
        raise SourceError("There is no sysfs at /sys.", "Mount it, or read a snapshot of a machine with --from.")
    raise SourceError(
        f"{tree.root} is not a recorded machine: neither sys/bus/pci/devices nor bus/pci/devices is in it.",
        "Give the directory that holds the recorded sys, or a sysfs itself.",
    )


def _known(attribute: str, value: str | Unreadable | None, gaps: list[Gap]) -> str | None:
    if isinstance(value, Unreadable):
        gaps.append(Gap(attribute, value.why))
        return None
    return value or None


def _cpu_vendor(tree: Tree, gaps: list[Gap]) -> str | None:
    data = tree.bytes("proc/cpuinfo", 1024)
    if isinstance(data, Unreadable):
        gaps.append(Gap("cpu_vendor", data.why))
        return None
    match = re.search(_VENDOR, data, re.MULTILINE) if data else None
    return match[1].decode("utf-8", "backslashreplace") if match else None


def _listed(place: str, field: str, gaps: list[Gap]) -> list[str] | None:
    """The names in a directory, in order; None where there is no such directory, or a gap says why it is not known."""
    names = names_in(place)
    if isinstance(names, Unreadable):
        gaps.append(Gap(field, names.why))
    return sorted(names) if isinstance(names, list) else None


def _iommus(tree: Tree, gaps: list[Gap]) -> tuple[Iommu, ...] | None:
    place = f"{tree.sys}/class/iommu"
    names = _listed(place, "iommus", gaps)
    return None if names is None else tuple(_iommu(f"{place}/{name}") for name in names)


def _iommu(path: str) -> Iommu:
    """``ivhd0`` -> ``../../devices/pci0000:00/0000:00:00.2/iommu/ivhd0``: AMD's are PCI functions."""
    try:
        parts = os.readlink(path).split("/")
    except OSError:
        parts = []
    kind = next((kind for kind in _IOMMU_KINDS if os.path.isdir(f"{path}/{kind}")), None)
    function = next((Address(part) for part in reversed(parts) if is_pci(part)), None)
    width = _width(_line(f"{path}/{kind}/cap")) if kind == "intel-iommu" else None
    return Iommu(os.path.basename(path), kind, function, width)


def _width(cap: str | Unreadable | None) -> int | None:
    """MGAW, bits 16 to 21 of the capability register, plus one (``cap_mgaw`` in drivers/iommu/intel/iommu.h)."""
    try:
        return (int(cap, 16) >> 16 & 0x3F) + 1 if isinstance(cap, str) else None
    except ValueError:
        return None


def _drivers(tree: Tree, gaps: list[Gap]) -> tuple[Driver, ...] | None:
    place = f"{tree.sys}/bus/pci/drivers"
    names = _listed(place, "drivers", gaps)
    return None if names is None else tuple(Driver(name, _module(f"{place}/{name}/module")) for name in names)


def _module(path: str) -> str | None:
    """None where the driver is built in without a name of its module."""
    try:
        return base_name(os.readlink(path))
    except OSError:
        return None


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


def read_lockdown(root: str) -> str | None:
    """``none``, ``integrity`` or ``confidentiality``; None where securityfs does not show it.

    The file holds ``none [integrity] confidentiality``, with brackets around the mode (security/lockdown/lockdown.c,
    from 5.4).
    """
    data = read_file(f"{Tree(root).sys}/kernel/security/lockdown", PAGE)
    text = data.decode(errors="replace") if isinstance(data, bytes) else ""
    return text.partition("[")[2].partition("]")[0] or None
