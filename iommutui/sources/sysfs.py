"""The scan of a machine, running or recorded: sysfs -> `Host`."""

import os
import re

from iommutui.core.address import Address, is_pci
from iommutui.core.drivers import KNOWN, DriverTable
from iommutui.core.errors import SourceError
from iommutui.core.host import Device, Gap, Group, Host, Region, by_address, is_vfio
from iommutui.core.kernel import parse_release
from iommutui.sources.machine import hypervisor_of, module_options, with_facts
from iommutui.sources.names import Names
from iommutui.sources.pci import ReadContext, read_function, read_override, with_resets
from iommutui.sources.tree import (
    MALFORMED,
    Depth,
    Node,
    Tree,
    Unreadable,
    base_name,
    failure,
    functions_in,
    known,
    names_in,
    read_link,
    read_text,
)

_GROUPS = "kernel/iommu_groups"


def scan(
    tree: Tree, depth: Depth, names: Names, *, session: str | None = None, driver_table: DriverTable = KNOWN
) -> Host:
    """Everything that the tree shows. Raises SourceError if it is no sysfs with PCI devices.

    On the sysfs of the running kernel, a child process reads the attributes that may block. ``session`` is
    the address that an SSH session of the caller came to.
    """
    functions = _functions(tree)
    gaps: list[Gap] = []
    listed = _list_groups(tree, gaps)
    switches = _console_switches(tree) if depth is Depth.FULL else []
    deadline = None
    if tree.live:
        from iommutui.sources.deadline_reader import DeadlineReader  # only where reads may block

        paths = [f"{tree.sys}/bus/pci/devices/{name}" for name in functions] + _other_members(tree, listed)
        deadline = DeadlineReader([*(file for path in paths for file in _blocking(path)), *switches])
    read = read_text if deadline is None else deadline.get
    reading = ReadContext(tree, names, read, details=depth is Depth.FULL)
    try:
        found = (read_function(reading, name) for name in functions)
        devices: dict[Address, Device] = {device.address: device for device in found if device is not None}
        on_pci = len(devices)
        groups = _read_groups(reading, devices, listed)
        console = any(_is_bound(read(path)) for path in switches)
    finally:
        if deadline is not None:
            deadline.close()
    if len(devices) > on_pci:
        devices = by_address(devices.values())
    release = known(tree.text("proc/sys/kernel/osrelease"), "kernel", gaps) or None
    devices = with_resets(devices, parse_release(release))
    host = with_facts(tree, Host(devices, groups, release, gaps=tuple(gaps), driver_table=driver_table))
    if depth is Depth.FULL or all(device.group is None for device in devices.values()):
        host = host._replace(hypervisor=hypervisor_of(tree))
    if depth is Depth.FULL:
        from iommutui.sources.modules import with_fits  # the plain listing does not need them

        host = with_fits(tree, host)
    # A device whose unbind waits for its user has lost its driver, but its group's node still exists.
    on_vfio = any(is_vfio(host, device, device.driver) for device in devices.values())
    if groups and (on_vfio or os.path.exists(f"{tree.root}/dev/vfio")):
        from iommutui.sources.processes import with_claims  # most listings do not need them

        host = with_claims(tree, host)
    if depth is Depth.FULL or any(os.path.isdir(f"{tree.sys}/class/{name}") for name in ("block", "net")):
        return _with_uses(tree, host, depth, session, console)
    return host


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
    where = f"{tree.sys}/bus/pci/devices"
    names = names_in(where)
    if isinstance(names, list):
        # A longer domain is a higher number.
        return sorted((name for name in names if is_pci(name)), key=lambda name: (len(name), name))
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


# -- groups, and their members on other buses

_Listed = dict[int, list[str] | Unreadable | None]
"""The names in the ``devices`` of each group, by its number; groups may have any numbers."""


def _list_groups(tree: Tree, gaps: list[Gap]) -> _Listed:
    """Every group; none if the kernel has no such directory."""
    names = known(names_in(f"{tree.sys}/{_GROUPS}"), "iommu_groups", gaps) or []
    numbers = sorted(int(name) for name in names if name.isdecimal() and len(name) <= 9)
    return {number: names_in(f"{tree.sys}/{_GROUPS}/{number}/devices") for number in numbers}


def _other_members(tree: Tree, listed: _Listed) -> list[str]:
    """The paths of members on other buses, as `_read_groups` will read them."""
    pairs = ((number, name) for number, names in listed.items() if isinstance(names, list) for name in names)
    return [f"{tree.sys}/{_GROUPS}/{number}/devices/{name}" for number, name in pairs if not is_pci(name)]


def _read_groups(reading: ReadContext, devices: dict[Address, Device], listed: _Listed) -> dict[int, Group]:
    """Every group by number, with its members in order.

    A function's own ``iommu_group`` link decides, so a group and its members never disagree.
    ``devices`` gains members on other buses, and functions that appeared after the bus was listed.
    """
    members: dict[int, list[Address]] = {number: [] for number in listed}
    for device in devices.values():
        if device.group is not None:
            members.setdefault(device.group, []).append(device.address)
    return {number: _group(reading, devices, number, members[number], listed.get(number)) for number in sorted(members)}


def _group(
    reading: ReadContext,
    devices: dict[Address, Device],
    number: int,
    members: list[Address],
    names: list[str] | Unreadable | None,
) -> Group:
    place = f"{reading.tree.sys}/{_GROUPS}/{number}"
    gaps: list[Gap] = []
    found = known(Unreadable("not-recorded") if names is None else names, "devices", gaps) or []
    others = []
    for name in sorted(set(found).difference(members)):
        device = _member(reading, devices, number, f"{place}/devices/{name}")
        if device is not None and device.address not in members:
            devices[device.address] = device
            others.append(device.address)
    # A listing needs only what the verdict depends on: VFIO's no-IOMMU mode shows in the name of a group that it made.
    named = reading.details or (members and devices[members[0]].iommu is None)
    return Group(
        number,
        (*members, *others),
        type=known(read_text(f"{place}/type"), "type", gaps) if reading.details else None,
        name=known(read_text(f"{place}/name"), "name", gaps) if named else None,
        regions=_regions(read_text(f"{place}/reserved_regions"), gaps),
        gaps=tuple(gaps),
    )


def _member(reading: ReadContext, devices: dict[Address, Device], number: int, path: str) -> Device | None:
    """The device behind a name in a group's directory, or None if it has gone."""
    target = read_link(path) or path
    name = base_name(target)
    if is_pci(name):
        device = devices.get(Address(name)) or read_function(reading, name)
        # Without a link, the link was not recorded; with another link, the function has moved meanwhile.
        return device._replace(group=number) if device is not None and device.group in (None, number) else None
    while name in devices:  # it is unique only on its bus
        name += ".0"
    in_path = re.search(r"(?:^|/)devices/([a-z][\w-]*)/", target)
    bus = in_path[1] if in_path else "unknown"
    try:
        with Node(path) as node:
            return Device(
                address=Address(name),
                bus=node.link("subsystem") or bus,
                modalias=node.text("modalias"),
                driver=node.link("driver"),
                driver_override=read_override(reading, path, node),
                group=number,
                parent=next(reversed(functions_in(target)), None),
                vfio_dev=node.names("vfio-dev"),
                iommu=node.link("iommu"),
                gaps=tuple(node.gaps),
            )
    except OSError as error:
        gap = Gap("driver", (failure(error) or Unreadable("not-recorded")).why)
        return Device(Address(name), bus, group=number, gaps=(gap,))


def _regions(text: str | Unreadable | None, gaps: list[Gap]) -> tuple[Region, ...] | None:
    """Lines such as ``0x00000000fee00000 0x00000000feefffff msi``."""
    lines = known(text, "reserved_regions", gaps)
    if lines is None:
        return None
    found = []
    for line in lines.splitlines():
        try:
            start, end, kind = line.split(" ")
            found.append(Region(int(start[:18], 16), int(end[:18], 16), kind))
        except ValueError:
            gaps.append(Gap("reserved_regions", MALFORMED))
            break
    return tuple(found)


def _with_uses(tree: Tree, host: Host, depth: Depth, session: str | None, console: bool) -> Host:
    """The Host with its uses; the plain listing gets only the cheap ones: mounts, swap, pools, routes.

    ``console``: whether the text console is drawn on framebuffers.
    """
    from iommutui.core.uses import ById, Uses
    from iommutui.sources.uses import Survey
    from iommutui.sources.uses.network import read_network
    from iommutui.sources.uses.storage import read_storage

    survey = Survey(tree.root)
    everything = depth is Depth.FULL
    network = read_network(survey, session)
    uses = Uses(storage=tuple(read_storage(survey, network, everything)), network=network)
    if everything:
        from iommutui.sources.uses import seat

        survey.check("by_id", names_in(f"{tree.root}/etc/modprobe.d"))
        uses = uses._replace(
            screens=seat.read_display(survey, console),
            inputs=seat.read_inputs(survey),
            sounds=seat.read_sounds(survey),
            openers=seat.read_openers(survey, host.devices),
            plugged=seat.read_plugged(survey),
            by_id=tuple(
                ById(driver, tuple(ids.strip('"').lower().split(",")), f"/etc/modprobe.d/{file}")
                for driver in ("vfio-pci", "pci-stub")
                for file, ids in module_options(tree, driver.replace("-", "_"), "ids")
            ),
        )
    else:
        left = ("screens", "firmware", "inputs", "sounds", "openers", "plugged", "by_id", "fstab")
        survey.gaps.update(dict.fromkeys(left, "not-collected"))
    gaps = tuple(Gap(field, why) for field, why in survey.gaps.items())
    return host._replace(uses=uses._replace(gaps=gaps))
