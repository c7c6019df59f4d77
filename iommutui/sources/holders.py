"""Who owns the DMA of a group: processes that have VFIO's device nodes open."""

import re
from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.host import Claim, Device, Gap, Group, Host
from iommutui.core.roles import is_vfio
from iommutui.sources.processes import command, processes
from iommutui.sources.tree import Tree, Unreadable, names_in

_NODE = re.compile(r"/dev/vfio/(?:(?:noiommu-)?(\d{1,9})|devices/(vfio\d{1,9}))(?: \(deleted\))?")
_DEVICE_FD = "anon_inode:[vfio-device]"


def claims_now(host: Host, root: str = "/") -> Host:
    """The Host with the claims of this moment; nothing but ``/proc`` and ``/dev/vfio`` is looked at.

    A claim makes no event, so that it has to be asked for again and again. The same Host where nothing has changed.
    """
    bare = {number: group._replace(claim=None) for number, group in host.groups.items()}
    without = tuple(gap for gap in host.gaps if gap.attribute != "claims")
    now = with_claims(Tree(root), host._replace(groups=bare, gaps=without))
    return host if (now.groups, set(now.gaps)) == (host.groups, set(host.gaps)) else now


class Holder(NamedTuple):
    """A process and what of VFIO it has open."""

    name: str
    groups: tuple[int, ...]
    cdevs: tuple[str, ...]
    """Names such as ``vfio0``."""
    has_device: bool
    """Whether it has got a device from a group; from which one does not show."""


def with_claims(tree: Tree, host: Host) -> Host:
    """The Host with a claim for every group that a process has open.

    A group that is open without a container, or a device's node that is open but not bound to an iommufd, is claimed
    by nobody; neither shows from outside, and both are taken for claims. Other users' processes are visible to root
    only, and a recording rarely has any: a gap ``claims`` says so, where there is something to claim.
    """
    nodes = names_in(f"{tree.root}/dev/vfio")
    if nodes is None and tree.root and any(is_vfio(host, d, d.driver) for d in host.devices.values()):
        return host._replace(gaps=(*host.gaps, Gap("claims", "not-recorded")))
    if not isinstance(nodes, list) or not any(node != "vfio" for node in nodes):
        return host
    holders, hidden = find_holders(tree)
    by_cdev = {name: device for device in host.devices.values() for name in device.vfio_dev or ()}
    groups = dict(host.groups)
    for holder in holders:
        for number in holder.groups:
            group = groups.get(number)
            if group is not None and group.claim is None:
                opened = _held(host, group) if holder.has_device else ()
                groups[number] = group._replace(claim=Claim(holder.name, opened=opened))
        for name in holder.cdevs:
            device = by_cdev.get(name)
            if device is not None and device.group in groups:
                groups[device.group] = _with_cdev(groups[device.group], holder.name, device)
    gaps = (*host.gaps, Gap("claims", hidden)) if hidden is not None else host.gaps
    return host._replace(groups=groups, gaps=gaps)


def _held(host: Host, group: Group) -> tuple[Address, ...]:
    """Members on a VFIO driver, and those that do not answer because their unbind waits already."""
    return tuple(
        device.address
        for device in host.members(group)
        if is_vfio(host, device, device.driver)
        or (device.driver is None and device.gap("driver_override") == Gap("driver_override", "timeout"))
    )


def _with_cdev(group: Group, owner: str, device: Device) -> Group:
    claim = group.claim or Claim(owner, 0, "cdev")
    if claim.owner != owner or claim.via != "cdev":
        return group
    return group._replace(claim=claim._replace(uses=claim.uses + 1, opened=(*claim.opened, device.address)))


def find_holders(tree: Tree) -> tuple[list[Holder], str | None]:
    """Processes that have a node of VFIO open, by process id; and why there may be others that do not show."""
    running = processes(tree.root)
    if isinstance(running, Unreadable):
        return [], running.why
    found = []
    hidden: str | None = "not-recorded"
    for number, process in enumerate(running):
        if number == 0:
            # Mounted with hidepid, /proc leaves out other users' processes, and the first of all with them.
            hidden = "EPERM" if tree.live and process.pid != 1 else None
        if isinstance(process.files, Unreadable):
            hidden = process.files.why
            continue
        nodes = [match for target in process.files if (match := _NODE.fullmatch(target)) is not None]
        if nodes:
            comm = command(tree.root, process.pid)
            groups = sorted({int(match[1]) for match in nodes if match[1]})
            cdevs = sorted({match[2] for match in nodes if match[2]})
            name = f"{comm} (pid {process.pid})" if comm is not None else f"pid {process.pid}"
            found.append(Holder(name, tuple(groups), tuple(cdevs), _DEVICE_FD in process.files))
    return found, hidden
